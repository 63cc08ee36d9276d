//! What SQL may not say in its layer.
//!
//! Persons' cells are kept up to date by taking an old contribution out and putting a new one in. That is exact only
//! if a measure is a sum: `MIN`, `MAX`, `DISTINCT` and window functions cannot be taken out again, and floats do not add
//! up to the same number in another order. Local SQL may use all of them but floats, and nothing whose result depends
//! on the order in which rows happen to come.

use std::collections::VecDeque;
use std::ops::ControlFlow;

use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::{
    DataType, DuplicateTreatment, Expr, FunctionArguments, Query, SetExpr, Value, Visit, Visitor,
};

use crate::Layer;
use crate::header::Header;

/// Aggregates other than SUM and COUNT.
const AGGREGATES: [&str; 22] = [
    "avg",
    "mean",
    "min",
    "max",
    "median",
    "stddev",
    "stddev_pop",
    "stddev_samp",
    "var",
    "var_pop",
    "var_samp",
    "first_value",
    "last_value",
    "nth_value",
    "array_agg",
    "string_agg",
    "bool_and",
    "bool_or",
    "approx_distinct",
    "approx_median",
    "corr",
    "union_of_intervals",
];

/// Aggregates whose result is a float or depends on the order of rows.
const INEXACT: [&str; 14] = [
    "avg",
    "mean",
    "median",
    "stddev",
    "stddev_pop",
    "stddev_samp",
    "var",
    "var_pop",
    "var_samp",
    "corr",
    "approx_distinct",
    "approx_median",
    "array_agg",
    "string_agg",
];

/// Problems of a statement: the word that shows the line, and what is wrong.
pub(crate) fn refused(header: &Header, statements: &VecDeque<Statement>) -> Vec<(String, String)> {
    let mut check = Check { layer: header.layer, derived: header.derived, problems: Vec::new() };
    if matches!(header.layer, Layer::Local | Layer::Additive) {
        for statement in statements {
            if let Statement::Statement(statement) = statement {
                let _ = statement.visit(&mut check);
            }
        }
    }
    check.problems
}

struct Check {
    layer: Layer,
    derived: bool,
    problems: Vec<(String, String)>,
}

impl Check {
    fn refuse(&mut self, word: &str, what: &str, instead: &str) {
        let letter = self.layer.letter();
        self.problems.push((word.to_owned(), format!("layer {letter} may not use {what}: {instead}")));
    }

    /// Whether only sums may stand here.
    fn adds_up(&self) -> bool {
        self.layer == Layer::Additive && !self.derived
    }

    fn float(&mut self, data_type: &DataType) {
        let text = data_type.to_string().to_ascii_lowercase();
        if ["float", "double", "real", "decimal", "numeric"].iter().any(|name| text.starts_with(name)) {
            let word = text.split(|c: char| !c.is_ascii_alphanumeric()).next().unwrap_or_default().to_owned();
            self.refuse(&word, &format!("the type {text}"), "cells are integers; divide in a table");
        }
    }
}

impl Visitor for Check {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        if query.limit_clause.is_some() || query.fetch.is_some() {
            self.refuse("limit", "LIMIT", "which rows are left would depend on their order");
        }
        if let (true, SetExpr::Select(select)) = (self.adds_up(), query.body.as_ref())
            && select.distinct.is_some()
        {
            self.refuse("distinct", "DISTINCT", "make rows unique in a local model, then count them");
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        match expr {
            Expr::Function(function) => {
                let name = function.name.to_string().to_ascii_lowercase();
                if INEXACT.contains(&name.as_str()) {
                    self.refuse(
                        &name,
                        &name.to_uppercase(),
                        "its result is no integer or depends on the order of rows",
                    );
                } else if self.adds_up() && AGGREGATES.contains(&name.as_str()) {
                    self.refuse(
                        &name,
                        &name.to_uppercase(),
                        "only SUM and COUNT can be added up over persons",
                    );
                }
                if self.adds_up() && function.over.is_some() {
                    self.refuse(&name, "window functions", "order rows in a local model");
                }
                if let (true, FunctionArguments::List(list)) = (self.adds_up(), &function.args)
                    && list.duplicate_treatment == Some(DuplicateTreatment::Distinct)
                {
                    self.refuse("distinct", "DISTINCT", "make rows unique in a local model, then count them");
                }
            }
            Expr::Cast { data_type, .. } => self.float(data_type),
            Expr::Value(value) => {
                if let Value::Number(number, _) = &value.value
                    && number.contains(['.', 'e', 'E'])
                {
                    let word = number.split('.').next().unwrap_or_default().to_owned();
                    self.refuse(
                        &word,
                        &format!("the float {number}"),
                        "cells are integers; divide in a table",
                    );
                }
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }
}
