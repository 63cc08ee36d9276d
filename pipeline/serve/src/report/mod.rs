//! The overview report of a jobcentre, as PDF and as a Word document.
//!
//! [`Document`] says what stands in it: texts, tables, charts, in one language. [`pdf`] and [`docx`] set it. Both read nothing but the document:
//! no file, no network, no clock.

mod docx;
mod pdf;

use chrono::{DateTime, NaiveDate, Utc};
use serde::Serialize;
use thiserror::Error;

use crate::pages::Overview;
use crate::pages::texts::Language;

pub use docx::docx;
pub use pdf::pdf;

/// Font of the reports and of the charts in them; it is part of the program.
pub const FONT: &str = "Libertinus Serif";

/// A report could not be set.
#[derive(Debug, Error)]
#[error("setting a report: {0}")]
pub struct ReportError(pub(crate) String);

/// The epoch that a report is made of.
#[derive(Debug, Clone, Copy)]
pub struct Made {
    /// Its number.
    pub epoch: u64,
    /// The civil date it was evaluated for.
    pub as_of: NaiveDate,
    /// When it was committed.
    pub committed_at: DateTime<Utc>,
}

/// Part of a section.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Block {
    /// A paragraph.
    Text {
        /// It.
        text: String,
    },
    /// A table; its first column names the rows.
    Table {
        /// What it shows.
        caption: String,
        /// Names of the columns.
        head: Vec<String>,
        /// The rows, each as long as the head.
        rows: Vec<Vec<String>>,
    },
    /// A chart.
    Chart {
        /// What it shows.
        caption: String,
        /// The same for who does not see it.
        alt: String,
        /// It.
        svg: String,
    },
}

/// A heading and what stands below it.
#[derive(Debug, Clone, Serialize)]
pub struct Section {
    /// The heading.
    pub title: String,
    /// What stands below it.
    pub blocks: Vec<Block>,
}

/// A report.
#[derive(Debug, Clone, Serialize)]
pub struct Document {
    /// Code of the language.
    pub lang: &'static str,
    /// Title.
    pub title: String,
    /// Below the title.
    pub subtitle: String,
    /// The epoch, in words; at the foot of every page.
    pub made: String,
    /// The word for a page number.
    pub page: String,
    /// The sections.
    pub sections: Vec<Section>,
}

impl Document {
    /// The report of a jobcentre.
    pub(crate) fn of(language: Language, overview: &Overview, made: &Made) -> Self {
        let text = |key: &str| language.text(key);
        let values = [
            ("epoch", made.epoch.to_string()),
            ("as_of", language.date(made.as_of)),
            ("committed", language.instant(made.committed_at)),
        ];
        let values: Vec<(&str, &str)> = values.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let members: Vec<&str> = overview.municipalities.iter().map(|(_, name)| name.as_str()).collect();
        let subtitle = [
            ("cluster", overview.cluster.as_str()),
            ("region", &overview.region_name),
            ("members", &members.join(", ")),
        ];
        Self {
            lang: language.code(),
            title: language.with("report-title", &[("name", &overview.name)]),
            subtitle: language.with("report-subtitle", &subtitle),
            made: language.with("report-made", &values),
            page: text("report-page"),
            sections: vec![
                targets(language, overview),
                scorecard(language, overview),
                local_targets(language, overview),
                revisions(language, overview),
                deliveries(language, overview),
                Section {
                    title: text("report-method"),
                    blocks: vec![Block::Text { text: text("report-method-text") }],
                },
            ],
        }
    }
}

/// A figure, or why there is none; a figure that may still change says so.
fn figure(language: Language, value: Option<f64>, unit: &str, status: &str) -> String {
    match (value, status) {
        (None, _) => language.word("status", status),
        (Some(value), "final") => language.figure(value, unit),
        (Some(value), _) => format!("{} ({})", language.figure(value, unit), language.word("status", status)),
    }
}

fn or_dash(text: Option<String>) -> String {
    text.unwrap_or_else(|| "\u{2013}".to_owned())
}

fn table(language: Language, caption: String, head: &[&str], rows: Vec<Vec<String>>) -> Block {
    if rows.is_empty() {
        return Block::Text { text: language.text("nothing-here") };
    }
    Block::Table { caption, head: head.iter().map(|key| language.text(key)).collect(), rows }
}

fn targets(language: Language, overview: &Overview) -> Section {
    let mut blocks = vec![Block::Text { text: language.text("targets-explained") }];
    let rows = overview.targets.iter().map(|target| {
        let newest = &target.newest;
        let limit = if newest.direction == "down" { newest.upper_limit } else { newest.lower_limit };
        let of = |value: Option<f64>| or_dash(value.map(|value| language.rounded(value, &target.unit)));
        vec![
            format!("{}, {}", target.name, language.period(&newest.period)),
            figure(language, newest.value, &target.unit, &newest.status),
            of(newest.level),
            of(newest.expected_level),
            of(limit),
            language.figure(newest.target_value, &target.unit),
            language.word("target", &newest.state),
        ]
    });
    let head = [
        "column-target",
        "column-value",
        "column-level",
        "column-expected",
        "column-limit",
        "column-goal",
        "column-state",
    ];
    blocks.push(table(language, language.text("targets"), &head, rows.collect()));
    for target in &overview.targets {
        blocks.push(Block::Text { text: format!("{}: {}", target.name, target.said) });
        blocks.push(Block::Chart {
            caption: language.with("chart-target-title", &[("name", &target.name)]),
            alt: target.said.clone(),
            svg: target.svg.clone(),
        });
    }
    Section { title: language.text("targets"), blocks }
}

fn scorecard(language: Language, overview: &Overview) -> Section {
    let title = language.text("scorecard");
    let Some(card) = &overview.scorecard else {
        return Section { title, blocks: vec![Block::Text { text: language.text("nothing-here") }] };
    };
    let rows = card.measures.iter().map(|measure| {
        let level =
            |value: Option<f64>| or_dash(value.map(|value| language.figure(value, measure.level_unit)));
        let arrow = measure
            .arrow
            .map(|arrow| language.text(["arrow-worse", "arrow-same", "arrow-better"][place(arrow)]));
        let disc = measure.tercile.map(|tercile| language.word("tercile", &tercile.to_string()));
        vec![
            language.text(&format!("measure-{}", measure.key)),
            figure(language, measure.own, measure.unit, &measure.status),
            or_dash(measure.last_year.map(|value| language.figure(value, measure.unit))),
            or_dash(arrow),
            level(measure.level),
            level(measure.cluster_mean),
            or_dash(disc),
        ]
    });
    let head = [
        "column-result",
        "column-own",
        "column-last-year",
        "column-development",
        "column-own-level",
        "column-cluster",
        "column-third",
    ];
    let values = [("benefit", card.benefit_name.as_str()), ("period", &language.period(&card.period))];
    let caption = language.with("scorecard-caption", &values);
    Section { title, blocks: vec![table(language, caption, &head, rows.collect())] }
}

/// Place of -1, 0 or 1 among three.
fn place(arrow: i64) -> usize {
    match arrow {
        ..0 => 0,
        0 => 1,
        1.. => 2,
    }
}

fn local_targets(language: Language, overview: &Overview) -> Section {
    let rows = overview.local_targets.iter().map(|row| {
        vec![
            format!(
                "{}, {} ({}, {})",
                row.name,
                row.benefit_name,
                row.area_name,
                language.period(&row.period)
            ),
            figure(language, row.value, &row.unit, &row.status),
            language.figure(row.expected, &row.unit),
            language.figure(row.target_value, &row.unit),
            language.word("local", &row.state),
        ]
    });
    let head = ["column-target", "column-value", "column-path", "column-goal", "column-state"];
    let title = language.text("local-targets");
    Section { blocks: vec![table(language, title.clone(), &head, rows.collect())], title }
}

fn revisions(language: Language, overview: &Overview) -> Section {
    let settling = overview.settling.iter().map(|row| {
        let of = |value: Option<f64>| or_dash(value.map(|value| language.rounded(value, &row.unit)));
        vec![
            format!("{}, {}", row.name, language.period(&row.period)),
            figure(language, row.value, &row.unit, &row.status),
            of(row.settled_estimate),
            of(row.settled_low),
            of(row.settled_high),
        ]
    });
    let revised = overview.revisions.iter().map(|row| {
        let of = |value: Option<f64>| or_dash(value.map(|value| language.figure(value, &row.unit)));
        let known = DateTime::parse_from_rfc3339(&row.new_known_at).map(|at| language.date(at.date_naive()));
        vec![
            format!("{}, {}", row.name, language.period(&row.period)),
            of(row.old),
            of(row.new),
            known.unwrap_or_else(|_| row.new_known_at.clone()),
            language.word("cause", &row.cause),
        ]
    });
    let head = ["column-figure", "column-value", "column-settles", "column-low", "column-high"];
    let changed = ["column-figure", "column-before", "column-after", "column-known", "column-cause"];
    let blocks = vec![
        table(language, language.text("settling"), &head, settling.collect()),
        table(language, language.text("revisions"), &changed, revised.collect()),
    ];
    Section { title: language.text("vintages"), blocks }
}

fn deliveries(language: Language, overview: &Overview) -> Section {
    let rows = overview.deliveries.iter().map(|row| {
        let (whole, known) = row.cells.iter().flatten().fold((0_u32, 0_u32), |(whole, known), cell| {
            (whole + u32::from(cell.state == "complete"), known + 1)
        });
        let missing: Vec<String> = row
            .cells
            .iter()
            .zip(&overview.periods)
            .filter(|(cell, _)| cell.as_ref().is_some_and(|cell| cell.state != "complete"))
            .map(|(_, period)| language.period(period))
            .collect();
        vec![
            row.source.clone(),
            row.area_name.clone(),
            language.with("whole-of", &[("whole", &whole.to_string()), ("known", &known.to_string())]),
            if missing.is_empty() { language.text("nothing-missing") } else { missing.join(", ") },
        ]
    });
    let head = ["column-source", "column-municipality", "column-complete", "column-incomplete"];
    let title = language.text("completeness");
    Section { blocks: vec![table(language, title.clone(), &head, rows.collect())], title }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A document with what is hard: markup of both formats, and a chart.
    pub(super) fn document() -> Document {
        let svg = "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"40\" height=\"20\" viewBox=\"0 0 40 20\">\
                   <rect x=\"1\" y=\"1\" width=\"30\" height=\"10\" fill=\"#0B579E\"/><text x=\"2\" y=\"18\" font-size=\"6\">17.307</text></svg>";
        let blocks = vec![
            Block::Text { text: "#panic(\"no\") <b>&amp; $x$ _a_".to_owned() },
            Block::Table {
                caption: "Tabel".to_owned(),
                head: vec!["Navn".to_owned(), "Tal".to_owned()],
                rows: vec![
                    vec!["København".to_owned(), "16.981".to_owned()],
                    vec!["Læsø".to_owned(), "diskretioneret".to_owned()],
                ],
            },
            Block::Chart { caption: "Figur".to_owned(), alt: "Vejen".to_owned(), svg: svg.to_owned() },
        ];
        Document {
            lang: "da",
            title: "Overblik: København".to_owned(),
            subtitle: "Klynge 2".to_owned(),
            made: "Epoke 6".to_owned(),
            page: "Side".to_owned(),
            sections: vec![Section { title: "Resultatmål".to_owned(), blocks }],
        }
    }

    #[test]
    fn a_pdf_is_tagged_and_the_same_twice() {
        let made = pdf(&document()).expect("a PDF");
        assert_eq!(&made[..5], b"%PDF-");
        let text = String::from_utf8_lossy(&made);
        assert!(text.contains("/StructTreeRoot"), "not tagged");
        assert!(text.contains("/Lang"), "no language");
        assert_eq!(made, pdf(&document()).expect("a PDF"), "the same document is the same file");
    }

    #[test]
    fn a_word_document_holds_texts_as_they_are_and_the_chart_as_a_picture() {
        let made = docx(&document()).expect("a document");
        assert_eq!(&made[..2], b"PK");
        assert!(made.windows(4).any(|bytes| bytes == b"word"));
    }
}
