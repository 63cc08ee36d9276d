//! Profiles: all errors at once, each with its path, and no value repeated.

use rettidig_connectors::sources::{build, default_profile, names, token_names};

fn errors(name: &str, yaml: &str) -> Vec<String> {
    build(name, Some(yaml), None, None).err().expect("refused").errors
}

#[test]
fn the_list_and_the_embedded_profiles() {
    let all: Vec<_> = names().collect();
    assert_eq!(all, ["jobindsats", "statbank"]);
    for name in all {
        build(name, None, None, None).map(|source| assert_eq!(source.name(), name)).expect("default profile");
        assert!(default_profile(name).expect("profile").contains("base_url: https://"));
    }
    let token = token_names("jobindsats", None).expect("names");
    assert_eq!(token.env.as_deref(), Some("RETTIDIG_JOBINDSATS_TOKEN"));
    assert_eq!(token_names("statbank", None).expect("names").env, None);
    let unknown = build("statbnk", None, None, None).err().expect("refused").to_string();
    assert!(unknown.contains("known: jobindsats, statbank"), "{unknown}");
}

#[test]
fn every_error_of_a_file_at_once_with_the_nearest_known_key() {
    let yaml = "
base_url: ftp://example.org
tokn: { env: X }
poll: { release_from: 730, quiet_minutes: 0 }
http: { attemps: 3 }
tables:
  - id: y25i01
    queries:
      - period_types: [M]
        measurs: []
        measures: [{ name: full time, column: Antal }]
  - id: y25i01
    queries: []
";
    let errors = errors("jobindsats", yaml);
    let text = errors.join("\n");
    for expected in [
        "tokn: unknown key; nearest known: token",
        "http.attemps: unknown key; nearest known: attempts",
        "base_url: expected an http or https address",
        "poll.release_from: expected a time of day",
        "poll.quiet_minutes: expected a whole number from 1 to 10080",
        "tables[0].queries[0].measurs: unknown key; nearest known: measures",
        "tables[0].queries[0].measures[0].name: expected letters",
        "tables[1].queries: expected a list with at least one item",
        "tables[1].id: stands twice",
    ] {
        assert!(text.contains(expected), "{expected:?} is not in:\n{text}");
    }
    assert_eq!(errors.len(), 9, "{text}");
}

#[test]
fn statbank_profiles_are_checked() {
    let yaml = "
base_url: https://api.statbank.dk/v1
tables:
  - id: AUS08
    variables:
      OMRÅDE: { role: aera }
      SAESONFAK: { role: measure }
      Tid: { role: time, select: [\"2026\"], newest: 3 }
";
    let text = errors("statbank", yaml).join("\n");
    for expected in [
        "tables[0].variables.OMRÅDE.role: no such role; nearest known: area",
        "tables[0].variables.SAESONFAK.codes: missing",
        "tables[0].variables.Tid.newest: either select or newest",
    ] {
        assert!(text.contains(expected), "{expected:?} is not in:\n{text}");
    }
}

#[test]
fn a_token_pasted_into_a_profile_is_not_repeated() {
    let yaml = "base_url: \"https://user:hemmelig@example.org\"\ntoken: hemmelig-4711\ntables: hemmelig\n";
    let text = errors("jobindsats", yaml).join("\n");
    assert!(!text.contains("hemmelig"), "{text}");
}
