//! Staged writes of a folder: a file beside the object, with a lock while it is written, then renamed.
//!
//! Whoever gets the lock of such a file knows that its writer is dead, and may remove it. Should locks
//! not reach from machine to machine, a writer whose file was taken away writes it once more.

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use object_store::PutPayload;

use crate::repo::cipher::random;

/// How often a file is written whose staged form was taken away.
const TRIES: usize = 4;
/// How often the folder of an object is made: a sweep may remove it while it is empty.
const FOLDER_TRIES: usize = 100;
/// Digits behind the `#` of a name of ours. Other programs count from 1.
const DIGITS: usize = 20;
/// No object stands deeper.
const MAX_DEPTH: usize = 6;

/// Writes an object: when this returns it is there, whole and durable.
pub(super) fn write(path: &Path, payload: &PutPayload) -> io::Result<()> {
    let mut tries = 1;
    loop {
        let (file, staged) = stage(path)?;
        match finish(file, &staged, path, payload) {
            Err(error) if error.kind() == io::ErrorKind::NotFound && tries < TRIES => tries += 1,
            Err(error) => {
                // There may be nothing to remove.
                let _ = std::fs::remove_file(&staged);
                return Err(error);
            }
            Ok(()) => return Ok(()),
        }
    }
}

fn finish(mut file: File, staged: &Path, path: &Path, payload: &PutPayload) -> io::Result<()> {
    for part in payload {
        file.write_all(part)?;
    }
    file.sync_all()?;
    std::fs::rename(staged, path)?;
    sync_parent(path)
}

/// Makes the staged file of an object, locked as far as the file system has locks. New folders are made durable once
/// the file is in them: till then a sweep may remove them.
fn stage(path: &Path) -> io::Result<(File, PathBuf)> {
    let mut tries = 0;
    let mut new: BTreeSet<PathBuf> = BTreeSet::new();
    loop {
        let number = u64::from_le_bytes(*random::<8>().map_err(io::Error::other)?);
        let mut staged = path.as_os_str().to_owned();
        staged.push(format!("#{number:0DIGITS$}"));
        let staged = PathBuf::from(staged);
        match OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(&staged)
        {
            Ok(file) => match file.try_lock() {
                // Somebody takes it for a dead writer's, just now, and removes it.
                Err(TryLockError::WouldBlock) => {}
                locked => {
                    if let Err(TryLockError::Error(error)) = locked {
                        tracing::debug!(%error, "a file is written without a lock");
                    }
                    if let Err(error) = new.iter().try_for_each(|folder| sync_parent(folder)) {
                        let _ = std::fs::remove_file(&staged);
                        return Err(error);
                    }
                    return Ok((file, staged));
                }
            },
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound && tries < FOLDER_TRIES => {
                tries += 1;
                let went = [io::ErrorKind::NotFound, io::ErrorKind::AlreadyExists];
                match make_parents(path, &mut new) {
                    // Just then it was there, or went. A file in its place is told by the next try to stage.
                    Err(error) if went.contains(&error.kind()) => {}
                    made => made?,
                }
            }
            Err(error) => return Err(error),
        }
    }
}

/// Makes the folders of an object, and notes which are new.
fn make_parents(path: &Path, new: &mut BTreeSet<PathBuf>) -> io::Result<()> {
    let parents = path.ancestors().skip(1);
    let missing: Vec<&Path> = parents.take_while(|folder| !folder.exists()).collect();
    new.extend(missing.iter().map(|folder| folder.to_path_buf()));
    match missing.first() {
        Some(folder) => std::fs::create_dir_all(folder),
        None => Ok(()),
    }
}

fn sync_parent(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(folder) => File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}

/// Removes the staged files below `root` whose writers are dead, and returns how many. What cannot be
/// looked at stays.
pub(super) fn remove_dead(root: &Path) -> u64 {
    let mut removed = 0;
    let mut folders = vec![(root.to_owned(), 0)];
    while let Some((folder, depth)) = folders.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                if depth < MAX_DEPTH {
                    folders.push((path, depth + 1));
                }
            } else if is_ours(&entry.file_name().to_string_lossy()) && is_dead(&path) {
                removed += u64::from(std::fs::remove_file(&path).is_ok());
            }
        }
    }
    removed
}

fn is_ours(name: &str) -> bool {
    let number = name.rsplit_once('#').map(|(_, number)| number);
    number.is_some_and(|number| {
        number.len() == DIGITS && number.bytes().all(|digit| digit.is_ascii_digit())
    })
}

/// True when nobody holds the lock. Where there are no locks nothing is known.
fn is_dead(path: &Path) -> bool {
    let file = OpenOptions::new().write(true).open(path);
    file.is_ok_and(|file| file.try_lock().is_ok())
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead as _, BufReader};
    use std::process::{Command, Stdio};

    use super::*;

    const FOLDER: &str = "CBT_STAGED_FOLDER";

    fn names(folder: &Path) -> Vec<String> {
        let entries = std::fs::read_dir(folder).unwrap().flatten();
        entries
            .map(|entry| entry.file_name().into_string().unwrap())
            .collect()
    }

    #[test]
    fn what_was_written_replaces_what_was_there_and_nothing_stays() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("a/b/object");
        for text in ["first", "second"] {
            write(&path, &PutPayload::from(text)).unwrap();
            assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
        }
        assert_eq!(names(&root.path().join("a/b")), ["object"]);
        // A folder is in the way.
        write(&root.path().join("a"), &PutPayload::from("x")).unwrap_err();
        assert_eq!(names(root.path()), ["a"]);
    }

    #[test]
    fn a_folder_that_goes_while_it_is_empty_is_made_again() {
        use crate::repo::store::local::remove_empty_below;
        use std::sync::atomic::{AtomicBool, Ordering};
        use std::thread::ScopedJoinHandle;
        let root = tempfile::tempdir().unwrap();
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let removing = scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    remove_empty_below(root.path(), &["point"]);
                    // A sweep does it once; without a rest a busy machine would see nothing else.
                    std::thread::sleep(std::time::Duration::from_micros(200));
                }
            });
            let writers: Vec<_> = (0..3)
                .map(|writer| {
                    let root = root.path();
                    scope.spawn(move || {
                        for number in 0..400 {
                            let path = root.join(format!("point/vm/{}/{writer}", number % 3));
                            write(&path, &PutPayload::from("x")).unwrap();
                            std::fs::read_to_string(&path).unwrap();
                            std::fs::remove_file(&path).unwrap();
                        }
                    })
                })
                .collect();
            let written: Vec<_> = writers.into_iter().map(ScopedJoinHandle::join).collect();
            done.store(true, Ordering::Relaxed);
            removing.join().unwrap();
            written.into_iter().for_each(Result::unwrap);
        });
        remove_empty_below(root.path(), &["point"]);
        assert_eq!(names(&root.path().join("point")), Vec::<String>::new());
    }

    #[test]
    fn only_files_of_dead_writers_go() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("open/x");
        let alive = stage(&path).unwrap();
        let dead = stage(&path).unwrap();
        drop(dead.0);
        // Another program's, who knows whether it lives.
        std::fs::write(root.path().join("open/y#1"), "half").unwrap();
        assert_eq!(remove_dead(root.path()), 1);
        assert!(alive.1.exists() && !dead.1.exists());
        // One that was taken away all the same is written again.
        std::fs::remove_file(&alive.1).unwrap();
        let gone = finish(alive.0, &alive.1, &path, &PutPayload::from("x")).unwrap_err();
        assert_eq!(gone.kind(), io::ErrorKind::NotFound);
    }

    /// The child of the next test: it is killed in the middle of a write.
    #[test]
    #[ignore = "started by the next test"]
    fn write_until_killed() {
        let folder = std::env::var(FOLDER).unwrap();
        let mut staged = stage(&Path::new(&folder).join("pack/x")).unwrap();
        staged.0.write_all(b"half of it").unwrap();
        println!("staged");
        std::thread::sleep(std::time::Duration::from_mins(5));
    }

    #[test]
    fn what_a_killed_process_left_goes_and_not_before() {
        let root = tempfile::tempdir().unwrap();
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "repo::store::staged::tests::write_until_killed"])
            .args(["--ignored", "--nocapture"])
            .env(FOLDER, root.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut lines = lines.map_while(Result::ok);
        assert!(lines.any(|line| line.contains("staged")));
        let packs = root.path().join("pack");
        assert_eq!(remove_dead(root.path()), 0, "its writer lives");
        assert_eq!(names(&packs).len(), 1);
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(remove_dead(root.path()), 1);
        assert_eq!(names(&packs), Vec::<String>::new());
    }
}
