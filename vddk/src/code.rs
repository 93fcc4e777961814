//! Result codes: names, kinds, and what is known of causes and remedies.
//!
//! One table holds everything said of a code (VDDK API reference, 3.2).

mod table;

use std::fmt;

use table::{Entry, entry};

/// The code part of a result: its low 16 bits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Code(pub u16);

/// What sort of trouble a code tells of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// The library gives no reason.
    Unknown,
    /// The arguments are wrong.
    Argument,
    /// Login, password or session.
    Authentication,
    /// A right is missing.
    Permission,
    /// Disk, snapshot or VM is not there.
    NotFound,
    /// Something else holds it.
    Busy,
    /// The link to server or host.
    Network,
    /// Memory, handles or space.
    Resources,
    /// The disk or the file under it.
    Disk,
    /// The library cannot do this here.
    NotSupported,
    /// Keys of an encrypted disk.
    Encryption,
    /// A code of another VIX interface, which VixDiskLib is not known to answer: guests, VMware
    /// Tools, screens, hosted products, mounting.
    Foreign,
}

/// What may help after a failed call.
///
/// The vendor publishes no such list. This one is read from its guide and release notes, and from
/// what other programs try again (VDDK API reference, 3.2). Writes may have been half done, so they
/// are to be repeated in full.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Retry {
    /// Nothing, before something is changed.
    No,
    /// A second try tells: the code has passing causes and lasting ones.
    Perhaps,
    /// The same call after a pause: something else is at work, or the host is away.
    Later,
    /// The same after a pause, with fewer streams on that host.
    FewerStreams,
    /// The disk, closed and opened again: every further call on this handle fails. Where the
    /// connection is gone too, [`Retry::Reconnect`].
    Reopen,
    /// A new connection, and the disk opened on it.
    Reconnect,
    /// Another transport: this one does not reach the disk.
    OtherTransport,
}

impl Code {
    /// The code of a whole 64-bit result.
    pub fn of(result: u64) -> Self {
        Self((result & 0xFFFF) as u16)
    }

    fn entry(self) -> Option<&'static Entry> {
        entry(self.0)
    }

    /// VMware's name, for instance `VIX_E_FILE_NOT_FOUND`.
    pub fn name(self) -> Option<&'static str> {
        self.entry().map(|entry| entry.name)
    }

    /// What sort of trouble it is.
    pub fn kind(self) -> Kind {
        self.entry().map_or(Kind::Unknown, |entry| entry.kind)
    }

    /// What may help.
    pub fn retry(self) -> Retry {
        self.entry().map_or(Retry::No, |entry| entry.retry)
    }

    /// True where trying again in the same way, perhaps with a fresh disk or connection, may help.
    ///
    /// [`Code::retry`] tells how.
    pub fn is_retryable(self) -> bool {
        match self.retry() {
            Retry::Later | Retry::FewerStreams | Retry::Reopen | Retry::Reconnect => true,
            Retry::No | Retry::Perhaps | Retry::OtherTransport => false,
        }
    }

    /// Usual cause and remedy, in one sentence without final period: of the code, or where nothing
    /// is known of it, of its kind.
    pub fn explain(self) -> &'static str {
        let own = self.entry().map_or("", |entry| entry.explanation);
        if own.is_empty() {
            self.kind().advice()
        } else {
            own
        }
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Code({self})")
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => write!(f, "{} {name}", self.0),
            None => write!(f, "{}", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{Code, Kind, Retry, table::TABLE};

    #[test]
    fn the_table_is_sorted_so_that_bisection_finds_everything() {
        assert!(TABLE.windows(2).all(|pair| pair[0].code < pair[1].code));
    }

    /// Every constant that the header gives a code, read from it: name and number.
    fn codes_of_the_header() -> BTreeMap<String, u16> {
        let lines = vddk_sys::HEADER.lines().map(str::trim);
        lines
            .filter(|line| line.starts_with("VIX_"))
            .map(|line| {
                let (name, rest) = line.split_once(" = ").expect("an enumerator has a number");
                let digits = rest.trim_end_matches(|c: char| !c.is_ascii_digit());
                let digits = digits.split(|c: char| !c.is_ascii_digit()).next().unwrap();
                (name.to_owned(), digits.parse().expect("a code has 16 bits"))
            })
            .collect()
    }

    #[test]
    fn every_code_of_the_header_has_an_entry_and_no_other() {
        let header = codes_of_the_header();
        assert!(header.len() > 270, "{} codes read", header.len());
        let table: BTreeMap<_, _> = TABLE
            .iter()
            .map(|entry| (entry.name.to_owned(), entry.code))
            .collect();
        assert_eq!(table, header);
    }

    #[test]
    fn the_header_is_read_as_the_compiler_reads_it() {
        let header = codes_of_the_header();
        for (name, code) in [
            ("VIX_OK", vddk_sys::VIX_OK),
            ("VIX_ASYNC", vddk_sys::VIX_ASYNC),
            ("VIX_E_BUFFER_TOOSMALL", vddk_sys::VIX_E_BUFFER_TOOSMALL),
            (
                "VIX_E_SNAPSHOT_RRSUSPEND",
                vddk_sys::VIX_E_SNAPSHOT_RRSUSPEND,
            ),
            ("VIX_E_NET_HTTP_GENERIC", vddk_sys::VIX_E_NET_HTTP_GENERIC),
        ] {
            assert_eq!(u32::from(header[name]), code, "{name}");
        }
    }

    #[test]
    fn every_code_is_explained_known_or_not() {
        for code in (0..=u16::MAX).map(Code) {
            let text = code.explain();
            assert!(text.len() > 15, "{code}: {text}");
            assert!(!text.ends_with('.'), "{code}: {text}");
        }
        assert_ne!(Code(16_065).explain(), Kind::NotFound.advice());
        assert_eq!(Code(17_008).explain(), Kind::Encryption.advice());
        assert_eq!(Code(9_999).explain(), Kind::Unknown.advice());
    }

    #[test]
    fn the_upper_bits_do_not_change_the_code() {
        let code = Code::of(0xDEAD_0000_0000 + 35);
        assert_eq!((code, code.kind()), (Code(35), Kind::Authentication));
        assert_eq!(Code(9_999).name(), None);
    }

    #[test]
    fn what_may_help_is_what_the_reference_says() {
        let retry = |code| Code(code).retry();
        assert_eq!(retry(2), Retry::FewerStreams);
        assert_eq!(retry(13), Retry::Perhaps);
        assert_eq!(
            [5, 15, 26, 31, 14_014, 14_015, 16_027].map(retry),
            [Retry::Later; 7]
        );
        let reopen = [14_006, 14_007, 14_008, 14_009, 14_010, 14_011];
        assert_eq!(reopen.map(retry), [Retry::Reopen; 6]);
        let reconnect = [34, 36, 16_054, 18_000, 30_006, 30_007, 30_028];
        assert_eq!(reconnect.map(retry), [Retry::Reconnect; 7]);
        assert_eq!([16_065, 16_066].map(retry), [Retry::OtherTransport; 2]);
        let others = TABLE.iter().filter(|entry| entry.retry == Retry::No);
        assert_eq!(others.count(), TABLE.len() - 24);
        assert!(Code(14_011).is_retryable());
        assert!(
            ![13, 16_065, 35, 9_999]
                .map(Code)
                .iter()
                .any(|code| code.is_retryable())
        );
    }
}
