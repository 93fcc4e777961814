//! The one table of everything that is said of a code.
//!
//! Names and numbers are those of the VDDK API reference, 3.2. Causes are what reports and manuals
//! tell; which codes may pass by themselves is our reading of them. A sentence that is missing is
//! made up for by that of the kind: see [`Kind::advice`].

use super::{Kind, Retry};

/// What is known of one code.
pub(super) struct Entry {
    pub(super) code: u16,
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) retry: Retry,
    /// Cause and remedy; empty where no more is known than the kind says.
    pub(super) explanation: &'static str,
}

/// Finds a code.
pub(super) fn entry(code: u16) -> Option<&'static Entry> {
    TABLE
        .binary_search_by_key(&code, |entry| entry.code)
        .ok()
        .map(|index| &TABLE[index])
}

impl Kind {
    /// Cause and remedy where nothing is known of the single code.
    pub(super) fn advice(self) -> &'static str {
        match self {
            Self::Unknown => {
                "VDDK gives no reason that is known here; the lines of its log before the error tell more"
            }
            Self::Argument => {
                "an argument is wrong; a mistake of the calling program, or a name that was mistyped"
            }
            Self::Authentication => "the login was refused; correct user name and password",
            Self::Permission => {
                "a right is missing; compare the account's role with the privileges that backups need"
            }
            Self::NotFound => {
                "something that was named is not there; look whether it was moved or removed"
            }
            Self::Busy => "something else uses it; wait until it is done",
            Self::Network => {
                "the link to server or host failed; check names, TCP 443 to the server and TCP 902 to every ESXi host"
            }
            Self::Resources => {
                "memory, handles or space are used up; make room, or do less at once"
            }
            Self::Disk => {
                "the disk or a file under it has a problem; check the datastore and the VM's disks in vSphere"
            }
            Self::NotSupported => {
                "the library cannot do this here; a newer VDDK or another transport may"
            }
            Self::Encryption => {
                "the disk's encryption stands in the way; check the key provider and the account's cryptographer privileges"
            }
            Self::Foreign => {
                "the code belongs to another VIX interface (guests, VMware Tools, mounting) and is not expected here; VDDK's log tells more"
            }
        }
    }
}

macro_rules! codes {
    ($( $code:literal $name:ident $kind:ident $retry:ident $explanation:literal; )*) => {
        pub(super) const TABLE: &[Entry] = &[
            $( Entry {
                code: $code,
                name: concat!("VIX_", stringify!($name)),
                kind: Kind::$kind,
                retry: Retry::$retry,
                explanation: $explanation,
            }, )*
        ];
    };
}

// Sorted by code: looked up by bisection.
codes! {
    0 OK Unknown No "the call went well";
    1 E_FAIL Unknown No "VDDK gives no reason. When a disk is opened, look for: a wrong thumbprint, a host in maintenance mode, an independent disk (VDDK 7 and later), a running VM without snapshot, a missing privilege; the lines of VDDK's log before the error tell more";
    2 E_OUT_OF_MEMORY Resources FewerStreams "no memory, or the NFC buffers of the ESXi host are used up; run fewer streams on that host, and try again later";
    3 E_INVALID_ARG Argument No "an argument is wrong; for allocated blocks: a range that is unaligned or leaves the disk; for a local disk: an empty string in place of NULL in the connect parameters";
    4 E_FILE_NOT_FOUND NotFound No "the disk, snapshot or VM file is not there; the disk's file must be named as the snapshot's own configuration shows it, and the snapshot must still exist";
    5 E_OBJECT_IS_BUSY Busy Later "something else uses the object; wait until it is done and try again";
    6 E_NOT_SUPPORTED NotSupported No "the library, the disk or this kind of connection does not offer the call; a newer VDDK, or a local disk, may";
    7 E_FILE_ERROR Disk No "reading or writing a file failed; check the datastore, or the local disk and its log, for I/O errors";
    8 E_DISK_FULL Resources No "the datastore or local disk is full; make room";
    9 E_INCORRECT_FILE_TYPE Disk No "the file is of another kind than the call expects; name the descriptor of the disk (name.vmdk), not an extent (name-flat.vmdk)";
    10 E_CANCELLED Unknown No "the operation was cancelled, by a user or by the server; start it again when that was not meant";
    11 E_FILE_READ_ONLY Permission No "the disk or its connection was opened read-only; open both for writing";
    12 E_FILE_ALREADY_EXISTS Argument No "a file of that name exists; choose another, or remove it first";
    13 E_FILE_ACCESS_ERROR Permission Perhaps "no right to the file, no snapshot given for a running VM, or HotAdd slots full; before VDDK 7.0.3.3 and 8.0.2 also any network trouble, such as TCP 902 blocked. Check role and snapshot, then the network; a newer VDDK tells these apart";
    14 E_REQUIRES_LARGE_FILES Disk No "the file system cannot hold files as large as this disk; use another, or a split disk type";
    15 E_FILE_ALREADY_LOCKED Busy Later "another program has the disk open, or it is the running disk of a VM without snapshot; end the other program or take a snapshot, and try again";
    16 E_VMDB Unknown No "VDDK's internal database failed; its log tells more";
    20 E_NOT_SUPPORTED_ON_REMOTE_OBJECT NotSupported No "this works on local disks only; do it on a local file and clone that to the server";
    21 E_FILE_TOO_BIG Disk No "the file is larger than the file system or the disk type allows; use another of either";
    22 E_FILE_NAME_INVALID Argument No "the file name is not valid; a local path must be absolute, one on a datastore of the form '[datastore] folder/name.vmdk'";
    23 E_ALREADY_EXISTS Argument No "an object of that name exists; choose another name";
    24 E_BUFFER_TOOSMALL Argument No "the buffer is too small; ask again with the size that the call has told";
    25 E_OBJECT_NOT_FOUND NotFound No "the object is not there any more; look it up again";
    26 E_HOST_NOT_CONNECTED Network Later "the ESXi host is not connected to vCenter; reconnect it there, and try again";
    27 E_INVALID_UTF8_STRING Argument No "a text is not UTF-8; convert it first";
    29 E_UNFINISHED_JOB Busy No "an earlier job has not ended; wait for it before the next call";
    30 E_NEED_KEY Encryption No "the disk is encrypted and no key was given; give the backup account the cryptographer privileges and make the key provider reachable";
    31 E_OPERATION_ALREADY_IN_PROGRESS Busy Later "the same operation runs already; wait until it is done and try again";
    32 E_LICENSE Permission No "a licence is missing; the free ESXi licence, for one, does not allow backups";
    34 E_VM_HOST_DISCONNECTED Network Reconnect "the VM's host lost its connection to vCenter; connect anew when it is back";
    35 E_AUTHENTICATION_FAIL Authentication No "user name or password is wrong, or the account is locked; correct the login";
    36 E_HOST_CONNECTION_LOST Network Reconnect "the connection to the host broke; connect and open the disk anew";
    41 E_DUPLICATE_NAME Argument No "the name is taken; choose another";
    44 E_ARGUMENT_TOO_BIG Argument No "an argument is too long; shorten it";
    1000 E_INVALID_HANDLE Argument No "the handle was closed or never opened; a mistake of the calling program";
    1001 E_NOT_SUPPORTED_ON_HANDLE_TYPE NotSupported No "the call does not go with this kind of handle; a mistake of the calling program";
    1002 E_TOO_MANY_HANDLES Resources No "too many handles are open; close some, and look for one that is never closed";
    2000 E_NOT_FOUND Foreign No "";
    2001 E_TYPE_MISMATCH Foreign No "";
    2002 E_INVALID_XML Foreign No "";
    3000 E_TIMEOUT_WAITING_FOR_TOOLS Foreign No "";
    3001 E_UNRECOGNIZED_COMMAND Foreign No "";
    3003 E_OP_NOT_SUPPORTED_ON_GUEST Foreign No "";
    3004 E_PROGRAM_NOT_STARTED Foreign No "";
    3005 E_CANNOT_START_READ_ONLY_VM Foreign No "";
    3006 E_VM_NOT_RUNNING Foreign No "";
    3007 E_VM_IS_RUNNING Foreign No "";
    3008 E_CANNOT_CONNECT_TO_VM Foreign No "";
    3009 E_POWEROP_SCRIPTS_NOT_AVAILABLE Foreign No "";
    3010 E_NO_GUEST_OS_INSTALLED Foreign No "";
    3011 E_VM_INSUFFICIENT_HOST_MEMORY Foreign No "";
    3012 E_SUSPEND_ERROR Foreign No "";
    3013 E_VM_NOT_ENOUGH_CPUS Foreign No "";
    3014 E_HOST_USER_PERMISSIONS Permission No "the account lacks a privilege; PrepareForAccess needs Global.DisableMethods and Global.EnableMethods on vCenter and hosts";
    3015 E_GUEST_USER_PERMISSIONS Foreign No "";
    3016 E_TOOLS_NOT_RUNNING Foreign No "";
    3017 E_GUEST_OPERATIONS_PROHIBITED Foreign No "";
    3018 E_ANON_GUEST_OPERATIONS_PROHIBITED Foreign No "";
    3019 E_ROOT_GUEST_OPERATIONS_PROHIBITED Foreign No "";
    3023 E_MISSING_ANON_GUEST_ACCOUNT Foreign No "";
    3024 E_CANNOT_AUTHENTICATE_WITH_GUEST Foreign No "";
    3025 E_UNRECOGNIZED_COMMAND_IN_GUEST Foreign No "";
    3026 E_CONSOLE_GUEST_OPERATIONS_PROHIBITED Foreign No "";
    3027 E_MUST_BE_CONSOLE_USER Foreign No "";
    3028 E_VMX_MSG_DIALOG_AND_NO_UI Foreign No "";
    3029 E_NOT_ALLOWED_DURING_VM_RECORDING Foreign No "";
    3030 E_NOT_ALLOWED_DURING_VM_REPLAY Foreign No "";
    3031 E_OPERATION_NOT_ALLOWED_FOR_LOGIN_TYPE Foreign No "";
    3032 E_LOGIN_TYPE_NOT_SUPPORTED Foreign No "";
    3033 E_EMPTY_PASSWORD_NOT_ALLOWED_IN_GUEST Foreign No "";
    3034 E_INTERACTIVE_SESSION_NOT_PRESENT Foreign No "";
    3035 E_INTERACTIVE_SESSION_USER_MISMATCH Foreign No "";
    3039 E_UNABLE_TO_REPLAY_VM Foreign No "";
    3041 E_CANNOT_POWER_ON_VM Foreign No "";
    3043 E_NO_DISPLAY_SERVER Foreign No "";
    3044 E_VM_NOT_RECORDING Foreign No "";
    3045 E_VM_NOT_REPLAYING Foreign No "";
    3046 E_TOO_MANY_LOGONS Foreign No "";
    3047 E_INVALID_AUTHENTICATION_SESSION Foreign No "";
    4000 E_VM_NOT_FOUND NotFound No "no VM with that moref on this server; vCenter and ESXi number the same VM differently, so look it up on the server that is connected";
    4001 E_NOT_SUPPORTED_FOR_VM_VERSION NotSupported No "the VM's virtual hardware is too old for this; upgrade its compatibility";
    4002 E_CANNOT_READ_VM_CONFIG NotFound No "the VM's configuration file cannot be read; check its datastore and the account's rights";
    4003 E_TEMPLATE_VM NotSupported No "the VM is a template; convert it to a VM first";
    4004 E_VM_ALREADY_LOADED Busy No "the VM is loaded already";
    4006 E_VM_ALREADY_UP_TO_DATE Foreign No "";
    4011 E_VM_UNSUPPORTED_GUEST Foreign No "";
    6000 E_UNRECOGNIZED_PROPERTY Foreign No "";
    6001 E_INVALID_PROPERTY_VALUE Foreign No "";
    6002 E_READ_ONLY_PROPERTY Foreign No "";
    6003 E_MISSING_REQUIRED_PROPERTY Foreign No "";
    6004 E_INVALID_SERIALIZED_DATA Foreign No "";
    6005 E_PROPERTY_TYPE_MISMATCH Foreign No "";
    8000 E_BAD_VM_INDEX Foreign No "";
    10000 E_INVALID_MESSAGE_HEADER Foreign No "";
    10001 E_INVALID_MESSAGE_BODY Foreign No "";
    13000 E_SNAPSHOT_INVAL Argument No "the snapshot reference is not valid; give the managed object id, for instance snapshot-47";
    13001 E_SNAPSHOT_DUMPER Disk No "the snapshot's file cannot be read or written; look at the VM's snapshots in vSphere";
    13002 E_SNAPSHOT_DISKLIB Disk No "a disk of the snapshot failed; look at the VM's events in vSphere and consolidate its disks";
    13003 E_SNAPSHOT_NOTFOUND NotFound No "no such snapshot; its id must come from the server that is connected, and it must not have been removed meanwhile";
    13004 E_SNAPSHOT_EXISTS Argument No "the snapshot exists already; choose another name or remove it";
    13005 E_SNAPSHOT_VERSION NotSupported No "the snapshot was made by another version; consolidate the VM's disks and make a new one";
    13006 E_SNAPSHOT_NOPERM Permission No "the account may not handle snapshots; give it the snapshot privileges of the VM";
    13007 E_SNAPSHOT_CONFIG Disk No "the snapshot's configuration is damaged; consolidate the VM's disks and make a new one";
    13008 E_SNAPSHOT_NOCHANGE Unknown No "nothing was to be changed";
    13009 E_SNAPSHOT_CHECKPOINT Disk No "the state of the VM for the snapshot could not be saved or read; look at the VM's events in vSphere";
    13010 E_SNAPSHOT_LOCKED Busy No "the snapshot is locked by another operation; wait for that to end";
    13011 E_SNAPSHOT_INCONSISTENT Disk No "the snapshots do not agree with the disks; consolidate the VM's disks";
    13012 E_SNAPSHOT_NAMETOOLONG Argument No "the snapshot's name is too long; shorten it";
    13013 E_SNAPSHOT_VIXFILE Disk No "the snapshot's file cannot be read or written; check the datastore";
    13014 E_SNAPSHOT_DISKLOCKED Busy No "a disk of the snapshot is locked; look for a backup proxy that still holds it, then consolidate";
    13015 E_SNAPSHOT_DUPLICATEDDISK Argument No "the same disk stands twice in the VM; correct the VM";
    13016 E_SNAPSHOT_INDEPENDENTDISK NotSupported No "independent disks are left out of snapshots; change the disk's mode or leave it out of the backup";
    13017 E_SNAPSHOT_NONUNIQUE_NAME Argument No "several snapshots have that name; use the managed object id";
    13018 E_SNAPSHOT_MEMORY_ON_INDEPENDENT_DISK NotSupported No "the memory of a VM with an independent disk cannot be saved; make the snapshot without memory";
    13019 E_SNAPSHOT_MAXSNAPSHOTS Resources No "the VM has as many snapshots as are allowed; remove some";
    13020 E_SNAPSHOT_MIN_FREE_SPACE Resources No "the datastore has too little room for a snapshot; make room";
    13021 E_SNAPSHOT_HIERARCHY_TOODEEP Resources No "the snapshots stand too deep; remove some";
    13022 E_SNAPSHOT_RRSUSPEND NotSupported No "";
    13024 E_SNAPSHOT_NOT_REVERTABLE NotSupported No "this snapshot cannot be reverted to";
    14003 E_HOST_DISK_INVALID_VALUE Disk No "the host refuses a value of the disk's configuration; look at the disk's settings";
    14004 E_HOST_DISK_SECTORSIZE Disk No "the disk's sector size does not fit; disks with 4096-byte sectors need VDDK 7 or later";
    14005 E_HOST_FILE_ERROR_EOF Disk No "the host met the end of the file too early: the disk file is shorter than its descriptor says; check it with vmkfstools";
    14006 E_HOST_NETBLKDEV_HANDSHAKE Network Reopen "the handshake with the ESXi host's NFC service failed; check for a proxy or firewall in between, and open the disk again";
    14007 E_HOST_SOCKET_CREATION_ERROR Network Reopen "no socket could be made; look at this machine's limits, and open the disk again";
    14008 E_HOST_SERVER_NOT_FOUND Network Reopen "the ESXi host's name, as vCenter knows it, does not resolve here; add it to DNS or the hosts file; worth one more try";
    14009 E_HOST_NETWORK_CONN_REFUSED Network Reopen "the ESXi host refuses the connection; open TCP 902 from here to every host; worth a few tries, since too many NFC connections look the same";
    14010 E_HOST_TCP_SOCKET_ERROR Network Reopen "the network failed; check the way to the ESXi host, and open the disk again";
    14011 E_HOST_TCP_CONN_LOST Network Reopen "the connection broke, and every further call on the disk fails; open the disk again, on a new connection if need be";
    14012 E_HOST_NBD_HASHFILE_VOLUME Disk No "";
    14013 E_HOST_NBD_HASHFILE_INIT Disk No "";
    14014 E_HOST_SERVER_SHUTDOWN Network Later "the ESXi host is going down; try again when it is back or the VM has moved";
    14015 E_HOST_SERVER_NOT_AVAILABLE Network Later "the ESXi host is not available; try again when it is back or the VM has moved";
    16000 E_DISK_INVAL Argument No "an argument about the disk is wrong; a mistake of the calling program";
    16001 E_DISK_NOINIT Argument No "VixDiskLib is not initialised; a mistake of the calling program";
    16002 E_DISK_NOIO Disk No "reading or writing the disk's files failed; check the datastore, or the local disk, for I/O errors";
    16003 E_DISK_PARTIALCHAIN Disk No "a file of the disk's chain is missing; look at the VM's folder and snapshots";
    16006 E_DISK_NEEDSREPAIR Disk No "the disk was not closed cleanly; repair it (CheckRepair for local disks)";
    16007 E_DISK_OUTOFRANGE Argument No "the range leaves the disk; a mistake of the calling program, or the disk was made smaller";
    16008 E_DISK_CID_MISMATCH Disk No "the parent of a redo log was changed after the redo log was made; its content is not to be trusted, restore it from a backup";
    16009 E_DISK_CANTSHRINK NotSupported No "this disk cannot be shrunk; only local sparse disks can";
    16010 E_DISK_PARTMISMATCH Disk No "the partition table does not agree with the disk; check it in the guest";
    16011 E_DISK_UNSUPPORTEDDISKVERSION NotSupported No "the disk's format is newer than this VDDK; use a newer VDDK";
    16012 E_DISK_OPENPARENT Disk No "the parent of a redo log cannot be opened; look whether its file exists and is not locked";
    16013 E_DISK_NOTSUPPORTED NotSupported No "the call does not go with this kind of disk";
    16014 E_DISK_NEEDKEY Encryption No "the disk is encrypted and no key was given; give the backup account the cryptographer privileges and make the key provider reachable";
    16015 E_DISK_NOKEYOVERRIDE Encryption No "the key cannot be replaced so";
    16016 E_DISK_NOTENCRYPTED Encryption No "the disk is not encrypted, so no key is to be given";
    16017 E_DISK_NOKEY Encryption No "no key for the disk was found; make the key provider reachable";
    16018 E_DISK_INVALIDPARTITIONTABLE Disk No "the partition table is damaged; check it in the guest";
    16019 E_DISK_NOTNORMAL Disk No "the disk is no ordinary one; name its descriptor";
    16020 E_DISK_NOTENCDESC Encryption No "the descriptor is not encrypted";
    16022 E_DISK_NEEDVMFS NotSupported No "this kind of disk lives on VMFS only; choose another type";
    16024 E_DISK_RAWTOOBIG Disk No "the raw device is larger than allowed; back it up from within the guest";
    16027 E_DISK_TOOMANYOPENFILES Resources Later "too many links or files are open; close disks, consolidate long chains of snapshots, and try again";
    16028 E_DISK_TOOMANYREDO Resources No "the chain of redo logs is too long; consolidate the VM's disks";
    16029 E_DISK_RAWTOOSMALL Disk No "the raw device is smaller than its mapping says; check the device";
    16030 E_DISK_INVALIDCHAIN Disk No "the disk's chain is not valid; look at the VM's snapshots and consolidate";
    16052 E_DISK_KEY_NOTFOUND NotFound No "the disk has no metadata under that key; the list of keys tells which there are";
    16053 E_DISK_SUBSYSTEM_INIT_FAIL NotSupported No "a part of VDDK could not be loaded; give the kit's root, not its lib64, and have its lib64 in LD_LIBRARY_PATH from the program's start";
    16054 E_DISK_INVALID_CONNECTION Network Reconnect "the connection is of no more use; connect anew";
    16061 E_DISK_ENCODING Disk No "the descriptor's text encoding is unknown or wrong; check the descriptor";
    16062 E_DISK_CANTREPAIR Disk No "the disk cannot be repaired; restore it from a backup";
    16063 E_DISK_INVALIDDISK Disk No "the file is no valid disk; name the descriptor, and check that the copy is complete";
    16064 E_DISK_NOLICENSE Permission No "VDDK says the host has no licence for this; more often a privilege is missing on vCenter, so check the role first";
    16065 E_DISK_NODEVICE NotFound OtherTransport "SAN or HotAdd cannot see the device from here; use NBDSSL, or give this machine access to the storage";
    16066 E_DISK_UNSUPPORTEDDEVICE NotSupported OtherTransport "SAN or HotAdd cannot use the device; use NBDSSL";
    16067 E_DISK_CAPACITY_MISMATCH Disk No "parent and child differ in size; attach disks of the same capacity";
    16068 E_DISK_PARENT_NOTALLOWED Argument No "the parent must not be used once its child is attached; use the child's handle";
    16069 E_DISK_ATTACH_ROOTLINK Argument No "a base disk cannot be attached as a child";
    17000 E_CRYPTO_UNKNOWN_ALGORITHM Encryption No "";
    17001 E_CRYPTO_BAD_BUFFER_SIZE Encryption No "";
    17002 E_CRYPTO_INVALID_OPERATION Encryption No "";
    17003 E_CRYPTO_RANDOM_DEVICE Encryption No "";
    17004 E_CRYPTO_NEED_PASSWORD Encryption No "a password is needed to unlock the keys of the VM; VMs encrypted by a key provider need none";
    17005 E_CRYPTO_BAD_PASSWORD Encryption No "the password for the keys of the VM is wrong";
    17006 E_CRYPTO_NOT_IN_DICTIONARY Encryption No "";
    17007 E_CRYPTO_NO_CRYPTO Encryption No "";
    17008 E_CRYPTO_ERROR Encryption No "";
    17009 E_CRYPTO_BAD_FORMAT Encryption No "";
    17010 E_CRYPTO_LOCKED Encryption No "";
    17011 E_CRYPTO_EMPTY Encryption No "";
    17012 E_CRYPTO_KEYSAFE_LOCATOR Encryption No "";
    18000 E_CANNOT_CONNECT_TO_HOST Network Reconnect "server or host cannot be reached, or the connection to it broke; check TCP 443 to the server and TCP 902 to every host, then connect anew";
    18001 E_NOT_FOR_REMOTE_HOST NotSupported No "this works on this machine's own disks only";
    18002 E_INVALID_HOSTNAME_SPECIFICATION Argument No "the server's name is not valid; give a name or address without scheme and path";
    19000 E_SCREEN_CAPTURE_ERROR Foreign No "";
    19001 E_SCREEN_CAPTURE_BAD_FORMAT Foreign No "";
    19002 E_SCREEN_CAPTURE_COMPRESSION_FAIL Foreign No "";
    19003 E_SCREEN_CAPTURE_LARGE_DATA Foreign No "";
    20000 E_GUEST_VOLUMES_NOT_FROZEN Foreign No "the guest's volumes could not be frozen for a quiesced snapshot; look at VMware Tools and VSS in the guest";
    20001 E_NOT_A_FILE Foreign No "";
    20002 E_NOT_A_DIRECTORY Foreign No "";
    20003 E_NO_SUCH_PROCESS Foreign No "";
    20004 E_FILE_NAME_TOO_LONG Foreign No "";
    20005 E_OPERATION_DISABLED Foreign No "";
    21000 E_TOOLS_INSTALL_NO_IMAGE Foreign No "";
    21001 E_TOOLS_INSTALL_IMAGE_INACCESIBLE Foreign No "";
    21002 E_TOOLS_INSTALL_NO_DEVICE Foreign No "";
    21003 E_TOOLS_INSTALL_DEVICE_NOT_CONNECTED Foreign No "";
    21004 E_TOOLS_INSTALL_CANCELLED Foreign No "";
    21005 E_TOOLS_INSTALL_INIT_FAILED Foreign No "";
    21006 E_TOOLS_INSTALL_AUTO_NOT_SUPPORTED Foreign No "";
    21007 E_TOOLS_INSTALL_GUEST_NOT_READY Foreign No "";
    21008 E_TOOLS_INSTALL_SIG_CHECK_FAILED Foreign No "";
    21009 E_TOOLS_INSTALL_ERROR Foreign No "";
    21010 E_TOOLS_INSTALL_ALREADY_UP_TO_DATE Foreign No "";
    21011 E_TOOLS_INSTALL_IN_PROGRESS Foreign No "";
    21012 E_TOOLS_INSTALL_IMAGE_COPY_FAILED Foreign No "";
    22001 E_WRAPPER_WORKSTATION_NOT_INSTALLED Foreign No "";
    22002 E_WRAPPER_VERSION_NOT_FOUND Foreign No "";
    22003 E_WRAPPER_SERVICEPROVIDER_NOT_FOUND Foreign No "";
    22004 E_WRAPPER_PLAYER_NOT_INSTALLED Foreign No "";
    22005 E_WRAPPER_RUNTIME_NOT_INSTALLED Foreign No "";
    22006 E_WRAPPER_MULTIPLE_SERVICEPROVIDERS Foreign No "";
    24000 E_MNTAPI_MOUNTPT_NOT_FOUND Foreign No "";
    24001 E_MNTAPI_MOUNTPT_IN_USE Foreign No "";
    24002 E_MNTAPI_DISK_NOT_FOUND Foreign No "";
    24003 E_MNTAPI_DISK_NOT_MOUNTED Foreign No "";
    24004 E_MNTAPI_DISK_IS_MOUNTED Foreign No "";
    24005 E_MNTAPI_DISK_NOT_SAFE Foreign No "";
    24006 E_MNTAPI_DISK_CANT_OPEN Foreign No "";
    24007 E_MNTAPI_CANT_READ_PARTS Foreign No "";
    24008 E_MNTAPI_UMOUNT_APP_NOT_FOUND Foreign No "";
    24009 E_MNTAPI_UMOUNT Foreign No "";
    24010 E_MNTAPI_NO_MOUNTABLE_PARTITONS Foreign No "";
    24011 E_MNTAPI_PARTITION_RANGE Foreign No "";
    24012 E_MNTAPI_PERM Foreign No "";
    24013 E_MNTAPI_DICT Foreign No "";
    24014 E_MNTAPI_DICT_LOCKED Foreign No "";
    24015 E_MNTAPI_OPEN_HANDLES Foreign No "";
    24016 E_MNTAPI_CANT_MAKE_VAR_DIR Foreign No "";
    24017 E_MNTAPI_NO_ROOT Foreign No "";
    24018 E_MNTAPI_LOOP_FAILED Foreign No "";
    24019 E_MNTAPI_DAEMON Foreign No "";
    24020 E_MNTAPI_INTERNAL Foreign No "";
    24021 E_MNTAPI_SYSTEM Foreign No "";
    24022 E_MNTAPI_NO_CONNECTION_DETAILS Foreign No "";
    24300 E_MNTAPI_INCOMPATIBLE_VERSION Foreign No "";
    24301 E_MNTAPI_OS_ERROR Foreign No "";
    24302 E_MNTAPI_DRIVE_LETTER_IN_USE Foreign No "";
    24303 E_MNTAPI_DRIVE_LETTER_ALREADY_ASSIGNED Foreign No "";
    24304 E_MNTAPI_VOLUME_NOT_MOUNTED Foreign No "";
    24305 E_MNTAPI_VOLUME_ALREADY_MOUNTED Foreign No "";
    24306 E_MNTAPI_FORMAT_FAILURE Foreign No "";
    24307 E_MNTAPI_NO_DRIVER Foreign No "";
    24308 E_MNTAPI_ALREADY_OPENED Foreign No "";
    24309 E_MNTAPI_ITEM_NOT_FOUND Foreign No "";
    24310 E_MNTAPI_UNSUPPROTED_BOOT_LOADER Foreign No "";
    24311 E_MNTAPI_UNSUPPROTED_OS Foreign No "";
    24312 E_MNTAPI_CODECONVERSION Foreign No "";
    24313 E_MNTAPI_REGWRITE_ERROR Foreign No "";
    24314 E_MNTAPI_UNSUPPORTED_FT_VOLUME Foreign No "";
    24315 E_MNTAPI_PARTITION_NOT_FOUND Foreign No "";
    24316 E_MNTAPI_PUTFILE_ERROR Foreign No "";
    24317 E_MNTAPI_GETFILE_ERROR Foreign No "";
    24318 E_MNTAPI_REG_NOT_OPENED Foreign No "";
    24319 E_MNTAPI_REGDELKEY_ERROR Foreign No "";
    24320 E_MNTAPI_CREATE_PARTITIONTABLE_ERROR Foreign No "";
    24321 E_MNTAPI_OPEN_FAILURE Foreign No "";
    24322 E_MNTAPI_VOLUME_NOT_WRITABLE Foreign No "";
    25000 ASYNC Unknown No "no error: the request was accepted, and its completion tells how it went";
    26000 E_ASYNC_MIXEDMODE_UNSUPPORTED Argument No "synchronous and asynchronous calls on one handle are not allowed; a mistake of the calling program";
    30001 E_NET_HTTP_UNSUPPORTED_PROTOCOL Network No "the server was addressed in a way that the library does not speak; give a name or address without scheme and path";
    30003 E_NET_HTTP_URL_MALFORMAT Network No "the server's address is not valid; give a name or address without scheme and path";
    30005 E_NET_HTTP_COULDNT_RESOLVE_PROXY Network No "the name of a proxy does not resolve; take the proxy out of the environment";
    30006 E_NET_HTTP_COULDNT_RESOLVE_HOST Network Reconnect "the server's name does not resolve; check it and this machine's DNS";
    30007 E_NET_HTTP_COULDNT_CONNECT Network Reconnect "the server cannot be reached; check its address and TCP 443";
    30022 E_NET_HTTP_HTTP_RETURNED_ERROR Network No "the server answered with an HTTP error; a proxy in between, or no vSphere server, is likely";
    30028 E_NET_HTTP_OPERATION_TIMEDOUT Network Reconnect "the server did not answer in time; check its load and the network, and connect anew";
    30035 E_NET_HTTP_SSL_CONNECT_ERROR Network No "TLS with the server failed; check its certificate, the thumbprint, and which TLS versions both sides allow";
    30047 E_NET_HTTP_TOO_MANY_REDIRECTS Network No "the server sends from one address to another without end; a proxy in between is likely";
    30200 E_NET_HTTP_TRANSFER Network No "the transfer over HTTP failed; VDDK's log tells more";
    30201 E_NET_HTTP_SSL_SECURITY Network No "the server's certificate was refused; check it and the thumbprint";
    30202 E_NET_HTTP_GENERIC Network No "HTTP failed for a reason that VDDK does not give; its log tells more";
}
