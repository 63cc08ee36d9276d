//! What the optimiser made of a model's statement, kept from one evaluation to the next.
//!
//! Every epoch runs the same statements over other rows, and to parse, plan and optimise a statement takes longer than to
//! run it over what an epoch brings. The optimised plan depends on the statement and on the schemas of what it reads, never
//! on rows; so it is kept, reading tables of those schemas without rows, and each session puts its own tables in their
//! places. How it is carried out (which side of a join is hashed) does depend on rows and is decided anew every time.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::datatypes::SchemaRef;
use datafusion::common::TableReference;
use datafusion::common::tree_node::{Transformed, TreeNodeRecursion};
use datafusion::datasource::provider_as_source;
use datafusion::error::DataFusionError;
use datafusion::logical_expr::{LogicalPlan, LogicalTableSource, TableSource};
use datafusion::prelude::SessionContext;

/// A statement's plan and the columns of its result.
#[derive(Debug, Clone)]
pub(crate) struct Planned {
    /// Optimised.
    pub(crate) plan: LogicalPlan,
    /// As the statement says it; the optimiser may know better what is never null.
    pub(crate) schema: SchemaRef,
}

/// The plan that is kept of one statement; clones share it.
#[derive(Clone, Default)]
pub struct KeptPlan(Arc<Mutex<Option<Arc<Planned>>>>);

impl fmt::Debug for KeptPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("KeptPlan").field(&self.get().is_some()).finish()
    }
}

impl KeptPlan {
    fn get(&self) -> Option<Arc<Planned>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Keeps a plan, without the rows it was made over.
    pub(crate) fn keep(&self, planned: &Planned) -> Result<(), DataFusionError> {
        let plan = exchange(&planned.plan, |_, source| Arc::new(LogicalTableSource::new(source.schema())))?;
        let bare = Arc::new(Planned { plan, schema: Arc::clone(&planned.schema) });
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(bare);
        Ok(())
    }

    /// The kept plan over the tables of a session; `None` if none is kept, or if one of its tables has another schema than
    /// it had then.
    pub(crate) async fn over(&self, context: &SessionContext) -> Result<Option<Planned>, DataFusionError> {
        let Some(kept) = self.get() else { return Ok(None) };
        let mut tables: HashMap<TableReference, Arc<dyn TableSource>> = HashMap::new();
        for (name, schema) in scanned(&kept.plan)? {
            let source = provider_as_source(context.table_provider(name.clone()).await?);
            if source.schema() != schema {
                return Ok(None);
            }
            tables.insert(name, source);
        }
        let plan = exchange(&kept.plan, |name, source| Arc::clone(tables.get(name).unwrap_or(source)))?;
        Ok(Some(Planned { plan, schema: Arc::clone(&kept.schema) }))
    }
}

/// Tables that a plan reads, in sub-queries, too.
fn scanned(plan: &LogicalPlan) -> Result<Vec<(TableReference, SchemaRef)>, DataFusionError> {
    let mut tables = Vec::new();
    plan.apply_with_subqueries(|node| {
        if let LogicalPlan::TableScan(scan) = node {
            tables.push((scan.table_name.clone(), scan.source.schema()));
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(tables)
}

/// A plan with other tables behind the same names.
fn exchange(
    plan: &LogicalPlan,
    mut with: impl FnMut(&TableReference, &Arc<dyn TableSource>) -> Arc<dyn TableSource>,
) -> Result<LogicalPlan, DataFusionError> {
    let exchanged = plan.clone().transform_down_with_subqueries(|node| {
        Ok(match node {
            LogicalPlan::TableScan(mut scan) => {
                scan.source = with(&scan.table_name, &scan.source);
                Transformed::yes(LogicalPlan::TableScan(scan))
            }
            other => Transformed::no(other),
        })
    });
    Ok(exchanged?.data)
}
