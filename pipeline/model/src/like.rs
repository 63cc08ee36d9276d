//! Tables that are made like another one: the same statement over other inputs, so that a definition stands once.
//!
//! Such a file has a header and no statement. `-- like: seasons` names the other table, `-- with: comparisons as
//! local_history` what is read in the place of what. Everything else is read as the other one reads it.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use datafusion::sql::parser::{DFParser, Statement};
use datafusion::sql::sqlparser::ast::{
    Ident, ObjectName, Query, Statement as SqlStatement, TableAlias, TableFactor, VisitMut, VisitorMut,
};

use crate::catalogue::{Layer, SourceFile};
use crate::error::{Problem, nearest};
use crate::header::{self, Like};

/// The file with the statement that its header asks for; `None` if it has one of its own.
///
/// # Errors
/// If the other table does not exist, is itself like another one, or does not read what is to be replaced.
pub(crate) fn expanded(file: &SourceFile, files: &[SourceFile]) -> Result<Option<SourceFile>, Problem> {
    // A header with problems is told by who loads the file.
    let Some(like) = header::parse(&file.path, &file.text).ok().and_then(|header| header.like) else {
        return Ok(None);
    };
    let line = file.text.lines().position(|line| line.starts_with("-- like")).map_or(1, |index| index + 1);
    let problem = |message: String| Problem { file: file.path.clone(), line, message };
    if file.text.lines().any(|line| !line.starts_with("--") && !line.trim().is_empty()) {
        return Err(problem("a table that is like another one has no statement of its own".to_owned()));
    }
    let name_of = |path: &str| {
        let name = path.strip_prefix(Layer::Table.folder())?.strip_prefix('/')?.strip_suffix(".sql")?;
        Some(name.to_owned())
    };
    let Some(other) = files.iter().find(|other| name_of(&other.path).as_ref() == Some(&like.table)) else {
        let tables: Vec<String> = files.iter().filter_map(|file| name_of(&file.path)).collect();
        let hint = nearest(&like.table, tables.iter().map(String::as_str))
            .map(|near| format!("; did you mean {near}?"))
            .unwrap_or_default();
        return Err(problem(format!("like: there is no table {}{hint}", like.table)));
    };
    let statement = DFParser::parse_sql(&other.text).ok().and_then(|mut statements| statements.pop_front());
    let Some(Statement::Statement(mut statement)) = statement else {
        return Err(problem(format!("like: {} has no statement", like.table)));
    };
    let SqlStatement::Query(query) = statement.as_mut() else {
        return Err(problem(format!("like: {} is no SELECT", like.table)));
    };
    let missing: Vec<&str> = replace(query, &like);
    if !missing.is_empty() {
        return Err(problem(format!("with: {} does not read {}", like.table, missing.join(", "))));
    }
    let text = format!("{}\n{query}\n", file.text.trim_end());
    Ok(Some(SourceFile { path: file.path.clone(), text }))
}

/// Replaces what a query reads; returns what it does not read.
fn replace<'a>(query: &mut Query, like: &'a Like) -> Vec<&'a str> {
    let mut inputs = Inputs { with: &like.with, named: BTreeSet::new(), found: BTreeSet::new() };
    let with = query.with.take().map(|mut with| {
        for part in &mut with.cte_tables {
            let _: ControlFlow<()> = part.query.visit(&mut inputs);
            inputs.named.insert(part.alias.name.value.clone());
        }
        with
    });
    let _: ControlFlow<()> = query.visit(&mut inputs);
    query.with = with;
    like.with.keys().map(String::as_str).filter(|name| !inputs.found.contains(*name)).collect()
}

/// Replaces tables by others. A name that a part of the statement has taken stands for that part.
struct Inputs<'a> {
    with: &'a BTreeMap<String, String>,
    named: BTreeSet<String>,
    found: BTreeSet<String>,
}

impl VisitorMut for Inputs<'_> {
    type Break = ();

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
        if let TableFactor::Table { name, alias, .. } = factor {
            let read = name.to_string();
            if let (false, Some(instead)) = (self.named.contains(&read), self.with.get(&read)) {
                // Its columns are still named by the old name.
                alias.get_or_insert_with(|| TableAlias {
                    explicit: true,
                    name: Ident::new(&read),
                    columns: Vec::new(),
                    at: None,
                });
                *name = ObjectName::from(vec![Ident::new(instead)]);
                self.found.insert(read);
            }
        }
        ControlFlow::Continue(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &str, text: &str) -> SourceFile {
        SourceFile { path: format!("tables/{name}.sql"), text: text.to_owned() }
    }

    const HEADER: &str =
        "-- layer: T\n-- grain: area\n-- unit: persons\n-- why: because\n-- danish: Andre\n-- source: ours\n";

    fn of(like: &str, with: &str) -> Result<Option<SourceFile>, Problem> {
        let base = "WITH figures AS (SELECT figures.value FROM figures WHERE value > 0), places AS (SELECT * FROM ref_areas) \
            SELECT figures.value FROM figures INNER JOIN places ON true WHERE value IN (SELECT value FROM limits)";
        let files = [
            file("base", &format!("{HEADER}{base}")),
            file("other", &format!("{HEADER}-- like: {like}\n-- with: {with}\n")),
        ];
        expanded(&files[1], &files)
    }

    #[test]
    fn inputs_are_replaced_where_they_are_read_and_not_where_a_part_has_their_name() {
        let expanded =
            of("base", "figures as own_figures, limits as own_limits").expect("good").expect("like another");
        let (header, statement) =
            expanded.text.split_at(expanded.text.find("WITH figures").expect("a statement"));
        assert!(header.starts_with(HEADER));
        assert_eq!(
            statement.trim_end(),
            "WITH figures AS (SELECT figures.value FROM own_figures AS figures WHERE value > 0), places AS (SELECT * FROM ref_areas) \
            SELECT figures.value FROM figures INNER JOIN places ON true WHERE value IN (SELECT value FROM own_limits AS limits)"
        );
    }

    #[test]
    fn what_cannot_be_is_told_with_its_file_and_line() {
        let message = |like: &str, with: &str| of(like, with).expect_err("a problem").to_string();
        assert!(
            message("bse", "figures as x")
                .contains("tables/other.sql:7: like: there is no table bse; did you mean base?")
        );
        assert!(message("base", "figurs as x").contains("with: base does not read figurs"));
        assert!(message("other", "figures as x").contains("like: other has no statement"));
        let own = file("other", &format!("{HEADER}-- like: base\n-- with: figures as x\nSELECT 1"));
        assert!(
            expanded(&own, std::slice::from_ref(&own))
                .expect_err("a problem")
                .message
                .contains("no statement of its own")
        );
        let none = file("other", &format!("{HEADER}SELECT 1"));
        assert_eq!(expanded(&none, &[]), Ok(None));
    }
}
