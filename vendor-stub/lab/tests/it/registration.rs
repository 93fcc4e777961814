//! VMs that come back by their files, and what they ask then.

use lab::{
    CHOICES, Consent, DiskChange, DiskSpec, Error, PowerState, Quiescing, Site, SnapshotSpec,
    VmChange, VmSpec,
};

use crate::{Fixture, GRAIN, KEY};

const VMX: &str = "[datastore1] app01/app01.vmx";

/// A lab whose VM was changed, powered off and unregistered; with the VM as it was.
fn unregistered() -> (Fixture, lab::Vm) {
    let fixture = Fixture::new(4 * GRAIN);
    let lab = &fixture.lab;
    let add = DiskChange::Add {
        spec: DiskSpec {
            capacity_bytes: 2 * GRAIN,
            mode: "independent_persistent".into(),
            ..DiskSpec::default()
        },
        controller_key: 1002,
        unit: Some(3),
    };
    let change = VmChange {
        annotation: Some("two\nlines \"quoted\" |7C".into()),
        memory_mib: Some(512),
        cpus: Some(7),
        guest_id: Some("rhel8_64Guest".into()),
        extra_config: [("restore.id".into(), "r = \"1\"".into())].into(),
        controllers: [(1002, "VirtualLsiLogicSASController".into())].into(),
        disks: vec![add],
        ..VmChange::default()
    };
    lab.reconfigure(&fixture.vm, change).unwrap();
    fixture.write(GRAIN, &[5; 512]);
    lab.set_power_state(&fixture.vm, PowerState::PoweredOff)
        .unwrap();
    let vm = lab.vm(&fixture.vm).unwrap();
    lab.unregister_vm(&fixture.vm).unwrap();
    (fixture, vm)
}

#[test]
fn a_vm_comes_back_as_it_was() {
    let (mut fixture, before) = unregistered();
    let lab = fixture.lab.clone();
    let vm = lab.register_vm(VMX, None, Site::VM_FOLDER).unwrap();
    assert_ne!(vm.moref, before.moref);
    let shown = |vm: &lab::Vm| {
        let disks = vm.disks.iter().map(|disk| {
            let file = disk.top().map(|link| link.file.clone());
            let place = (disk.device_key, disk.controller_key, disk.unit_number);
            (place, disk.disk_uuid.clone(), disk.mode.clone(), file)
        });
        let texts = [
            &vm.name,
            &vm.annotation,
            &vm.guest_id,
            &vm.bios_uuid,
            &vm.instance_uuid,
            &vm.vmx_path,
        ];
        (
            texts.map(String::clone),
            (vm.memory_mib, vm.cpus, vm.hardware_version),
            vm.extra_config.clone(),
            vm.controller_types.clone(),
            disks.collect::<Vec<_>>(),
        )
    };
    assert_eq!(shown(&vm), shown(&before));
    assert!(!vm.lay_elsewhere);
    fixture.vm = vm.moref;
    assert_eq!(fixture.read(None)[GRAIN as usize], 5);
    let twice = lab.register_vm(VMX, Some("other"), Site::VM_FOLDER);
    assert!(matches!(twice, Err(Error::AlreadyExists { .. })));
}

#[test]
fn what_cannot_be_registered() {
    let (fixture, _) = unregistered();
    let lab = &fixture.lab;
    let register = |path: &str, name| lab.register_vm(path, name, Site::VM_FOLDER);
    for path in [
        "[datastore1] none/none.vmx",
        "[none] app01/app01.vmx",
        "app01.vmx",
        "[datastore1] ../app01.vmx",
    ] {
        let refused = register(path, None);
        assert!(matches!(refused, Err(Error::NotFound { .. })), "{path}");
    }
    let refused = register("[datastore1] app01/app01-flat.vmdk", None);
    assert!(matches!(refused, Err(Error::InvalidSpec { .. })));
    lab.add_vm(VmSpec {
        name: "taken".into(),
        ..VmSpec::default()
    })
    .unwrap();
    let refused = register(VMX, Some("taken"));
    assert!(matches!(refused, Err(Error::DuplicateName { .. })));
    let file = lab.datastore_file("[datastore1] app01/app01.vmdk").unwrap();
    std::fs::remove_file(file).unwrap();
    assert!(matches!(register(VMX, None), Err(Error::NotFound { .. })));
    assert_eq!(lab.vms().unwrap().len(), 1);
}

#[test]
fn a_vm_that_was_moved_or_copied_asks_before_it_is_powered_on() {
    for (choice, expected) in [("1", true), ("2", false)] {
        let (fixture, before) = unregistered();
        let lab = &fixture.lab;
        lab.move_datastore_file(
            "[datastore1] app01/app01.vmx",
            "[datastore1] app01/x.vmx",
            false,
        )
        .unwrap();
        let path = "[datastore1] app01/x.vmx";
        let vm = lab.register_vm(path, None, Site::VM_FOLDER).unwrap().moref;
        for _ in 0..2 {
            assert_eq!(lab.consent_to_power_on(&vm).unwrap(), Consent::Awaited);
        }
        let question = lab.vm(&vm).unwrap().question.unwrap();
        let wrong = lab.answer_question(&vm, "other", choice).unwrap_err();
        assert!(matches!(wrong, Error::InvalidSpec { .. }));
        let wrong = lab.answer_question(&vm, &question.id, "9").unwrap_err();
        assert!(matches!(wrong, Error::InvalidSpec { .. }));

        lab.answer_question(&vm, &question.id, CHOICES[0].0)
            .unwrap();
        assert_eq!(lab.consent_to_power_on(&vm).unwrap(), Consent::Refused);
        assert_eq!(lab.consent_to_power_on(&vm).unwrap(), Consent::Awaited);
        lab.answer_question(&vm, &question.id, choice).unwrap();
        let late = lab.answer_question(&vm, &question.id, choice).unwrap_err();
        assert!(matches!(late, Error::InvalidSpec { .. }));
        assert_eq!(lab.consent_to_power_on(&vm).unwrap(), Consent::Given);
        let after = lab.vm(&vm).unwrap();
        assert_eq!(after.bios_uuid == before.bios_uuid, expected);
        assert_eq!(after.question, None);
        assert_eq!(lab.consent_to_power_on(&vm).unwrap(), Consent::Given);
    }
}

#[test]
fn a_template_is_not_powered_on_and_has_no_snapshots() {
    let fixture = Fixture::new(GRAIN);
    let lab = &fixture.lab;
    let template = lab.add_vm(VmSpec {
        name: "template".into(),
        powered_on: false,
        is_template: true,
        ..VmSpec::default()
    });
    let template = template.unwrap().moref;
    let refused = lab.change_power_state(&template, PowerState::PoweredOn);
    assert!(matches!(refused, Err(Error::Template { .. })));
    let refused = lab.create_snapshot(&template, &SnapshotSpec::named("s"));
    assert!(matches!(refused, Err(Error::Template { .. })));
}

#[test]
fn quiescing_fails_or_is_left_out() {
    let fixture = Fixture::new(GRAIN);
    let (lab, vm) = (&fixture.lab, fixture.vm.as_str());
    let spec = SnapshotSpec {
        name: "s".into(),
        quiesce: true,
        ..SnapshotSpec::default()
    };
    for (quiescing, wanted) in [
        (Quiescing::ApplicationFails, true),
        (Quiescing::FilesystemFails, false),
    ] {
        lab.set_quiescing(vm, quiescing).unwrap();
        let failed = lab.create_snapshot(vm, &spec).unwrap_err();
        assert!(matches!(failed, Error::Quiesce { application } if application == wanted));
        lab.create_snapshot(vm, &SnapshotSpec::named("without"))
            .unwrap();
    }
    for (quiescing, wanted) in [(Quiescing::NoTools, false), (Quiescing::Works, true)] {
        lab.set_quiescing(vm, quiescing).unwrap();
        assert_eq!(lab.create_snapshot(vm, &spec).unwrap().quiesced, wanted);
    }
    lab.set_power_state(vm, PowerState::PoweredOff).unwrap();
    lab.set_quiescing(vm, Quiescing::ApplicationFails).unwrap();
    assert!(!lab.create_snapshot(vm, &spec).unwrap().quiesced);
    assert!(lab.vm(vm).unwrap().disk(KEY).is_some());
}

#[test]
fn a_configuration_names_controllers_and_the_disks_beside_it() {
    let fixture = Fixture::new(GRAIN);
    let file = fixture
        .lab
        .root()
        .join("datastores/datastore1/app01/app01.vmx");
    let entry = |line: &str| std::fs::read_to_string(&file).unwrap().contains(line);
    assert!(entry("\nscsi0.present = \"TRUE\"\n"));
    assert!(entry("\nscsi0:0.fileName = \"app01.vmdk\"\n"));
    fixture.snapshot("one");
    // The running disk, whatever has written the file since.
    let change = VmChange {
        annotation: Some("new".into()),
        ..VmChange::default()
    };
    fixture.lab.reconfigure(&fixture.vm, change).unwrap();
    assert!(entry("\nscsi0:0.fileName = \"app01-000001.vmdk\"\n"));
}
