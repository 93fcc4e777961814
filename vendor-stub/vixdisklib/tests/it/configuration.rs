//! VDDK's configuration file.

use crate::harness::*;

const AIO: &str = "vixDiskLib.nfcAio.Session.";

#[test]
fn buffers_of_more_than_sixteen_megabytes_fail_the_open() {
    in_own_process(
        "configuration::buffers_of_more_than_sixteen_megabytes_fail_the_open",
        || {
            let site = Site::new();
            let config = format!("{AIO}BufSizeIn64KB=64\n{AIO}BufCount=5\n");
            site.init_configured("", Some(&config));
            let connection =
                connect(&site.params(), true, Some(&site.snapshot.moref), None).unwrap();
            assert_eq!(open(connection, site.frozen(), READ_ONLY), Err(1));
            assert!(!log_lines("exceed 16 MB").is_empty());
            exit();
        },
    );
}

#[test]
fn settings_hold_and_odd_lines_are_only_remarked() {
    in_own_process(
        "configuration::settings_hold_and_odd_lines_are_only_remarked",
        || {
            let site = Site::new();
            let config = format!(
                "# a comment\nVIXDISKLIB.nfc.ReadTimeoutMs=60000\n{AIO}BufSizeIn64K=16\n{AIO}BufCount=4\n"
            );
            site.init_configured("", Some(&config));
            assert_eq!(
                log_lines("line 3: vixDiskLib.nfcAio.Session.BufSizeIn64K: unknown").len(),
                1
            );
            assert_eq!(log_lines("read 60000,").len(), 1);
            let (_, disk) = site.open_frozen();
            assert_eq!(read(disk, 256, 1).unwrap(), [0x11; 512]);
            exit();
        },
    );
}

#[test]
fn a_file_that_is_not_there_is_no_error() {
    in_own_process(
        "configuration::a_file_that_is_not_there_is_no_error",
        || {
            let missing = std::path::Path::new("/no/such/file");
            assert_eq!(init_configured((6, 5), None, Some(missing)), 0);
            assert_eq!(log_lines("not read").len(), 1);
            exit();
        },
    );
}
