//! The two languages of the pages.
//!
//! All texts are Fluent messages under `assets/texts`; both files have the same keys (a test says so). Figures are written as the
//! language writes them: 1.234,5 in Danish, 1,234.5 in English. A word that the texts do not know, such as the unit of an indicator that is
//! new, is shown as it stands in the table rather than not at all.

use std::sync::LazyLock;

use chrono::{DateTime, Datelike, NaiveDate, Utc};
use fluent_bundle::concurrent::FluentBundle;
use fluent_bundle::{FluentArgs, FluentResource};
use unic_langid::LanguageIdentifier;

/// A language of the pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    /// Danish.
    Danish,
    /// English.
    English,
}

type Bundle = FluentBundle<FluentResource>;

static DANISH: LazyLock<Bundle> = LazyLock::new(|| bundle("da", include_str!("../../assets/texts/da.ftl")));
static ENGLISH: LazyLock<Bundle> = LazyLock::new(|| bundle("en", include_str!("../../assets/texts/en.ftl")));

fn bundle(code: &str, text: &str) -> Bundle {
    // The texts are part of the program, and a test reads them all: what is wrong with them never leaves the workshop.
    let resource = FluentResource::try_new(text.to_owned()).unwrap_or_else(|(partial, _)| partial);
    let language: LanguageIdentifier = code.parse().unwrap_or_default();
    let mut bundle = Bundle::new_concurrent(vec![language]);
    bundle.set_use_isolating(false);
    bundle.add_resource_overriding(resource);
    bundle
}

/// A figure without its sign, with its separators: thousands and decimals.
fn separated(digits: &str, thousands: char, decimal: char) -> String {
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in whole.chars().enumerate() {
        if index > 0 && (whole.len() - index) % 3 == 0 {
            text.push(thousands);
        }
        text.push(digit);
    }
    if !fraction.is_empty() {
        text.push(decimal);
        text.push_str(fraction);
    }
    text
}

impl Language {
    /// Both, Danish first.
    pub const ALL: [Self; 2] = [Self::Danish, Self::English];

    /// Its code in addresses and in `lang`.
    pub fn code(self) -> &'static str {
        match self {
            Self::Danish => "da",
            Self::English => "en",
        }
    }

    /// The other one.
    pub fn other(self) -> Self {
        match self {
            Self::Danish => Self::English,
            Self::English => Self::Danish,
        }
    }

    /// The language that a browser asks for first of the two; Danish if it asks for neither.
    pub fn accepted(header: &str) -> Self {
        let mut best = (0.0, Self::Danish);
        for part in header.split(',') {
            let (range, quality) = part.split_once(";q=").unwrap_or((part, "1"));
            let quality: f32 = quality.trim().parse().unwrap_or(0.0);
            let primary = range.trim().split('-').next().unwrap_or_default().to_ascii_lowercase();
            let language = Self::ALL.into_iter().find(|language| language.code() == primary);
            if let Some(language) = language
                && quality > best.0
            {
                best = (quality, language);
            }
        }
        best.1
    }

    fn bundle(self) -> &'static Bundle {
        match self {
            Self::Danish => &DANISH,
            Self::English => &ENGLISH,
        }
    }

    /// A message; `None` if there is none of that key.
    pub fn message(self, key: &str, values: Option<&FluentArgs<'_>>) -> Option<String> {
        let bundle = self.bundle();
        let pattern = bundle.get_message(key)?.value()?;
        let mut errors = Vec::new();
        Some(bundle.format_pattern(pattern, values, &mut errors).into_owned())
    }

    /// A message without values. A key that is not there is shown itself: tests hold that none is missing.
    pub fn text(self, key: &str) -> String {
        self.message(key, None).unwrap_or_else(|| key.to_owned())
    }

    /// A message with values in place of `{ $name }`.
    pub fn with(self, key: &str, values: &[(&str, &str)]) -> String {
        let values: FluentArgs<'_> = values.iter().copied().collect();
        self.message(key, Some(&values)).unwrap_or_else(|| key.to_owned())
    }

    /// The word for a code of a table, `<kind>-<code>`; the code itself, without underscores, if the texts have none.
    pub fn word(self, kind: &str, code: &str) -> String {
        let key: String =
            code.chars().map(|letter| if letter.is_ascii_alphanumeric() { letter } else { '_' }).collect();
        self.message(&format!("{kind}-{key}"), None).unwrap_or_else(|| code.replace('_', " "))
    }

    /// A figure with so many decimals.
    pub fn number(self, value: f64, decimals: usize) -> String {
        let text = format!("{:.decimals$}", value.abs());
        let negative = value < 0.0 && text.bytes().any(|byte| (b'1'..=b'9').contains(&byte));
        let text = match self {
            Self::Danish => separated(&text, '.', ','),
            Self::English => separated(&text, ',', '.'),
        };
        // A true minus: a hyphen may be broken from its figure at the end of a line.
        if negative { format!("\u{2212}{text}") } else { text }
    }

    /// A figure with the decimals that its unit is usually told with.
    pub fn figure(self, value: f64, unit: &str) -> String {
        self.number(value, decimals(value, unit))
    }

    /// A computed figure: of counts in whole ones, since their decimals tell nothing.
    pub fn rounded(self, value: f64, unit: &str) -> String {
        match unit {
            "percent" | "weeks" => self.figure(value, unit),
            _ => self.number(value, 0),
        }
    }

    /// A difference, with its sign.
    pub fn change(self, value: f64, decimals: usize) -> String {
        let text = self.number(value, decimals);
        if value > 0.0 && text.bytes().any(|byte| (b'1'..=b'9').contains(&byte)) {
            format!("+{text}")
        } else {
            text
        }
    }

    /// A probability: small ones as "below 0.001", since their digits say nothing.
    pub fn probability(self, value: f64) -> String {
        if value < 0.001 {
            format!("< {}", self.number(0.001, 3))
        } else if value > 0.999 {
            format!("> {}", self.number(0.999, 3))
        } else {
            self.number(value, 3)
        }
    }

    /// A day: 23. august 2026, 23 August 2026.
    pub fn date(self, date: NaiveDate) -> String {
        let (day, month, year) = (date.day(), self.month(date.month()), date.year());
        match self {
            Self::Danish => format!("{day}. {month} {year}"),
            Self::English => format!("{day} {month} {year}"),
        }
    }

    /// An instant, to the minute.
    pub fn instant(self, at: DateTime<Utc>) -> String {
        let date = self.date(at.date_naive());
        match self {
            Self::Danish => format!("{date} kl. {} UTC", at.format("%H.%M")),
            Self::English => format!("{date} {} UTC", at.format("%H:%M")),
        }
    }

    fn month(self, number: u32) -> String {
        self.text(&format!("month-{number}"))
    }

    /// A reference period: juli 2026, 2. kvartal 2026, januar-juni 2026, 2026.
    pub fn period(self, period: &str) -> String {
        let spoken = period.split_once('-').and_then(|(year, part)| match part.split_at_checked(1)? {
            ("Q", quarter) => Some(self.with("quarter-of", &[("quarter", quarter), ("year", year)])),
            ("H", half @ ("1" | "2")) => Some(self.with(&format!("half-of-{half}"), &[("year", year)])),
            _ => {
                let number: u32 = part.parse().ok().filter(|number| (1..=12).contains(number))?;
                Some(format!("{} {year}", self.month(number)))
            }
        });
        spoken.unwrap_or_else(|| period.to_owned())
    }

    /// How long ago, in the unit that says it best.
    pub fn age(self, seconds: i64) -> String {
        let (key, count) = match seconds {
            ..120 => ("age-seconds", seconds),
            120..7_200 => ("age-minutes", seconds / 60),
            7_200..172_800 => ("age-hours", seconds / 3_600),
            _ => ("age-days", seconds / 86_400),
        };
        let count = self.number(f64::from(i32::try_from(count).unwrap_or(i32::MAX)), 0);
        self.with(key, &[("count", &count)])
    }
}

/// Decimals with which a figure of a unit is told: shares and durations with one, money and whole counts with none.
pub fn decimals(value: f64, unit: &str) -> usize {
    match unit {
        "kr." => 0,
        "percent" | "weeks" | "percentage points" => 1,
        "percent of the labour force" => 2,
        "mio. kr." => 1,
        _ if value.fract().abs() < 1e-9 => 0,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn keys(text: &str) -> BTreeSet<&str> {
        let named = text.lines().filter(|line| line.starts_with(|first: char| first.is_ascii_lowercase()));
        named.filter_map(|line| line.split_once(" =")).map(|(key, _)| key).collect()
    }

    #[test]
    fn both_languages_have_the_same_keys_and_the_files_are_sound() {
        let [danish, english] =
            [include_str!("../../assets/texts/da.ftl"), include_str!("../../assets/texts/en.ftl")];
        for (language, text) in [(Language::Danish, danish), (Language::English, english)] {
            assert!(FluentResource::try_new(text.to_owned()).is_ok(), "{language:?}: no sound Fluent file");
            let found = keys(text);
            assert!(found.len() > 100, "{language:?}: {} keys", found.len());
            assert_eq!(
                found.len(),
                text.lines()
                    .filter(|line| line.starts_with(|first: char| first.is_ascii_lowercase()))
                    .count(),
                "{language:?}: a key twice"
            );
            for key in &found {
                assert!(
                    language.message(key, None).is_some_and(|text| !text.trim().is_empty()),
                    "{language:?}: {key} says nothing"
                );
            }
        }
        let (danish, english) = (keys(danish), keys(english));
        assert_eq!(danish.symmetric_difference(&english).collect::<Vec<_>>(), Vec::<&&str>::new());
    }

    #[test]
    fn every_state_of_the_tables_has_a_word() {
        let known: &[(&str, &[&str])] = &[
            ("status", &["final", "provisional", "incomplete", "hidden", "missing"]),
            ("target", &["on_track", "drifting", "insufficient", "incomplete", "source_late"]),
            ("local", &["reached", "on_path", "behind", "provisional", "incomplete", "not_known"]),
            ("kind", &["municipality", "jobcentre", "cluster", "region", "country"]),
            ("cause", &["first", "late", "correction", "official_release", "definition"]),
            ("completeness", &["complete", "incomplete"]),
            ("node", &["known", "not_fed", "missing", "hidden", "outdated", "no_comparison"]),
            ("diagnosis", &["implementation", "theory", "as_intended", "not_yet_knowable"]),
            (
                "unit",
                &[
                    "persons",
                    "full-time persons",
                    "percent",
                    "spells",
                    "weeks",
                    "kr.",
                    "interviews",
                    "tests",
                    "decisions",
                ],
            ),
            ("guard", &["reached", "reached_without_hardest", "not_reached", "not_yet_knowable"]),
        ];
        for language in Language::ALL {
            for (kind, codes) in known {
                for code in *codes {
                    let key = format!(
                        "{kind}-{}",
                        code.replace(|letter: char| !letter.is_ascii_alphanumeric(), "_")
                    );
                    assert!(language.message(&key, None).is_some(), "{language:?}: {key} is missing");
                }
            }
        }
        assert_eq!(
            Language::Danish.word("unit", "brand_new"),
            "brand new",
            "an unknown code is shown, not refused"
        );
    }

    #[test]
    fn figures_are_written_as_the_language_writes_them() {
        let (danish, english) = (Language::Danish, Language::English);
        assert_eq!(danish.number(1_234_567.25, 1), "1.234.567,2");
        assert_eq!(english.number(1_234_567.25, 1), "1,234,567.2");
        assert_eq!(danish.number(-999.0, 0), "\u{2212}999");
        assert_eq!(danish.number(-0.04, 1), "0,0", "no minus before nothing");
        assert_eq!(danish.change(2.5, 1), "+2,5");
        assert_eq!(danish.change(0.0, 1), "0,0");
        assert_eq!(english.figure(82.0, "full-time persons"), "82");
        assert_eq!(english.figure(82.26, "full-time persons"), "82.3");
        assert_eq!(danish.rounded(4.96, "percent"), "5,0");
        assert_eq!(danish.rounded(2888.91, "persons"), "2.889");
        assert_eq!(danish.probability(3e-45), "< 0,001");
        assert_eq!(danish.period("2026-07"), "juli 2026");
        assert_eq!(english.period("2026-Q2"), "Q2 2026");
        assert_eq!(danish.period("2026-Q2"), "2. kvartal 2026");
        assert_eq!(english.period("2026-H1"), "January–June 2026");
        assert_eq!(danish.period("2026-H2"), "juli–december 2026");
        assert_eq!(danish.period("2026-H3"), "2026-H3");
        assert_eq!(english.period("2026"), "2026");
        assert_eq!(english.period("2026-13"), "2026-13", "what is no period is shown as it is");
        let day = NaiveDate::from_ymd_opt(2026, 8, 3).expect("a day");
        assert_eq!(danish.date(day), "3. august 2026");
        assert_eq!(english.date(day), "3 August 2026");
    }

    #[test]
    fn a_browser_gets_its_language_and_else_danish() {
        assert_eq!(Language::accepted("en-GB,en;q=0.9,da;q=0.8"), Language::English);
        assert_eq!(Language::accepted("de,da;q=0.7,en;q=0.3"), Language::Danish);
        assert_eq!(Language::accepted("fr"), Language::Danish);
        assert_eq!(Language::accepted(""), Language::Danish);
        assert_eq!(Language::accepted("en;q=0"), Language::Danish);
    }
}
