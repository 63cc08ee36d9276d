//! Indicators made from payments, cases and wages.

use super::{
    AREA, AREA_KIND, BENEFIT, BREAKDOWN, BREAKDOWN_VALUE, EPOCH, INDICATOR, KNOWN_AT, Kind, PERIOD, STATUS,
    Table, UNIT, maybe,
};

pub(super) const TABLES: &[Table] = &[Table {
    name: "local_indicators",
    description: "The newest value of every indicator made from payments, cases and wages, for the newest 25 months",
    grain: &["period", "indicator", "area_kind", "area", "benefit", "breakdown", "breakdown_value"],
    columns: &[
        INDICATOR,
        AREA_KIND,
        AREA,
        BENEFIT,
        PERIOD,
        BREAKDOWN,
        BREAKDOWN_VALUE,
        maybe("value", Kind::Float, "column unit", "the value; null if hidden or missing"),
        maybe("numerator", Kind::Integer, "count", "what the value was made of"),
        maybe("denominator", Kind::Integer, "count", "what the value was divided by"),
        UNIT,
        STATUS,
        KNOWN_AT,
        EPOCH,
    ],
}];
