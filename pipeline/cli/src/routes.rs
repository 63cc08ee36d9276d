//! `alert-routes`: whom Alertmanager tells what, from the registry of the owners of jobcentres.
//!
//! The registry's columns and what a row means stand in `helm/README.md`. No secret is in it or in what is printed: tokens and
//! passwords are named by file.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use arrow::array::{Array as _, AsArray as _};
use clap::Args;
use rettidig_model::Model;
use serde::Deserialize;

use crate::output;

/// The row of whoever runs Rettidig.
const OPERATIONS: &str = "operations";

const HEADER: [&str; 7] = ["jobcentre", "name", "owner", "receiver", "address", "credentials_file", "note"];

#[derive(Debug, Args)]
pub struct AlertRoutes {
    /// The registry: CSV with the columns jobcentre, name, owner, receiver, address, credentials_file, note.
    #[arg(long)]
    owners: PathBuf,
}

/// A row of the registry: one way to reach an owner.
#[derive(Debug, Deserialize)]
struct Owner {
    jobcentre: String,
    name: String,
    owner: String,
    receiver: String,
    address: String,
    credentials_file: String,
    #[serde(rename = "note")]
    _note: String,
}

/// Prints routes, receivers and inhibition.
pub fn alert_routes(arguments: &AlertRoutes) -> anyhow::Result<()> {
    let path = &arguments.owners;
    let text = std::fs::read(path).with_context(|| format!("reading {}", path.display()))?;
    let owners = read(&text, &jobcentres(&Model::embedded()?), path)?;
    output::line(routes(&owners).trim_end())?;
    Ok(())
}

/// The jobcentres of today with their names.
fn jobcentres(model: &Model) -> BTreeMap<String, String> {
    let Some(areas) = model.reference.get("areas") else { return BTreeMap::new() };
    let text = |name: &str| areas.column_by_name(name).and_then(|column| column.as_string_opt::<i32>());
    let (Some(codes), Some(names), Some(to)) =
        (text("jobcentre"), text("jobcentre_name"), areas.column_by_name("valid_to"))
    else {
        return BTreeMap::new();
    };
    let today = (0..areas.num_rows()).filter(|row| to.is_null(*row));
    today.map(|row| (codes.value(row).to_owned(), names.value(row).to_owned())).collect()
}

/// The rows of a registry; all that is wrong with it comes together.
fn read(text: &[u8], jobcentres: &BTreeMap<String, String>, path: &Path) -> anyhow::Result<Vec<Owner>> {
    let mut reader = csv::Reader::from_reader(text);
    let place = |line: u64| format!("{}:{line}", path.display());
    let header = reader.headers().with_context(|| place(1))?;
    if header.iter().ne(HEADER) {
        bail!(
            "{}: the columns are {}; expected {}",
            place(1),
            header.iter().collect::<Vec<_>>().join(","),
            HEADER.join(",")
        );
    }
    let (mut owners, mut wrong, mut known) = (Vec::new(), Vec::new(), BTreeSet::new());
    for record in reader.records() {
        let record = match record {
            Ok(record) => record,
            Err(error) => {
                let line = error.position().map_or(0, csv::Position::line);
                wrong.push(format!("{}: {error}", place(line)));
                continue;
            }
        };
        let line = record.position().map_or(0, csv::Position::line);
        let owner: Owner = match record.deserialize(None) {
            Ok(owner) => owner,
            Err(error) => {
                wrong.push(format!("{}: {error}", place(line)));
                continue;
            }
        };
        wrong.extend(owner.wrong(jobcentres).into_iter().map(|what| format!("{}: {what}", place(line))));
        if !known.insert((owner.jobcentre.clone(), owner.receiver.clone(), owner.address.clone())) {
            wrong.push(format!("{}: {} by {} is there already", place(line), owner.address, owner.receiver));
        }
        owners.push(owner);
    }
    if !owners.iter().any(|owner| owner.jobcentre == OPERATIONS) {
        wrong.push(format!(
            "{}: no row `{OPERATIONS}`: what is wrong with data or the program would reach nobody; add one",
            path.display()
        ));
    }
    if !wrong.is_empty() {
        bail!("{}", wrong.join("\n"));
    }
    Ok(owners)
}

impl Owner {
    fn wrong(&self, jobcentres: &BTreeMap<String, String>) -> Vec<String> {
        let mut wrong = Vec::new();
        let texts =
            [&self.jobcentre, &self.name, &self.owner, &self.receiver, &self.address, &self.credentials_file];
        if texts.iter().any(|text| text.chars().any(char::is_control)) {
            wrong.push("a control character; expected plain text".to_owned());
        }
        if self.owner.trim().is_empty() {
            wrong.push("owner is empty; say who it is".to_owned());
        }
        match jobcentres.get(&self.jobcentre) {
            Some(name) if *name != self.name => {
                wrong.push(format!("jobcentre {} is called {name}, not {}", self.jobcentre, self.name));
            }
            None if self.jobcentre != OPERATIONS => {
                wrong.push(format!(
                    "jobcentre {} is none of today's; expected a code of sql/reference/areas.csv, or `{OPERATIONS}`",
                    self.jobcentre
                ));
            }
            _ => {}
        }
        match self.receiver.as_str() {
            "email" => {
                let mut parts = self.address.split('@');
                let is_address = matches!(
                    (parts.next(), parts.next(), parts.next()),
                    (Some(user), Some(host), None) if !user.is_empty() && host.contains('.')
                ) && !self.address.contains([' ', ',', ';', '<', '>']);
                if !is_address {
                    wrong.push(format!("address {}: expected one mail address", self.address));
                }
                if !self.credentials_file.is_empty() {
                    wrong.push(
                        "credentials_file is for webhooks; the mail server's password is in global.yaml"
                            .to_owned(),
                    );
                }
            }
            "webhook" => {
                let rest = self.address.strip_prefix("https://").unwrap_or_default();
                let host = rest.split('/').next().unwrap_or_default();
                if host.is_empty() || rest.contains(['@', '?', '#', ' ']) {
                    wrong.push(format!(
                        "address {}: expected https://HOST/PATH without user, query or fragment; tokens go into credentials_file",
                        self.address
                    ));
                }
            }
            other => wrong.push(format!("receiver {other}: expected email or webhook")),
        }
        wrong
    }
}

/// In double quotes, as JSON and so as YAML.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn routes(owners: &[Owner]) -> String {
    let mut of: BTreeMap<&str, Vec<&Owner>> = BTreeMap::new();
    for owner in owners {
        of.entry(&owner.jobcentre).or_default().push(owner);
    }
    let operations = of.remove(OPERATIONS).unwrap_or_default();
    let mut text = ROUTE.to_owned();
    for (code, owners) in &of {
        let name = owners.first().map_or("", |owner| owner.name.as_str());
        let _ = write!(
            text,
            "    - receiver: jobcentre-{code} # {name}\n      matchers: ['jobcentre=\"{code}\"']\n      \
             group_by: [alertname, indicator]\n      group_wait: 5m\n      repeat_interval: 5d\n"
        );
    }
    text.push_str("receivers:\n");
    text.push_str(&receiver(OPERATIONS, &operations));
    for (code, owners) in &of {
        text.push_str(&receiver(&format!("jobcentre-{code}"), owners));
    }
    text.push_str(INHIBITION);
    text
}

fn receiver(name: &str, owners: &[&Owner]) -> String {
    let mut text = format!("  - name: {name}\n");
    let mails: Vec<_> = owners.iter().filter(|owner| owner.receiver == "email").collect();
    if !mails.is_empty() {
        text.push_str("    email_configs:\n");
    }
    for mail in mails {
        let _ = write!(
            text,
            "      - to: {} # {}\n        send_resolved: true\n        \
             headers: {{Subject: '{{{{ template \"rettidig.subject\" . }}}}'}}\n        html: ''\n        \
             text: '{{{{ template \"rettidig.text\" . }}}}'\n",
            quoted(&mail.address),
            mail.owner
        );
    }
    let hooks: Vec<_> = owners.iter().filter(|owner| owner.receiver == "webhook").collect();
    if !hooks.is_empty() {
        text.push_str("    webhook_configs:\n");
    }
    for hook in hooks {
        let _ = write!(
            text,
            "      - url: {} # {}\n        send_resolved: true\n",
            quoted(&hook.address),
            hook.owner
        );
        if !hook.credentials_file.is_empty() {
            let _ = write!(
                text,
                "        http_config:\n          authorization:\n            credentials_file: {}\n",
                quoted(&hook.credentials_file)
            );
        }
    }
    text
}

/// What is the same whoever the owners are.
const ROUTE: &str = r#"# Made by `rettidig alert-routes` from the owner registry: change that, not this.
route:
  receiver: operations
  group_by: [alertname, source]
  group_wait: 30s
  group_interval: 5m
  repeat_interval: 4h
  routes:
    # What is wrong with data is for operations to mend, and for the owners to know.
    - receiver: operations
      matchers: ['about="data"']
      continue: true
"#;

const INHIBITION: &str = r#"inhibit_rules:
  # Late or incomplete data raise no alarm about the labour market. Both sides must have the labels: two that lack one are
  # alike to Alertmanager.
  - source_matchers: ['about="data"', 'jobcentre!=""', 'indicator!=""']
    target_matchers: ['about="target"', 'jobcentre!=""', 'indicator!=""']
    equal: [jobcentre, indicator]
  # What is urgent is not told a second time as what will be.
  - source_matchers: ['severity="critical"']
    target_matchers: ['severity="warning"']
    equal: [alertname, instance]
"#;

#[cfg(test)]
mod tests {
    use super::*;

    /// A file of the repository; not compiled in, for the program has no use for it.
    fn file(path: &str) -> String {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        std::fs::read_to_string(root.join(path)).expect("a file of the repository")
    }

    fn read_text(text: &str) -> anyhow::Result<Vec<Owner>> {
        read(text.as_bytes(), &jobcentres(&Model::embedded().expect("model")), Path::new("owners.csv"))
    }

    #[test]
    fn the_examples_give_the_routes_that_alertmanager_is_tested_with() {
        let owners = read_text(&file("helm/owners.csv")).expect("the shipped registry");
        assert_eq!(routes(&owners), file("tests/golden/alerts/routes.yaml"));
    }

    #[test]
    fn all_that_is_wrong_comes_together_with_its_line() {
        let text = "jobcentre,name,owner,receiver,address,credentials_file,note\n\
                    0101,Aarhus,A,email,a@b.example,,\n\
                    0999,Nowhere,B,email,a@b.example,/secret,\n\
                    0751,Aarhus,,sms,12345678,,\n\
                    0155,Tårnby/Dragør,C,webhook,https://user:pass@c.example/,,\n\
                    0155,Tårnby/Dragør,C,webhook,http://c.example/?token=1,,\n\
                    0101,København,\"a\tb\",email,nobody,,\n\
                    0101,København,D,email,d@e.example,,\n\
                    0101,København,D,email,d@e.example,,\n\
                    0101,København\n";
        let error = read_text(text).expect_err("wrong").to_string();
        for (line, what) in [
            (2, "jobcentre 0101 is called København, not Aarhus"),
            (3, "jobcentre 0999 is none of today's"),
            (3, "credentials_file is for webhooks"),
            (4, "owner is empty"),
            (4, "receiver sms: expected email or webhook"),
            (5, "without user, query or fragment"),
            (6, "without user, query or fragment"),
            (7, "a control character"),
            (7, "address nobody: expected one mail address"),
            (9, "is there already"),
            (10, "found record with 2 fields"),
        ] {
            let is_told =
                |told: &str| told.starts_with(&format!("owners.csv:{line}: ")) && told.contains(what);
            assert!(error.lines().any(is_told), "line {line}, {what}: {error}");
        }
        assert!(error.contains("no row `operations`"), "{error}");
        assert_eq!(error.lines().count(), 12, "{error}");
        let header = read_text("jobcentre,owner\n").expect_err("another header").to_string();
        assert!(header.contains("owners.csv:1") && header.contains("expected jobcentre,name"), "{header}");
    }
}
