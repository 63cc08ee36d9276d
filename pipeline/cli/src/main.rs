//! The binary `rettidig`: the only reader of argv and the environment.
//!
//! stdout is data, stderr is everything else. Exit codes: 0 done, 1 failed or a comparison found differences,
//! 2 wrong usage.

mod cluster;
mod config;
mod demo;
mod door;
mod explain;
mod history;
mod key;
mod letters;
mod output;
mod persons;
mod plant;
mod routes;
mod run;
mod stream;
mod theory;
mod tools;

use std::path::PathBuf;
use std::process::ExitCode;

use chrono::{DateTime, Utc};
use clap::{Args, Parser, Subcommand};
use rettidig_cluster::On;

// Arrow and DataFusion allocate many small buffers from many threads.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Employment figures on time: official and municipal data into tables and gauges that are exact, versioned and
/// honest about what is missing.
#[derive(Debug, Parser)]
#[command(version, about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Replay the real release of August 2026 through the whole pipeline, on this machine alone; then go on day by day
    /// with simulated people of all municipalities.
    Demo(Demo),
    /// Poll the sources, keep tables and gauges up to date, until told to stop.
    Run {
        /// Configuration file; what it leaves out has the defaults of pipeline/cli/default.yaml.
        #[arg(long)]
        config: Option<PathBuf>,
        /// The part of the work that this process does. The others run beside it, on the same cluster and data folder.
        #[arg(long, value_enum, default_value_t = run::Role::All)]
        role: run::Role,
        /// A name that this worker or committer keeps when it is started again: a quick restart moves no partitions then.
        #[arg(long)]
        instance: Option<String>,
    },
    /// Check a configuration and the model without touching the network; prints every error at once.
    Check {
        /// Configuration file.
        #[arg(long)]
        config: Option<PathBuf>,
        /// Connect to Kafka too: reachable, trusted, allowed, topics as they must be. Changes nothing there.
        #[arg(long)]
        online: bool,
        /// The part of the work whose topics and rights are looked at.
        #[arg(long, value_enum, default_value_t = run::Role::All, requires = "online")]
        role: run::Role,
    },
    /// Ask the published tables of the newest epoch in SQL.
    Query(Query),
    /// Show the theory of change as a tree: goals, what tells whether they move, what is done for them. It shows what goes
    /// together, never what caused it.
    Theory(Data),
    /// Print the past of the official figures as OpenMetrics, for `promtool tsdb create-blocks-from openmetrics`: one sample a period, at its
    /// end, without breakdowns.
    History {
        /// Data folder.
        #[arg(long, default_value = "data/demo")]
        data: PathBuf,
    },
    /// Write an epoch as a version of Delta Lake tables, one folder a table. The same epoch again does nothing.
    ExportDelta(tools::ExportDelta),
    /// Compute everything again from the log and compare cell by cell with the newest epoch.
    Recompute(Recompute),
    /// Show why a published value differs from another: of two instants, or of two periods. The difference splits into real change,
    /// late data, corrections, definition change and denominator change, with the events behind each.
    Explain(explain::Explain),
    /// Who asked `explain` about figures that are made of records of persons.
    Audit {
        #[command(subcommand)]
        audit: explain::Audit,
    },
    /// Take canonical events from files straight into the log, without Kafka: NDJSON or Parquet, named after their topic
    /// (payments…, cases…, income…, official…, deliveries…).
    Load(Load),
    /// What was put aside: list it, show one whole, send it again after a fix.
    DeadLetters(letters::DeadLetters),
    /// The key of the pseudonyms: make one, erase a person from it.
    Key {
        #[command(subcommand)]
        key: key::Key,
    },
    /// Processes of a Ballista cluster, for `query --on` and `recompute --on`; they are not needed for anything else.
    Ballista {
        #[command(subcommand)]
        process: cluster::Process,
    },
    /// Print whom Alertmanager tells what: routes, receivers and inhibition, from the registry of the owners of jobcentres.
    AlertRoutes(routes::AlertRoutes),
    /// Write a simulated country: people on benefits in all municipalities, with everything that goes wrong.
    Simulate(Simulate),
}

#[derive(Debug, Args)]
struct Load {
    /// Files.
    #[arg(required = true)]
    files: Vec<PathBuf>,
    #[command(flatten)]
    data: Data,
}

/// Form of simulated records.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Shape {
    /// The files of the four source systems, CPR numbers (impossible ones) included.
    Files,
    /// Canonical events, as they stand on the topics.
    Ndjson,
}

#[derive(Debug, Args)]
struct Simulate {
    /// Persons.
    #[arg(long, default_value_t = 10_000)]
    persons: u64,
    /// Months, up to July 2026.
    #[arg(long, default_value_t = 24)]
    months: u32,
    /// Seed: the same one writes the same bytes.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Folder to write to.
    #[arg(long)]
    out: PathBuf,
    /// Form.
    #[arg(long = "as", value_enum, default_value_t = Shape::Files)]
    shape: Shape,
    /// File with the key of the pseudonyms; the demo's own if absent.
    #[arg(long)]
    key_file: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct Demo {
    /// Data folder; a run that was interrupted goes on in it. Without it, data/demo is started afresh.
    #[arg(long)]
    data: Option<PathBuf>,
    /// Port of the HTTP server on 127.0.0.1; 0 takes a free one.
    #[arg(long, default_value_t = 9464)]
    port: u16,
    /// Port of the SQL endpoint (PostgreSQL's protocol) on 127.0.0.1; the one after the HTTP server's if absent, a free one after 0.
    #[arg(long)]
    sql_port: Option<u16>,
    /// End after the last epoch: that of the release, or of the last day if --days is given.
    #[arg(long)]
    once: bool,
    /// Simulated persons in the daily stream.
    #[arg(long, default_value_t = 3_000, value_parser = clap::value_parser!(u64).range(98..=1_000_000))]
    persons: u64,
    /// Simulated days after the release; without it they go on until Ctrl-C.
    #[arg(long)]
    days: Option<u32>,
    /// Simulated days a second; 0 is as fast as possible.
    #[arg(long, default_value_t = 1.0, value_parser = speed)]
    speed: f64,
    /// One JSON object an epoch on stdout.
    #[arg(long)]
    json: bool,
}

/// Days a second, from one in ten minutes.
fn speed(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(speed) if speed == 0.0 || (1.0 / 600.0..=1_000.0).contains(&speed) => Ok(speed),
        _ => Err("expected 0 (as fast as possible), or days a second from 0.002 to 1000".to_owned()),
    }
}

#[derive(Debug, Clone, Args)]
struct Data {
    /// Data folder.
    #[arg(long, default_value = "data/demo")]
    data: PathBuf,
    /// JSON on stdout.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct Recompute {
    /// Make the cells of persons by SQL over the log's files, here or on a cluster: local or ballista://HOST:PORT.
    #[arg(long)]
    on: Option<On>,
    #[command(flatten)]
    data: Data,
}

#[derive(Debug, Args)]
struct Query {
    /// A SELECT over the published tables: indicators, local_indicators, targets, completeness and the others of /tables.
    sql: String,
    /// The tables as they would have been known at this instant, e.g. 2026-08-19T06:00:00Z.
    #[arg(long, conflicts_with = "on")]
    as_known: Option<DateTime<Utc>>,
    /// Ask the whole log too (log_official and others, event_person, every model of persons in sql/), here or on a cluster: local or
    /// ballista://HOST:PORT. What is not a published table has not passed disclosure control.
    #[arg(long)]
    on: Option<On>,
    #[command(flatten)]
    data: Data,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let level = match cli.command {
        // The replay serves fewer tables than the profiles name; the demo does not warn of it at every step.
        Command::Demo(_) => "error",
        Command::Query(_) | Command::Recompute(_) => "info,ballista=warn,ballista_core=warn",
        // The kernel of Delta Lake tells of every snapshot that it builds.
        Command::ExportDelta(_) => "info,buoyant_kernel=warn,deltalake_core=warn",
        // It misses metrics that are not made, see `rettidig_cluster`.
        Command::Ballista { .. } => "info,ballista_scheduler::state::execution_stage=error",
        _ => "info",
    };
    let filter = tracing_subscriber::EnvFilter::try_from_env("RETTIDIG_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new(level));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            output::error(&anyhow::Error::new(error).context("starting the async runtime"));
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(dispatch(cli.command)) {
        Ok(code) => code,
        Err(error) => {
            output::error(&error);
            ExitCode::FAILURE
        }
    }
}

/// Does something that lets go of what it made on the way when it is told to stop.
async fn stoppable<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    tokio::select! {
        result = work => result,
        () = run::signalled() => anyhow::bail!("stopped before it was done"),
    }
}

async fn dispatch(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Demo(demo) => demo::demo(demo).await?,
        Command::Run { config, role, instance } => match config::Config::load(config.as_deref()) {
            Ok(config) => run::run(config, role, instance).await?,
            Err(errors) => return Ok(tools::report(&errors)),
        },
        Command::Check { config, online, role } => {
            return Ok(tools::check(config.as_deref(), online, role).await);
        }
        Command::Query(query) => stoppable(tools::query(&query)).await?,
        Command::AlertRoutes(arguments) => routes::alert_routes(&arguments)?,
        Command::Theory(data) => tools::theory(&data).await?,
        Command::History { data } => tools::history(&data).await?,
        Command::ExportDelta(arguments) => tools::export_delta(&arguments).await?,
        Command::Recompute(recompute) => return stoppable(tools::recompute(&recompute)).await,
        Command::Explain(explain) => explain::explain(&explain).await?,
        Command::Audit { audit } => return explain::audit(&audit),
        Command::Load(load) => door::load_files(&load).await?,
        Command::DeadLetters(letters) => return letters::dead_letters(&letters).await,
        Command::Key { key } => key::key(&key)?,
        Command::Ballista { process } => cluster::run(process).await?,
        Command::Simulate(simulate) => door::simulate(&simulate)?,
    }
    Ok(ExitCode::SUCCESS)
}
