"""Makes the dashboards of Grafana in helm/dashboards, or says whether they are what this makes.

    scripts/python.sh scripts/dashboards.py          # writes them
    scripts/python.sh scripts/dashboards.py --check  # exit code 1 and the names of those that differ

Whoever wants another panel changes this file; the JSON is never changed by hand. A panel has a unit, a title with the Danish term
where there is one, a description, and asks the data source that is chosen above.
"""

from __future__ import annotations

import pathlib
import sys

from grafana_foundation_sdk.builders import bargauge, dashboard, prometheus, stat, table, timeseries
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.common import BigValueGraphMode
from grafana_foundation_sdk.models.dashboard import DashboardLinkType, DataSourceRef, VariableRefresh

FOLDER = pathlib.Path(__file__).resolve().parents[1] / "helm" / "dashboards"
SOURCE = DataSourceRef(type_val="prometheus", uid="${datasource}")
TABLES = DataSourceRef(type_val="postgres", uid="${datasource}")
# The newest value of an hour: a restart is no gap.
NEWEST = "[1h]"


def query(expr: str, legend: str = "__auto", ref: str = "A", *, instant: bool = False) -> prometheus.Dataquery:
    asked = prometheus.Dataquery().expr(expr).legend_format(legend).ref_id(ref).datasource(SOURCE)
    return asked.instant() if instant else asked.range()


class Sql:
    """A query of the tables; the SDK knows no PostgreSQL."""

    def __init__(self, text: str, form: str):
        self.asked = {
            "refId": "A",
            "rawSql": " ".join(text.split()),
            "format": form,
            "rawQuery": True,
            "editorMode": "code",
            "datasource": TABLES,
        }

    def build(self) -> Sql:
        return self

    def to_json(self) -> dict:
        return self.asked


def panel(kind, title: str, description: str, unit: str, *queries, span: int = 12, height: int = 8):
    made = kind.Panel().title(title).description(description).unit(unit).datasource(SOURCE).span(span).height(height)
    for asked in queries:
        made = made.with_target(asked)
    return made


def number(title: str, description: str, unit: str, expr: str):
    made = panel(stat, title, description, unit, query(expr, instant=True), span=6, height=4)
    return made.graph_mode(BigValueGraphMode.NONE)


def lines(title: str, description: str, unit: str, *asked: tuple[str, str], span: int = 12):
    queries = [query(expr, legend, chr(ord("A") + place)) for place, (expr, legend) in enumerate(asked)]
    return panel(timeseries, title, description, unit, *queries, span=span)


def bars(title: str, description: str, unit: str, expr: str, legend: str):
    return panel(bargauge, title, description, unit, query(expr, legend, instant=True), height=14)


def rows(title: str, description: str, unit: str, expr: str, span: int = 24):
    asked = query(expr, instant=True).format("table")
    return panel(table, title, description, unit, asked, span=span, height=10)


def begun(title: str, uid: str, description: str, source_type: str = "prometheus") -> dashboard.Dashboard:
    source = dashboard.DatasourceVariable("datasource").label("Data source").type(source_type)
    runbooks = (
        dashboard.DashboardLink("Runbooks")
        .type(DashboardLinkType.LINK)
        .url("${runbooks}")
        .tooltip("What to do about each alert")
        .target_blank(True)
    )
    place = dashboard.ConstantVariable("runbooks").label("Runbooks").value("https://runbooks.example/rettidig")
    made = dashboard.Dashboard(title).uid(uid).description(description).tags(["rettidig"]).timezone("browser")
    return made.time("now-7d", "now").refresh("1m").with_variable(source).with_variable(place).link(runbooks)


def operations() -> dashboard.Dashboard:
    made = begun("Rettidig: operations", "rettidig-operations", "Whether figures come, how fast, and what is missing.")
    for one in (
        number("Age of the newest epoch", "Seconds since the newest epoch was committed.", "s", "min(rettidig_epoch_age_seconds)"),
        number("Sources that are late", "Sources whose next period or delivery is overdue.", "short", "sum(max by (source) (rettidig_source_late))"),
        number(
            "Incomplete deliveries",
            "Sources and jobcentres whose newest period lacks something.",
            "short",
            "sum(max by (source, jobcentre) (rettidig_source_incomplete))",
        ),
        number(
            "Cells that a recomputation found otherwise",
            "Of the newest full audit; -1 before the first. Anything above 0 is a bug.",
            "short",
            "max(rettidig_audit_mismatch_cells)",
        ),
        number(
            "Months of persons that are frozen",
            "Their new figures would give a hidden number away, so older ones are shown. Anything above 0 is a bug.",
            "short",
            "max(rettidig_disclosure_frozen_months)",
        ),
        lines(
            "From Kafka to the committed epoch",
            "Median and 99th percentile of what was committed in the last hour; the objective is 2 seconds.",
            "s",
            (f"histogram_quantile(0.5, sum by (le) (increase(rettidig_freshness_seconds_bucket{NEWEST})))", "median"),
            (f"histogram_quantile(0.99, sum by (le) (increase(rettidig_freshness_seconds_bucket{NEWEST})))", "99th percentile"),
        ),
        lines(
            "What waits at Kafka",
            "Messages that are in no committed epoch yet.",
            "short",
            ("sum by (topic) (rettidig_consumer_lag_messages)", "{{topic}}"),
        ),
        lines(
            "Time to commit an epoch",
            "95th percentile of an hour: the whole commit, the figures of persons, the tables after them.",
            "s",
            (f"histogram_quantile(0.95, sum by (le) (increase(rettidig_commit_seconds_bucket{NEWEST})))", "commit"),
            (f"histogram_quantile(0.95, sum by (le) (increase(rettidig_local_seconds_bucket{NEWEST})))", "figures of persons"),
            (f"histogram_quantile(0.95, sum by (le) (increase(rettidig_after_months_seconds_bucket{NEWEST})))", "tables after them"),
        ),
        lines(
            "Put aside (dead letters)",
            "Messages that could not be used, by reason, since the beginning.",
            "short",
            ("sum by (reason) (max by (reason, source) (rettidig_dead_letters)) or vector(0)", "{{reason}}"),
        ),
        lines(
            "Free on the disk of the data folder",
            "Share of the disk that is free.",
            "percentunit",
            ("min by (instance) (rettidig_data_avail_bytes / rettidig_data_size_bytes)", "{{instance}}"),
        ),
        lines(
            "Person log and cells",
            "Rows of the log and cells in memory.",
            "short",
            ("max(rettidig_log_rows)", "rows"),
            ("max(rettidig_cells)", "cells"),
        ),
        bars(
            "Age of official sources beside their lag",
            "How many times its official lag (officiel forsinkelse) the newest figure of a source is old.",
            "none",
            "max by (source) (rettidig_source_age_seconds) / on (source) max by (source) (rettidig_source_official_lag_days > 0) / 86400",
            "{{source}}",
        ),
        bars(
            "Completeness by jobcentre",
            "Sources of a jobcentre's municipalities whose newest period is incomplete.",
            "short",
            'sum by (jobcentre) (max by (source, jobcentre) (rettidig_source_incomplete{jobcentre!=""}))',
            "{{jobcentre}}",
        ),
    ):
        made = made.with_panel(one)
    return made


def jobcentre() -> dashboard.Dashboard:
    made = begun("Rettidig: jobcentre", "rettidig-jobcentre", "A jobcentre's figures, targets and limits.")
    chosen = (
        dashboard.QueryVariable("jobcentre")
        .label("Jobcentre (jobcenter)")
        .query('label_values(rettidig_target_state{area_kind="jobcentre"}, area)')
        .datasource(SOURCE)
        .refresh(VariableRefresh.ON_DASHBOARD_LOAD)
    )
    made = made.with_variable(chosen)
    of = '{area_kind="jobcentre",area="$jobcentre"}'
    for one in (
        rows(
            "State of each target (resultatmål)",
            "on_track, drifting, insufficient, incomplete or source_late; late or incomplete data are never drift.",
            "none",
            'max by (indicator, benefit, state) (rettidig_target_state{area_kind="jobcentre",area="$jobcentre"}) == 1',
        ),
        lines(
            "Level beside its path and limits",
            "Mean of the newest three months, what it would be on the path to the target, and the limits of chance.",
            "short",
            (f"max by (indicator, benefit) (rettidig_target_level{of})", "{{indicator}} {{benefit}}"),
            (f"max by (indicator, benefit) (rettidig_target_expected_level{of})", "path, {{indicator}} {{benefit}}"),
            (f"max by (indicator, benefit) (rettidig_target_lower_limit{of})", "lower limit, {{indicator}} {{benefit}}"),
            (f"max by (indicator, benefit) (rettidig_target_upper_limit{of})", "upper limit, {{indicator}} {{benefit}}"),
        ),
        lines(
            "Probability of reaching the target",
            "If it goes on as it has (sandsynlighed for målopfyldelse).",
            "percentunit",
            (f"max by (indicator, benefit) (rettidig_target_probability{of})", "{{indicator}} {{benefit}}"),
        ),
        lines(
            "Realised share of the way (realiseret andel)",
            "1 is the target, 0 the zero point (nulpunkt); below 0 it went the other way.",
            "none",
            (f"max by (indicator, benefit) (rettidig_target_realised_ratio{of})", "{{indicator}} {{benefit}}"),
        ),
        lines(
            "Newest values",
            "Of the official indicators, each in its own unit; hidden ones have no series.",
            "short",
            (f"max by (indicator, benefit) (rettidig_indicator_value{of})", "{{indicator}} {{benefit}}"),
        ),
        rows(
            "Deliveries of its municipalities",
            "1: the newest period of the source lacks something.",
            "none",
            'max by (source) (rettidig_source_incomplete{jobcentre="$jobcentre"})',
        ),
    ):
        made = made.with_panel(one)
    return made


def country() -> dashboard.Dashboard:
    made = begun("Rettidig: country", "rettidig-country", "All jobcentres beside each other.")
    indicator = (
        dashboard.QueryVariable("indicator")
        .label("Indicator")
        .query('label_values(rettidig_target_state{area_kind="jobcentre"}, indicator)')
        .datasource(SOURCE)
        .refresh(VariableRefresh.ON_DASHBOARD_LOAD)
    )
    made = made.with_variable(indicator)
    of = '{area_kind="jobcentre",indicator="$indicator"}'
    for one in (
        lines(
            "Jobcentres by state",
            "How many are in each state of their targets.",
            "short",
            (f"sum by (state) (max by (area, benefit, state) (rettidig_target_state{of}))", "{{state}}"),
            span=24,
        ),
        bars(
            "Ranking: value beside the path",
            "Newest value over the value on the path, minus one.",
            "percentunit",
            f"sort_desc(max by (area) (rettidig_target_deviation{of}) / on (area) max by (area) (rettidig_target_expected{of}))",
            "{{area}}",
        ),
        bars(
            "Funnel: where a level lies between its limits",
            "0 is the lower limit of chance, 1 the upper one: small jobcentres have wide limits, so this is comparable.",
            "none",
            f"sort_desc((max by (area) (rettidig_target_level{of}) - on (area) max by (area) (rettidig_target_lower_limit{of}))"
            f" / on (area) (max by (area) (rettidig_target_upper_limit{of}) - on (area) max by (area) (rettidig_target_lower_limit{of})))",
            "{{area}}",
        ),
        rows(
            "Who drifts (afviger fra resultatmålet)",
            "Two periods after one another further from the path than chance explains.",
            "none",
            'max by (area, indicator, benefit) (rettidig_target_state{area_kind="jobcentre",state="drifting"}) == 1',
        ),
    ):
        made = made.with_panel(one)
    return made


def vintages() -> dashboard.Dashboard:
    made = begun(
        "Rettidig: vintages",
        "rettidig-vintages",
        "How official figures change after they first come (efterregistrering), asked of the tables in SQL.",
        "postgres",
    )
    made = made.time("now-90d", "now").refresh("5m")
    chosen = (
        ("indicator", "Indicator", "SELECT DISTINCT indicator FROM vintages ORDER BY indicator"),
        ("area", "Area (område)", "SELECT DISTINCT area FROM vintages WHERE area_kind IN ('country', 'jobcentre') ORDER BY area"),
        ("benefit", "Benefit (ydelse)", "SELECT DISTINCT benefit FROM vintages WHERE indicator = '$indicator' ORDER BY benefit"),
    )
    for name, label, text in chosen:
        variable = dashboard.QueryVariable(name).label(label).query(text).datasource(TABLES)
        made = made.with_variable(variable.refresh(VariableRefresh.ON_DASHBOARD_LOAD))
    of = "indicator = '$indicator' AND area = '$area' AND benefit = '$benefit' AND breakdown = 'total'"
    for kind, title, description, unit, span, form, text in (
        (
            timeseries,
            "Values as they became known",
            "One line a period: each step is a vintage, at the moment from which it was known.",
            "short",
            24,
            "time_series",
            f"""SELECT known_at AS "time", period AS metric, value FROM vintages
                WHERE {of} AND value IS NOT NULL AND known_at BETWEEN $__timeFrom() AND $__timeTo() ORDER BY 1, 2""",
        ),
        (
            table,
            "Revisions (revisioner)",
            "What changed between two vintages of a period, the newest first.",
            "short",
            12,
            "table",
            f"SELECT * FROM revisions WHERE {of} ORDER BY new_known_at DESC, period DESC LIMIT 200",
        ),
        (
            table,
            "How much the newest month usually grows (efterregistrering)",
            "Value at the next release over the first one, with the 5th and the 95th percentile, over the municipal months seen so far.",
            "none",
            12,
            "table",
            "SELECT * FROM settlement ORDER BY indicator, benefit",
        ),
        (
            table,
            "Freshness of the sources (aktualitet)",
            "What each source delivered last, and the official lag that it replaces.",
            "none",
            24,
            "table",
            "SELECT * FROM freshness ORDER BY late DESC, source",
        ),
    ):
        shown = kind.Panel().title(title).description(description).unit(unit).datasource(TABLES).span(span).height(10)
        made = made.with_panel(shown.with_target(Sql(text, form)))
    return made


def files() -> dict[pathlib.Path, str]:
    made = {"operations": operations(), "jobcentre": jobcentre(), "country": country(), "vintages": vintages()}
    encoder = JSONEncoder(sort_keys=True, indent=2, ensure_ascii=False)
    return {FOLDER / f"{name}.json": encoder.encode(one.build()) + "\n" for name, one in made.items()}


def main() -> int:
    wanted = files()
    if sys.argv[1:] == ["--check"]:
        there = {path: path.read_text(encoding="utf-8") for path in FOLDER.glob("*.json")}
        other = sorted(path.name for path in wanted.keys() | there.keys() if wanted.get(path) != there.get(path))
        if other:
            print(f"dashboards: {', '.join(other)} is not what scripts/dashboards.py makes; run it", file=sys.stderr)
        return int(bool(other))
    FOLDER.mkdir(exist_ok=True)
    for path, text in wanted.items():
        path.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
