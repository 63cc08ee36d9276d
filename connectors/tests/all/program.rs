//! Programs that a test starts for itself, real servers: ready when they say so, and always ended.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

/// Time for a program to say what is waited for: a second or two, and minutes on a machine that is busy otherwise.
const SAID_WITHIN: Duration = Duration::from_secs(180);

/// A running program; dropping it ends it with all that it has started.
pub struct Program {
    child: Child,
    signal: &'static str,
    lines: UnboundedReceiver<String>,
}

impl Program {
    /// Starts a program that `signal` ends, and waits until it says `ready` on standard error; returns that line
    /// too. What it says is read as long as it runs: a full pipe would stop it.
    pub async fn start(command: &mut Command, signal: &'static str, ready: &str) -> (Self, String) {
        let mut child =
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap_or_else(
                |error| panic!("{command:?}: {error}; `make setup` installs what is missing"),
            );
        let said = BufReader::new(child.stderr.take().expect("piped"));
        let (sender, lines) = unbounded_channel();
        std::thread::spawn(move || {
            for line in said.split(b'\n').map_while(Result::ok) {
                let _ = sender.send(String::from_utf8_lossy(&line).into_owned());
            }
        });
        let mut program = Self { child, signal, lines };
        let line = program.says(ready).await;
        (program, line)
    }

    /// Waits for a line with this text in it.
    pub async fn says(&mut self, text: &str) -> String {
        let mut said = Vec::new();
        let deadline = tokio::time::Instant::now() + SAID_WITHIN;
        loop {
            match tokio::time::timeout_at(deadline, self.lines.recv()).await {
                Ok(Some(line)) if line.contains(text) => return line,
                Ok(Some(line)) => said.push(line),
                Ok(None) => panic!("it ended without saying {text:?}, but:\n{}", said.join("\n")),
                Err(_) => panic!("within {SAID_WITHIN:?} it did not say {text:?}, but:\n{}", said.join("\n")),
            }
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let id = self.child.id();
        let children = descendants(id);
        if !signal(self.signal, id) {
            let _ = self.child.kill();
        }
        let _ = self.child.wait();
        // A session of sshd outlives it. Only what is still the process that it was, not a new one of its number.
        for (child, started) in children {
            if process(child).is_some_and(|(_, now)| now == started) {
                signal("-KILL", child);
            }
        }
    }
}

fn signal(signal: &str, id: u32) -> bool {
    Command::new("kill").args([signal, &id.to_string()]).status().is_ok_and(|status| status.success())
}

/// A process's parent and when it was started; `None` if there is none of this number.
fn process(id: u32) -> Option<(u32, u64)> {
    let text = std::fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    // The second field is the name, in brackets, and may hold anything.
    let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
    Some((fields.get(1)?.parse().ok()?, fields.get(19)?.parse().ok()?))
}

/// Number and start of every process that comes from this one.
fn descendants(ancestor: u32) -> Vec<(u32, u64)> {
    let names = std::fs::read_dir("/proc").into_iter().flatten().flatten().map(|entry| entry.file_name());
    let ids = names.filter_map(|name| name.to_str()?.parse::<u32>().ok());
    let all: Vec<_> = ids.filter_map(|id| Some((id, process(id)?))).collect();
    let mut family = BTreeSet::from([ancestor]);
    let mut found = Vec::new();
    loop {
        let before = found.len();
        for (id, (parent, started)) in &all {
            if family.contains(parent) && family.insert(*id) {
                found.push((*id, *started));
            }
        }
        if found.len() == before {
            return found;
        }
    }
}

/// A port that nobody listens on now.
pub fn free_port() -> u16 {
    let socket = std::net::TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr());
    socket.expect("port").port()
}

/// Whether this is the user root.
pub fn is_root() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    status.lines().any(|line| line.starts_with("Uid:\t0\t"))
}
