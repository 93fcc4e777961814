//! Lines for people: results on standard output, failures on standard error.

use std::io::{self, Write as _};

/// Writes one line. A closed pipe is no error of ours.
pub(crate) fn line(text: &str) {
    let mut out = io::stdout().lock();
    let _ = writeln!(out, "{text}").and_then(|()| out.flush());
}

/// Says that something was not done, loudly.
pub(crate) fn skipped(what: &str) {
    line(&format!("skipped: {what}"));
}

/// Writes why the command ends.
pub(crate) fn error(text: &str) {
    let _ = writeln!(io::stderr(), "error: {text}");
}

/// A number of bytes in the largest binary unit that keeps it at 1 or more.
pub(crate) fn bytes(count: u64) -> String {
    const UNITS: [(u64, &str); 3] = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    match UNITS.iter().find(|(unit, _)| count >= *unit) {
        // A tenth of a unit is no smaller than 102 bytes, so nothing overflows here.
        Some((unit, name)) => format!("{}.{} {name}", count / unit, count % unit * 10 / unit),
        None => format!("{count} B"),
    }
}

/// Rows in aligned columns, each line after two spaces. The first column is flush left, the
/// others are flush right.
pub(crate) fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut lines = Vec::new();
    for row in rows {
        let padded = |(column, cell): (usize, &String)| {
            let width = widths[column];
            if column == 0 {
                format!("  {cell:<width$}")
            } else {
                format!("{cell:>width$}")
            }
        };
        let cells: Vec<String> = row.iter().enumerate().map(padded).collect();
        lines.push(cells.join("  ").trim_end().to_owned());
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::{bytes, table};

    #[test]
    fn numbers_read_well() {
        let shown = [0, 1023, 1024, 1_600_000, 1 << 30].map(bytes);
        assert_eq!(shown, ["0 B", "1023 B", "1.0 KiB", "1.5 MiB", "1.0 GiB"]);
        assert!(bytes(u64::MAX).ends_with(" GiB"));
    }

    #[test]
    fn columns_align() {
        let rows = [vec!["a", "bb", "c"], vec!["ddd", "e", ""]];
        let rows = rows.map(|row| row.into_iter().map(str::to_owned).collect());
        assert_eq!(table(&rows), "  a    bb  c\n  ddd   e");
    }
}
