//! `functions`: the committed score of what vddk wraps.

use clap::Args;
use vddk::wrapped::{MNTAPI, ROWS, Wrapping};

use crate::generated::{Mode, settle};

/// Make vddk/FUNCTIONS.md from the list in vddk/src/wrapped.rs.
#[derive(Debug, Args)]
pub(crate) struct Functions {
    /// Fail when the committed file differs; write nothing
    #[arg(long)]
    check: bool,
}

impl Functions {
    /// Runs the command.
    ///
    /// # Errors
    ///
    /// When the file cannot be written, or differs and `--check` is given.
    pub(crate) fn run(self) -> anyhow::Result<()> {
        settle(
            Mode::new(self.check),
            "vddk/FUNCTIONS.md",
            &page(),
            "cargo xtask functions",
        )
    }
}

fn page() -> String {
    let (mut wrapped, mut left_out) = (Vec::new(), Vec::new());
    for row in ROWS {
        let symbol = row.function.symbol();
        let start = format!("| `{}` | {} |", symbol.name, symbol.since);
        match row.wrapping {
            Wrapping::By(wrappers) => {
                let wrappers: Vec<_> = wrappers.iter().map(|path| format!("`{path}`")).collect();
                wrapped.push(format!("{start} {} |", wrappers.join(", ")));
            }
            Wrapping::Not(why) => left_out.push(format!("{start} {why} |")),
        }
    }
    format!(
        "<!-- Made by `cargo xtask functions` from src/wrapped.rs. -->

# The functions of VixDiskLib

{} of {} are wrapped, in the order in which a program meets them:

| function | since VDDK | wrapped by |
|---|---|---|
{}

Not wrapped:

| function | since VDDK | why not |
|---|---|---|
{}

{MNTAPI}
",
        wrapped.len(),
        ROWS.len(),
        wrapped.join("\n"),
        left_out.join("\n"),
    )
}

#[cfg(test)]
mod tests {
    use super::page;

    #[test]
    fn the_page_names_every_function_once() {
        let page = page();
        for symbol in vddk::SYMBOLS {
            let cell = format!("| `{}` |", symbol.name);
            assert_eq!(page.matches(&cell).count(), 1, "{}", symbol.name);
        }
        assert!(page.contains("41 of 43 are wrapped"), "{page}");
        assert!(page.contains("libvixMntapi"));
    }
}
