//! What a loaded library is and can do.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use crate::{Loaded, Symbol};

/// What is known of a loaded library without calling it.
///
/// It prints one fact a line, `key=value` first, then one line for each function, so that it can
/// be searched and compared.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// The file that was loaded, symbolic links resolved.
    pub library: PathBuf,
    /// The SONAME that stands in the file.
    pub soname: Option<String>,
    /// The interface number: that of the SONAME, else that of the file's name.
    pub interface: Option<u32>,
    /// The folder that `InitEx` is told as `libDir`: the kit's root.
    pub libdir: PathBuf,
    /// Each function of the interface, and whether the library has it.
    pub functions: Vec<(Symbol, bool)>,
}

impl Report {
    pub(crate) fn of(loaded: &Loaded) -> Self {
        Self {
            library: loaded.path().to_path_buf(),
            soname: loaded.soname().map(str::to_owned),
            interface: loaded.major(),
            libdir: loaded.kit().to_path_buf(),
            functions: loaded.symbols().found(),
        }
    }

    /// The functions that the library lacks.
    pub fn missing(&self) -> impl Iterator<Item = Symbol> + '_ {
        let missing = self.functions.iter().filter(|(_, found)| !found);
        missing.map(|(symbol, _)| *symbol)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "library={}", on_one_line(&self.library))?;
        writeln!(f, "soname={}", self.soname.as_deref().unwrap_or("unknown"))?;
        match self.interface {
            Some(number) => writeln!(f, "interface={number}")?,
            None => writeln!(f, "interface=unknown")?,
        }
        writeln!(f, "libdir={}", on_one_line(&self.libdir))?;
        for (symbol, found) in &self.functions {
            let need = if symbol.required {
                "required"
            } else {
                "optional"
            };
            writeln!(
                f,
                "{}={} since={} {need}",
                symbol.name,
                u8::from(*found),
                symbol.since
            )?;
        }
        Ok(())
    }
}

/// A path without line ends and other control characters.
fn on_one_line(path: &Path) -> String {
    let text = path.to_string_lossy();
    text.replace(|c: char| c.is_control(), "?")
}

#[cfg(test)]
mod tests {
    use super::Report;
    use crate::SYMBOLS;

    #[test]
    fn each_fact_has_its_line() {
        let report = Report {
            library: "/opt/kit/lib64/a\nb.so.8".into(),
            soname: None,
            interface: Some(8),
            libdir: "/opt/kit".into(),
            functions: SYMBOLS
                .iter()
                .map(|symbol| (*symbol, symbol.since != "6.7"))
                .collect(),
        };
        let text = report.to_string();
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(
            lines[..5],
            [
                "library=/opt/kit/lib64/a?b.so.8",
                "soname=unknown",
                "interface=8",
                "libdir=/opt/kit",
                "VixDiskLib_InitEx=1 since=1.1 required",
            ]
        );
        assert_eq!(lines.len(), 4 + SYMBOLS.len());
        assert!(lines.contains(&"VixDiskLib_FreeBlockList=0 since=6.7 optional"));
        assert_eq!(report.missing().count(), 3);
    }
}
