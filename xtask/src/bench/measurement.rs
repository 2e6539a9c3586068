//! One line of a benchmark: what it must hold, and how a person reads it.

use serde_json::Value;

/// `{"name":…,"value":…,"unit":…}`, and `limit` and `ratio` where a physical limit was measured in the same run.
/// Further members are allowed and passed on.
#[derive(Debug, PartialEq)]
pub(super) struct Measurement {
    pub(super) name: String,
    pub(super) value: f64,
    pub(super) unit: String,
    pub(super) limit: Option<f64>,
    pub(super) ratio: Option<f64>,
}

impl Measurement {
    /// Reads one line.
    ///
    /// # Errors
    /// Says which member is missing or of the wrong kind.
    pub(super) fn parse(line: &str) -> Result<Measurement, String> {
        let value: Value = serde_json::from_str(line).map_err(|cause| format!("not JSON ({cause})"))?;
        if !value.is_object() {
            return Err("not an object".into());
        }
        let number = |member: &str| match &value[member] {
            Value::Null => Ok(None),
            other => other
                .as_f64()
                .map(Some)
                .ok_or_else(|| format!("`{member}` is not a finite number but {other}")),
        };
        let text = |member: &str| match &value[member] {
            Value::String(text) if !text.is_empty() => Ok(text.clone()),
            other => Err(format!("`{member}` is not a text but {other}")),
        };
        let measurement = Measurement {
            name: text("name")?,
            value: number("value")?.ok_or("`value` is missing")?,
            unit: text("unit")?,
            limit: number("limit")?,
            ratio: number("ratio")?,
        };
        if measurement.limit.is_some() != measurement.ratio.is_some() {
            return Err("`limit` and `ratio` come together".into());
        }
        Ok(measurement)
    }
}

/// The measurements in aligned columns; the last two only if one of them has a limit.
pub(super) fn table(measurements: &[Measurement]) -> String {
    let mut rows = vec![["name", "value", "unit", "limit", "ratio"].map(String::from)];
    rows.extend(measurements.iter().map(|m| {
        let optional = |number: Option<f64>| number.map(readable).unwrap_or_default();
        [m.name.clone(), readable(m.value), m.unit.clone(), optional(m.limit), optional(m.ratio)]
    }));
    let columns = if measurements.iter().any(|m| m.limit.is_some()) { 5 } else { 3 };
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let mut text = String::new();
    for row in &rows {
        let cells: Vec<String> = (0..columns)
            .map(|column| match column {
                0 | 2 => format!("{:<1$}", row[column], width(column)),
                _ => format!("{:>1$}", row[column], width(column)),
            })
            .collect();
        text.push_str(cells.join("  ").trim_end());
        text.push('\n');
    }
    text
}

/// Large numbers in groups of three digits, small ones with three decimals at most.
fn readable(number: f64) -> String {
    if number.abs() < 1000.0 {
        let text = format!("{number:.3}");
        return text.trim_end_matches('0').trim_end_matches('.').to_string();
    }
    let digits = format!("{:.0}", number.abs());
    let mut text = String::from(if number < 0.0 { "-" } else { "" });
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_good_line_is_read() {
        let plain = Measurement::parse(r#"{"name":"local/ask","value":410,"unit":"ns"}"#).unwrap();
        assert_eq!((plain.name.as_str(), plain.value, plain.limit), ("local/ask", 410.0, None));
        let full =
            r#"{"name":"remote/tell_64","value":5.5e6,"unit":"msg/s","limit":1.1e7,"ratio":0.5,"runs":3}"#;
        let full = Measurement::parse(full).unwrap();
        assert_eq!((full.limit, full.ratio), (Some(1.1e7), Some(0.5)));
    }

    #[test]
    fn a_wrong_line_is_refused_with_the_cause() {
        for (line, cause) in [
            ("Running benches", "not JSON"),
            ("[1]", "not an object"),
            (r#"{"value":1,"unit":"ns"}"#, "`name`"),
            (r#"{"name":"","value":1,"unit":"ns"}"#, "`name`"),
            (r#"{"name":"a","unit":"ns"}"#, "`value` is missing"),
            (r#"{"name":"a","value":"1","unit":"ns"}"#, "`value` is not a finite number"),
            (r#"{"name":"a","value":1}"#, "`unit`"),
            (r#"{"name":"a","value":1,"unit":"ns","limit":"x","ratio":1}"#, "`limit`"),
            (r#"{"name":"a","value":1,"unit":"ns","limit":2}"#, "come together"),
        ] {
            let text = Measurement::parse(line).unwrap_err();
            assert!(text.contains(cause), "{line}: {text}");
        }
    }

    #[test]
    fn numbers_are_readable() {
        for (number, text) in [
            (0.0, "0"),
            (0.5, "0.5"),
            (12.34567, "12.346"),
            (999.9, "999.9"),
            (1000.0, "1 000"),
            (12_345_678.4, "12 345 678"),
            (-1234.0, "-1 234"),
        ] {
            assert_eq!(readable(number), text);
        }
    }

    #[test]
    fn the_table_is_aligned_and_hides_empty_columns() {
        let mut list = vec![
            Measurement::parse(r#"{"name":"a","value":1234,"unit":"msg/s"}"#).unwrap(),
            Measurement::parse(r#"{"name":"long","value":2,"unit":"ns"}"#).unwrap(),
        ];
        assert_eq!(table(&list), "name  value  unit\na     1 234  msg/s\nlong      2  ns\n");
        list[1].limit = Some(4.0);
        list[1].ratio = Some(0.5);
        assert!(table(&list).ends_with("long      2  ns         4    0.5\n"), "{}", table(&list));
    }
}
