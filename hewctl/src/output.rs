//! Lines on stdout and stderr. Whoever stops reading is not an error.

use serde::Serialize;
use std::fmt::Display;
use std::io::{self, Write};

/// Prints a line of result.
pub(crate) fn line(text: impl Display) {
    // The reader of a pipe may have had enough; there is nobody left to tell.
    let _ = writeln!(io::stdout().lock(), "{text}");
}

/// Prints a value as one line of JSON.
pub(crate) fn json(value: &impl Serialize) {
    match serde_json::to_string(value) {
        Ok(text) => line(text),
        Err(error) => complaint(format_args!("the result has no JSON form: {error}")),
    }
}

/// Prints a line about what went wrong or is worth knowing, beside the result.
pub(crate) fn complaint(text: impl Display) {
    let _ = writeln!(io::stderr().lock(), "hewctl: {text}");
}

/// Rows of text under a heading, in columns as wide as their widest cell.
pub(crate) fn table<const COLUMNS: usize>(heading: [&str; COLUMNS], rows: &[[String; COLUMNS]]) -> String {
    let mut widths = heading.map(|cell| cell.chars().count());
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let lay_out = |cells: [&str; COLUMNS]| {
        let cells = cells.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    let mut lines = vec![lay_out(heading)];
    lines.extend(rows.iter().map(|row| lay_out(row.each_ref().map(String::as_str))));
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = [["1".into(), "alive".into()], ["65535".into(), "ü".into()]];
        assert_eq!(table(["node", "state"], &rows), "node   state\n1      alive\n65535  ü");
        assert_eq!(table(["node"], &[]), "node");
    }
}
