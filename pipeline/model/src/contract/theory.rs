//! The theory of change: what the goals of integration policy are told by, how they move, and what that may mean.
//!
//! These tables show what goes together in time. None of them says what caused what.

use super::{BENEFIT, Column, Kind, PERIOD, Table, UNIT, column, maybe};

pub(super) const TABLES: &[Table] = &[
    Table {
        name: "theory_figures",
        closed: false,
        description: "What feeds the theory of change (forandringsteori), period by period, for the country",
        grain: &["node", "period"],
        columns: &[
            column("node", Kind::Text, "", "code of the indicator, activity or resource"),
            PERIOD,
            column("period_end", Kind::Date, "", "last day of the period"),
            maybe("value", Kind::Float, "column unit", "the value; null if hidden or missing"),
            UNIT,
            column("status", Kind::Text, "", "final, provisional, incomplete, hidden or missing"),
            column(
                "settled",
                Kind::Boolean,
                "",
                "whether it is final or hidden, and as old as such a figure must be to be whole",
            ),
            maybe(
                "last_year",
                Kind::Float,
                "column unit",
                "value of the same period last year, if both are settled",
            ),
            maybe(
                "change_1y",
                Kind::Float,
                "percent; points if unit is percent",
                "development (udvikling) since last year, if both are settled",
            ),
            maybe(
                "deviation",
                Kind::Float,
                "column unit",
                "standard deviation that chance alone gives the difference; null if no counts are known",
            ),
            maybe(
                "direction",
                Kind::Integer,
                "",
                "1 moved the desired way, -1 the other way, 0 not beyond the thresholds; null if not known",
            ),
            maybe(
                "delivered",
                Kind::Boolean,
                "",
                "whether the activity (aktivitet) was delivered; null if it is none or not known",
            ),
        ],
    },
    Table {
        name: "theory_of_change",
        closed: false,
        description: "The tree of goals (mål), sub-goals (delmål), indicators (indikatorer), activities (aktiviteter) and \
                      resources (ressourcer) with the newest settled figure of each, for the country. It shows what goes \
                      together, never what caused it",
        grain: &["node", "parent"],
        columns: &[
            column("node", Kind::Text, "", "code of the node"),
            column("parent", Kind::Text, "", "goal or sub-goal that it stands under; root for goals"),
            column("place", Kind::Integer, "", "order of the rows as a tree"),
            column("depth", Kind::Integer, "", "levels below the goals"),
            column("kind", Kind::Text, "", "goal, sub_goal, indicator, activity or resource"),
            column("danish", Kind::Text, "", "name in Danish"),
            column("english", Kind::Text, "", "name in English"),
            maybe(
                "chosen_by",
                Kind::Text,
                "",
                "ministry if the ministry named it, else ours; null for goals",
            ),
            maybe("source", Kind::Text, "", "where its figures come from; null for goals"),
            maybe("cadence", Kind::Text, "", "M, Q or Y; null for goals"),
            maybe("owner", Kind::Text, "", "who answers for the figures; null for goals"),
            maybe("lag", Kind::Text, "", "end of period to publication today; null for goals"),
            column("new_collection", Kind::Boolean, "", "whether nobody collects it today"),
            maybe("better", Kind::Text, "", "up, down or none: which way is better; null for goals"),
            maybe(
                "delivered_from",
                Kind::Float,
                "column unit",
                "level from which the activity is delivered; null if it is compared with last year",
            ),
            maybe(
                "indicator",
                Kind::Text,
                "",
                "code of the indicator that feeds it; null if it is not fed yet",
            ),
            Column { nullable: true, ..BENEFIT },
            maybe("breakdown", Kind::Text, "", "what the figure is divided by; total if by nothing"),
            maybe("breakdown_value", Kind::Text, "", "value of the breakdown"),
            maybe("differs", Kind::Text, "", "how what feeds it differs from what it is meant to tell"),
            maybe("not_fed", Kind::Text, "", "why it is not fed yet"),
            maybe(
                "shows_after_months",
                Kind::Integer,
                "months",
                "of activities and resources: how long before a result of the parent they are looked at",
            ),
            maybe("link_source", Kind::Text, "", "who says that it serves the parent"),
            maybe("period", Kind::Text, "", "newest settled period; null if there is none"),
            maybe("period_end", Kind::Date, "", "its last day"),
            maybe("value", Kind::Float, "column unit", "its value; null if hidden"),
            maybe("unit", Kind::Text, "", "unit of the value"),
            maybe("last_year", Kind::Float, "column unit", "value of the same period last year"),
            maybe(
                "change_1y",
                Kind::Float,
                "percent; points if unit is percent",
                "development (udvikling) since last year",
            ),
            maybe(
                "direction",
                Kind::Integer,
                "",
                "1 moved the desired way, -1 the other way, 0 not beyond the thresholds; null if not known",
            ),
            maybe(
                "delivered",
                Kind::Boolean,
                "",
                "whether the activity was delivered; null if it is none or not known",
            ),
            maybe(
                "state",
                Kind::Text,
                "",
                "known, not_fed, missing (nothing settled yet), hidden, outdated or no_comparison (no figure of a year \
                 before); null for goals",
            ),
        ],
    },
    Table {
        name: "goals",
        closed: false,
        description: "Each goal and sub-goal: whether most of its known indicators moved, and a diagnosis beside what was done \
                      for it, for the country. It shows association in time and never claims cause",
        grain: &["node"],
        columns: &[
            column("node", Kind::Text, "", "code of the goal or sub-goal"),
            column("parent", Kind::Text, "", "goal that it stands under; root for goals"),
            column("kind", Kind::Text, "", "goal or sub_goal"),
            column("danish", Kind::Text, "", "name in Danish"),
            column("english", Kind::Text, "", "name in English"),
            column("indicators", Kind::Integer, "count", "its own indicators"),
            column("not_fed", Kind::Integer, "count", "of these, not fed yet"),
            column("known", Kind::Integer, "count", "of these, with a known direction"),
            column("improved", Kind::Integer, "count", "moved the desired way"),
            column("unchanged", Kind::Integer, "count", "did not move beyond the thresholds"),
            column("worsened", Kind::Integer, "count", "moved the other way"),
            maybe(
                "movement",
                Kind::Integer,
                "",
                "1 or -1 if more than half of the known indicators moved that way, each with the same weight, else 0; null \
                 if none is known",
            ),
            column("activities", Kind::Integer, "count", "activities that serve it"),
            column("activities_known", Kind::Integer, "count", "of these, known whether delivered"),
            column("activities_delivered", Kind::Integer, "count", "of these, delivered"),
            maybe(
                "delivered",
                Kind::Boolean,
                "",
                "whether more than half of the known activities are delivered; null if none is known, or half",
            ),
            maybe(
                "delivered_before",
                Kind::Boolean,
                "",
                "the same, so long before each known result that it could show in it",
            ),
            column(
                "diagnosis",
                Kind::Text,
                "",
                "implementation (not delivered), theory (delivered, and no result with it), as_intended (delivered, and the \
                 result with it) or not_yet_knowable; association in time, not cause",
            ),
            maybe(
                "waits_for",
                Kind::Text,
                "",
                "what not_yet_knowable waits for: indicator, activity, or time for the activity to show; else null",
            ),
        ],
    },
];
