use super::{ChangeOp, ObjectChange, UpdateSet, read_updates};
use crate::vsphere::envelope::read_answer;
use crate::vsphere::fault::Fault;
use crate::vsphere::moref::Moref;
use crate::vsphere::property::Properties;
use crate::vsphere::task::{TaskProperties, TaskState};
use crate::vsphere::test_server::envelope;
use crate::vsphere::xml::{Reader, Tag, XmlError};

macro_rules! sample {
    ($name:literal) => {
        include_bytes!(concat!("../../testdata/answers/", $name, ".xml"))
    };
}

fn updates(body: &[u8]) -> Option<UpdateSet> {
    read_answer("WaitForUpdatesEx", body, read_updates).unwrap()
}

fn made(inside: &str) -> Result<Option<UpdateSet>, crate::vsphere::Error> {
    let body = envelope(&format!(
        "<WaitForUpdatesExResponse xmlns=\"urn:vim25\"><returnval>{inside}</returnval></WaitForUpdatesExResponse>"
    ));
    read_answer("WaitForUpdatesEx", body.as_bytes(), read_updates)
}

#[test]
fn an_object_enters_with_what_was_asked() {
    let set = updates(sample!("c14-wait-for-updates-enter")).unwrap();
    assert_eq!((set.version.as_str(), set.is_truncated), ("1", false));
    let filter = &set.filters[0];
    assert_eq!(filter.filter.kind, "PropertyFilter");
    let object = &filter.objects[0];
    assert_eq!(object.object, Moref::new("Task", "task-5151"));
    assert_eq!(object.change, ObjectChange::Enter);
    let state = &object.properties[0];
    assert_eq!(
        (state.path.as_str(), &state.op),
        ("info.state", &ChangeOp::Assign)
    );
    let value = state.value.as_ref().unwrap();
    assert_eq!(value.type_name(), Some("TaskInfoState"));
    assert_eq!(value.text().unwrap(), "running");
    assert_eq!(object.properties[1].value.as_ref().unwrap().number(), Ok(0));
}

#[test]
fn an_assignment_without_a_value_is_told_from_one_with() {
    let set = updates(sample!("c15-wait-for-updates-modify")).unwrap();
    let object = &set.filters[0].objects[0];
    assert_eq!(object.change, ObjectChange::Modify);
    assert_eq!(object.properties[0].path, "info.progress");
    assert_eq!(object.properties[0].value, None);
    let result = object.properties[2].value.as_ref().unwrap();
    assert_eq!(result.moref(), Ok(Moref::snapshot("snapshot-2044")));
}

#[test]
fn truncated_leaving_and_empty_sets() {
    let first = updates(sample!("c16-wait-for-updates-truncated")).unwrap();
    assert!(first.is_truncated);
    let left = updates(sample!("c17-wait-for-updates-leave")).unwrap();
    let object = &left.filters[0].objects[0];
    assert_eq!(object.object, Moref::vm("vm-1022"));
    assert_eq!(object.change, ObjectChange::Leave);
    assert!(object.properties.is_empty());
    assert_eq!(updates(sample!("c18-wait-for-updates-nothing")), None);
    let checked = sample!("c48-check-for-updates-nothing");
    assert_eq!(
        read_answer("CheckForUpdates", checked, read_updates).unwrap(),
        None
    );
}

#[test]
fn partial_paths_list_items_and_missing_objects() {
    let set = made(
        "<version>2</version><filterSet><filter type=\"PropertyFilter\">f</filter><objectSet><kind>modify</kind><obj type=\"VirtualMachine\">vm-1</obj><changeSet><name>config.hardware.device[2000]</name><op>remove</op></changeSet><changeSet><name>config.hardware.device[2001]</name><op>add</op><val xsi:type=\"VirtualDisk\"><key>2001</key></val></changeSet><changeSet><name>config.extraConfig[\"ctkEnabled\"].value</name><op>indirectRemove</op></changeSet><changeSet><name>x</name><op>new</op></changeSet><missingSet><path>name</path><fault><fault xsi:type=\"NoPermission\"/></fault></missingSet></objectSet><missingSet><obj type=\"Task\">task-9</obj><fault><fault xsi:type=\"ManagedObjectNotFound\"><obj type=\"Task\">task-9</obj></fault></fault></missingSet></filterSet>",
    );
    let set = set.unwrap().unwrap();
    let object = &set.filters[0].objects[0];
    let ops: Vec<&ChangeOp> = object.properties.iter().map(|change| &change.op).collect();
    assert_eq!(
        ops,
        [
            &ChangeOp::Remove,
            &ChangeOp::Add,
            &ChangeOp::IndirectRemove,
            &ChangeOp::Other("new".to_owned())
        ]
    );
    assert_eq!(object.missing[0].1.type_name, "NoPermission");
    let (gone, fault): &(Moref, Fault) = &set.filters[0].missing[0];
    assert_eq!(gone, &Moref::new("Task", "task-9"));
    assert_eq!(fault.type_name, "ManagedObjectNotFound");
}

#[test]
fn what_must_be_there_is_missed() {
    for inside in [
        "<truncated>true</truncated>",
        "<version>1</version><filterSet/>",
        "<version>1</version><filterSet><filter type=\"F\">f</filter><objectSet><kind>enter</kind></objectSet></filterSet>",
        "<version>1</version><filterSet><filter type=\"F\">f</filter><objectSet><obj type=\"A\">a</obj></objectSet></filterSet>",
        "<version>1</version><filterSet><filter type=\"F\">f</filter><objectSet><kind>modify</kind><obj type=\"A\">a</obj><changeSet><name>n</name></changeSet></objectSet></filterSet>",
        "<version>1</version><filterSet><filter type=\"F\">f</filter><missingSet><obj type=\"A\">a</obj></missingSet></filterSet>",
    ] {
        let error = made(inside).unwrap_err();
        assert!(
            matches!(error, crate::vsphere::Error::Xml { .. }),
            "{inside}: {error}"
        );
    }
}

/// Notes the paths it is given.
#[derive(Default)]
struct Paths(Vec<String>);

impl Properties for Paths {
    fn take(&mut self, path: &str, _: &mut Reader<'_>, _: &Tag) -> Result<(), XmlError> {
        self.0.push(path.to_owned());
        Ok(())
    }
}

#[test]
fn values_are_applied_to_a_type_that_knows_them() {
    let set = made(
        "<version>1</version><filterSet><filter type=\"PropertyFilter\">f</filter><objectSet><kind>enter</kind><obj type=\"Task\">task-1</obj><changeSet><name>info</name><op>assign</op><val xsi:type=\"TaskInfo\"><name>M_Task</name><state>running</state></val></changeSet></objectSet></filterSet>",
    );
    let set = set.unwrap().unwrap();
    let mut task = TaskProperties::default();
    set.filters[0].objects[0].apply(&mut task).unwrap();
    assert_eq!(task.info.unwrap().state, TaskState::Running);

    let unset = updates(sample!("c15-wait-for-updates-modify")).unwrap();
    let mut paths = Paths::default();
    unset.filters[0].objects[0].apply(&mut paths).unwrap();
    assert_eq!(paths.0, ["info.state", "info.result"]);
}
