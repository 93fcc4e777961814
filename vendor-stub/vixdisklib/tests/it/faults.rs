//! Faults of the lab in plain calls.

use lab::Fault;

use crate::harness::*;

#[test]
fn faults_fire_by_function_and_call() {
    in_own_process("faults::faults_fire_by_function_and_call", || {
        let site = Site::new();
        let fault = |call: &str, nth, code| Fault {
            call: call.into(),
            nth: Some(nth),
            code: Some(code),
            message: Some("as told".into()),
            ..Fault::default()
        };
        let faults = [
            fault("VixDiskLib_InitEx", 1, 16053),
            fault("VixDiskLib_Read", 2, 14011),
            fault("VixDiskLib_Close", 1, 7),
            fault("VixDiskLib_EndAccess", 1, 3014),
        ];
        site.lab.set_faults(&faults).unwrap();
        let kit = site.folder.path().join("kit");
        std::fs::create_dir(&kit).unwrap();
        let settings = format!("lab = '{}'\n", site.lab.root().display());
        std::fs::write(kit.join("standin.toml"), settings).unwrap();
        assert_eq!(init((6, 5), Some(&kit)), 16053);
        assert_eq!(
            init((6, 5), Some(&kit)),
            0,
            "a failed start may be repeated"
        );
        assert_eq!(site.journal("VixDiskLib_InitEx").len(), 2);

        assert_eq!(access(&site.params(), "one", true), 0);
        assert_eq!(access(&site.params(), "one", false), 3014);
        let disabled = || site.lab.vm(&site.vm.moref).unwrap().disabled_methods.len();
        assert_eq!(disabled(), 1, "the work was not done");
        assert_eq!(access(&site.params(), "one", false), 0);

        let (_, disk) = site.open_frozen();
        assert!(read(disk, 0, 1).is_ok());
        assert_eq!(read(disk, 0, 1), Err(14011));
        assert!(read(disk, 0, 1).is_ok());
        assert_eq!(close(disk), 7);
        assert_eq!(close(disk), 1000, "closed all the same");
        site.lab
            .remove_snapshot(&site.snapshot.moref, false)
            .unwrap();
        assert_eq!(log_lines("as told (error 14011)").len(), 1);
        exit();
    });
}
