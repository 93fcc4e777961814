//! VDDK's configuration file: what the library is started with, and how long it is there.

use std::{fs, os::unix::fs::PermissionsExt, path::PathBuf};

use vddk::{Config, ConfigError, ConfigSource, Error, Library, LibraryOptions};

use crate::kit::{Kit, in_own_process};

impl Kit {
    fn options_with(&self, config: impl Into<ConfigSource>) -> LibraryOptions {
        LibraryOptions {
            config: config.into(),
            ..self.options()
        }
    }

    /// What `InitEx` was told to read.
    fn config_file(&self) -> Option<PathBuf> {
        let entries = self.lab.journal().entries().unwrap();
        let start = entries
            .iter()
            .find(|entry| entry.call == "VixDiskLib_InitEx")
            .expect("the library was started");
        start.args["config_file"].as_str().map(PathBuf::from)
    }
}

#[test]
fn the_advised_settings_are_in_a_private_file_while_the_library_lives() {
    in_own_process(
        "config::the_advised_settings_are_in_a_private_file_while_the_library_lives",
        || {
            let kit = Kit::new();
            let library = kit.load();
            assert_eq!(library.config(), Some(&Config::recommended()));
            let file = kit.config_file().expect("a file was named");
            let folder = file.parent().unwrap().to_owned();
            assert_eq!(Config::read(&file).unwrap(), Config::recommended());
            let mode = |path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
            assert_eq!((mode(&file), mode(&folder)), (0o600, 0o700));
            assert!(library.close().unwrap());
            assert!(!folder.exists());
        },
    );
}

#[test]
fn settings_are_written_by_the_names_of_the_release() {
    in_own_process(
        "config::settings_are_written_by_the_names_of_the_release",
        || {
            let kit = Kit::new();
            let settings = Config::builder()
                .nfc_read_time_out_ms(1500)
                .san_deny("all")
                .build()
                .unwrap();
            let library = Library::load(kit.options_with(settings.clone())).unwrap();
            assert_eq!(library.config(), Some(&settings));
            let text = fs::read_to_string(kit.config_file().unwrap()).unwrap();
            assert!(text.contains("vixDiskLib.nfc.ReadTimeoutMs=1500\n"));
            assert!(text.contains("san.denyList=all\n"), "{text}");
            assert!(
                !text.contains("blacklist"),
                "the release is 8, not 7: {text}"
            );
        },
    );
}

#[test]
fn a_file_of_the_user_s_is_handed_on_as_it_is() {
    in_own_process("config::a_file_of_the_user_s_is_handed_on_as_it_is", || {
        let kit = Kit::new();
        let file = kit.folder().join("vddk.conf");
        let text = "# ours\nvixDiskLib.nfc.ReadTimeoutMs = 9000\n";
        fs::write(&file, text).unwrap();
        let library = Library::load(kit.options_with(file.clone())).unwrap();
        assert_eq!(library.config().unwrap().nfc_read_time_out_ms(), Some(9000));
        assert_eq!(kit.config_file(), Some(file.clone()));
        assert!(library.close().unwrap());
        assert_eq!(fs::read_to_string(file).unwrap(), text);
    });
}

#[test]
fn without_a_file_none_is_named() {
    in_own_process("config::without_a_file_none_is_named", || {
        let kit = Kit::new();
        let library = Library::load(kit.options_with(ConfigSource::Unnamed)).unwrap();
        assert_eq!((library.config(), kit.config_file()), (None, None));
    });
}

#[test]
fn a_bad_file_starts_nothing_and_a_good_one_does_later() {
    in_own_process(
        "config::a_bad_file_starts_nothing_and_a_good_one_does_later",
        || {
            let kit = Kit::new();
            let file = kit.folder().join("vddk.conf");
            let missing = Library::load(kit.options_with(file.clone()));
            assert!(matches!(
                missing,
                Err(Error::Config(ConfigError::Read { .. }))
            ));
            fs::write(&file, "vixDiskLib.nfcAio.Session.BufSizeIn64KB=1000\n").unwrap();
            assert!(Library::load(kit.options_with(file.clone())).is_err());
            fs::write(&file, "a line\n").unwrap();
            let error = Library::load(kit.options_with(file)).unwrap_err();
            assert!(error.to_string().contains("line 1"), "{error}");
            assert_eq!(kit.count("VixDiskLib_InitEx"), 0);
            assert!(kit.load().close().unwrap());
        },
    );
}
