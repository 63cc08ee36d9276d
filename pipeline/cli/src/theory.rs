//! How the theory of change is shown: one line a node, below the goal it stands under.
//!
//! It says what is known and why the rest is not. It never says that one thing caused another.

use serde::Deserialize;

/// The tree in its order, goals with what is said of them.
pub const SQL: &str = "SELECT tree.depth, tree.node, tree.kind, tree.danish, tree.english, tree.period, tree.value, tree.unit, \
     tree.change_1y, tree.direction, tree.delivered, tree.delivered_from, tree.state, tree.not_fed, tree.differs, goals.known, goals.indicators, goals.activities_known, \
     goals.movement, goals.diagnosis, goals.waits_for \
     FROM theory_of_change AS tree LEFT JOIN goals ON tree.node = goals.node ORDER BY tree.place";

/// A row of [`SQL`].
#[derive(Debug, Default, Deserialize)]
pub struct Node {
    depth: usize,
    node: String,
    kind: String,
    danish: String,
    english: String,
    period: Option<String>,
    value: Option<f64>,
    unit: Option<String>,
    change_1y: Option<f64>,
    direction: Option<i64>,
    delivered: Option<bool>,
    delivered_from: Option<f64>,
    state: Option<String>,
    not_fed: Option<String>,
    differs: Option<String>,
    known: Option<i64>,
    activities_known: Option<i64>,
    indicators: Option<i64>,
    movement: Option<i64>,
    diagnosis: Option<String>,
    waits_for: Option<String>,
}

/// The tree as text.
pub fn lines(nodes: &[Node]) -> Vec<String> {
    nodes.iter().map(|node| format!("{}{}", "    ".repeat(node.depth), node.line())).collect()
}

impl Node {
    fn line(&self) -> String {
        let said = match self.diagnosis {
            Some(_) => self.said_of_goal(),
            None => self.figure(),
        };
        let kind = match self.kind.as_str() {
            kind @ ("activity" | "resource") => format!("{kind} "),
            _ => String::new(),
        };
        format!("{kind}{} {} ({}): {said}", self.node, self.danish, self.english)
    }

    fn said_of_goal(&self) -> String {
        let of = format!("{} of {} indicators known", self.known.unwrap_or(0), self.indicators.unwrap_or(0));
        let moved = match self.movement {
            Some(1) => ", most moved as desired",
            Some(-1) => ", most moved the other way",
            Some(_) => ", no majority moved",
            None => "",
        };
        let diagnosis = match (self.diagnosis.as_deref(), self.waits_for.as_deref()) {
            (Some("implementation"), _) => "IMPLEMENTATION: what is done for it was not delivered".to_owned(),
            (Some("theory"), _) => {
                "THEORY: what is done for it was delivered, and no result came with it".to_owned()
            }
            (Some("as_intended"), _) => "AS INTENDED: delivered, and the result came with it".to_owned(),
            (_, Some("activity")) if self.activities_known.unwrap_or(0) > 0 => {
                "not yet knowable: half of what is done for it was delivered".to_owned()
            }
            (_, Some("activity")) => "not yet knowable: nothing known is done for it".to_owned(),
            (_, Some("time")) => "not yet knowable: what was done could not show yet".to_owned(),
            _ => "not yet knowable".to_owned(),
        };
        format!("{diagnosis}; {of}{moved}")
    }

    fn figure(&self) -> String {
        let unit = self.unit.as_deref().unwrap_or_default();
        let (period, differs) = (self.period.as_deref().unwrap_or_default(), self.differs.as_deref());
        let Some(value) = self.value else {
            return match (self.state.as_deref(), self.not_fed.as_deref()) {
                (_, Some(why)) => format!("not fed: {why}"),
                (Some("hidden"), _) => format!("{period} hidden"),
                _ => "no settled figure yet".to_owned(),
            };
        };
        let change = self.change_1y.map(|change| {
            let of = if unit == "percent" { "points" } else { "%" };
            format!(", {change:+.1} {of} in a year")
        });
        let moved = match (self.direction, self.delivered) {
            (_, Some(delivered)) => {
                let level =
                    self.delivered_from.map(|level| format!(" (from {level} on)")).unwrap_or_default();
                format!(", {}{level}", if delivered { "delivered" } else { "not delivered" })
            }
            (Some(1), _) => ", better".to_owned(),
            (Some(-1), _) => ", worse".to_owned(),
            (Some(_), _) => ", no more than chance or the threshold".to_owned(),
            (None, _) => match self.state.as_deref() {
                Some("outdated") => ", outdated".to_owned(),
                Some("no_comparison") => ", no figure of a year before".to_owned(),
                _ => String::new(),
            },
        };
        let differs = differs.map(|differs| format!(" [{differs}]")).unwrap_or_default();
        // A decimal where there is one to show.
        let digits = usize::from(value.fract().abs() >= 0.05);
        format!("{period} {value:.digits$} {unit}{}{moved}{differs}", change.unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tree_says_what_is_known_and_why_the_rest_is_not() {
        let text = r#"[
            {"depth":0,"node":"4","kind":"goal","danish":"Bedre til dansk","english":"better at Danish","known":1,
             "indicators":2,"movement":0,"diagnosis":"theory"},
            {"depth":1,"node":"i22","kind":"indicator","danish":"B","english":"pass rate","period":"2026-06","value":64.04,
             "unit":"percent","change_1y":2.0,"direction":0,"state":"known","differs":"every test"},
            {"depth":1,"node":"i23","kind":"indicator","danish":"D","english":"in 3 years","state":"not_fed","not_fed":"no records"},
            {"depth":1,"node":"a3","kind":"activity","danish":"A","english":"tests","period":"2026-06","value":2000.0,
             "unit":"tests","change_1y":-25.0,"direction":-1,"delivered":false,"state":"known"},
            {"depth":1,"node":"a2","kind":"activity","danish":"R","english":"in time","period":"2026-06","value":86.1,
             "unit":"percent","delivered":false,"delivered_from":90.0,"state":"known"},
            {"depth":1,"node":"i16","kind":"indicator","danish":"U","english":"under 30","period":"2026-06","value":106.0,
             "unit":"persons","state":"no_comparison"},
            {"depth":1,"node":"4.1","kind":"sub_goal","danish":"H","english":"half","known":1,"indicators":1,
             "diagnosis":"not_yet_knowable","waits_for":"activity","activities_known":2},
            {"depth":1,"node":"4.2","kind":"sub_goal","danish":"N","english":"nothing","known":1,"indicators":1,
             "diagnosis":"not_yet_knowable","waits_for":"activity","activities_known":0},
            {"depth":2,"node":"i24","kind":"indicator","danish":"M","english":"modules","period":"2026-06","state":"hidden"}]"#;
        let nodes: Vec<Node> = serde_json::from_str(text).expect("rows");
        let expected = "\
4 Bedre til dansk (better at Danish): THEORY: what is done for it was delivered, and no result came with it; 1 of 2 indicators known, no majority moved
    i22 B (pass rate): 2026-06 64 percent, +2.0 points in a year, no more than chance or the threshold [every test]
    i23 D (in 3 years): not fed: no records
    activity a3 A (tests): 2026-06 2000 tests, -25.0 % in a year, not delivered
    activity a2 R (in time): 2026-06 86.1 percent, not delivered (from 90 on)
    i16 U (under 30): 2026-06 106 persons, no figure of a year before
    4.1 H (half): not yet knowable: half of what is done for it was delivered; 1 of 1 indicators known
    4.2 N (nothing): not yet knowable: nothing known is done for it; 1 of 1 indicators known
        i24 M (modules): 2026-06 hidden";
        assert_eq!(lines(&nodes).join("\n"), expected);
    }
}
