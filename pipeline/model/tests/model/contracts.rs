//! What was promised about the published tables is kept.
//!
//! Goal: nobody who reads the tables is surprised by a change that breaks what they built. Method: `pipeline/model/contracts.json` is
//! what was promised last; the declarations are compared with it. An addition asks to be written down (`UPDATE_GOLDENS=1 cargo test
//! --workspace --test model contracts`); what breaks readers is refused, then too, unless the table has a new version.

use std::collections::BTreeMap;

use rettidig_model::contract::{self, Table};
use serde::{Deserialize, Serialize};

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/contracts.json");

/// What readers may rely on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Promise {
    version: u32,
    closed: bool,
    grain: Vec<String>,
    columns: Vec<PromisedColumn>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct PromisedColumn {
    name: String,
    danish: String,
    #[serde(rename = "type")]
    kind: String,
    nullable: bool,
    unit: String,
}

type Promises = BTreeMap<String, Promise>;

fn promise(table: &Table) -> Promise {
    let columns = table.columns.iter().map(|column| PromisedColumn {
        name: column.name.to_owned(),
        danish: column.danish.to_owned(),
        kind: column.kind.name().to_owned(),
        nullable: column.nullable,
        unit: column.unit.to_owned(),
    });
    Promise {
        version: table.version,
        closed: table.closed,
        grain: table.grain.iter().map(|name| (*name).to_owned()).collect(),
        columns: columns.collect(),
    }
}

/// What a change does to readers.
#[derive(Debug, PartialEq, Eq)]
enum Change {
    /// It breaks some.
    Breaking(String),
    /// It breaks nobody who chooses columns by name.
    Additive(String),
}

fn changes(before: &Promises, now: &Promises) -> Vec<Change> {
    let mut found = Vec::new();
    for (name, promised) in before {
        match now.get(name) {
            None => found.push(Change::Breaking(format!(
                "{name} was removed: announce it in CHANGELOG.md, and a release later take its entry out of contracts.json by hand"
            ))),
            Some(table) => found.extend(changes_of(name, promised, table)),
        }
    }
    let new = now.keys().filter(|name| !before.contains_key(*name));
    found.extend(new.map(|name| Change::Additive(format!("{name} is new"))));
    found
}

fn changes_of(name: &str, before: &Promise, now: &Promise) -> Vec<Change> {
    let mut found = Vec::new();
    let mut breaking = |what: String| {
        let text = format!("{name}: {what}");
        found.push(if now.version > before.version {
            Change::Additive(text)
        } else {
            Change::Breaking(text)
        });
    };
    if now.version < before.version {
        breaking(format!("version {} follows {}", now.version, before.version));
    }
    if now.grain != before.grain {
        breaking(format!("one row was {} and is {}", before.grain.join(", "), now.grain.join(", ")));
    }
    if now.closed && !before.closed {
        breaking("everybody could read it, and now cannot".to_owned());
    }
    for promised in &before.columns {
        let Some(column) = now.columns.iter().find(|column| column.name == promised.name) else {
            breaking(format!("column {} was removed or renamed", promised.name));
            continue;
        };
        for (what, was, is) in
            [("type", &promised.kind, &column.kind), ("unit", &promised.unit, &column.unit)]
        {
            if was != is {
                breaking(format!("the {what} of {} was {was:?} and is {is:?}", promised.name));
            }
        }
        if column.nullable && !promised.nullable {
            breaking(format!("{} may be null and was not before", promised.name));
        }
    }
    let order = |columns: &[PromisedColumn], others: &[PromisedColumn]| -> Vec<String> {
        let names = columns.iter().map(|column| column.name.clone());
        names.filter(|name| others.iter().any(|other| other.name == *name)).collect()
    };
    let kept = order(&before.columns, &now.columns);
    if !order(&now.columns, &now.columns).starts_with(&kept) {
        breaking("columns changed their places: new ones come after those there were".to_owned());
    }
    if found.is_empty() && now != before {
        found.push(Change::Additive(format!("{name}: something was added or renamed in Danish")));
    }
    found
}

#[test]
fn the_contracts_are_what_was_promised() {
    let now: Promises = contract::tables().map(|table| (table.name.to_owned(), promise(table))).collect();
    let before = std::fs::read_to_string(FILE).expect("contracts.json is there: git restores it");
    let before: Promises = serde_json::from_str(&before).expect("contracts.json is JSON");
    let changes = changes(&before, &now);
    let broken: Vec<_> = changes.iter().filter(|change| matches!(change, Change::Breaking(_))).collect();
    assert!(
        broken.is_empty(),
        "this breaks whoever reads the tables: undo it, or raise the version of the table and announce it: {broken:#?}"
    );
    if std::env::var_os("UPDATE_GOLDENS").is_some() {
        let text = serde_json::to_string_pretty(&now).expect("JSON") + "\n";
        std::fs::write(FILE, text).expect("contracts.json written");
    } else {
        assert!(
            changes.is_empty(),
            "write it down: UPDATE_GOLDENS=1 cargo test --workspace --test model contracts: {changes:#?}"
        );
    }
}

fn sample() -> Promises {
    let column = |name: &str, nullable| PromisedColumn {
        name: name.to_owned(),
        danish: name.to_owned(),
        kind: "Utf8".to_owned(),
        nullable,
        unit: String::new(),
    };
    let columns = vec![column("area", false), column("value", true)];
    let grain = vec!["area".to_owned()];
    Promises::from([("figures".to_owned(), Promise { version: 1, closed: false, grain, columns })])
}

/// The sample after a change of its one table.
fn after(change: impl FnOnce(&mut Promise)) -> Promises {
    let mut promises = sample();
    change(promises.get_mut("figures").expect("the table"));
    promises
}

/// Goal: what breaks readers is told from what does not. Method: one change of each kind, alone and with a new version.
#[test]
fn every_kind_of_breaking_change_is_refused_without_a_new_version() {
    type Kind = (&'static str, fn(&mut Promise), &'static str);
    let kinds: [Kind; 10] = [
        ("removed", |table| drop(table.columns.pop()), "column value was removed"),
        (
            "renamed",
            |table| table.columns[1].name = "number".to_owned(),
            "column value was removed or renamed",
        ),
        ("type", |table| table.columns[1].kind = "Float64".to_owned(), "the type of value was"),
        ("unit", |table| table.columns[1].unit = "persons".to_owned(), "the unit of value was"),
        ("null", |table| table.columns[0].nullable = true, "area may be null"),
        ("grain", |table| table.grain.push("value".to_owned()), "one row was area and is area, value"),
        ("closed", |table| table.closed = true, "everybody could read it"),
        ("exchanged", |table| table.columns.swap(0, 1), "changed their places"),
        (
            "in between",
            |table| {
                let new = PromisedColumn { name: "new".to_owned(), ..table.columns[0].clone() };
                table.columns.insert(1, new);
            },
            "changed their places",
        ),
        ("older version", |table| table.version = 0, "version 0 follows 1"),
    ];
    for (kind, change, text) in kinds {
        let found = changes(&sample(), &after(change));
        let is_told = |found: &Change| matches!(found, Change::Breaking(told) if told.contains(text));
        assert!(found.iter().any(is_told), "{kind}: {found:?}");
        if kind == "older version" {
            continue;
        }
        let versioned = after(|table| {
            change(table);
            table.version = 2;
        });
        let found = changes(&sample(), &versioned);
        assert!(!found.is_empty(), "{kind}");
        assert!(found.iter().all(|change| matches!(change, Change::Additive(_))), "{kind}: {found:?}");
    }
    let removed = changes(&sample(), &Promises::new());
    assert!(
        matches!(removed.as_slice(), [Change::Breaking(text)] if text.contains("by hand")),
        "{removed:?}"
    );
}

#[test]
fn additions_are_only_to_be_written_down() {
    assert_eq!(changes(&sample(), &sample()), []);
    let column = after(|table| {
        let new = PromisedColumn { name: "new".to_owned(), ..table.columns[0].clone() };
        table.columns.push(new);
    });
    let stricter = after(|table| table.columns[1].nullable = false);
    let danish = after(|table| table.columns[1].danish = "tal".to_owned());
    let mut table = sample();
    table.insert("more".to_owned(), sample()["figures"].clone());
    for changed in [column, stricter, danish, table] {
        let found = changes(&sample(), &changed);
        assert!(matches!(found.as_slice(), [Change::Additive(_)]), "{found:?}");
    }
}

#[test]
fn the_page_for_portals_names_the_closed_tables() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/portals.md");
    let page = std::fs::read_to_string(page).expect("the page");
    let (_, closed) = page.split_once("## Closed tables").expect("its section");
    let (list, _) = closed.split_once(')').expect("a list in brackets");
    let mut found: Vec<&str> = list.split('`').skip(1).step_by(2).collect();
    let mut expected: Vec<_> =
        contract::tables().filter(|table| table.closed).map(|table| table.name).collect();
    expected.sort_unstable();
    found.sort_unstable();
    assert_eq!(found, expected, "pipeline/docs/portals.md, Closed tables");
}
