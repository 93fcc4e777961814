//! Finds libvixDiskLib.so, opens it and fills the table of functions.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use crate::{Report, symbols::Symbols};

/// Folders where the kit is customarily unpacked (VDDK API reference, 6.1).
const CUSTOMARY_FOLDERS: &[&str] = &[
    "/usr/lib/vmware-vix-disklib",
    "/usr/lib64/vmware-vix-disklib",
    "/opt/vmware-vix-disklib-distrib",
];

/// Interface numbers of the SONAME, newest first.
const MAJORS: &[u32] = &[9, 8, 7, 6];

/// A place that was looked at, and why it did not serve.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tried {
    /// The file.
    pub path: PathBuf,
    /// The loader's words, or `no such file`.
    pub reason: String,
}

/// Why no library could be loaded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// The interface is known for x86-64 Linux only.
    #[error("VixDiskLib can be loaded on x86-64 Linux only")]
    UnsupportedPlatform,
    /// No place held a library that the system's loader accepts.
    ///
    /// The first loader error that is not "no such file" is the one to act on, so it comes first.
    #[error("{}", not_found(.tried))]
    NotFound {
        /// Every place tried, in order.
        tried: Vec<Tried>,
    },
    /// A library was opened, but it lacks functions that every release from 6.5 has.
    #[error("{} is no VixDiskLib of release 6.5 or later: it lacks {}", .path.display(), .missing.join(", "))]
    MissingSymbols {
        /// The file.
        path: PathBuf,
        /// All required names it lacks.
        missing: Vec<&'static str>,
    },
}

fn not_found(tried: &[Tried]) -> String {
    use fmt::Write as _;
    let mut text = String::from("libvixDiskLib.so could not be loaded");
    if let Some(first) = tried.iter().find(|place| place.reason != NO_SUCH_FILE) {
        let _ = write!(text, ": {}", first.reason);
    }
    text.push_str("; tried:");
    for place in tried {
        let _ = write!(text, "\n  {} ({})", place.path.display(), place.reason);
    }
    text
}

const NO_SUCH_FILE: &str = "no such file";

/// A loaded library. The functions live as long as this value.
#[derive(Debug)]
pub struct Loaded {
    symbols: Symbols,
    path: PathBuf,
    kit: PathBuf,
    soname: Option<String>,
    major: Option<u32>,
    /// Keeps the mapping alive, if there is one. Declared last: the pointers above die first.
    #[cfg(all(target_os = "linux", target_arch = "x86_64"))]
    _library: Option<libloading::os::unix::Library>,
}

impl Loaded {
    /// Functions that came from no file ([`Symbols::from_lookup`]). `kit` is what `InitEx` is told.
    pub fn from_symbols(symbols: Symbols, kit: PathBuf, major: Option<u32>) -> Self {
        Self {
            symbols,
            path: kit.clone(),
            kit,
            soname: None,
            major,
            #[cfg(all(target_os = "linux", target_arch = "x86_64"))]
            _library: None,
        }
    }

    /// The functions.
    pub fn symbols(&self) -> &Symbols {
        &self.symbols
    }

    /// The file that was loaded, symbolic links resolved where possible.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The kit's root, for `InitEx`: the folder that contains `lib64`, or the library's own folder.
    pub fn kit(&self) -> &Path {
        &self.kit
    }

    /// The SONAME that stands in the file.
    pub fn soname(&self) -> Option<&str> {
        self.soname.as_deref()
    }

    /// The interface number (6 to 9) of the SONAME, so that a link or a copy of another name is told
    /// right; where the file has none, that of its name.
    pub fn major(&self) -> Option<u32> {
        self.major
    }

    /// All that is known of the library without calling it.
    pub fn report(&self) -> Report {
        Report::of(self)
    }
}

/// Loads VixDiskLib.
///
/// `location` is the library file, the kit's root, or its `lib64`; when it is given, no other place
/// is looked at, so a mistyped path never loads another release. Without it `VDDK_LIBDIR` is used
/// in the same way, and without that the customary folders are searched.
///
/// # Errors
/// [`LoadError::NotFound`] with every place tried, [`LoadError::MissingSymbols`] with all missing
/// names, [`LoadError::UnsupportedPlatform`].
pub fn load(location: Option<&Path>) -> Result<Loaded, LoadError> {
    open_first(&candidates(location))
}

/// The folder whose libraries VixDiskLib itself loads by bare name: what must stand in
/// `LD_LIBRARY_PATH` from the start of the process (VDDK API reference, 6.2).
///
/// `None` when no candidate file exists.
pub fn library_folder(location: Option<&Path>) -> Option<PathBuf> {
    candidates(location)
        .into_iter()
        .find(|candidate| candidate.file.exists())
        .and_then(|candidate| candidate.file.parent().map(Path::to_path_buf))
}

/// A file to try.
struct Candidate {
    file: PathBuf,
    kit: PathBuf,
}

fn candidates(location: Option<&Path>) -> Vec<Candidate> {
    let from_environment = std::env::var_os("VDDK_LIBDIR").filter(|value| !value.is_empty());
    match (location, from_environment) {
        (Some(location), _) => candidates_at(location),
        (None, Some(folder)) => candidates_at(Path::new(&folder)),
        (None, None) => CUSTOMARY_FOLDERS
            .iter()
            .flat_map(|folder| candidates_at(Path::new(folder)))
            .collect(),
    }
}

fn candidates_at(location: &Path) -> Vec<Candidate> {
    // The system's loader would look for a bare name elsewhere.
    let absolute = std::path::absolute(location);
    let location = absolute.as_deref().unwrap_or(location);
    if location.is_file() {
        let folder = location.parent().unwrap_or(Path::new("/"));
        return vec![Candidate {
            file: location.to_path_buf(),
            kit: kit_of(folder),
        }];
    }
    let in_lib64 = MAJORS.iter().map(|&major| Candidate {
        file: location.join("lib64").join(file_name(major)),
        kit: location.to_path_buf(),
    });
    let flat = MAJORS.iter().map(|&major| Candidate {
        file: location.join(file_name(major)),
        kit: kit_of(location),
    });
    in_lib64.chain(flat).collect()
}

fn file_name(major: u32) -> String {
    format!("libvixDiskLib.so.{major}")
}

/// The kit's root for a library in `folder`. The library appends `lib64` by itself.
fn kit_of(folder: &Path) -> PathBuf {
    match folder.parent() {
        Some(parent) if folder.ends_with("lib64") => parent.to_path_buf(),
        _ => folder.to_path_buf(),
    }
}

/// Reads `8` from `libvixDiskLib.so.8.0.2`.
#[cfg_attr(
    not(all(target_os = "linux", target_arch = "x86_64")),
    expect(dead_code, reason = "nothing is loaded here")
)]
fn major_in(name: &str) -> Option<u32> {
    let (_, version) = name.split_once(".so.")?;
    version.split('.').next()?.parse().ok()
}

/// The system loader's own sentence, which stands behind the error of the crate that called it.
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
fn loader_words(error: &libloading::Error) -> String {
    std::error::Error::source(error).map_or_else(|| error.to_string(), ToString::to_string)
}

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
fn file_name_of(path: &Path) -> Option<&str> {
    path.file_name()?.to_str()
}

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
fn open_first(candidates: &[Candidate]) -> Result<Loaded, LoadError> {
    use crate::elf;
    use libloading::os::unix::{Library, RTLD_LOCAL, RTLD_NOW};

    let mut tried = Vec::with_capacity(candidates.len());
    for candidate in candidates {
        if !candidate.file.exists() {
            tried.push(Tried {
                path: candidate.file.clone(),
                reason: NO_SUCH_FILE.to_owned(),
            });
            continue;
        }
        // SAFETY: opening runs the library's initialisers. The file is the one the caller named, or
        // stands in a folder where only VMware's kit is unpacked; trusting it is the purpose of this
        // call. RTLD_LOCAL keeps its many bundled symbols out of the process's own name space.
        let library = match unsafe { Library::open(Some(&candidate.file), RTLD_NOW | RTLD_LOCAL) } {
            Ok(library) => library,
            Err(error) => {
                tried.push(Tried {
                    path: candidate.file.clone(),
                    reason: loader_words(&error),
                });
                continue;
            }
        };
        // SAFETY: a file of this name is VixDiskLib, whose functions have kept their signatures on
        // x86-64 Linux from 6.5 to 9 (VDDK API reference, 1.2); `Loaded` keeps the mapping alive
        // beside the pointers.
        let symbols = unsafe { Symbols::load(&library) };
        let symbols = symbols.map_err(|missing| LoadError::MissingSymbols {
            path: candidate.file.clone(),
            missing,
        })?;
        let path = candidate
            .file
            .canonicalize()
            .unwrap_or_else(|_| candidate.file.clone());
        let soname = std::fs::File::open(&path)
            .ok()
            .and_then(|mut file| elf::soname(&mut file));
        let names = [
            soname.as_deref(),
            file_name_of(&path),
            file_name_of(&candidate.file),
        ];
        let major = names.into_iter().flatten().find_map(major_in);
        return Ok(Loaded {
            symbols,
            path,
            kit: candidate.kit.clone(),
            soname,
            major,
            _library: Some(library),
        });
    }
    Err(LoadError::NotFound { tried })
}

#[cfg(not(all(target_os = "linux", target_arch = "x86_64")))]
fn open_first(_candidates: &[Candidate]) -> Result<Loaded, LoadError> {
    Err(LoadError::UnsupportedPlatform)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_searched_in_lib64_first_and_newest_first() {
        let files: Vec<_> = candidates_at(Path::new("/no/kit"))
            .into_iter()
            .map(|candidate| candidate.file.display().to_string())
            .collect();
        assert_eq!(
            files,
            [9, 8, 7, 6]
                .map(|major| format!("/no/kit/lib64/libvixDiskLib.so.{major}"))
                .into_iter()
                .chain([9, 8, 7, 6].map(|major| format!("/no/kit/libvixDiskLib.so.{major}")))
                .collect::<Vec<_>>()
        );
    }

    #[test]
    fn the_error_lists_every_place() {
        let error = load(Some(Path::new("/no/kit"))).unwrap_err().to_string();
        for place in [
            "/no/kit/lib64/libvixDiskLib.so.9",
            "/no/kit/libvixDiskLib.so.6",
        ] {
            assert!(error.contains(place), "{place} is missing in: {error}");
        }
    }

    #[cfg(all(target_os = "linux", target_arch = "x86_64"))]
    #[test]
    fn what_the_loader_says_comes_first() {
        let folder = std::env::temp_dir().join(format!("vddk-sys-loader-{}", std::process::id()));
        std::fs::create_dir_all(folder.join("lib64")).unwrap();
        std::fs::write(folder.join("lib64/libvixDiskLib.so.8"), b"not an ELF file").unwrap();
        let error = load(Some(&folder)).unwrap_err().to_string();
        std::fs::remove_dir_all(&folder).unwrap();
        let first_line = error.lines().next().unwrap();
        assert!(first_line.contains("libvixDiskLib.so.8"), "{error}");
        assert!(!first_line.contains(NO_SUCH_FILE), "{error}");
    }

    #[cfg(all(target_os = "linux", target_arch = "x86_64"))]
    #[test]
    fn a_library_without_the_functions_names_all_that_is_missing() {
        // The C library is a shared object with none of the names.
        let libc = [
            "/lib/x86_64-linux-gnu/libc.so.6",
            "/lib64/libc.so.6",
            "/usr/lib/libc.so.6",
        ]
        .into_iter()
        .map(Path::new)
        .find(|path| path.exists())
        .expect("a glibc system has libc.so.6 in a customary place");
        match load(Some(libc)).unwrap_err() {
            LoadError::MissingSymbols { missing, .. } => assert_eq!(missing.len(), 19),
            other => panic!("{other}"),
        }
    }

    #[test]
    fn the_kit_is_the_folder_above_lib64() {
        assert_eq!(kit_of(Path::new("/opt/kit/lib64")), Path::new("/opt/kit"));
        assert_eq!(kit_of(Path::new("/opt/flat")), Path::new("/opt/flat"));
        assert_eq!(major_in("libvixDiskLib.so.9.1.0.0"), Some(9));
        for name in [
            "libvixDiskLib.so",
            "libvixDiskLib.so.",
            "libvixDiskLib.so.x",
            "",
        ] {
            assert_eq!(major_in(name), None, "{name}");
        }
    }
}
