//! `history`: the official figures' past as OpenMetrics, so that Prometheus shows trends that are older than itself.

use std::io::{self, Write};

use serde::Deserialize;

/// Newest value of each past period, without breakdowns; `at` is the end of the period, in seconds since 1970.
pub const SQL: &str = "SELECT indicator, area_kind, area, benefit, value, \
     (month_last((CAST(substr(period, 1, 4) AS BIGINT) - 1970) * 12 + CASE \
     WHEN length(period) = 4 THEN 11 \
     WHEN substr(period, 6, 1) = 'Q' THEN CAST(substr(period, 7, 1) AS BIGINT) * 3 - 1 \
     ELSE CAST(substr(period, 6, 2) AS BIGINT) - 1 END) + 1) * 86400 AS at \
     FROM indicators WHERE breakdown = 'total' AND value IS NOT NULL ORDER BY indicator, area_kind, area, benefit, at";

/// A row of [`SQL`].
#[derive(Debug, Deserialize)]
pub struct Sample {
    indicator: String,
    area_kind: String,
    area: String,
    benefit: String,
    value: f64,
    at: i64,
}

/// Writes samples, ordered as [`SQL`] does, in the text form of OpenMetrics 1.0. Names and codes need no escapes.
///
/// # Errors
/// Those of the writer.
pub fn write(samples: &[Sample], to: &mut impl Write) -> io::Result<()> {
    writeln!(
        to,
        "# HELP rettidig_indicator_value Newest value of an indicator\n# TYPE rettidig_indicator_value gauge"
    )?;
    for Sample { indicator, area_kind, area, benefit, value, at } in samples {
        writeln!(
            to,
            "rettidig_indicator_value{{indicator=\"{indicator}\",area_kind=\"{area_kind}\",area=\"{area}\",benefit=\"{benefit}\"}} {value} {at}"
        )?;
    }
    writeln!(to, "# EOF")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_lines_of_openmetrics() {
        let rows = r#"[{"indicator":"full_time_unemployed","area_kind":"country","area":"0000","benefit":"total","value":91583.0,"at":1785542400},
            {"indicator":"full_time_unemployed_rate","area_kind":"country","area":"0000","benefit":"total","value":2.9,"at":1785542400}]"#;
        let samples: Vec<Sample> = serde_json::from_str(rows).expect("rows");
        let mut text = Vec::new();
        write(&samples, &mut text).expect("memory");
        let expected = "# HELP rettidig_indicator_value Newest value of an indicator\n# TYPE rettidig_indicator_value gauge\n\
             rettidig_indicator_value{indicator=\"full_time_unemployed\",area_kind=\"country\",area=\"0000\",benefit=\"total\"} 91583 1785542400\n\
             rettidig_indicator_value{indicator=\"full_time_unemployed_rate\",area_kind=\"country\",area=\"0000\",benefit=\"total\"} 2.9 1785542400\n\
             # EOF\n";
        assert_eq!(String::from_utf8(text).expect("text"), expected);
    }
}
