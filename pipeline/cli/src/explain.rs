//! `explain` and `audit`: why a value differs from another, and who asked that of records of persons.

use std::collections::{BTreeMap, BTreeSet};
use std::process::ExitCode;

use chrono::{DateTime, SecondsFormat, Utc};
use clap::{Args, Subcommand};
use rettidig_event::{Clock as _, SystemClock, units};
use rettidig_model::Model;
use rettidig_runtime::explain::{
    Asking, Cause, End, EventBehind, Explanation, Part, Question, explain as explain_movement,
};
use rettidig_runtime::reads::{self, Log, Reader};

use crate::Data;
use crate::output::{line, remark};
use crate::tools::open;

/// A movement and who asks for it.
#[derive(Debug, Args)]
pub struct Explain {
    /// Indicator, e.g. full_time_unemployed or local_recipients.
    #[arg(long)]
    indicator: String,
    /// municipality, jobcentre, cluster, region or country.
    #[arg(long, default_value = "jobcentre")]
    area_kind: String,
    /// Code of the area, e.g. 0851; 0000 is the country.
    #[arg(long)]
    area: String,
    /// Benefit, e.g. total, unemployment, cash.
    #[arg(long, default_value = "total")]
    benefit: String,
    /// Period, e.g. 2026-07.
    #[arg(long)]
    period: String,
    /// Another period that the value is compared with, both as known now.
    #[arg(long)]
    to_period: Option<String>,
    /// When the first value was known, e.g. 2026-08-19T06:00:00Z. Without it: of one period, when it was first known (of persons:
    /// first known whole); of two, when the second was.
    #[arg(long)]
    known_at: Option<DateTime<Utc>>,
    /// When the second value was known. Without it: of one period, now; of two, when the first was, or now.
    #[arg(long)]
    and_known_at: Option<DateTime<Utc>>,
    /// A name beside that of the operating system's user, for the line that tells who read records of persons.
    #[arg(long = "as")]
    name: Option<String>,
    /// Events that are named of each part.
    #[arg(long, default_value_t = 20)]
    events: usize,
    #[command(flatten)]
    data: Data,
}

/// What to do with the lines that tell who read records of persons.
#[derive(Debug, Subcommand)]
pub enum Audit {
    /// Check that no line of audit/explain.jsonl and audit/closed.jsonl was changed, taken out or put in; exit code 1 if one was.
    Verify {
        /// A hash that this command told before and that was kept elsewhere; several times for several. Exit code 1 if no line has it any
        /// more: then the end was cut off, or the file was made anew.
        #[arg(long = "kept", value_name = "SHA256")]
        kept: Vec<String>,
        #[command(flatten)]
        data: Data,
    },
}

/// Explains a movement.
pub async fn explain(asked: &Explain) -> anyhow::Result<()> {
    let store = open(&asked.data.data)?;
    let question = Question {
        indicator: asked.indicator.clone(),
        area_kind: asked.area_kind.clone(),
        area: asked.area.clone(),
        benefit: asked.benefit.clone(),
        period: asked.period.clone(),
        to_period: asked.to_period.clone(),
        known_at: asked.known_at,
        and_known_at: asked.and_known_at,
    };
    let reader = Reader { user: reads::operating_system_user()?, name: asked.name.clone() };
    let asking =
        Asking { folder: &asked.data.data, reader: &reader, at: SystemClock.now(), events_max: asked.events };
    let answer = explain_movement(&store, &Model::embedded()?, &question, asking).await?;
    if asked.data.json {
        return Ok(line(&serde_json::to_string_pretty(&answer)?)?);
    }
    Ok(line(table(&answer).trim_end())?)
}

/// Checks the lines.
pub fn audit(audit: &Audit) -> anyhow::Result<ExitCode> {
    let Audit::Verify { data, kept } = audit;
    let mut found = BTreeMap::new();
    let mut missed: BTreeSet<String> = kept.iter().map(|hash| hash.to_ascii_lowercase()).collect();
    for log in Log::ALL {
        found.insert(log.file(), reads::verify(&data.data, log, &mut missed)?);
    }
    if data.json {
        line(&serde_json::to_string_pretty(&found)?)?;
    }
    let mut code = ExitCode::SUCCESS;
    for (file, verified) in &found {
        if !data.json {
            line(&format!(
                "{file} lines={} unfinished={} last_sha256={}",
                verified.lines, verified.unfinished, verified.last_sha256
            ))?;
        }
        if let Some(broken) = verified.broken_at {
            remark(&format!(
                "error: line {broken} of {} does not follow the one before it: a line was changed, taken out or put in; compare with a copy",
                data.data.join(file).display()
            ));
            code = ExitCode::FAILURE;
        }
    }
    for hash in missed {
        remark(&format!(
            "error: no line below {} has the hash {hash}: the end was cut off, or the file was made anew; compare with a copy",
            data.data.join("audit").display()
        ));
        code = ExitCode::FAILURE;
    }
    Ok(code)
}

fn name(cause: Cause) -> &'static str {
    match cause {
        Cause::Real => "real change",
        Cause::Late => "late data",
        Cause::Correction => "corrections",
        Cause::Definition => "definition change",
        Cause::Denominator => "denominator change",
    }
}

fn number(micro: Option<i64>) -> String {
    micro.map_or_else(|| "-".to_owned(), units::format_micro)
}

fn value(label: &str, end: &End) -> String {
    format!(
        "{label:<5} {:>16}   {} as known at {} (epoch {}, {})\n",
        number(end.micro),
        end.period,
        end.known_at.to_rfc3339_opts(SecondsFormat::Secs, true),
        end.epoch,
        end.status,
    )
}

fn behind(part: &Part) -> String {
    let persons = match (part.persons_at_least, part.is_few) {
        (_, true) => Some("fewer than 5 persons".to_owned()),
        (Some(0), _) | (None, false) => None,
        (Some(persons), _) => Some(format!("{persons} persons or more")),
    };
    let events = part.events_total.filter(|total| *total > 0).map(|total| format!("{total} events"));
    let texts: Vec<String> = persons.into_iter().chain(events).collect();
    texts.join(", ")
}

fn place(event: &EventBehind) -> String {
    match (event.partition, event.offset, event.loaded_file, event.loaded_line) {
        (Some(partition), Some(offset), ..) => format!("{} {partition}/{offset}", event.topic),
        (_, _, Some(file), Some(line)) => format!("{} file {file} of a load, line {line}", event.topic),
        _ => event.topic.clone(),
    }
}

/// The answer for people.
fn table(answer: &Explanation) -> String {
    let mut text = format!(
        "{}, {}\ndefined by {}, fed by {}\n\n",
        answer.danish, answer.unit, answer.definition, answer.source
    );
    text += &value("from", &answer.from);
    text += &value("to", &answer.to);
    text += &format!("{:<5} {:>16}\n", "moved", number(answer.difference_micro));
    for part in &answer.parts {
        let names: Vec<&str> = part.causes.iter().copied().map(name).collect();
        let names = match names.len() {
            1 => names.concat(),
            _ => format!("{} (together)", names.join(", ")),
        };
        let row = format!("{:>22}   {names}   {}", number(part.micro), behind(part));
        text += row.trim_end();
        text += "\n";
    }
    for part in answer.parts.iter().filter(|part| !part.events.is_empty()) {
        let names: Vec<&str> = part.causes.iter().copied().map(name).collect();
        text += &format!("\nevents behind {}\n", names.join(", "));
        for event in &part.events {
            let file = event.file.as_ref().map(|file| format!("  in {file}")).unwrap_or_default();
            let revision =
                if event.revision > 0 { format!(" revision {}", event.revision) } else { String::new() };
            text += &format!("  {} {}{revision}  {}{file}\n", event.source, event.id, place(event));
        }
        let named = part.events.len() as u64;
        if let Some(more) =
            part.events_total.and_then(|total| total.checked_sub(named)).filter(|more| *more > 0)
        {
            text += &format!("  and {more} more: --events {}\n", named + more);
        }
    }
    if !answer.notes.is_empty() {
        text += "\n";
    }
    for note in &answer.notes {
        text += &format!("note: {note}\n");
    }
    text
}
