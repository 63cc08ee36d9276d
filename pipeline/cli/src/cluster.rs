//! `ballista scheduler` and `ballista executor`.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Subcommand;
use rettidig_cluster::{Executor, run_executor, run_scheduler};

use crate::run::signalled;

/// A process of a cluster.
#[derive(Debug, Subcommand)]
pub enum Process {
    /// Plans queries and hands out tasks. Whoever reaches it may run SQL: keep it inside a trusted network.
    Scheduler {
        /// Address to listen at.
        #[arg(long, default_value = "127.0.0.1:50050")]
        bind: SocketAddr,
    },
    /// Runs tasks. It needs the data folder under the same path as whoever asks.
    Executor {
        /// Host and port of the scheduler.
        #[arg(long, default_value = "127.0.0.1:50050", value_parser = host_and_port)]
        scheduler: (String, u16),
        /// Address at which others fetch results.
        #[arg(long, default_value = "127.0.0.1:50051")]
        bind: SocketAddr,
        /// Port at which the scheduler hands it tasks; the one after that of --bind if absent.
        #[arg(long)]
        control_port: Option<u16>,
        /// Host that the others know this one by, if it is not the one of --bind.
        #[arg(long)]
        advertise: Option<String>,
        /// Tasks at a time.
        #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=1024))]
        threads: u16,
        /// Memory of the operators of all tasks together, MiB; sorts and groupings beyond it go to the work folder.
        #[arg(long, default_value_t = 4_096, value_parser = clap::value_parser!(u64).range(64..))]
        memory_mib: u64,
        /// Folder of what it spills and others fetch; a folder of its own below the system's temporary one if absent.
        #[arg(long)]
        work: Option<PathBuf>,
    },
}

fn host_and_port(text: &str) -> Result<(String, u16), String> {
    let parts = text.rsplit_once(':').and_then(|(host, port)| Some((host.to_owned(), port.parse().ok()?)));
    parts.filter(|(host, port)| !host.is_empty() && *port > 0).ok_or_else(|| "expected HOST:PORT".to_owned())
}

/// Runs a process until it is told to stop.
pub async fn run(process: Process) -> anyhow::Result<()> {
    match process {
        Process::Scheduler { bind } => tokio::select! {
            result = run_scheduler(bind) => result?,
            () = signalled() => {}
        },
        Process::Executor { scheduler, bind, control_port, advertise, threads, memory_mib, work } => {
            // Removed when the process ends.
            let own = tempfile::Builder::new().prefix("rettidig-executor-").tempdir()?;
            let work = work.unwrap_or_else(|| own.path().to_owned());
            let memory_bytes = memory_mib * 1024 * 1024;
            let control_port = control_port.unwrap_or_else(|| bind.port().saturating_add(1));
            let threads = threads.into();
            let executor = Executor { bind, control_port, advertise, scheduler, threads, memory_bytes, work };
            run_executor(executor).await?;
        }
    }
    Ok(())
}
