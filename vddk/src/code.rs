//! Result codes: names, kinds, and what is known of causes and remedies.
//!
//! One table holds everything said of a code (VDDK API reference, 3.2).

use std::fmt;

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
}

struct Entry {
    code: u16,
    name: &'static str,
    kind: Kind,
    retryable: bool,
    explanation: &'static str,
}

macro_rules! codes {
    ($( $code:literal $name:ident $kind:ident $retry:ident $explanation:literal; )*) => {
        const TABLE: &[Entry] = &[
            $( Entry {
                code: $code,
                name: concat!("VIX_", stringify!($name)),
                kind: Kind::$kind,
                retryable: codes!(@ $retry),
                explanation: $explanation,
            }, )*
        ];
    };
    (@ retry) => { true };
    (@ final) => { false };
}

// Sorted by code: looked up by bisection. An empty explanation says the name says it all.
codes! {
    1 E_FAIL Unknown final "VDDK gives no reason. Usual causes when a disk is opened: a wrong thumbprint, a host in maintenance mode, an independent disk, a running VM without snapshot, a missing privilege";
    2 E_OUT_OF_MEMORY Resources retry "no memory, or the NFC buffers of the ESXi host are used up; run fewer streams on that host";
    3 E_INVALID_ARG Argument final "an argument is wrong; for allocated blocks: a range that is unaligned or leaves the disk";
    4 E_FILE_NOT_FOUND NotFound final "the disk file is not there; it must be the name that the snapshot's own configuration shows";
    5 E_OBJECT_IS_BUSY Busy retry "";
    6 E_NOT_SUPPORTED NotSupported final "";
    7 E_FILE_ERROR Disk final "";
    8 E_DISK_FULL Resources final "the datastore or local disk is full";
    9 E_INCORRECT_FILE_TYPE Disk final "";
    10 E_CANCELLED Unknown final "";
    11 E_FILE_READ_ONLY Permission final "the disk or its connection was opened read-only";
    12 E_FILE_ALREADY_EXISTS Argument final "";
    13 E_FILE_ACCESS_ERROR Permission final "no right to the file, no snapshot given for a running VM, HotAdd slots full, or (before 7.0.3.3 and 8.0.2) any network trouble such as TCP 902 blocked";
    14 E_REQUIRES_LARGE_FILES Disk final "";
    15 E_FILE_ALREADY_LOCKED Busy retry "another program has the disk open, or it is the running disk of a VM";
    16 E_VMDB Unknown final "";
    20 E_NOT_SUPPORTED_ON_REMOTE_OBJECT NotSupported final "this works on local disks only";
    21 E_FILE_TOO_BIG Disk final "";
    22 E_FILE_NAME_INVALID Argument final "";
    23 E_ALREADY_EXISTS Argument final "";
    24 E_BUFFER_TOOSMALL Argument final "";
    25 E_OBJECT_NOT_FOUND NotFound final "";
    26 E_HOST_NOT_CONNECTED Network retry "the ESXi host is not connected to vCenter";
    27 E_INVALID_UTF8_STRING Argument final "";
    29 E_UNFINISHED_JOB Busy final "";
    30 E_NEED_KEY Encryption final "";
    31 E_OPERATION_ALREADY_IN_PROGRESS Busy retry "";
    32 E_LICENSE Permission final "";
    34 E_VM_HOST_DISCONNECTED Network retry "";
    35 E_AUTHENTICATION_FAIL Authentication final "user name or password is wrong";
    36 E_HOST_CONNECTION_LOST Network retry "";
    41 E_DUPLICATE_NAME Argument final "";
    44 E_ARGUMENT_TOO_BIG Argument final "";
    1000 E_INVALID_HANDLE Argument final "";
    1001 E_NOT_SUPPORTED_ON_HANDLE_TYPE NotSupported final "";
    1002 E_TOO_MANY_HANDLES Resources final "";
    3014 E_HOST_USER_PERMISSIONS Permission final "the account lacks a privilege; PrepareForAccess needs Global.DisableMethods and Global.EnableMethods on vCenter and hosts";
    4000 E_VM_NOT_FOUND NotFound final "no VM with that moref on this server; vCenter and ESXi number the same VM differently";
    13003 E_SNAPSHOT_NOTFOUND NotFound final "no such snapshot; its id must come from the server that is connected";
    13010 E_SNAPSHOT_LOCKED Busy final "";
    13014 E_SNAPSHOT_DISKLOCKED Busy final "";
    13016 E_SNAPSHOT_INDEPENDENTDISK NotSupported final "independent disks are left out of snapshots";
    14003 E_HOST_DISK_INVALID_VALUE Disk final "";
    14004 E_HOST_DISK_SECTORSIZE Disk final "";
    14005 E_HOST_FILE_ERROR_EOF Disk final "";
    14006 E_HOST_NETBLKDEV_HANDSHAKE Network retry "";
    14007 E_HOST_SOCKET_CREATION_ERROR Network retry "";
    14008 E_HOST_SERVER_NOT_FOUND Network retry "the ESXi host's name, as vCenter knows it, does not resolve here";
    14009 E_HOST_NETWORK_CONN_REFUSED Network retry "the ESXi host refuses the connection; is TCP 902 open from here to every host?";
    14010 E_HOST_TCP_SOCKET_ERROR Network retry "";
    14011 E_HOST_TCP_CONN_LOST Network retry "the connection broke; the disk must be opened again";
    14012 E_HOST_NBD_HASHFILE_VOLUME Disk final "";
    14013 E_HOST_NBD_HASHFILE_INIT Disk final "";
    14014 E_HOST_SERVER_SHUTDOWN Network retry "the ESXi host is going down";
    14015 E_HOST_SERVER_NOT_AVAILABLE Network retry "the ESXi host is not available";
    16000 E_DISK_INVAL Argument final "";
    16001 E_DISK_NOINIT Argument final "";
    16002 E_DISK_NOIO Disk final "";
    16003 E_DISK_PARTIALCHAIN Disk final "";
    16006 E_DISK_NEEDSREPAIR Disk final "";
    16007 E_DISK_OUTOFRANGE Argument final "the range leaves the disk";
    16008 E_DISK_CID_MISMATCH Disk final "the parent of a redo log was changed";
    16009 E_DISK_CANTSHRINK NotSupported final "";
    16010 E_DISK_PARTMISMATCH Disk final "";
    16011 E_DISK_UNSUPPORTEDDISKVERSION NotSupported final "";
    16012 E_DISK_OPENPARENT Disk final "";
    16013 E_DISK_NOTSUPPORTED NotSupported final "";
    16014 E_DISK_NEEDKEY Encryption final "";
    16015 E_DISK_NOKEYOVERRIDE Encryption final "";
    16016 E_DISK_NOTENCRYPTED Encryption final "";
    16017 E_DISK_NOKEY Encryption final "";
    16018 E_DISK_INVALIDPARTITIONTABLE Disk final "";
    16019 E_DISK_NOTNORMAL Disk final "";
    16020 E_DISK_NOTENCDESC Encryption final "";
    16022 E_DISK_NEEDVMFS NotSupported final "";
    16024 E_DISK_RAWTOOBIG Disk final "";
    16027 E_DISK_TOOMANYOPENFILES Resources retry "";
    16028 E_DISK_TOOMANYREDO Resources final "";
    16029 E_DISK_RAWTOOSMALL Disk final "";
    16030 E_DISK_INVALIDCHAIN Disk final "";
    16052 E_DISK_KEY_NOTFOUND NotFound final "";
    16053 E_DISK_SUBSYSTEM_INIT_FAIL NotSupported final "a part of VDDK could not be loaded; is its lib64 in LD_LIBRARY_PATH?";
    16054 E_DISK_INVALID_CONNECTION Network retry "";
    16061 E_DISK_ENCODING Disk final "";
    16062 E_DISK_CANTREPAIR Disk final "";
    16063 E_DISK_INVALIDDISK Disk final "";
    16064 E_DISK_NOLICENSE Permission final "a licence or, more often, a privilege is missing on vCenter";
    16065 E_DISK_NODEVICE NotFound final "SAN or HotAdd cannot see the device from here; another transport may";
    16066 E_DISK_UNSUPPORTEDDEVICE NotSupported final "SAN or HotAdd cannot use the device; another transport may";
    16067 E_DISK_CAPACITY_MISMATCH Disk final "";
    16068 E_DISK_PARENT_NOTALLOWED Argument final "";
    16069 E_DISK_ATTACH_ROOTLINK Argument final "";
    18000 E_CANNOT_CONNECT_TO_HOST Network retry "server or host cannot be reached";
    18001 E_NOT_FOR_REMOTE_HOST NotSupported final "";
    18002 E_INVALID_HOSTNAME_SPECIFICATION Argument final "";
    25000 ASYNC Unknown final "the request was accepted";
    26000 E_ASYNC_MIXEDMODE_UNSUPPORTED Argument final "synchronous and asynchronous reads on one handle";
    30006 E_NET_HTTP_COULDNT_RESOLVE_HOST Network retry "the server's name does not resolve";
    30007 E_NET_HTTP_COULDNT_CONNECT Network retry "the server cannot be reached";
    30022 E_NET_HTTP_HTTP_RETURNED_ERROR Network final "";
    30028 E_NET_HTTP_OPERATION_TIMEDOUT Network retry "";
    30035 E_NET_HTTP_SSL_CONNECT_ERROR Network final "";
    30047 E_NET_HTTP_TOO_MANY_REDIRECTS Network final "";
}

impl Code {
    /// The code of a whole 64-bit result.
    pub fn of(result: u64) -> Self {
        Self((result & 0xFFFF) as u16)
    }

    fn entry(self) -> Option<&'static Entry> {
        TABLE
            .binary_search_by_key(&self.0, |entry| entry.code)
            .ok()
            .map(|index| &TABLE[index])
    }

    /// VMware's name, for instance `VIX_E_FILE_NOT_FOUND`.
    pub fn name(self) -> Option<&'static str> {
        self.entry().map(|entry| entry.name)
    }

    /// What sort of trouble it is.
    pub fn kind(self) -> Kind {
        self.entry().map_or(Kind::Unknown, |entry| entry.kind)
    }

    /// True where trying again, perhaps with a fresh disk or connection, may help.
    ///
    /// The vendor publishes no such list; this one is read from its guide and release notes.
    pub fn is_retryable(self) -> bool {
        self.entry().is_some_and(|entry| entry.retryable)
    }

    /// Usual causes and remedies, where more is known than the name says.
    pub fn explain(self) -> Option<&'static str> {
        self.entry()
            .map(|entry| entry.explanation)
            .filter(|text| !text.is_empty())
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
    use super::{Code, Kind, TABLE};

    #[test]
    fn the_table_is_sorted_so_that_bisection_finds_everything() {
        assert!(TABLE.windows(2).all(|pair| pair[0].code < pair[1].code));
    }

    #[test]
    fn names_agree_with_the_bindings() {
        let pairs = [
            (vddk_sys::VIX_E_FAIL, "VIX_E_FAIL"),
            (vddk_sys::VIX_E_VM_NOT_FOUND, "VIX_E_VM_NOT_FOUND"),
            (vddk_sys::VIX_E_DISK_OUTOFRANGE, "VIX_E_DISK_OUTOFRANGE"),
            (vddk_sys::VIX_ASYNC, "VIX_ASYNC"),
            (
                vddk_sys::VIX_E_NET_HTTP_TOO_MANY_REDIRECTS,
                "VIX_E_NET_HTTP_TOO_MANY_REDIRECTS",
            ),
        ];
        for (code, name) in pairs {
            assert_eq!(Code::of(u64::from(code)).name(), Some(name));
        }
    }

    #[test]
    fn the_upper_bits_do_not_change_the_code() {
        let code = Code::of(0xDEAD_0000_0000 + 35);
        assert_eq!((code, code.kind()), (Code(35), Kind::Authentication));
        assert!(!code.is_retryable() && Code(14_009).is_retryable());
        assert_eq!(Code(9_999).name(), None);
    }
}
