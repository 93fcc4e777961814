//! Starting again with VDDK's folder in `LD_LIBRARY_PATH`.
//!
//! VDDK loads its companions by bare name, and the system's loader reads the variable once, when a
//! process starts (VDDK API reference, 6.2). So the program starts itself once more, before any
//! thread and before any secret is read. Children get the old value back.

use std::{ffi::OsString, path::Path, process::Command};

const LOADER_PATH: &str = "LD_LIBRARY_PATH";

/// Says that the process was started again, and holds the variable's old value.
const MARKER: &str = "CBT_BACKUP_OLD_LD_LIBRARY_PATH";

/// Replaces the process by itself with the right environment. Returns where nothing is to be done:
/// no library was found, the folder is in the variable, or this is the second start.
///
/// # Errors
/// When the program cannot be started again.
#[cfg(unix)]
pub fn with_library_folder(location: Option<&Path>) -> std::io::Result<()> {
    use std::os::unix::process::CommandExt;

    let Some(folder) = vddk::library_folder(location) else {
        return Ok(());
    };
    let folder = folder.canonicalize().unwrap_or(folder);
    let old = std::env::var_os(LOADER_PATH);
    if std::env::var_os(MARKER).is_some() || contains(old.as_ref(), &folder) {
        return Ok(());
    }
    let mut value = folder.into_os_string();
    if let Some(old) = old.as_ref().filter(|old| !old.is_empty()) {
        value.push(":");
        value.push(old);
    }
    let mut arguments = std::env::args_os();
    let name = arguments.next();
    let mut command = Command::new(std::env::current_exe()?);
    if let Some(name) = name {
        command.arg0(name);
    }
    // On success this does not return.
    Err(command
        .args(arguments)
        .env(LOADER_PATH, value)
        .env(MARKER, old.unwrap_or_default())
        .exec())
}

/// Elsewhere there is no VDDK to load.
///
/// # Errors
/// None.
#[cfg(not(unix))]
pub fn with_library_folder(_location: Option<&Path>) -> std::io::Result<()> {
    Ok(())
}

/// Gives a child the variable as it was before.
pub fn restore_environment(child: &mut Command) {
    if let Some(old) = std::env::var_os(MARKER) {
        child.env_remove(MARKER);
        if old.is_empty() {
            child.env_remove(LOADER_PATH);
        } else {
            child.env(LOADER_PATH, old);
        }
    }
}

fn contains(value: Option<&OsString>, folder: &Path) -> bool {
    value.is_some_and(|value| std::env::split_paths(value).any(|entry| entry == folder))
}

#[cfg(test)]
mod tests {
    use super::contains;
    use std::{ffi::OsString, path::Path};

    #[test]
    fn the_folder_is_found_among_others() {
        let value = OsString::from("/a:/opt/kit/lib64:/b");
        assert!(contains(Some(&value), Path::new("/opt/kit/lib64")));
        assert!(!contains(Some(&value), Path::new("/opt/kit")));
        assert!(!contains(None, Path::new("/a")));
    }
}
