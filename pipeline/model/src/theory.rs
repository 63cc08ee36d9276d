//! The theory of change: `sql/reference/theory_of_change.yaml`, a tree of goals, sub-goals and indicators, and what is done for them.
//!
//! A tree is hard to read as CSV, so this one reference file is YAML. It is read into three flat tables, `theory_nodes`,
//! `theory_links` and `theory_thresholds`. Every key is declared here: an unknown one is refused with the nearest known
//! name, and so is whatever points to a goal, an indicator or a benefit that does not exist. Which indicators there are
//! is known when all files are loaded, so that is asked in a second step ([`Theory::check`]).

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray};
use serde::Deserialize;

use crate::error::nearest;
use crate::header::Better;

/// Name of the file below `sql/reference`.
pub(crate) const FILE: &str = "theory_of_change.yaml";
/// What goals belong to.
const ROOT: &str = "root";
/// The breakdown of what is not divided.
const TOTAL: &str = "total";
/// Months that a link may reach back and a figure may wait.
const MONTHS_MAX: i64 = 36;

/// Line, counted from 1, and what is wrong there.
pub(crate) type Finding = (usize, String);

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    thresholds: Thresholds,
    goals: Vec<Goal>,
    activities: Vec<Measured>,
    resources: Vec<Measured>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Thresholds {
    moved: f64,
    deviations: f64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Goal {
    node: String,
    danish: String,
    english: String,
    indicators: Vec<Measured>,
    #[serde(default)]
    sub_goals: Vec<SubGoal>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SubGoal {
    node: String,
    danish: String,
    english: String,
    indicators: Vec<Measured>,
}

/// An indicator, an activity or a resource.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Measured {
    node: String,
    danish: String,
    english: String,
    chosen_by: ChosenBy,
    source: String,
    cadence: Cadence,
    owner: String,
    lag: String,
    better: Direction,
    #[serde(default)]
    new_collection: bool,
    delivered_from: Option<f64>,
    fed: Option<Fed>,
    not_fed: Option<String>,
    #[serde(default)]
    serves: Vec<Link>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Fed {
    indicator: String,
    benefit: String,
    breakdown: Option<String>,
    breakdown_value: Option<String>,
    known_after_months: i64,
    differs: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Link {
    goal: String,
    shows_after_months: i64,
    source: String,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum ChosenBy {
    Ministry,
    Ours,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
enum Cadence {
    M,
    Q,
    Y,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Direction {
    Up,
    Down,
    None,
}

impl Direction {
    fn code(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Down => "down",
            Self::None => "none",
        }
    }
}

/// What a node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Goal,
    SubGoal,
    Indicator,
    Activity,
    Resource,
}

impl Kind {
    fn code(self) -> &'static str {
        match self {
            Self::Goal => "goal",
            Self::SubGoal => "sub_goal",
            Self::Indicator => "indicator",
            Self::Activity => "activity",
            Self::Resource => "resource",
        }
    }
}

/// One row of `theory_nodes`. What goals have no value of is `None`, and so is the parent of what serves several goals.
struct Node<'f> {
    name: &'f str,
    parent: Option<&'f str>,
    kind: Kind,
    danish: &'f str,
    english: &'f str,
    measured: Option<&'f Measured>,
}

impl<'f> Node<'f> {
    fn fed(&self) -> Option<&'f Fed> {
        self.measured?.fed.as_ref()
    }
}

/// The file as it was read.
#[derive(Debug)]
pub(crate) struct Theory {
    file: File,
    text: String,
}

/// Reads the file; every problem that can be seen in it alone.
pub(crate) fn read(text: &str) -> Result<Theory, Vec<Finding>> {
    let file: File = serde_yaml_ng::from_str(text).map_err(|error| vec![unreadable(&error)])?;
    let theory = Theory { file, text: text.to_owned() };
    let findings = theory.findings();
    if findings.is_empty() { Ok(theory) } else { Err(findings) }
}

/// What the parser says, with its line, and the nearest known name of an unknown one.
fn unreadable(error: &serde_yaml_ng::Error) -> Finding {
    let message = error.to_string();
    let message = message.split(" at line ").next().unwrap_or(&message);
    let mut quoted = message.split('`').skip(1).step_by(2);
    let unknown = quoted.next().filter(|_| message.contains("unknown "));
    let near = unknown.and_then(|name| nearest(name, quoted));
    let hint = near.map(|near| format!("; did you mean {near}?")).unwrap_or_default();
    (error.location().map_or(0, |place| place.line()), format!("{message}{hint}"))
}

impl Theory {
    /// Nodes in the order of the file: a goal, its indicators, its sub-goals with theirs; then activities and resources.
    fn nodes(&self) -> Vec<Node<'_>> {
        let mut nodes = Vec::new();
        for goal in &self.file.goals {
            nodes.push(goal_node(&goal.node, ROOT, Kind::Goal, &goal.danish, &goal.english));
            nodes.extend(goal.indicators.iter().map(|of| measured(of, Some(&goal.node), Kind::Indicator)));
            for sub in &goal.sub_goals {
                nodes.push(goal_node(&sub.node, &goal.node, Kind::SubGoal, &sub.danish, &sub.english));
                nodes.extend(sub.indicators.iter().map(|of| measured(of, Some(&sub.node), Kind::Indicator)));
            }
        }
        nodes.extend(self.file.activities.iter().map(|of| measured(of, None, Kind::Activity)));
        nodes.extend(self.file.resources.iter().map(|of| measured(of, None, Kind::Resource)));
        nodes
    }

    /// The line that names a node, or 0.
    fn line(&self, node: &str) -> usize {
        let names = |line: &str| {
            let rest = line.trim_start_matches([' ', '-']).strip_prefix("node:")?;
            Some(rest.split('#').next()?.trim().trim_matches(['"', '\'']).to_owned())
        };
        self.text.lines().position(|line| names(line).as_deref() == Some(node)).map_or(0, |at| at + 1)
    }

    fn findings(&self) -> Vec<Finding> {
        let nodes = self.nodes();
        let mut findings = Vec::new();
        let thresholds = &self.file.thresholds;
        for (key, value) in [("moved", thresholds.moved), ("deviations", thresholds.deviations)] {
            if !(value.is_finite() && value >= 0.0) {
                let line =
                    self.text.lines().position(|line| line.trim_start().starts_with(&format!("{key}:")));
                findings.push((
                    line.map_or(0, |at| at + 1),
                    format!("thresholds.{key}: expected a number that is not negative"),
                ));
            }
        }
        let goals: Vec<&str> = nodes
            .iter()
            .filter(|node| matches!(node.kind, Kind::Goal | Kind::SubGoal))
            .map(|node| node.name)
            .collect();
        for (place, node) in nodes.iter().enumerate() {
            let mut found = |key: &str, message: String| {
                findings.push((self.line(node.name), format!("{}: {key}: {message}", node.name)));
            };
            if node.name.is_empty() || node.name == ROOT {
                found("node", format!("expected a name that is neither empty nor {ROOT}"));
            }
            if nodes[..place].iter().any(|other| other.name == node.name) {
                found("node", "the name is taken: give every node its own".to_owned());
            }
            for (key, text) in [("danish", node.danish), ("english", node.english)] {
                if text.trim().is_empty() {
                    found(key, "expected a text".to_owned());
                }
            }
            if let (Kind::SubGoal, Some(parent)) = (node.kind, node.parent)
                && !node.name.strip_prefix(parent).is_some_and(|rest| rest.starts_with('.'))
            {
                found("node", format!("a sub-goal of {parent} is named {parent}.1, {parent}.2, …"));
            }
            if matches!(node.kind, Kind::Goal | Kind::SubGoal) {
                let count = nodes
                    .iter()
                    .filter(|of| of.parent == Some(node.name) && of.kind == Kind::Indicator)
                    .count();
                if !(1..=3).contains(&count) {
                    found("indicators", format!("expected 1 to 3, got {count}"));
                }
            }
            if let Some(measured) = node.measured {
                measured_findings(node.kind, measured, &goals, &mut found);
            }
        }
        findings
    }

    /// What the file says of things that stand elsewhere: indicators with their direction, and benefits.
    pub(crate) fn check(&self, indicators: &BTreeMap<&str, Better>, benefits: &[&str]) -> Vec<Finding> {
        let mut findings = Vec::new();
        for node in self.nodes() {
            let (Some(measured), Some(fed)) = (node.measured, node.fed()) else { continue };
            let mut found = |key: &str, message: String| {
                findings.push((self.line(node.name), format!("{}: {key}: {message}", node.name)));
            };
            match indicators.get(fed.indicator.as_str()) {
                None => {
                    let hint = hint(&fed.indicator, indicators.keys().copied());
                    found("fed.indicator", format!("{} is no indicator{hint}", fed.indicator));
                }
                Some(better) => {
                    let code = format!("{better:?}").to_lowercase();
                    if *better != Better::None
                        && measured.better != Direction::None
                        && code != measured.better.code()
                    {
                        found(
                            "better",
                            format!("{} says {code} in its header: both must say the same", fed.indicator),
                        );
                    }
                }
            }
            let known = benefits.iter().copied().chain([TOTAL]);
            if !known.clone().any(|benefit| benefit == fed.benefit) {
                let hint = hint(&fed.benefit, known);
                found(
                    "fed.benefit",
                    format!("{} is no benefit of benefits.csv, nor {TOTAL}{hint}", fed.benefit),
                );
            }
        }
        findings
    }

    /// The flat tables by name.
    ///
    /// # Errors
    /// Never for a file that [`read`] accepted.
    pub(crate) fn tables(&self) -> Result<Vec<(String, RecordBatch)>, String> {
        let nodes = self.nodes();
        let text = |of: fn(&Node<'_>) -> Option<String>| -> ArrayRef {
            Arc::new(nodes.iter().map(of).collect::<StringArray>())
        };
        let measured = |of: fn(&Measured) -> String| -> ArrayRef {
            Arc::new(nodes.iter().map(|node| node.measured.map(of)).collect::<StringArray>())
        };
        let fed = |of: fn(&Fed) -> Option<String>| -> ArrayRef {
            Arc::new(nodes.iter().map(|node| node.fed().and_then(of)).collect::<StringArray>())
        };
        let places = Int64Array::from_iter_values((1..).take(nodes.len()));
        let new: BooleanArray =
            nodes.iter().map(|node| Some(node.measured.is_some_and(|of| of.new_collection))).collect();
        let delivered: Float64Array = nodes.iter().map(|node| node.measured?.delivered_from).collect();
        let known: Int64Array = nodes.iter().map(|node| Some(node.fed()?.known_after_months)).collect();
        let columns: Vec<(&str, ArrayRef)> = vec![
            ("node", text(|node| Some(node.name.to_owned()))),
            ("parent", text(|node| node.parent.map(str::to_owned))),
            ("kind", text(|node| Some(node.kind.code().to_owned()))),
            ("place", Arc::new(places)),
            ("danish", text(|node| Some(node.danish.to_owned()))),
            ("english", text(|node| Some(node.english.to_owned()))),
            ("chosen_by", measured(|of| format!("{:?}", of.chosen_by).to_lowercase())),
            ("source", measured(|of| of.source.clone())),
            ("cadence", measured(|of| format!("{:?}", of.cadence))),
            ("owner", measured(|of| of.owner.clone())),
            ("lag", measured(|of| of.lag.clone())),
            ("better", measured(|of| of.better.code().to_owned())),
            ("new_collection", Arc::new(new)),
            ("delivered_from", Arc::new(delivered)),
            ("indicator", fed(|of| Some(of.indicator.clone()))),
            ("benefit", fed(|of| Some(of.benefit.clone()))),
            ("breakdown", fed(|of| of.breakdown.clone().or(Some(TOTAL.to_owned())))),
            ("breakdown_value", fed(|of| of.breakdown_value.clone().or(Some(TOTAL.to_owned())))),
            ("known_after_months", Arc::new(known)),
            ("differs", fed(|of| of.differs.clone())),
            ("not_fed", text(|node| node.measured?.not_fed.clone())),
        ];
        let means = self.file.activities.iter().chain(&self.file.resources);
        let links: Vec<(&str, &Link)> =
            means.flat_map(|of| of.serves.iter().map(|link| (of.node.as_str(), link))).collect();
        let linked = |of: fn(&(&str, &Link)) -> String| -> ArrayRef {
            Arc::new(StringArray::from_iter_values(links.iter().map(of)))
        };
        let months = Int64Array::from_iter_values(links.iter().map(|(_, link)| link.shows_after_months));
        let link_columns: Vec<(&str, ArrayRef)> = vec![
            ("node", linked(|(node, _)| (*node).to_owned())),
            ("goal", linked(|(_, link)| link.goal.clone())),
            ("shows_after_months", Arc::new(months)),
            ("source", linked(|(_, link)| link.source.clone())),
        ];
        let one = |value: f64| -> ArrayRef { Arc::new(Float64Array::from(vec![value])) };
        let thresholds: Vec<(&str, ArrayRef)> = vec![
            ("moved", one(self.file.thresholds.moved)),
            ("deviations", one(self.file.thresholds.deviations)),
        ];
        [("theory_nodes", columns), ("theory_links", link_columns), ("theory_thresholds", thresholds)]
            .into_iter()
            .map(|(name, columns)| {
                let batch = RecordBatch::try_from_iter(columns).map_err(|error| error.to_string())?;
                Ok((name.to_owned(), batch))
            })
            .collect()
    }
}

fn goal_node<'f>(name: &'f str, parent: &'f str, kind: Kind, danish: &'f str, english: &'f str) -> Node<'f> {
    Node { name, parent: Some(parent), kind, danish, english, measured: None }
}

fn measured<'f>(of: &'f Measured, parent: Option<&'f str>, kind: Kind) -> Node<'f> {
    Node { name: &of.node, parent, kind, danish: &of.danish, english: &of.english, measured: Some(of) }
}

fn hint<'n>(name: &str, known: impl IntoIterator<Item = &'n str>) -> String {
    nearest(name, known).map(|near| format!("; did you mean {near}?")).unwrap_or_default()
}

/// What is wrong with an indicator, an activity or a resource.
fn measured_findings(kind: Kind, of: &Measured, goals: &[&str], found: &mut impl FnMut(&str, String)) {
    for (key, text) in [("source", &of.source), ("owner", &of.owner), ("lag", &of.lag)] {
        if text.trim().is_empty() {
            found(key, "expected a text; write \"not found\" if no source tells".to_owned());
        }
    }
    if (of.better == Direction::None) != (kind == Kind::Resource) {
        let expected = if kind == Kind::Resource { "none: more money is no result" } else { "up or down" };
        found("better", format!("expected {expected}"));
    }
    match (&of.fed, &of.not_fed) {
        (Some(_), Some(_)) | (None, None) => {
            found("fed", "expected either fed (by what) or not_fed (why not)".to_owned());
        }
        (None, Some(reason)) if reason.trim().is_empty() => {
            found("not_fed", "expected the reason".to_owned())
        }
        _ => {}
    }
    if let Some(fed) = &of.fed {
        if fed.breakdown.is_some() != fed.breakdown_value.is_some() {
            found("fed.breakdown", "expected breakdown and breakdown_value together, or neither".to_owned());
        }
        if !(0..=MONTHS_MAX).contains(&fed.known_after_months) {
            found("fed.known_after_months", format!("expected 0 to {MONTHS_MAX}"));
        }
        if of.new_collection {
            found("new_collection", "what is fed needs no new collection".to_owned());
        }
        if kind == Kind::Indicator && fed.differs.is_none() {
            found("fed.differs", "expected how it differs from the indicator, or \"nothing\"".to_owned());
        }
        // The activity of a certain month is set beside a result: it takes one figure a month.
        if kind == Kind::Activity && of.cadence != Cadence::M {
            found("cadence", "an activity that is fed comes by month (M)".to_owned());
        }
    }
    if of.delivered_from.is_some() && kind != Kind::Activity {
        found("delivered_from", "belongs to activities only".to_owned());
    }
    if of.delivered_from.is_some_and(|level| !level.is_finite()) {
        found("delivered_from", "expected a number".to_owned());
    }
    if of.serves.is_empty() == (kind != Kind::Indicator) {
        let expected = if kind == Kind::Indicator {
            "an indicator stands under its goal already"
        } else {
            "expected a goal at least"
        };
        found("serves", expected.to_owned());
    }
    for (place, link) in of.serves.iter().enumerate() {
        if !goals.contains(&link.goal.as_str()) {
            let known = goals.join(", ");
            found("serves", format!("{:?} is no goal or sub-goal: expected one of {known}", link.goal));
        }
        if of.serves[..place].iter().any(|other| other.goal == link.goal) {
            found("serves", format!("goal {} stands twice", link.goal));
        }
        if !(0..=MONTHS_MAX).contains(&link.shows_after_months) {
            found("serves.shows_after_months", format!("expected 0 to {MONTHS_MAX}"));
        }
        if link.source.trim().is_empty() {
            found("serves.source", "expected who says so, or ours".to_owned());
        }
    }
}
