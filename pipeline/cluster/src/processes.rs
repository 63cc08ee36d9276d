//! The processes of a cluster: Ballista's scheduler and executors, with our functions.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use ballista_core::registry::BallistaFunctionRegistry;
use ballista_core::utils::default_session_builder;
use ballista_executor::executor_process::{ExecutorProcessConfig, start_executor_process};
use ballista_scheduler::cluster::BallistaCluster;
use ballista_scheduler::config::SchedulerConfig;
use ballista_scheduler::scheduler_process::start_server;
use datafusion::execution::SessionState;
use datafusion::prelude::{SessionConfig, SessionContext};
use rettidig_model::functions;
use rettidig_runtime::RuntimeError;

use crate::engine::cluster_options;
use crate::stages::Stages;

/// Seconds for which an executor keeps what it made for others to fetch.
const KEPT_SECONDS: u64 = 3_600;

/// Seconds for which an executor tries to reach its scheduler before it gives up.
const CONNECT_SECONDS: u16 = 60;

/// Bytes of a message: a plan names every file of the log.
const MESSAGE_BYTES: u32 = 256 * 1024 * 1024;

fn state(config: SessionConfig) -> datafusion::error::Result<SessionState> {
    let context = SessionContext::new_with_state(default_session_builder(config)?);
    functions::register(&context);
    Ok(context.state())
}

/// Runs a scheduler until it fails.
///
/// # Errors
/// [`RuntimeError::Stop`] if it cannot listen there.
pub async fn run_scheduler(bind: SocketAddr) -> Result<(), RuntimeError> {
    let stop = |error: ballista_core::error::BallistaError| {
        let remedy = "choose another address with --bind";
        RuntimeError::stop(format!("running a Ballista scheduler at {bind}"), error, remedy)
    };
    let config = SchedulerConfig {
        bind_host: bind.ip().to_string(),
        bind_port: bind.port(),
        external_host: bind.ip().to_string(),
        override_session_builder: Some(Arc::new(state)),
        override_config_producer: Some(Arc::new(cluster_options)),
        grpc_server_max_decoding_message_size: MESSAGE_BYTES,
        grpc_server_max_encoding_message_size: MESSAGE_BYTES,
        grpc_client_max_message_size: MESSAGE_BYTES,
        ..SchedulerConfig::default()
    };
    let cluster = BallistaCluster::new_from_config(&config).await.map_err(stop)?;
    start_server(cluster, bind, Arc::new(config)).await.map_err(stop)
}

/// What an executor needs to know.
#[derive(Debug, Clone)]
pub struct Executor {
    /// Where others fetch from it.
    pub bind: SocketAddr,
    /// Port on the same host at which the scheduler hands it tasks.
    pub control_port: u16,
    /// The host that it tells others, if it is not that of `bind`.
    pub advertise: Option<String>,
    /// Host and port of the scheduler.
    pub scheduler: (String, u16),
    /// Tasks at a time.
    pub threads: usize,
    /// Memory of the operators of all tasks together, bytes; sorts and groupings spill beyond it.
    pub memory_bytes: u64,
    /// Folder of what it spills and others fetch.
    pub work: PathBuf,
}

/// Runs an executor until it is told to stop or fails.
///
/// # Errors
/// [`RuntimeError::Stop`] if it cannot reach the scheduler or listen.
pub async fn run_executor(executor: Executor) -> Result<(), RuntimeError> {
    let (host, port) = executor.scheduler;
    let attempt =
        format!("running a Ballista executor at {} for the scheduler at {host}:{port}", executor.bind);
    let remedy = "start the scheduler first, and choose free ports with --bind and --control-port";
    let stop = |error: &dyn std::fmt::Display| RuntimeError::stop(&attempt, error, remedy);
    let registry = BallistaFunctionRegistry::from(&state(cluster_options()).map_err(|error| stop(&error))?);
    let config = ExecutorProcessConfig {
        bind_host: executor.bind.ip().to_string(),
        port: executor.bind.port(),
        grpc_port: executor.control_port,
        external_host: executor.advertise.or_else(|| Some(executor.bind.ip().to_string())),
        scheduler_host: host,
        scheduler_port: port,
        scheduler_connect_timeout_seconds: CONNECT_SECONDS,
        vcores: executor.threads,
        work_dir: Some(executor.work.to_string_lossy().into_owned()),
        job_data_ttl_seconds: KEPT_SECONDS,
        job_data_clean_up_interval_seconds: KEPT_SECONDS / 6,
        grpc_max_decoding_message_size: MESSAGE_BYTES,
        grpc_max_encoding_message_size: MESSAGE_BYTES,
        memory_pool_size: Some(executor.memory_bytes),
        override_execution_engine: Some(Arc::new(Stages::default())),
        override_function_registry: Some(Arc::new(registry)),
        override_config_producer: Some(Arc::new(cluster_options)),
        ..ExecutorProcessConfig::default()
    };
    start_executor_process(Arc::new(config)).await.map_err(|error| stop(&error))
}
