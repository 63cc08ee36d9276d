//! The templates, and what they may call: texts, words for codes, and figures as the language writes them.
//!
//! Templates are compiled in and escape whatever they are given; only charts, which this program draws, go in as they are. A template that
//! asks for what is not there fails, and a test renders each.

use std::sync::LazyLock;

use chrono::{DateTime, NaiveDate, Utc};
use fluent_bundle::FluentArgs;
use fluent_bundle::types::FluentValue;
use minijinja::value::{Kwargs, Value};
use minijinja::{Environment, Error, ErrorKind, UndefinedBehavior};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::texts::Language;

static DANISH: LazyLock<Environment<'static>> = LazyLock::new(|| environment(Language::Danish));
static ENGLISH: LazyLock<Environment<'static>> = LazyLock::new(|| environment(Language::English));

/// Every template: its name and text.
pub(crate) const TEMPLATES: [(&str, &str); 12] = [
    ("base.html", include_str!("../../assets/templates/base.html")),
    ("macros.html", include_str!("../../assets/templates/macros.html")),
    ("start.html", include_str!("../../assets/templates/start.html")),
    ("find.html", include_str!("../../assets/templates/find.html")),
    ("jobcentre.html", include_str!("../../assets/templates/jobcentre.html")),
    ("compare.html", include_str!("../../assets/templates/compare.html")),
    ("compose.html", include_str!("../../assets/templates/compose.html")),
    ("theory.html", include_str!("../../assets/templates/theory.html")),
    ("tables.html", include_str!("../../assets/templates/tables.html")),
    ("table.html", include_str!("../../assets/templates/table.html")),
    ("about.html", include_str!("../../assets/templates/about.html")),
    ("error.html", include_str!("../../assets/templates/error.html")),
];

/// A page as HTML.
///
/// # Errors
/// If a template is broken, which is a fault of ours.
pub(crate) fn render(language: Language, template: &str, context: Value) -> Result<String, Error> {
    let environment = match language {
        Language::Danish => &*DANISH,
        Language::English => &*ENGLISH,
    };
    environment.get_template(template)?.render(context)
}

/// One part of a query string, safe to stand in a link.
pub(crate) fn encoded(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

fn environment(language: Language) -> Environment<'static> {
    let mut env = Environment::new();
    env.set_undefined_behavior(UndefinedBehavior::Strict);
    for (name, text) in TEMPLATES {
        // A broken template shows itself when it is asked for; a test asks for all.
        let _ = env.add_template(name, text);
    }
    env.add_function("t", move |key: &str, values: Kwargs| text(language, key, &values));
    env.add_function("word", move |kind: &str, code: &str| language.word(kind, code));
    env.add_filter("number", move |value: f64, decimals: usize| language.number(value, decimals));
    env.add_filter("figure", move |value: f64, unit: &str| language.figure(value, unit));
    env.add_filter("rounded", move |value: f64, unit: &str| language.rounded(value, unit));
    env.add_filter("change", move |value: f64, decimals: usize| language.change(value, decimals));
    env.add_filter("probability", move |value: f64| language.probability(value));
    env.add_filter("period", move |period: &str| language.period(period));
    env.add_filter("age", move |seconds: i64| language.age(seconds));
    env.add_filter("date", move |text: &str| {
        let date = NaiveDate::parse_from_str(text, "%Y-%m-%d");
        date.map(|date| language.date(date)).map_err(|error| refused(format!("{text:?} is no day: {error}")))
    });
    env.add_filter("instant", move |text: &str| {
        let at = DateTime::parse_from_rfc3339(text);
        at.map(|at| language.instant(at.with_timezone(&Utc)))
            .map_err(|error| refused(format!("{text:?} is no instant: {error}")))
    });
    env.add_filter("encoded", |text: &str| encoded(text));
    env
}

fn refused(message: String) -> Error {
    Error::new(ErrorKind::InvalidOperation, message)
}

/// A message; values are texts that are shown as they are, or whole numbers, which also choose between singular and plural.
fn text(language: Language, key: &str, values: &Kwargs) -> Result<String, Error> {
    let mut given = FluentArgs::new();
    let names: Vec<String> = values.args().map(str::to_owned).collect();
    for name in names {
        let value: Value = values.get(&name)?;
        let value = match i64::try_from(value.clone()) {
            Ok(number) => FluentValue::from(number),
            Err(_) => FluentValue::from(value.to_string()),
        };
        given.set(name, value);
    }
    language
        .message(key, Some(&given))
        .ok_or_else(|| refused(format!("there is no text {key:?} in {}", language.code())))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Keys that a template asks for by name.
    fn keys_of(text: &str) -> Vec<&str> {
        let mut keys: Vec<&str> =
            text.split("t(\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
        // A key that ends so is put together with a code; the words for codes have a test of their own.
        keys.retain(|key| !key.ends_with('-'));
        keys
    }

    #[test]
    fn every_text_that_a_template_asks_for_is_there() {
        let mut asked = 0;
        for (name, text) in TEMPLATES {
            for key in keys_of(text) {
                asked += 1;
                for language in Language::ALL {
                    let there = language.message(key, None).is_some();
                    assert!(there, "{name} asks for {key:?}, which {} does not have", language.code());
                }
            }
        }
        assert!(asked > 100, "only {asked} texts found: does the search still work?");
    }

    #[test]
    fn every_template_compiles_in_both_languages() {
        for language in Language::ALL {
            let env = environment(language);
            for (name, text) in TEMPLATES {
                assert!(env.get_template(name).is_ok(), "{name}: {:?}", env.template_from_str(text).err());
            }
        }
    }

    #[test]
    fn no_template_has_styles_scripts_or_handlers_of_its_own() {
        for (name, text) in TEMPLATES {
            for forbidden in [
                "<script",
                "<style",
                " style=",
                " onclick=",
                " onload=",
                "javascript:",
                "http://",
                "https://",
            ] {
                assert!(
                    !text.contains(forbidden),
                    "{name} has {forbidden:?}, which the content security policy refuses"
                );
            }
            for (place, _) in text.match_indices("|safe") {
                let before = &text[..place];
                let around = before.chars().rev().take(40).collect::<String>();
                assert!(before.ends_with("svg"), "{name}: only charts go in unescaped: {around:?} backwards");
            }
        }
    }
}
