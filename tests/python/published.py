"""The published tables as the checks see them: contract, locations, one loader per engine.

`RETTIDIG_DATA` names a folder in which `rettidig demo --once --days 1 --speed 0 --persons 6000 --data DIR` has finished. Without it the
checks that import this fail; they do not skip, because a gate that skips is no gate.

The contract below is the only place in the checks that names columns and types.
"""

from __future__ import annotations

import functools
import json
import os
import pathlib

import duckdb
import polars
import pyarrow
import pyarrow.parquet

TEXT, INTEGER, FLOAT, DATE, INSTANT, BOOLEAN = "Utf8", "Int64", "Float64", "Date32", "Timestamp", "Boolean"
ARROW = {
    TEXT: pyarrow.string(),
    INTEGER: pyarrow.int64(),
    FLOAT: pyarrow.float64(),
    DATE: pyarrow.date32(),
    INSTANT: pyarrow.timestamp("us", "UTC"),
    BOOLEAN: pyarrow.bool_(),
}
DUCKDB = {
    TEXT: "VARCHAR",
    INTEGER: "BIGINT",
    FLOAT: "DOUBLE",
    DATE: "DATE",
    INSTANT: "TIMESTAMP WITH TIME ZONE",
    BOOLEAN: "BOOLEAN",
}
POLARS = {
    TEXT: polars.String,
    INTEGER: polars.Int64,
    FLOAT: polars.Float64,
    DATE: polars.Date,
    INSTANT: polars.Datetime("us", "UTC"),
    BOOLEAN: polars.Boolean,
}

CELL = {
    "indicator": TEXT,
    "area_kind": TEXT,
    "area": TEXT,
    "benefit": TEXT,
    "period": TEXT,
    "breakdown": TEXT,
    "breakdown_value": TEXT,
}
COLUMNS: dict[str, dict[str, str]] = {
    "indicators": CELL
    | {
        "value": FLOAT,
        "numerator": INTEGER,
        "denominator": INTEGER,
        "unit": TEXT,
        "status": TEXT,
        "known_at": INSTANT,
        "epoch": INTEGER,
    },
    "local_indicators": CELL
    | {
        "value": FLOAT,
        "numerator": INTEGER,
        "denominator": INTEGER,
        "unit": TEXT,
        "status": TEXT,
        "known_at": INSTANT,
        "epoch": INTEGER,
    },
    "labour_force": {
        "area_kind": TEXT,
        "area": TEXT,
        "newest_period": TEXT,
        "months": INTEGER,
        "labour_force": INTEGER,
    },
    "creaming_guard": {
        "area_kind": TEXT,
        "area": TEXT,
        "indicator": TEXT,
        "benefit": TEXT,
        "period": TEXT,
        "target_value": FLOAT,
        "value": FLOAT,
        "status": TEXT,
        "reached": BOOLEAN,
        "hardest": TEXT,
        "hardest_value": FLOAT,
        "hardest_last_year": FLOAT,
        "hardest_change_1y": FLOAT,
        "hardest_status": TEXT,
        "state": TEXT,
    },
    "scorecard": {
        "jobcentre": TEXT,
        "name": TEXT,
        "cluster": TEXT,
        "benefit": TEXT,
        "period": TEXT,
        "more_own": FLOAT,
        "more_last_year": FLOAT,
        "more_development": FLOAT,
        "more_arrow": INTEGER,
        "more_share": FLOAT,
        "more_cluster_mean": FLOAT,
        "more_cluster_best": FLOAT,
        "more_cluster_worst": FLOAT,
        "more_cluster_development": FLOAT,
        "more_tercile": INTEGER,
        "more_status": TEXT,
        "faster_own": FLOAT,
        "faster_last_year": FLOAT,
        "faster_development": FLOAT,
        "faster_arrow": INTEGER,
        "faster_cluster_mean": FLOAT,
        "faster_cluster_best": FLOAT,
        "faster_cluster_worst": FLOAT,
        "faster_cluster_development": FLOAT,
        "faster_tercile": INTEGER,
        "faster_status": TEXT,
        "staying_own": FLOAT,
        "staying_last_year": FLOAT,
        "staying_development": FLOAT,
        "staying_arrow": INTEGER,
        "staying_cluster_mean": FLOAT,
        "staying_cluster_best": FLOAT,
        "staying_cluster_worst": FLOAT,
        "staying_cluster_development": FLOAT,
        "staying_tercile": INTEGER,
        "staying_6_own": FLOAT,
        "staying_6_cluster_mean": FLOAT,
        "staying_12_own": FLOAT,
        "staying_12_cluster_mean": FLOAT,
        "staying_status": TEXT,
        "potential_own": FLOAT,
        "potential_last_year": FLOAT,
        "potential_development": FLOAT,
        "potential_arrow": INTEGER,
        "potential_cluster_mean": FLOAT,
        "potential_cluster_best": FLOAT,
        "potential_cluster_worst": FLOAT,
        "potential_tercile": INTEGER,
        "potential_status": TEXT,
    },
    "budget_follow_up": {
        "area_kind": TEXT,
        "area": TEXT,
        "service": TEXT,
        "period": TEXT,
        "contract_unit": TEXT,
        "activity_unit": TEXT,
        "base_activity": FLOAT,
        "budget_activity": FLOAT,
        "actual_activity": FLOAT,
        "budget_price_oere": INTEGER,
        "actual_price_oere": INTEGER,
        "base_budget_oere": INTEGER,
        "budget_oere": INTEGER,
        "actual_oere": INTEGER,
        "activity_variance_oere": INTEGER,
        "price_variance_oere": INTEGER,
        "status": TEXT,
        "budget_to_date_oere": INTEGER,
        "actual_to_date_oere": INTEGER,
        "activity_variance_to_date_oere": INTEGER,
        "price_variance_to_date_oere": INTEGER,
        "status_to_date": TEXT,
    },
    "year_accounts": {
        "area_kind": TEXT,
        "area": TEXT,
        "service": TEXT,
        "year": TEXT,
        "contract_unit": TEXT,
        "months": INTEGER,
        "base_budget_oere": INTEGER,
        "budget_oere": INTEGER,
        "actual_oere": INTEGER,
        "activity_variance_oere": INTEGER,
        "price_variance_oere": INTEGER,
        "forecast_oere": INTEGER,
        "forecast_low_oere": INTEGER,
        "forecast_high_oere": INTEGER,
        "account_oere": INTEGER,
        "state": TEXT,
    },
    "contract_results": {
        "area_kind": TEXT,
        "area": TEXT,
        "year": TEXT,
        "contract_unit": TEXT,
        "perspective": TEXT,
        "goal": TEXT,
        "danish": TEXT,
        "indicator": TEXT,
        "benefit": TEXT,
        "unit": TEXT,
        "zero_value": FLOAT,
        "target_value": FLOAT,
        "direction": TEXT,
        "period": TEXT,
        "value": FLOAT,
        "status": TEXT,
        "last_year": FLOAT,
        "realised_ratio": FLOAT,
        "state": TEXT,
        "note": TEXT,
    },
    "beside_official": {
        "area_kind": TEXT,
        "area": TEXT,
        "indicator": TEXT,
        "benefit": TEXT,
        "period": TEXT,
        "value": FLOAT,
        "status": TEXT,
        "official": TEXT,
        "official_benefit": TEXT,
        "official_value": FLOAT,
        "official_status": TEXT,
        "difference": FLOAT,
        "revised": FLOAT,
        "official_first_known_at": INSTANT,
        "definition": TEXT,
        "because": TEXT,
    },
    "nowcasts": {
        "area_kind": TEXT,
        "area": TEXT,
        "indicator": TEXT,
        "benefit": TEXT,
        "period": TEXT,
        "value": FLOAT,
        "received_ratio": FLOAT,
        "months": INTEGER,
        "nowcast": FLOAT,
        "nowcast_low": FLOAT,
        "nowcast_high": FLOAT,
    },
    "funnels": {
        "indicator": TEXT,
        "benefit": TEXT,
        "area_kind": TEXT,
        "area": TEXT,
        "period_first": TEXT,
        "period_last": TEXT,
        "numerator": INTEGER,
        "denominator": INTEGER,
        "value": FLOAT,
        "country_value": FLOAT,
        "dispersion": FLOAT,
        "lower_limit": FLOAT,
        "upper_limit": FLOAT,
        "p_value": FLOAT,
        "state": TEXT,
    },
    "local_targets": {
        "area_kind": TEXT,
        "area": TEXT,
        "indicator": TEXT,
        "benefit": TEXT,
        "period": TEXT,
        "zero_value": FLOAT,
        "zero_date": DATE,
        "target_value": FLOAT,
        "target_date": DATE,
        "direction": TEXT,
        "owner": TEXT,
        "value": FLOAT,
        "status": TEXT,
        "expected": FLOAT,
        "realised_ratio": FLOAT,
        "deviation": FLOAT,
        "newest": BOOLEAN,
        "state": TEXT,
    },
    "school_rounds": {
        "school": TEXT,
        "round": TEXT,
        "tests": INTEGER,
        "passed": INTEGER,
        "pass_rate": FLOAT,
        "goal": FLOAT,
        "above_goal": FLOAT,
        "is_reached": BOOLEAN,
        "status": TEXT,
    },
    "survival_curves": {
        "benefit": TEXT,
        "quarter": TEXT,
        "weeks": INTEGER,
        "started": INTEGER,
        "at_risk": INTEGER,
        "ended": INTEGER,
        "survival": FLOAT,
        "status": TEXT,
    },
    "rewards": {
        "area_kind": TEXT,
        "area": TEXT,
        "period": TEXT,
        "own": FLOAT,
        "own_last_year": FLOAT,
        "rest": FLOAT,
        "rest_last_year": FLOAT,
        "expected": FLOAT,
        "status": TEXT,
        "own_to_date": FLOAT,
        "expected_to_date": FLOAT,
        "full_year_recipients": FLOAT,
        "bonus_oere": INTEGER,
        "state": TEXT,
    },
    "base_budgets": {
        "area": TEXT,
        "benefit": TEXT,
        "year": TEXT,
        "months": INTEGER,
        "full_time_years": FLOAT,
        "support_oere": INTEGER,
        "refund_booked_oere": INTEGER,
        "support_after_refund_oere": INTEGER,
        "refund_expected_oere": INTEGER,
        "administration_oere": INTEGER,
        "activity_oere": INTEGER,
        "net_oere": INTEGER,
        "net_per_full_time_year_oere": INTEGER,
        "state": TEXT,
    },
    "investments": {
        "investment": TEXT,
        "scenario": TEXT,
        "area_kind": TEXT,
        "area": TEXT,
        "benefit": TEXT,
        "danish": TEXT,
        "base_year": TEXT,
        "base_months": INTEGER,
        "clients": FLOAT,
        "effort_cost_oere": INTEGER,
        "full_time_years_saved": FLOAT,
        "support_saved_oere": INTEGER,
        "refund_lost_oere": INTEGER,
        "effort_saved_oere": INTEGER,
        "saved_oere": INTEGER,
        "net_oere": INTEGER,
        "break_even_permille": FLOAT,
        "paid_back_months": INTEGER,
        "state": TEXT,
    },
    "refund_watch": {
        "area": TEXT,
        "week": DATE,
        "expected_oere": INTEGER,
        "booked_oere": INTEGER,
        "difference_oere": INTEGER,
        "weeks_old": INTEGER,
        "status": TEXT,
        "state": TEXT,
    },
    "targets": {
        "area_kind": TEXT,
        "area": TEXT,
        "indicator": TEXT,
        "benefit": TEXT,
        "period": TEXT,
        "zero_value": FLOAT,
        "zero_date": DATE,
        "target_value": FLOAT,
        "target_date": DATE,
        "direction": TEXT,
        "value": FLOAT,
        "status": TEXT,
        "expected": FLOAT,
        "level": FLOAT,
        "expected_level": FLOAT,
        "realised_ratio": FLOAT,
        "deviation": FLOAT,
        "dispersion": FLOAT,
        "lower_limit": FLOAT,
        "upper_limit": FLOAT,
        "p_value": FLOAT,
        "probability": FLOAT,
        "newest": BOOLEAN,
        "state": TEXT,
    },
    "seasons": {
        "area_kind": TEXT,
        "area": TEXT,
        "indicator": TEXT,
        "benefit": TEXT,
        "month_of_year": INTEGER,
        "factor": FLOAT,
        "years": INTEGER,
    },
    "adjusted": {
        "area_kind": TEXT,
        "area": TEXT,
        "indicator": TEXT,
        "benefit": TEXT,
        "period": TEXT,
        "factor": FLOAT,
        "adjusted": FLOAT,
        "underlying": FLOAT,
        "jump": FLOAT,
        "growth": FLOAT,
        "spread": FLOAT,
        "out_of": INTEGER,
        "year_out_of": FLOAT,
    },
    "theory_figures": {
        "node": TEXT,
        "period": TEXT,
        "period_end": DATE,
        "value": FLOAT,
        "unit": TEXT,
        "status": TEXT,
        "settled": BOOLEAN,
        "last_year": FLOAT,
        "change_1y": FLOAT,
        "deviation": FLOAT,
        "direction": INTEGER,
        "delivered": BOOLEAN,
    },
    "goals": {
        "node": TEXT,
        "parent": TEXT,
        "kind": TEXT,
        "danish": TEXT,
        "english": TEXT,
        "indicators": INTEGER,
        "not_fed": INTEGER,
        "known": INTEGER,
        "improved": INTEGER,
        "unchanged": INTEGER,
        "worsened": INTEGER,
        "movement": INTEGER,
        "activities": INTEGER,
        "activities_known": INTEGER,
        "activities_delivered": INTEGER,
        "delivered": BOOLEAN,
        "delivered_before": BOOLEAN,
        "diagnosis": TEXT,
        "waits_for": TEXT,
    },
    "revisions": CELL
    | {
        "old": FLOAT,
        "new": FLOAT,
        "old_known_at": INSTANT,
        "new_known_at": INSTANT,
        "epoch": INTEGER,
        "cause": TEXT,
    },
    "completeness": {
        "source": TEXT,
        "area": TEXT,
        "period": TEXT,
        "expected": INTEGER,
        "received": INTEGER,
        "ratio": FLOAT,
        "state": TEXT,
    },
    "rhythms": {
        "source": TEXT,
        "newest_delivery": INSTANT,
        "newest_period_end": DATE,
        "usual_days": INTEGER,
        "next_due": DATE,
    },
    "freshness": {
        "source": TEXT,
        "newest_event": INSTANT,
        "newest_delivery": INSTANT,
        "published": INSTANT,
        "age_seconds": INTEGER,
        "official_lag_days": INTEGER,
        "newest_period_end": DATE,
        "next_due": DATE,
        "late": BOOLEAN,
    },
}
COLUMNS["local_seasons"], COLUMNS["local_adjusted"], COLUMNS["local_drift"] = COLUMNS["seasons"], COLUMNS["adjusted"], COLUMNS["targets"]
COLUMNS["local_history"] = {
    "area_kind": TEXT,
    "area": TEXT,
    "indicator": TEXT,
    "benefit": TEXT,
    "period": TEXT,
    "breakdown": TEXT,
    "value": FLOAT,
    "denominator": INTEGER,
    "unit": TEXT,
    "status": TEXT,
    "settled_estimate": FLOAT,
}
GRAIN: dict[str, list[str]] = {
    "indicators": list(CELL),
    "local_indicators": ["period", *(name for name in CELL if name != "period")],
    "labour_force": ["area_kind", "area"],
    "creaming_guard": ["area_kind", "area", "indicator", "benefit", "period"],
    "scorecard": ["jobcentre", "benefit", "period"],
    "budget_follow_up": ["area_kind", "area", "service", "period"],
    "year_accounts": ["area_kind", "area", "service", "year"],
    "contract_results": ["area_kind", "area", "year", "contract_unit", "goal"],
    "rewards": ["area_kind", "area", "period"],
    "beside_official": ["area_kind", "area", "indicator", "benefit", "period"],
    "nowcasts": ["area_kind", "area", "indicator", "benefit", "period"],
    "funnels": ["indicator", "benefit", "area_kind", "area"],
    "local_targets": ["area_kind", "area", "indicator", "benefit", "period"],
    "school_rounds": ["school", "round"],
    "survival_curves": ["benefit", "quarter", "weeks"],
    "base_budgets": ["area", "benefit", "year"],
    "investments": ["investment", "scenario", "area_kind", "area", "benefit"],
    "refund_watch": ["area", "week"],
    "targets": ["area_kind", "area", "indicator", "benefit", "period"],
    "seasons": ["area_kind", "area", "indicator", "benefit", "month_of_year"],
    "adjusted": ["area_kind", "area", "indicator", "benefit", "period"],
    "local_history": ["area_kind", "area", "indicator", "benefit", "period"],
    "local_seasons": ["area_kind", "area", "indicator", "benefit", "month_of_year"],
    "local_adjusted": ["area_kind", "area", "indicator", "benefit", "period"],
    "local_drift": ["area_kind", "area", "indicator", "benefit", "period"],
    "theory_figures": ["node", "period"],
    "goals": ["node"],
    "revisions": [*CELL, "new_known_at"],
    "completeness": ["source", "area", "period"],
    "rhythms": ["source"],
    "freshness": ["source"],
}
AREA_KINDS = {"municipality", "jobcentre", "cluster", "region", "country"}
STATUSES = {"final", "provisional", "incomplete", "hidden", "missing"}
VISIBLE = {"final", "provisional", "incomplete"}
STATES = {"on_track", "drifting", "insufficient", "incomplete", "source_late"}
CAUSES = {"late", "correction", "official_release", "definition", "first"}
# Units that count people: their values, numerators and denominators fall under disclosure control.
COUNT_UNITS = {"persons", "full-time persons"}
# Two years of each month are more than the demo has; test_local_drift reads this table of four years.
NEEDS_YEARS = {"local_seasons"}
# A published count is 0 or at least this.
SMALLEST_PUBLISHED = 5


def folder() -> pathlib.Path:
    """`tables/latest` of the data folder."""
    data = os.environ.get("RETTIDIG_DATA")
    if not data:
        raise RuntimeError("set RETTIDIG_DATA to a folder in which `rettidig demo --once --data DIR` has finished")
    return pathlib.Path(data) / "tables" / "latest"


def path(table: str) -> pathlib.Path:
    return folder() / f"{table}.parquet"


@functools.cache
def arrow(table: str) -> pyarrow.Table:
    return pyarrow.parquet.ParquetFile(path(table)).read()


@functools.cache
def rows(table: str) -> list[dict]:
    """The table as dictionaries; instants as microseconds since 1970, so that no engine's clock is involved."""
    columns = arrow_columns(table)
    return [dict(zip(columns, values)) for values in zip(*columns.values())]


def arrow_columns(table: str) -> dict[str, list]:
    out = {}
    data = arrow(table)
    for name in data.column_names:
        column = data.column(name)
        if pyarrow.types.is_timestamp(column.type):
            column = column.cast(pyarrow.int64())
        out[name] = column.to_pylist()
    return out


def polars_columns(table: str) -> dict[str, list]:
    frame = polars.read_parquet(path(table))
    return {
        name: (frame[name].dt.epoch("us") if isinstance(kind, polars.Datetime) else frame[name]).to_list()
        for name, kind in frame.schema.items()
    }


def duckdb_columns(table: str) -> dict[str, list]:
    with duckdb.connect() as connection:
        described = connection.execute("DESCRIBE SELECT * FROM read_parquet(?)", [str(path(table))]).fetchall()
        chosen = ", ".join(
            f'epoch_us("{name}") AS "{name}"' if kind.startswith("TIMESTAMP") else f'"{name}"'
            for name, kind, *_ in described
        )
        fetched = connection.execute(f"SELECT {chosen} FROM read_parquet(?)", [str(path(table))]).fetchall()
    names = [name for name, *_ in described]
    return {name: [row[i] for row in fetched] for i, name in enumerate(names)}


def duckdb_types(table: str) -> dict[str, str]:
    with duckdb.connect() as connection:
        described = connection.execute("DESCRIBE SELECT * FROM read_parquet(?)", [str(path(table))]).fetchall()
    return {name: kind for name, kind, *_ in described}


def metadata(table: str) -> dict[str, str]:
    """Plain key-value metadata of the Parquet file."""
    found = pyarrow.parquet.ParquetFile(path(table)).metadata.metadata or {}
    return {key.decode(): value.decode(errors="replace") for key, value in found.items()}


def sidecar(table: str) -> dict:
    return json.loads((folder() / f"{table}.json").read_text(encoding="utf-8"))


def epoch() -> dict:
    """`_epoch.json`: {"epoch": n, "files": {"<file>": {"sha256": "<hex>", "rows": n}}}; files are the Parquet tables."""
    return json.loads((folder() / "_epoch.json").read_text(encoding="utf-8"))
