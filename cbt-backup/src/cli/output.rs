//! Data on standard output. Everything else goes to standard error.

use std::{
    io::{self, IsTerminal, Write},
    sync::atomic::{AtomicBool, Ordering},
};

use unicode_width::UnicodeWidthStr as _;

/// Something could not be written to standard output. The program then does not say "done".
static FAILED: AtomicBool = AtomicBool::new(false);

/// True when data that should be on standard output is not.
pub fn was_cut_off() -> bool {
    FAILED.load(Ordering::Relaxed)
}

/// Writes lines of data; a closed pipe ends the writing without a word.
#[derive(Clone, Copy, Debug)]
pub struct Output {
    /// Documents or lines in JSON.
    pub json: bool,
}

impl Output {
    /// Writes one line, whole: several threads tell at once.
    pub fn line(self, text: &str) {
        self.bytes(format!("{text}\n").as_bytes());
    }

    /// Writes bytes as they are.
    pub fn bytes(self, bytes: &[u8]) {
        let mut out = io::stdout().lock();
        match out.write_all(bytes).and_then(|()| out.flush()) {
            Ok(()) => {}
            // What reads us has seen enough: that is no error of ours.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
            Err(error) => {
                if !FAILED.swap(true, Ordering::Relaxed) {
                    note(&format!(
                        "error: failed to write to standard output: {error}"
                    ));
                }
            }
        }
    }

    /// Writes one value as a line of JSON.
    pub fn json_line(self, value: &serde_json::Value) {
        self.line(&value.to_string());
    }

    /// Writes a query's answer as one document.
    pub fn document(self, value: &serde_json::Value) {
        let text = serde_json::to_string_pretty(value).unwrap_or_else(|_| value.to_string());
        self.line(&text);
    }
}

/// Writes a line for people to standard error.
pub fn note(text: &str) {
    let mut err = io::stderr().lock();
    let _ = writeln!(err, "{text}");
}

/// True when a person watches.
pub fn on_terminal() -> bool {
    io::stderr().is_terminal()
}

/// A number of bytes for people, in binary units.
pub fn bytes(count: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if count < 1024 {
        return format!("{count} B");
    }
    #[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
    let mut value = count as f64 / 1024.0;
    let mut unit = 0;
    while value >= 1023.95 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    format!("{value:.1} {}", UNITS[unit])
}

/// A number of things, for people: `1 point`, `2 points`.
pub fn count(number: u64, thing: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {thing}{plural}")
}

/// Rows in aligned columns; the first row is the head.
pub fn table(rows: &[Vec<String>]) -> String {
    table_below(rows, &mut Vec::new())
}

/// Rows that go on a table which was printed before with these widths of its columns, in columns
/// of a terminal. The widths grow where they must.
/// What could drive a terminal is made visible in every cell.
pub fn table_below(rows: &[Vec<String>], widths: &mut Vec<usize>) -> String {
    let shown = |row: &Vec<String>| row.iter().map(|cell| printable(cell)).collect();
    let rows: Vec<Vec<String>> = rows.iter().map(shown).collect();
    for row in &rows {
        if row.len() > widths.len() {
            widths.resize(row.len(), 0);
        }
        for (cell, width) in row.iter().zip(widths.iter_mut()) {
            *width = cell.width().max(*width);
        }
    }
    let line = |row: &Vec<String>| {
        let cells: Vec<String> = row
            .iter()
            .zip(widths.iter())
            .map(|(cell, width)| format!("{cell}{}", " ".repeat(width - cell.width())))
            .collect();
        cells.join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// A name from outside, with what could drive a terminal or deceive the reader made visible:
/// control characters, line ends, marks of direction, and what has no width.
pub fn printable(name: &str) -> String {
    let mut shown = String::with_capacity(name.len());
    for c in name.chars() {
        if c.is_control() || is_deceptive(c) {
            shown.extend(c.escape_default());
        } else {
            shown.push(c);
        }
    }
    shown
}

/// Unicode's line and paragraph separators, marks of direction, and invisible characters. The two
/// joiners stay, which some scripts are written with.
fn is_deceptive(c: char) -> bool {
    matches!(
        c,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}' | '\u{200e}' | '\u{200f}'
            | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}'
    )
}

#[cfg(test)]
mod tests {
    use super::{bytes, count, printable, table, table_below};

    #[test]
    fn one_thing_is_no_plural() {
        let shown = [0, 1, 2].map(|number| count(number, "point"));
        assert_eq!(shown, ["0 points", "1 point", "2 points"]);
    }

    #[test]
    fn no_cell_drives_the_terminal() {
        let shown = table(&[vec!["vm-\u{1b}[31m1".to_owned(), "a\nb".to_owned()]]);
        assert_eq!(shown, "vm-\\u{1b}[31m1  a\\nb");
    }

    #[test]
    fn numbers_read_well() {
        let shown = [
            0,
            1023,
            1024,
            1_048_576,
            1_073_741_824,
            1_073_741_823,
            u64::MAX,
        ]
        .map(bytes);
        assert_eq!(
            shown,
            [
                "0 B",
                "1023 B",
                "1.0 KiB",
                "1.0 MiB",
                "1.0 GiB",
                "1.0 GiB",
                "16384.0 PiB"
            ]
        );
    }

    #[test]
    fn columns_align_and_escape_codes_are_shown() {
        let rows = [
            vec!["a".to_owned(), "bb".to_owned()],
            vec!["ccc".to_owned(), "d".to_owned()],
        ];
        assert_eq!(table(&rows), "a    bb\nccc  d");
        let mut widths = vec![5];
        assert_eq!(table_below(&rows, &mut widths), "a      bb\nccc    d");
        assert_eq!(widths, [5, 2]);
        // Wide characters take two columns.
        let rows = [
            vec!["日本".to_owned(), "b".to_owned()],
            vec!["ascii".to_owned(), "d".to_owned()],
        ];
        assert_eq!(table(&rows), "日本   b\nascii  d");
    }

    #[test]
    fn what_drives_a_terminal_or_deceives_is_shown() {
        for (name, shown) in [
            ("x\u{1b}[31m", "x\\u{1b}[31m"),
            ("a\tb\nc\r", "a\\tb\\nc\\r"),
            ("csi\u{9b}2J", "csi\\u{9b}2J"),
            ("bidi\u{202e}gnp.exe", "bidi\\u{202e}gnp.exe"),
            ("app\u{200b}01", "app\\u{200b}01"),
            ("\u{feff}app", "\\u{feff}app"),
            ("line\u{2028}end", "line\\u{2028}end"),
            ("日本語 ñ – 😀", "日本語 ñ – 😀"),
        ] {
            assert_eq!(printable(name), shown);
        }
    }
}
