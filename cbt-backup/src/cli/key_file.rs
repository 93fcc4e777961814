//! Key files: read, and made.

use std::{
    fs::{File, OpenOptions},
    io::{ErrorKind, Read, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use anyhow::{Context, anyhow};
use ring::rand::{SecureRandom, SystemRandom};
use zeroize::Zeroizing;

use super::exit_code::{ExitCode, Failure};
use crate::repo::RepositoryKey;

/// Length of a key file that is made here.
const MADE_BYTES: usize = 64;
/// One more than a key file may have: enough to see that it is too long.
const READ_BYTES: u64 = 4097;

/// Reads a key file.
///
/// # Errors
/// Exit code 2 when it cannot be read or has an impossible length.
pub fn read_key_file(path: &Path) -> Result<RepositoryKey, Failure> {
    let read = || -> anyhow::Result<RepositoryKey> {
        // Room for everything at once: a vector that grows would leave copies behind.
        let mut bytes = Zeroizing::new(Vec::with_capacity(READ_BYTES as usize + 1));
        File::open(path)?.take(READ_BYTES).read_to_end(&mut bytes)?;
        Ok(RepositoryKey::key_file(bytes)?)
    };
    read()
        .with_context(|| format!("failed to read the key file {}", path.display()))
        .map_err(|error| Failure::new(ExitCode::Usage, error))
}

/// Makes a key file of random bytes that only its owner may read; one that is there stays.
///
/// # Errors
/// Exit code 1 when it cannot be written.
pub fn make_key_file(path: &Path) -> Result<(), Failure> {
    let make = || -> anyhow::Result<()> {
        let mut bytes = Zeroizing::new([0; MADE_BYTES]);
        SystemRandom::new()
            .fill(bytes.as_mut())
            .map_err(|_| anyhow!("this system gave no random bytes"))?;
        let opened = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path);
        let mut file = match opened {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => return Ok(()),
            other => other?,
        };
        file.write_all(bytes.as_ref())?;
        Ok(file.sync_all()?)
    };
    make()
        .with_context(|| format!("failed to make the key file {}", path.display()))
        .map_err(|error| Failure::new(ExitCode::Unexpected, error))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_made_file_is_its_owners_and_is_not_made_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        make_key_file(&path).unwrap();
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let first = std::fs::read(&path).unwrap();
        assert_eq!(first.len(), 64);
        make_key_file(&path).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), first);
        assert!(read_key_file(&path).is_ok());
    }

    #[test]
    fn files_of_impossible_length_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        for length in [0, 31, 4097, 100_000] {
            std::fs::write(&path, vec![7; length]).unwrap();
            assert!(read_key_file(&path).is_err(), "{length}");
        }
        std::fs::write(&path, vec![7; 4096]).unwrap();
        assert!(read_key_file(&path).is_ok());
        assert!(read_key_file(&folder.path().join("none")).is_err());
    }
}
