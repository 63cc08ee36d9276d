//! What has arrived, and when: the tables about the sources themselves.

use super::{AREA, Kind, PERIOD, Table, column, maybe};

pub(super) const TABLES: &[Table] = &[
    Table {
        name: "rhythms",
        closed: false,
        description: "When each source delivered last, and when its next delivery is overdue by its own habit",
        grain: &["source"],
        columns: &[
            column("source", Kind::Text, "", "delivering system and table"),
            column("newest_delivery", Kind::Instant, "", "when its newest delivery came"),
            column("newest_period_end", Kind::Date, "", "last day of the newest period in its deliveries"),
            maybe(
                "usual_days",
                Kind::Integer,
                "days",
                "95th percentile of the days between two deliveries; null until 21 days of deliveries are known",
            ),
            maybe("next_due", Kind::Date, "", "when the next one is overdue; null until the habit is known"),
        ],
    },
    Table {
        name: "completeness",
        closed: false,
        description: "What has arrived of what is expected, per source, area and period of the last 400 days",
        grain: &["source", "area", "period"],
        columns: &[
            column("source", Kind::Text, "", "delivering system and table"),
            AREA,
            PERIOD,
            column(
                "expected",
                Kind::Integer,
                "figures, or records in tens",
                "the most that one of this period and the two before it had; of a municipality's own system what the \
                 twelve months before usually had by then",
            ),
            column("received", Kind::Integer, "figures, or records in tens", "what has arrived"),
            maybe("ratio", Kind::Float, "ratio", "received over expected; null below ten records"),
            column("state", Kind::Text, "", "complete or incomplete"),
        ],
    },
    Table {
        name: "freshness",
        closed: false,
        description: "How old each source is and whether its next period or delivery is overdue",
        grain: &["source"],
        columns: &[
            column("source", Kind::Text, "", "delivering system and table"),
            column(
                "newest_event",
                Kind::Instant,
                "",
                "when its newest figure was retrieved, its newest records delivered",
            ),
            maybe("newest_delivery", Kind::Instant, "", "when its newest delivery ended"),
            maybe(
                "published",
                Kind::Instant,
                "",
                "when the publisher published it; null if it is no publisher",
            ),
            column(
                "age_seconds",
                Kind::Integer,
                "seconds",
                "age of the newest event when the epoch was evaluated",
            ),
            maybe(
                "official_lag_days",
                Kind::Integer,
                "days",
                "the official lag that it replaces: end of period to publication; null if it replaces none",
            ),
            column("newest_period_end", Kind::Date, "", "last day of the newest period"),
            maybe(
                "next_due",
                Kind::Date,
                "",
                "when the next period or delivery is overdue; null until a habit is known",
            ),
            column("late", Kind::Boolean, "", "whether that day is over at the as-of date"),
        ],
    },
];
