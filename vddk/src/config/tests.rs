use std::time::Duration;

use super::{Config, ConfigError, text};

#[test]
fn the_advised_settings_are_those_of_the_guide() {
    let config = Config::recommended();
    assert_eq!(config, Config::builder().build().unwrap());
    assert_eq!(
        config.to_string(),
        "vixDiskLib.nfc.AcceptTimeoutMs=180000\n\
         vixDiskLib.nfc.RequestTimeoutMs=180000\n\
         vixDiskLib.nfc.ReadTimeoutMs=60000\n\
         vixDiskLib.nfc.WriteTimeoutMs=600000\n\
         vixDiskLib.nfcFssrvr.TimeoutMs=0\n\
         vixDiskLib.nfcFssrvrWrite.TimeoutMs=0\n\
         vixDiskLib.nfcAio.Session.BufSizeIn64KB=16\n\
         vixDiskLib.nfcAio.Session.BufCount=4\n"
    );
    assert_eq!(config.nfc_aio_buffers(), Some((1 << 20, 4)));
    let shortest = config.shortest_nfc_time_out().unwrap();
    assert_eq!(shortest, Duration::from_mins(1));
    assert!(config.keep_alive_interval().unwrap() < shortest / 2);
}

#[test]
fn no_time_out_keeps_nothing_alive() {
    let none = Config::empty().nfc_read_time_out_ms(0).build().unwrap();
    assert_eq!(none.shortest_nfc_time_out(), None);
    assert_eq!(none.keep_alive_interval(), None);
    let short = Config::builder()
        .nfc_file_server_time_out_ms(1)
        .build()
        .unwrap();
    let every = short.keep_alive_interval().unwrap();
    assert!(!every.is_zero() && every < Duration::from_micros(500));
}

fn everything() -> Config {
    Config::builder()
        .tmp_directory("/var/tmp/with blank # and =")
        .transport_log_level(6)
        .nfc_log_level(4)
        .san_deny("/dev/sda")
        .san_deny("/dev/sd[b-d]*")
        .san_allow("all")
        .other("vixDiskLib.phoneHome.ProductName", "Ein Gerät")
        .other("empty.value", "")
        .build()
        .unwrap()
}

#[test]
fn what_is_written_reads_the_same_for_every_release() {
    let config = everything();
    for major in [None, Some(6), Some(7), Some(8), Some(9)] {
        let written = text::write(&config, major);
        assert_eq!(written.parse::<Config>().unwrap(), config, "{written}");
    }
    assert_eq!(config.to_string().parse::<Config>().unwrap(), config);
}

#[test]
fn the_san_lists_have_the_names_that_the_release_knows() {
    let config = everything();
    for (major, new, old) in [
        (Some(7), false, true),
        (Some(8), true, false),
        (None, true, true),
    ] {
        let written = text::write(&config, major);
        assert_eq!(
            written.contains("san.denyList=/dev/sda,/dev/sd[b-d]*\n"),
            new
        );
        assert_eq!(written.contains("san.allowList=all\n"), new);
        assert_eq!(written.contains("san.blacklist="), old);
        assert_eq!(written.contains("san.whitelist="), old);
    }
}

#[test]
fn a_file_of_others_is_read() {
    let text = "# a comment\r\n\r\n  VIXDISKLIB.nfc.readtimeoutms = 5000  # five seconds\n\
                tmpDirectory=\"/tmp/a b\" # here\nunknown.key = a value\n\
                vixDiskLib.transport.san.blacklist= /dev/sda , ,/dev/sdb\n\
                vixDiskLib.transport.san.denyList=\"/dev/sdb,/dev/sdc\"";
    let config: Config = text.parse().unwrap();
    assert_eq!(config.nfc_read_time_out_ms(), Some(5000));
    assert_eq!(config.tmp_directory(), Some("/tmp/a b"));
    assert_eq!(
        config.other(),
        [("unknown.key".to_owned(), "a value".to_owned())]
    );
    let (deny, allow) = config.san_devices();
    assert_eq!(deny, ["/dev/sda", "/dev/sdb", "/dev/sdc"]);
    assert!(allow.is_empty());
    assert_eq!(config.nfc_aio_buffers(), None);
}

#[test]
fn lines_that_are_none_are_refused_by_their_number() {
    for wrong in [
        "no equals sign",
        "=value",
        "a b=1",
        "a=\"open",
        "a=\"b\" c",
        "a=b\"c",
        "a=\u{7}",
        "vixDiskLib.nfc.LogLevel=5",
        "vixDiskLib.nfc.LogLevel=-1",
        "vixDiskLib.nfc.LogLevel=",
        "vixDiskLib.nfc.ReadTimeoutMs=99999999999999999999",
        "vixDiskLib.nfc.ReadTimeoutMs=2147483648",
        "vixDiskLib.nfcAio.Session.BufCount=0",
        "tmpDirectory=relative",
    ] {
        let text = format!("# first\n{wrong}\n");
        let error = text.parse::<Config>().unwrap_err();
        assert!(
            matches!(error, ConfigError::Line { line: 2, .. }),
            "{wrong:?}: {error}"
        );
    }
    let twice = "a=1\nA=2".parse::<Config>();
    assert!(matches!(twice, Err(ConfigError::Twice { .. })));
}

#[test]
fn values_that_do_not_fit_are_refused() {
    for wrong in [
        Config::builder().tmp_directory("/a\nb=c"),
        Config::builder().tmp_directory("/a\"b"),
        Config::builder().tmp_directory(""),
        Config::builder().transport_log_level(7),
        Config::builder().nfc_aio_buffers(16, 0),
        Config::builder().nfc_read_time_out_ms(u32::MAX),
        Config::builder().san_deny("a,b"),
        Config::builder().san_allow(""),
        Config::builder().other("a", "b\0c"),
        Config::builder().other("a=b", "c"),
        Config::builder().other("", "c"),
        Config::builder().other("x", "1").other("X", "2"),
        Config::builder().other("TMPDIRECTORY", "/x"),
    ] {
        assert!(wrong.clone().build().is_err(), "{wrong:?}");
    }
}

#[test]
fn buffers_of_more_than_16_mib_are_refused() {
    assert!(Config::builder().nfc_aio_buffers(64, 4).build().is_ok());
    let error = Config::builder().nfc_aio_buffers(65, 4).build();
    assert!(matches!(
        error,
        Err(ConfigError::AioBuffers { count: 4, .. })
    ));
    // With the library's own four buffers.
    let text = "vixDiskLib.nfcAio.Session.BufSizeIn64KB=65";
    assert!(text.parse::<Config>().is_err());
}

/// A generator that needs no crate: the same bytes every time.
fn noise(seed: u64) -> impl FnMut() -> u64 {
    let mut state = seed;
    move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    }
}

#[test]
fn hostile_text_is_refused_or_reads_back_the_same() {
    let pieces = [
        "=",
        "\"",
        "#",
        "\n",
        " ",
        "a",
        "tmpDirectory",
        "/",
        ",",
        "vixDiskLib.nfc.LogLevel",
        "3",
        "\0",
        "ü",
        "\r",
        "vixDiskLib.transport.san.allowList",
        "\u{feff}",
    ];
    let mut next = noise(0x9E37_79B9_7F4A_7C15);
    let mut read = 0;
    for _ in 0..20_000 {
        let length = next() % 12;
        let text: String = (0..length)
            .map(|_| pieces[usize::try_from(next() % pieces.len() as u64).unwrap()])
            .collect();
        if let Ok(config) = text.parse::<Config>() {
            read += 1;
            let again: Config = config.to_string().parse().unwrap();
            assert_eq!(again, config, "{text:?}");
        }
    }
    assert!(read > 100, "only {read} were read");
}
