//! The settings of whole files.

use super::*;

/// The values that the programming guide advises, in a file as people write it.
const ADVISED: &str = "\
# VDDK settings
tmpDirectory=\"/var/tmp/with blank\"
VixDiskLib.nfc.AcceptTimeoutMs = 180000
vixDiskLib.nfc.RequestTimeoutMs=180000 # three minutes
VIXDISKLIB.NFC.READTIMEOUTMS=60000
vixDiskLib.nfc.WriteTimeoutMs=600000
vixDiskLib.nfcFssrvr.TimeoutMs=0
vixDiskLib.nfcFssrvrWrite.TimeoutMs=0

vixDiskLib.nfcAio.Session.BufSizeIn64KB=16
vixDiskLib.nfcAio.Session.BufCount=4
vixDiskLib.transport.LogLevel=6
vixDiskLib.nfc.LogLevel=4
";

#[test]
fn the_advised_settings_are_understood() {
    let (config, remarks) = Config::parse(ADVISED);
    assert!(remarks.is_empty(), "{remarks:?}");
    let minutes = |minutes: u64| Some(Duration::from_secs(minutes * 60));
    assert_eq!(
        config.tmp_directory.as_deref(),
        Some(Path::new("/var/tmp/with blank"))
    );
    let expected = NfcTimeOuts {
        accept: minutes(3),
        request: minutes(3),
        read: minutes(1),
        write: minutes(10),
        file_server: None,
        file_server_write: None,
    };
    assert_eq!(config.nfc, expected);
    assert_eq!(config.nfc.shortest(), minutes(1));
    assert_eq!((config.aio.size_bytes, config.aio.count), (1 << 20, 4));
    assert!(config.aio.check().is_ok());
    assert_eq!((config.log.transport, config.log.nfc), (6, 4));
}

#[test]
fn without_settings_nothing_times_out() {
    let (config, remarks) = Config::parse("");
    assert!(remarks.is_empty());
    assert_eq!(config, Config::default());
    assert_eq!(config.nfc.shortest(), None);
    assert_eq!(config.aio.total_bytes(), 256 * 1024);
    assert!(config.san.permit("/dev/sda"));
}

#[test]
fn what_has_no_effect_is_remarked_by_line() {
    let text = "\
vixDiskLib.nfcAio.Session.BufSizeIn64K=16
vixDiskLib.nfc.ReadTimeoutMs=soon
vixDiskLib.nfcAio.Session.BufCount=0
vixDiskLib.transport.LogLevel=7
no setting
tmpDirectory=\"/tmp
";
    let (config, remarks) = Config::parse(text);
    assert_eq!(config, Config::default());
    let starts: Vec<_> = remarks
        .iter()
        .map(|line| line.split(':').next().unwrap_or_default().to_owned())
        .collect();
    let expected: Vec<_> = (1..=6).map(|number| format!("line {number}")).collect();
    assert_eq!(starts, expected);
    assert!(remarks[0].contains("BufSizeIn64K: unknown"), "{remarks:?}");
}

#[test]
fn the_later_of_two_lines_holds_and_zero_is_no_time_out() {
    let key = "vixDiskLib.nfc.ReadTimeoutMs";
    let (config, _) = Config::parse(&format!("{key}=5\n{key}=7\n"));
    assert_eq!(config.nfc.read, Some(Duration::from_millis(7)));
    let (config, _) = Config::parse(&format!("{key}=5\n{key}=0\n"));
    assert_eq!(config.nfc.read, None);
}

#[test]
fn buffers_over_sixteen_megabytes_are_refused() {
    let buffers = |size: &str, count: &str| {
        let key = "vixDiskLib.nfcAio.Session.Buf";
        let (config, remarks) =
            Config::parse(&format!("{key}SizeIn64KB={size}\n{key}Count={count}\n"));
        assert!(remarks.is_empty(), "{remarks:?}");
        config.aio.check().map_err(|failure| failure.code)
    };
    assert_eq!(buffers("64", "4"), Ok(()));
    assert_eq!(buffers("65", "4"), Err(sys::VIX_E_FAIL));
    let huge = u64::MAX.to_string();
    assert_eq!(buffers(&huge, &huge), Err(sys::VIX_E_FAIL));
}

#[test]
fn devices_are_denied_and_allowed_under_old_and_new_names() {
    let lists = |text: &str| Config::parse(text).0.san;
    let prefix = "vixDiskLib.transport.san.";
    for (deny, allow) in [("denyList", "allowList"), ("blacklist", "whitelist")] {
        let san = lists(&format!("{prefix}{deny}=/dev/sda, /dev/sd[x-z]\n"));
        assert!(!san.permit("/dev/sda"));
        assert!(!san.permit("/dev/sdy"));
        assert!(san.permit("/dev/sdb"));
        let san = lists(&format!("{prefix}{deny}=all\n{prefix}{allow}=/dev/sdb\n"));
        assert!(!san.permit("/dev/sda"));
        assert!(san.permit("/dev/sdb"));
    }
}

#[test]
fn a_file_that_cannot_be_read_leaves_the_defaults() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("none");
    assert_eq!(Config::read(&missing), Config::default());
    assert_eq!(Config::read(folder.path()), Config::default());
    let odd = folder.path().join("odd");
    std::fs::write(&odd, b"\xff=\xff\ntmpDirectory=/x\n").unwrap();
    let config = Config::read(&odd);
    assert_eq!(config.tmp_directory.as_deref(), Some(Path::new("/x")));
}
