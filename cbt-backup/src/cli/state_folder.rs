//! Where locks and ledgers are when nothing else is said.

use std::path::PathBuf;

/// The customary place: for the whole machine as root, else the user's own. What decides is who the
/// process is, not what its environment says: all runs of one machine must find each other's locks.
pub(super) fn default_state_dir() -> Option<PathBuf> {
    if is_root() {
        return Some(PathBuf::from("/var/lib/cbt-backup"));
    }
    let folder = |name| {
        std::env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    let user = folder("XDG_STATE_HOME").or_else(|| Some(folder("HOME")?.join(".local/state")));
    user.map(|user| user.join("cbt-backup"))
}

/// The kernel gives a process's folder to the user that it acts as.
fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self").is_ok_and(|folder| folder.uid() == 0)
}
