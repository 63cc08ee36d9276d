//! Reads profiles strictly: every error of a file at once, each with the path of its key.
//!
//! A profile is YAML. An unknown key is an error that names the nearest known one, because a misspelt key
//! that is silently ignored would silently drop figures. Values are never repeated in an error text: a token
//! pasted into the wrong place must not reach a log.

use std::fmt;

use reqwest::Url;
use serde_yaml_ng::{Mapping, Value};

use crate::http::HttpLimits;

/// What is wrong with a profile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProfileError {
    /// The source whose profile it is.
    pub source: String,
    /// One text an error, each opening with the path of its key.
    pub errors: Vec<String>,
}

impl fmt::Display for ProfileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "profile of {}", self.source)?;
        for error in &self.errors {
            write!(f, "\n  {error}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ProfileError {}

/// The nearest of some names, if any is near enough to be meant.
pub(crate) fn nearest<'n>(name: &str, known: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    known
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(name, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= 1 + candidate.len().max(name.len()) / 3)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Collects the errors of one file.
#[derive(Debug, Default)]
pub(crate) struct Errors(Vec<String>);

impl Errors {
    pub(crate) fn add(&mut self, path: &str, message: impl fmt::Display) {
        let path = if path.is_empty() { "(top level)" } else { path };
        self.0.push(format!("{path}: {message}"));
    }

    pub(crate) fn into_result<T>(self, source: &str, value: Option<T>) -> Result<T, ProfileError> {
        match value {
            Some(value) if self.0.is_empty() => Ok(value),
            _ => Err(ProfileError { source: source.to_owned(), errors: self.0 }),
        }
    }
}

/// Parses the text; `None` if it is no YAML, with the error noted.
pub(crate) fn parse(text: &str, errors: &mut Errors) -> Option<Value> {
    match serde_yaml_ng::from_str(text) {
        Ok(value) => Some(value),
        Err(error) => {
            let place = error
                .location()
                .map_or(String::new(), |at| format!(" at line {}, column {}", at.line(), at.column()));
            errors.add("", format!("not YAML, or a key stands twice{place}"));
            None
        }
    }
}

/// One map of the file. A missing or ill-typed value is noted and read as a harmless default, so that the
/// reading goes on to the next error.
pub(crate) struct Section<'v> {
    path: String,
    map: Option<&'v Mapping>,
}

impl<'v> Section<'v> {
    /// Opens a map; keys other than `known` are errors.
    pub(crate) fn open(value: &'v Value, path: &str, known: &[&str], errors: &mut Errors) -> Self {
        let section = Self::open_free(value, path, errors);
        for key in section.keys() {
            if !known.contains(&key.as_str()) {
                let hint = nearest(&key, known.iter().copied()).map_or_else(
                    || format!("known: {}", known.join(", ")),
                    |near| format!("nearest known: {near}"),
                );
                errors.add(&section.at(&key), format!("unknown key; {hint}"));
            }
        }
        section
    }

    /// Opens a map whose keys are the user's.
    pub(crate) fn open_free(value: &'v Value, path: &str, errors: &mut Errors) -> Self {
        let map = value.as_mapping();
        if map.is_none() {
            errors.add(path, "expected a map of keys");
        }
        for key in map.into_iter().flat_map(Mapping::keys) {
            if scalar(key).is_none() {
                errors.add(path, "expected texts as keys");
            }
        }
        Self { path: path.to_owned(), map }
    }

    pub(crate) fn keys(&self) -> Vec<String> {
        self.map.into_iter().flat_map(Mapping::keys).filter_map(scalar).collect()
    }

    /// The path of a key.
    pub(crate) fn at(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    pub(crate) fn get(&self, key: &str) -> Option<&'v Value> {
        let value = self.map?.iter().find(|(k, _)| scalar(k).as_deref() == Some(key))?.1;
        (!value.is_null()).then_some(value)
    }

    fn required(&self, key: &str, errors: &mut Errors) -> Option<&'v Value> {
        let value = self.get(key);
        if value.is_none() && self.map.is_some() {
            errors.add(&self.at(key), "missing");
        }
        value
    }

    /// A text; numbers count as texts, because codes look like them.
    pub(crate) fn text(&self, key: &str, errors: &mut Errors) -> String {
        self.required(key, errors).map(|value| as_text(value, &self.at(key), errors)).unwrap_or_default()
    }

    pub(crate) fn text_or(&self, key: &str, default: &str, errors: &mut Errors) -> String {
        self.get(key).map_or_else(|| default.to_owned(), |value| as_text(value, &self.at(key), errors))
    }

    pub(crate) fn text_maybe(&self, key: &str, errors: &mut Errors) -> Option<String> {
        self.get(key).map(|value| as_text(value, &self.at(key), errors))
    }

    /// One text or a list of texts; empty if the key is not there.
    pub(crate) fn texts(&self, key: &str, errors: &mut Errors) -> Vec<String> {
        match self.get(key) {
            None => Vec::new(),
            Some(Value::Sequence(items)) => items
                .iter()
                .enumerate()
                .map(|(index, item)| as_text(item, &format!("{}[{index}]", self.at(key)), errors))
                .collect(),
            Some(value) => vec![as_text(value, &self.at(key), errors)],
        }
    }

    /// As [`Section::texts`], with at least one.
    pub(crate) fn texts_required(&self, key: &str, errors: &mut Errors) -> Vec<String> {
        let texts = self.texts(key, errors);
        if texts.is_empty() && self.map.is_some() {
            errors.add(&self.at(key), "missing; expected a text or a list of texts");
        }
        texts
    }

    /// A map from text to text, in the order of the file; empty if the key is not there.
    pub(crate) fn text_map(&self, key: &str, errors: &mut Errors) -> Vec<(String, String)> {
        let Some(value) = self.get(key) else { return Vec::new() };
        let section = Section::open_free(value, &self.at(key), errors);
        section.keys().into_iter().map(|name| (name.clone(), section.text(&name, errors))).collect()
    }

    pub(crate) fn flag(&self, key: &str, errors: &mut Errors) -> bool {
        match self.get(key) {
            None => false,
            Some(Value::Bool(flag)) => *flag,
            Some(_) => {
                errors.add(&self.at(key), "expected true or false");
                false
            }
        }
    }

    pub(crate) fn number(
        &self,
        key: &str,
        default: u64,
        range: std::ops::RangeInclusive<u64>,
        errors: &mut Errors,
    ) -> u64 {
        let Some(value) = self.get(key) else { return default };
        match value.as_u64().filter(|number| range.contains(number)) {
            Some(number) => number,
            None => {
                let (low, high) = range.into_inner();
                errors.add(&self.at(key), format!("expected a whole number from {low} to {high}"));
                default
            }
        }
    }

    /// The items of a list with their paths; `required` ones must be there and not be empty.
    pub(crate) fn items(&self, key: &str, required: bool, errors: &mut Errors) -> Vec<(String, &'v Value)> {
        match self.get(key) {
            Some(Value::Sequence(items)) if !(required && items.is_empty()) => items
                .iter()
                .enumerate()
                .map(|(index, item)| (format!("{}[{index}]", self.at(key)), item))
                .collect(),
            None if !required || self.map.is_none() => Vec::new(),
            None => {
                errors.add(&self.at(key), "missing; expected a list");
                Vec::new()
            }
            Some(_) => {
                errors.add(&self.at(key), "expected a list with at least one item");
                Vec::new()
            }
        }
    }

    /// A time of day, `HH:MM`.
    pub(crate) fn time_of_day(&self, key: &str, default: &str, errors: &mut Errors) -> chrono::NaiveTime {
        let text = self.text_or(key, default, errors);
        chrono::NaiveTime::parse_from_str(&text, "%H:%M").unwrap_or_else(|_| {
            errors.add(&self.at(key), "expected a time of day such as \"07:30\", in quotes");
            chrono::NaiveTime::MIN
        })
    }
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

fn as_text(value: &Value, path: &str, errors: &mut Errors) -> String {
    let text = scalar(value).filter(|text| !text.trim().is_empty());
    text.unwrap_or_else(|| {
        errors.add(path, "expected a text that is not empty (quote it if YAML reads it otherwise)");
        String::new()
    })
}

/// Whether a name may stand in an address or an event: letters, digits, `_` and `-`.
pub(crate) fn is_plain(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 64
        && name.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-'))
}

/// Section `http`.
pub(crate) fn http_limits(top: &Section<'_>, errors: &mut Errors) -> HttpLimits {
    let default = HttpLimits::default();
    let Some(value) = top.get("http") else { return default };
    let known =
        ["timeout_ms", "attempts", "first_wait_ms", "wait_ms_max", "total_ms", "body_bytes_max", "proxy"];
    let section = Section::open(value, &top.at("http"), &known, errors);
    const DAY_MS: u64 = 86_400_000;
    HttpLimits {
        timeout_ms: section.number("timeout_ms", default.timeout_ms, 10..=DAY_MS, errors),
        attempts: section.number("attempts", default.attempts, 1..=20, errors),
        first_wait_ms: section.number("first_wait_ms", default.first_wait_ms, 1..=DAY_MS, errors),
        wait_ms_max: section.number("wait_ms_max", default.wait_ms_max, 1..=DAY_MS, errors),
        total_ms: section.number("total_ms", default.total_ms, 10..=DAY_MS, errors),
        body_bytes_max: section.number("body_bytes_max", default.body_bytes_max, 1024..=1 << 30, errors),
        proxy: section.text_maybe("proxy", errors),
    }
}

/// Where a token comes from: names only, the value is handed in by the caller.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TokenNames {
    /// Name of an environment variable.
    pub env: Option<String>,
    /// Name of a file whose first line it is.
    pub file: Option<String>,
}

impl fmt::Display for TokenNames {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.env, &self.file) {
            (Some(env), Some(file)) => write!(f, "environment variable {env} or file {file}"),
            (Some(env), None) => write!(f, "environment variable {env}"),
            (None, Some(file)) => write!(f, "file {file}"),
            (None, None) => f.write_str("no place named in the profile (key token)"),
        }
    }
}

/// Section `token`.
pub(crate) fn token_names(top: &Section<'_>, errors: &mut Errors) -> TokenNames {
    let Some(value) = top.get("token") else { return TokenNames::default() };
    let section = Section::open(value, &top.at("token"), &["env", "file"], errors);
    TokenNames { env: section.text_maybe("env", errors), file: section.text_maybe("file", errors) }
}

/// Key `base_url`, or what replaces it.
pub(crate) fn base_url(top: &Section<'_>, instead: Option<&str>, errors: &mut Errors) -> Option<Url> {
    let own = top.text("base_url", errors);
    let (path, text) = match instead {
        Some(text) => ("base_url (given by the caller)".to_owned(), text.to_owned()),
        None => (top.at("base_url"), own),
    };
    if text.is_empty() {
        return None;
    }
    let url = Url::parse(text.trim_end_matches('/')).ok().filter(|url| {
        matches!(url.scheme(), "http" | "https") && url.username().is_empty() && url.password().is_none()
    });
    if url.is_none() {
        errors.add(&path, "expected an http or https address without user and password");
    }
    url
}

/// An address below the base.
pub(crate) fn join(base: &Url, path: &str) -> Result<Url, String> {
    Url::parse(&format!("{}/{path}", base.as_str().trim_end_matches('/'))).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_offered_only_when_it_is_near() {
        let known = ["tables", "base_url", "poll"];
        assert_eq!(nearest("tabels", known), Some("tables"));
        assert_eq!(nearest("baseurl", known), Some("base_url"));
        assert_eq!(nearest("completely-else", known), None);
    }

    #[test]
    fn a_key_that_stands_twice_is_no_yaml() {
        let mut errors = Errors::default();
        assert!(parse("a: 1\na: 2\n", &mut errors).is_none());
        let error = errors.into_result::<()>("x", None).expect_err("refused");
        assert!(error.to_string().contains("stands twice"), "{error}");
    }
}
