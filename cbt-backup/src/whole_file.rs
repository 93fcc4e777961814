//! Files that are read whole, up to a limit.

use std::{
    fs::File,
    io::{self, Read as _},
    path::Path,
};

use zeroize::Zeroizing;

/// Reads a file of at most so many bytes. What its length is said to be is not believed: that of a
/// device or a pipe is 0.
///
/// # Errors
/// When it cannot be read; [`io::ErrorKind::FileTooLarge`] when it is longer.
pub(crate) fn read(path: &Path, max_bytes: u64) -> io::Result<Zeroizing<Vec<u8>>> {
    let file = File::open(path)?;
    // Room for everything at once, where that is known: it may be a secret, and a vector that grows
    // would leave copies behind.
    let room = file.metadata()?.len().min(max_bytes) as usize + 1;
    let mut bytes = Zeroizing::new(Vec::with_capacity(room));
    file.take(max_bytes + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > max_bytes {
        let what = format!("longer than {max_bytes} bytes");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, what));
    }
    Ok(bytes)
}

/// As [`read`], of text.
///
/// # Errors
/// As [`read`], and when it is not UTF-8.
pub(crate) fn read_text(path: &Path, max_bytes: u64) -> io::Result<Zeroizing<String>> {
    let mut bytes = read(path, max_bytes)?;
    match String::from_utf8(std::mem::take(&mut *bytes)) {
        Ok(text) => Ok(Zeroizing::new(text)),
        Err(error) => {
            drop(Zeroizing::new(error.into_bytes()));
            Err(io::Error::new(io::ErrorKind::InvalidData, "not UTF-8"))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{io::ErrorKind, path::Path};

    use super::{read, read_text};

    #[test]
    fn no_more_is_read_than_may_be() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        std::fs::write(&path, "12345678").unwrap();
        assert_eq!(read_text(&path, 8).unwrap().as_str(), "12345678");
        assert_eq!(read(&path, 7).unwrap_err().kind(), ErrorKind::FileTooLarge);
        // Its length is told as 0, and it has no end.
        let endless = read(Path::new("/dev/zero"), 1 << 20).unwrap_err();
        assert_eq!(endless.kind(), ErrorKind::FileTooLarge);
        std::fs::write(&path, b"\xff").unwrap();
        let error = read_text(&path, 8).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidData);
        assert!(read(&folder.path().join("none"), 8).is_err());
    }
}
