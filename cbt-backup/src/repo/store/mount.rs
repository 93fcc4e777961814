//! What kind of file system a folder lies on, and what to know of it.

use std::path::Path;

/// Linux's list of what is mounted where.
const MOUNTS: &str = "/proc/self/mountinfo";

/// What to know of the file system under `folder`; nothing for one that is fit without more.
pub(super) fn notes(folder: &Path) -> Option<String> {
    let folder = folder.canonicalize().ok()?;
    let mounts = std::fs::read_to_string(MOUNTS).ok()?;
    let mount = Mount::under(&folder, &mounts)?;
    mount.notes()
}

/// One line of the list: proc(5), `/proc/pid/mountinfo`.
#[derive(Debug, PartialEq, Eq)]
struct Mount<'a> {
    kind: &'a str,
    options: Vec<&'a str>,
}

impl<'a> Mount<'a> {
    /// The mount that `folder` lies on: the longest mount point, and of equals the last.
    fn under(folder: &Path, mounts: &'a str) -> Option<Self> {
        let mut found: Option<(usize, Self)> = None;
        for line in mounts.lines() {
            let Some((place, kind)) = line.split_once(" - ") else {
                continue;
            };
            let point = unescape(place.split(' ').nth(4).unwrap_or_default());
            let mut words = kind.split(' ');
            let (Some(kind), options) = (words.next(), words.nth(1)) else {
                continue;
            };
            let longest = found.as_ref().map_or(0, |(length, _)| *length);
            if folder.starts_with(&point) && point.len() >= longest {
                let options = options.unwrap_or_default().split(',').collect();
                found = Some((point.len(), Self { kind, options }));
            }
        }
        found.map(|(_, mount)| mount)
    }

    fn has(&self, option: &str) -> bool {
        self.options.contains(&option)
    }

    fn notes(&self) -> Option<String> {
        match self.kind {
            "nfs" | "nfs4" => {
                let attributes = self.has("noac")
                    || (self.has("acregmax=0") && self.has("acdirmax=0"))
                    || self.has("actimeo=0");
                let names = self.has("lookupcache=none");
                let rest = "NFS: use it from one machine only, or mount it with lookupcache=none,actimeo=0 on each";
                (!attributes || !names).then(|| rest.to_owned())
            }
            "cifs" | "smb3" => {
                Some("SMB: use it from one machine only, mounted with cache=none".to_owned())
            }
            "tmpfs" | "ramfs" => Some("it is in memory: a restart loses it".to_owned()),
            kind if kind.starts_with("fuse.") && kind != "fuse.ceph" => Some(format!(
                "{kind}: whether it keeps what it says it wrote is for you to know"
            )),
            _ => None,
        }
    }
}

/// Space, tab, newline and backslash stand as three octal digits.
fn unescape(text: &str) -> String {
    [
        ("\\040", " "),
        ("\\011", "\t"),
        ("\\012", "\n"),
        ("\\134", "\\"),
    ]
    .iter()
    .fold(text.to_owned(), |text, (from, to)| text.replace(from, to))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTS: &str = "\
22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw,errors=remount-ro
40 22 0:40 / /backup rw shared:2 master:1 - nfs4 nas:/v rw,vers=4.2,acregmin=3,acregmax=60
41 22 0:41 / /strict rw - nfs4 nas:/w rw,acregmin=0,acregmax=0,acdirmin=0,acdirmax=0,lookupcache=none
42 40 0:42 / /backup/my\\040share rw - cifs //nas/s rw
43 22 0:43 / /mem rw - tmpfs tmpfs rw
44 22 0:44 / /s3 rw - fuse.s3fs s3fs rw
broken line";

    fn notes(folder: &str) -> Option<String> {
        Mount::under(Path::new(folder), MOUNTS)?.notes()
    }

    #[test]
    fn the_file_system_under_a_folder_is_found() {
        assert_eq!(notes("/srv/x"), None);
        assert!(notes("/backup/x").unwrap().contains("lookupcache"));
        assert_eq!(notes("/backups"), None);
        assert_eq!(notes("/strict/x"), None);
        assert!(notes("/backup/my share/x").unwrap().starts_with("SMB"));
        assert!(notes("/mem").unwrap().contains("memory"));
        assert!(notes("/s3/a").unwrap().starts_with("fuse.s3fs"));
    }

    #[test]
    fn this_machine_has_a_root() {
        let mounts = std::fs::read_to_string(super::MOUNTS).unwrap();
        assert!(Mount::under(Path::new("/"), &mounts).is_some());
    }
}
