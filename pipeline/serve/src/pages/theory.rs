//! The theory of change as nested lists, and the language schools behind one of its goals: what is known, why the rest is not. It shows what goes together in time and never says that one
//! thing caused another.

use axum::response::Response;
use serde::{Deserialize, Serialize};

use super::{Body, Fault, Page};

const SQL: &str = "SELECT tree.depth, tree.node, tree.kind, tree.danish, tree.english, tree.chosen_by, tree.source, tree.owner, tree.lag, \
     tree.period, tree.value, tree.unit, tree.change_1y, tree.direction, tree.delivered, tree.delivered_from, tree.state, tree.not_fed, \
     tree.differs, tree.shows_after_months, goals.known, goals.indicators, goals.activities, goals.activities_known, \
     goals.activities_delivered, goals.movement, goals.diagnosis, goals.waits_for \
     FROM theory_of_change AS tree LEFT JOIN goals ON tree.node = goals.node ORDER BY tree.place";

/// Of the newest test rounds, the country's schools together first.
const SCHOOLS: &str = "SELECT school, round, tests, pass_rate, goal, above_goal, is_reached, status FROM school_rounds \
     WHERE round IN (SELECT DISTINCT round FROM school_rounds ORDER BY round DESC LIMIT 3) \
     ORDER BY round DESC, school <> 'total', school";

/// A language school in a test round.
#[derive(Debug, Deserialize, Serialize)]
struct School {
    school: String,
    round: String,
    tests: Option<f64>,
    pass_rate: Option<f64>,
    goal: Option<f64>,
    above_goal: Option<f64>,
    is_reached: Option<bool>,
    status: String,
}

/// A node with those below it.
#[derive(Debug, Default, Deserialize, Serialize)]
struct Node {
    depth: usize,
    node: String,
    kind: String,
    danish: String,
    english: String,
    chosen_by: Option<String>,
    source: Option<String>,
    owner: Option<String>,
    lag: Option<String>,
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
    shows_after_months: Option<i64>,
    known: Option<i64>,
    indicators: Option<i64>,
    activities: Option<i64>,
    activities_known: Option<i64>,
    activities_delivered: Option<i64>,
    movement: Option<i64>,
    diagnosis: Option<String>,
    waits_for: Option<String>,
    #[serde(default)]
    below: Vec<Node>,
}

#[derive(Serialize)]
struct Theory {
    goals: Vec<Node>,
    schools: Vec<School>,
}

/// `/theory`
pub(crate) async fn page(page: Page) -> Response {
    let body = body(&page).await;
    page.answer(body).await
}

async fn body(page: &Page) -> Result<Body, Fault> {
    page.knows(&[])?;
    let nodes: Vec<Node> = page.rows("theory_shown", SQL, &[]).await?;
    let schools: Vec<School> = page.rows("schools_shown", SCHOOLS, &[]).await?;
    page.html("theory.html", &Theory { goals: nested(nodes), schools }).await
}

/// Rows in the order of the tree as a tree: each below the nearest one before it that is less deep.
fn nested(nodes: Vec<Node>) -> Vec<Node> {
    let mut roots: Vec<Node> = Vec::new();
    for node in nodes {
        let mut level = &mut roots;
        for _ in 0..node.depth {
            if level.is_empty() {
                break;
            }
            let last = level.len() - 1;
            level = &mut level[last].below;
        }
        level.push(node);
    }
    roots
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_in_their_order_become_a_tree() {
        let node = |depth, code: &str| Node { depth, node: code.to_owned(), ..Node::default() };
        let tree = nested(vec![node(0, "1"), node(1, "1.1"), node(2, "i1"), node(1, "1.2"), node(0, "2")]);
        let codes = |nodes: &[Node]| nodes.iter().map(|node| node.node.clone()).collect::<Vec<_>>();
        assert_eq!(codes(&tree), ["1", "2"]);
        assert_eq!(codes(&tree[0].below), ["1.1", "1.2"]);
        assert_eq!(codes(&tree[0].below[0].below), ["i1"]);
    }
}
