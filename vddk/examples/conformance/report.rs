//! What was expected, what was seen.

use std::{fmt::Write as _, fs, io, path::Path};

use serde_json::json;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// As documented.
    Conforms,
    /// Otherwise.
    Deviates,
    /// Not asked: a function or a server is missing.
    Skipped,
    /// The check itself could not be run.
    Broken,
}

const WORDS: [(Verdict, &str); 4] = [
    (Verdict::Conforms, "conforms"),
    (Verdict::Deviates, "DEVIATES"),
    (Verdict::Skipped, "skipped"),
    (Verdict::Broken, "BROKEN"),
];

impl Verdict {
    pub(crate) fn word(self) -> &'static str {
        WORDS
            .iter()
            .find(|(verdict, _)| *verdict == self)
            .map_or("", |(_, word)| *word)
    }

    /// The line in which a check's process answers.
    pub(crate) fn line(self, seen: &str) -> String {
        format!("{}\t{}", self.word(), seen.replace(['\n', '\t'], " "))
    }

    pub(crate) fn from_line(line: &str) -> Option<(Self, String)> {
        let (word, seen) = line.split_once('\t')?;
        let (verdict, _) = WORDS.iter().find(|(_, one)| *one == word)?;
        Some((*verdict, seen.to_owned()))
    }
}

#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) name: &'static str,
    /// Section of the VDDK API reference.
    pub(crate) source: &'static str,
    pub(crate) expected: &'static str,
    pub(crate) verdict: Verdict,
    pub(crate) seen: String,
}

#[derive(Debug)]
pub(crate) struct Report {
    library: String,
    facts: Vec<(&'static str, String)>,
    pub(crate) rows: Vec<Row>,
}

impl Report {
    pub(crate) fn new(libdir: &Path) -> Self {
        let (library, facts) = match vddk_sys::load(Some(libdir)) {
            Ok(loaded) => {
                let found = loaded.symbols().found();
                let here = found.iter().filter(|(_, found)| *found).count();
                let major = loaded
                    .major()
                    .map_or("unknown".to_owned(), |n| n.to_string());
                let facts = vec![
                    ("interface", major),
                    ("functions", format!("{here} of {}", found.len())),
                ];
                // Never unloaded: only the checks' processes start it.
                let path = loaded.path().display().to_string();
                (path, facts)
            }
            Err(error) => (
                libdir.display().to_string(),
                vec![("error", error.to_string())],
            ),
        };
        Self {
            library,
            facts,
            rows: Vec::new(),
        }
    }

    fn count(&self, verdict: Verdict) -> usize {
        self.rows
            .iter()
            .filter(|row| row.verdict == verdict)
            .count()
    }

    pub(crate) fn exit_code(&self) -> u8 {
        if self.rows.is_empty() || self.count(Verdict::Broken) > 0 {
            2
        } else {
            u8::from(self.count(Verdict::Deviates) > 0)
        }
    }

    pub(crate) fn write(&self, json: Option<&Path>) -> io::Result<()> {
        match json {
            Some(path) if path == Path::new("-") => println!("{:#}", self.json()),
            Some(path) => {
                fs::write(path, format!("{:#}\n", self.json()))?;
                println!("{}", self.text());
            }
            None => println!("{}", self.text()),
        }
        Ok(())
    }

    fn json(&self) -> serde_json::Value {
        let rows: Vec<_> = self
            .rows
            .iter()
            .map(|row| {
                json!({
                    "name": row.name,
                    "source": row.source,
                    "expected": row.expected,
                    "seen": row.seen,
                    "verdict": row.verdict.word().to_ascii_lowercase(),
                })
            })
            .collect();
        let facts: serde_json::Map<_, _> = self
            .facts
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.clone().into()))
            .collect();
        json!({
            "version": 1,
            "library": self.library,
            "facts": facts,
            "conforms": self.count(Verdict::Conforms),
            "deviates": self.count(Verdict::Deviates),
            "skipped": self.count(Verdict::Skipped),
            "broken": self.count(Verdict::Broken),
            "checks": rows,
        })
    }

    fn text(&self) -> String {
        let mut text = format!("{}\n", self.library);
        for (name, value) in &self.facts {
            // Writing to a string does not fail.
            let _ = writeln!(text, "{name}: {value}");
        }
        for row in &self.rows {
            let _ = writeln!(
                text,
                "\n{:9} {} (reference {})\n          expected: {}\n          seen:     {}",
                row.verdict.word(),
                row.name,
                row.source,
                row.expected,
                row.seen
            );
        }
        let _ = write!(
            text,
            "\n{} conform, {} deviate, {} skipped, {} broken",
            self.count(Verdict::Conforms),
            self.count(Verdict::Deviates),
            self.count(Verdict::Skipped),
            self.count(Verdict::Broken)
        );
        text
    }
}
