//! Apache Kafka for tests: real brokers on free ports of this machine, without a container.
//!
//! The jars come from `scripts/kafka.sh`, whose answer stands in `RETTIDIG_KAFKA_JARS`. Each node is broker and
//! controller (KRaft) with a folder of its own. Nothing outlives the test process, however that ends: every node is
//! the child of a shell that waits on a pipe from here. A word on it ends the node; the end of it, which is the end
//! of this process, ends the node and removes its folder. Should somebody kill the shell, the kernel kills the node.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use tempfile::TempDir;

/// Names the folder of Kafka's jars.
const JARS: &str = "RETTIDIG_KAFKA_JARS";

/// Time for a cluster to answer: some seconds, and minutes on a machine that is busy otherwise.
const READY_WITHIN: Duration = Duration::from_secs(180);

/// Time between two looks whether it is ready.
const POLL_EVERY: Duration = Duration::from_millis(100);

/// Of the virtual machine: small, and quick to start rather than to run.
const JAVA: [&str; 4] = ["-Xmx400m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto"];

/// Starts a node, tells its process id, and ends it when told to or when nobody is left to tell.
const KEEPER: &str = r#"
folder=$1; shift
setpriv --pdeathsig KILL -- "$@" </dev/null >>"$folder/server.log" 2>&1 &
echo $!
if read -r _; then kill -KILL $!; wait
else kill -KILL $!; wait; rm -rf "$folder"; rmdir "$(dirname "$folder")"; fi 2>/dev/null
"#;

const LOGGING: &str = "status = error
appender.out.type = Console
appender.out.name = out
appender.out.layout.type = PatternLayout
appender.out.layout.pattern = %p %m (%c)%n%ex{short}
rootLogger.level = warn
rootLogger.appenderRef.out.ref = out
logger.version.name = org.apache.kafka.common.utils
logger.version.level = info
";

/// What a cluster is to be like.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// Listeners beside `PLAINTEXT`: name and protocol.
    pub listeners: Vec<(&'static str, &'static str)>,
    /// Further properties of each broker.
    pub properties: Vec<(String, String)>,
    /// Names and passwords for SCRAM-SHA-512, there from the first start on.
    pub users: Vec<(String, String)>,
}

/// A running cluster; dropping it ends it.
#[derive(Debug)]
pub struct Apache {
    nodes: Vec<Node>,
    version: String,
    // Dropped last.
    _folder: Option<TempDir>,
}

#[derive(Debug)]
struct Node {
    folder: PathBuf,
    ports: BTreeMap<&'static str, u16>,
    running: Option<Running>,
}

/// The shell that keeps a node, and the node's process.
#[derive(Debug)]
struct Running {
    keeper: Child,
    id: u32,
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(mut pipe) = self.keeper.stdin.take() {
            let _ = pipe.write_all(b"stop\n");
        }
        let _ = self.keeper.wait();
    }
}

impl Apache {
    /// A single broker without any security.
    ///
    /// # Errors
    /// If the jars or Java are missing, or if it does not start.
    pub fn start() -> Result<Self> {
        Self::start_with(1, &Settings::default())
    }

    /// A broker for the rest of this process: nothing drops it, the end of the process ends it.
    ///
    /// # Errors
    /// As [`Apache::start`].
    pub fn start_for_the_process(settings: &Settings) -> Result<Self> {
        let mut started = Self::start_with(1, settings)?;
        // The shell that keeps the node removes the folder.
        let _ = started._folder.take().map(TempDir::keep);
        Ok(started)
    }

    /// A cluster of `count` nodes.
    ///
    /// # Errors
    /// As [`Apache::start`].
    pub fn start_with(count: usize, settings: &Settings) -> Result<Self> {
        let jars = jars()?;
        let folder = tempfile::Builder::new().prefix("rettidig-kafka.").tempdir()?;
        let mut names = vec!["PLAINTEXT", "CONTROLLER"];
        names.extend(settings.listeners.iter().map(|(name, _)| *name));
        let mut nodes: Vec<Node> = Vec::new();
        for number in 1..=count {
            let mut ports = BTreeMap::new();
            for name in &names {
                let taken = |port| nodes.iter().any(|node| node.ports.values().any(|known| *known == port));
                let free = (0..1000)
                    .map(|_| free_port())
                    .find(|port| !taken(*port) && !ports.values().any(|known| known == port));
                ports.insert(*name, free.context("no free port")?);
            }
            let node = Node { folder: folder.path().join(number.to_string()), ports, running: None };
            std::fs::create_dir(&node.folder)?;
            nodes.push(node);
        }
        let voters: Vec<String> =
            (1..).zip(&nodes).map(|(id, node)| format!("{id}@{}", node.at("CONTROLLER"))).collect();
        for (id, node) in (1..).zip(&nodes) {
            std::fs::write(node.folder.join("log4j2.properties"), LOGGING)?;
            let properties = properties(id, count, node, &voters.join(","), settings);
            std::fs::write(node.folder.join("server.properties"), properties)?;
        }
        // Java takes a second for each: all at the same time.
        let formatting = nodes.iter().map(|node| format(&jars, node, &settings.users).spawn());
        for child in formatting.collect::<std::io::Result<Vec<_>>>().context(NO_JAVA)? {
            succeeded("formatting the storage", &child.wait_with_output()?)?;
        }
        let mut cluster = Self { nodes, version: String::new(), _folder: Some(folder) };
        for node in 0..count {
            cluster.run(node)?;
        }
        cluster.wait_until_ready()?;
        let version = cluster.nodes[0].version().context("it tells no version")?;
        let at = cluster.bootstrap();
        writeln!(std::io::stderr(), "Apache Kafka {version}: {count} node(s) at {at}")?;
        cluster.version = version;
        Ok(cluster)
    }

    /// Version of the brokers, as they tell it.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Where the listener without security is: `host:port` of each node.
    pub fn bootstrap(&self) -> String {
        self.listener("PLAINTEXT")
    }

    /// Where a listener is.
    ///
    /// # Panics
    /// If there is none of this name.
    pub fn listener(&self, name: &str) -> String {
        self.nodes.iter().map(|node| node.at(name)).collect::<Vec<_>>().join(",")
    }

    /// Ends a node as `kill -9` does.
    pub fn kill(&mut self, node: usize) {
        self.nodes[node].running = None;
    }

    /// Has a node stand still: its connections stay, nothing is answered.
    ///
    /// # Errors
    /// If it does not run.
    pub fn pause(&self, node: usize) -> Result<()> {
        self.signal(node, "-STOP")
    }

    /// Has a node that stood still go on.
    ///
    /// # Errors
    /// If it does not run.
    pub fn resume(&self, node: usize) -> Result<()> {
        self.signal(node, "-CONT")
    }

    fn signal(&self, node: usize, signal: &str) -> Result<()> {
        let running = self.nodes[node].running.as_ref().context("the node does not run")?;
        let done = Command::new("kill").args([signal, &running.id.to_string()]).status()?;
        ensure!(done.success(), "kill {signal}");
        Ok(())
    }

    /// Starts a node again, at its ports and on its folder; does not wait for it.
    ///
    /// # Errors
    /// If the program cannot be started.
    pub fn run(&mut self, node: usize) -> Result<()> {
        let jars = jars()?;
        let node = &mut self.nodes[node];
        let configuration = format!("-Dlog4j2.configurationFile={}/log4j2.properties", node.folder.display());
        let mut command = Command::new("sh");
        command.args(["-c", KEEPER, "keeper"]).arg(&node.folder).arg("java").args(JAVA).arg(configuration);
        command.args(["-cp", &jars, "kafka.Kafka"]).arg(node.folder.join("server.properties"));
        // A group of its own: Ctrl-C ends the tests, and their end ends the broker.
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).process_group(0);
        let mut keeper = command.spawn().context("starting a shell")?;
        let mut told = String::new();
        BufReader::new(keeper.stdout.take().context("piped")?).read_line(&mut told)?;
        node.running = Some(Running { keeper, id: told.trim().parse().context("a process id")? });
        Ok(())
    }

    /// Waits until every node that runs is known to the cluster, and each topic has a leader.
    ///
    /// # Errors
    /// If that does not happen in time, with what the nodes said.
    pub fn wait_until_ready(&self) -> Result<()> {
        let running = self.nodes.iter().filter(|node| node.running.is_some());
        let bootstrap = running.clone().map(|node| node.at("PLAINTEXT")).collect::<Vec<_>>().join(",");
        let wanted = running.count();
        let consumer: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", bootstrap)
            .set("reconnect.backoff.max.ms", "500")
            .create()?;
        let deadline = Instant::now() + READY_WITHIN;
        while Instant::now() < deadline {
            let metadata = consumer.fetch_metadata(None, Duration::from_secs(1));
            let is_ready = metadata.is_ok_and(|metadata| {
                let mut partitions = metadata.topics().iter().flat_map(|topic| topic.partitions());
                metadata.brokers().len() == wanted && partitions.all(|partition| partition.leader() >= 0)
            });
            // The last thing that a node does as it starts is to tell its version.
            if is_ready && self.nodes.iter().all(|node| node.version().is_some()) {
                return Ok(());
            }
            std::thread::sleep(POLL_EVERY);
            for node in &self.nodes {
                node.running.as_ref().map_or(Ok(()), |running| node.is_alive(running.id))?;
            }
        }
        let said: Vec<String> = self.nodes.iter().map(Node::said).collect();
        bail!("within {READY_WITHIN:?} Kafka was not ready; it said:\n{}", said.join("\n"))
    }
}

const NO_JAVA: &str = "no Java here: `make setup` installs it";

impl Node {
    fn at(&self, listener: &str) -> String {
        format!("127.0.0.1:{}", self.ports[listener])
    }

    /// Its version, once it runs.
    fn version(&self) -> Option<String> {
        let said = std::fs::read_to_string(self.folder.join("server.log")).ok()?;
        let version = said.lines().rev().find_map(|line| line.split("Kafka version: ").nth(1))?;
        version.split_whitespace().next().map(str::to_owned)
    }

    /// The end of what it said.
    fn said(&self) -> String {
        let text = std::fs::read(self.folder.join("server.log")).unwrap_or_default();
        let text = String::from_utf8_lossy(&text).into_owned();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(30)..].join("\n")
    }

    fn is_alive(&self, id: u32) -> Result<()> {
        let state = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
        let gone = state.rsplit_once(") ").is_none_or(|(_, rest)| rest.starts_with('Z'));
        ensure!(!gone, "Kafka ended; it said:\n{}", self.said());
        Ok(())
    }
}

/// The class path.
fn jars() -> Result<String> {
    let folder = std::env::var(JARS).ok().filter(|folder| Path::new(folder).is_dir());
    let folder = folder.with_context(|| {
        format!(
            "these tests start Apache Kafka: run `export {JARS}=$(scripts/kafka.sh)` first, or `make test`"
        )
    })?;
    Ok(format!("{folder}/*"))
}

/// A port that nobody listens on now, below those that the system gives to outgoing connections.
pub fn free_port() -> u16 {
    loop {
        let port = fastrand::u16(12_000..32_000);
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

fn properties(id: usize, count: usize, node: &Node, voters: &str, settings: &Settings) -> String {
    let mut listeners = vec![format!("PLAINTEXT://{}", node.at("PLAINTEXT"))];
    let mut protocols = "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT".to_owned();
    for (name, protocol) in &settings.listeners {
        listeners.push(format!("{name}://{}", node.at(name)));
        let _ = write!(protocols, ",{name}:{protocol}");
    }
    listeners.push(format!("CONTROLLER://{}", node.at("CONTROLLER")));
    let (replicas, in_sync) = (count.min(3), count.div_ceil(2));
    let mut text = format!(
        "process.roles=broker,controller\nnode.id={id}\ncontroller.quorum.voters={voters}\nlisteners={}\n\
         listener.security.protocol.map={protocols}\ncontroller.listener.names=CONTROLLER\n\
         inter.broker.listener.name=PLAINTEXT\nlog.dirs={}\nauto.create.topics.enable=false\n\
         default.replication.factor={replicas}\nmin.insync.replicas={in_sync}\n\
         offsets.topic.replication.factor={replicas}\noffsets.topic.num.partitions=4\n\
         transaction.state.log.replication.factor={replicas}\ntransaction.state.log.min.isr={in_sync}\n\
         transaction.state.log.num.partitions=4\ngroup.initial.rebalance.delay.ms=0\n\
         broker.session.timeout.ms=6000\nbroker.heartbeat.interval.ms=500\ncontrolled.shutdown.enable=false\n",
        listeners.join(","),
        node.folder.join("data").display(),
    );
    for (key, value) in &settings.properties {
        let _ = writeln!(text, "{key}={value}");
    }
    text
}

fn format(jars: &str, node: &Node, users: &[(String, String)]) -> Command {
    let mut command = Command::new("java");
    command.args(JAVA).args([
        "-cp",
        jars,
        "kafka.tools.StorageTool",
        "format",
        "-t",
        "cmV0dGlkaWctLXRlc3RzLQ",
        "-c",
    ]);
    command.arg(node.folder.join("server.properties"));
    for (name, password) in users {
        command.args(["--add-scram", &format!("SCRAM-SHA-512=[name={name},password={password}]")]);
    }
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn succeeded(what: &str, output: &Output) -> Result<()> {
    let said = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    ensure!(output.status.success(), "{what}: {}", said.join("\n"));
    Ok(())
}
