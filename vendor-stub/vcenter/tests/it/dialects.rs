//! Old versions of the API, an ESXi host, and the forms in which servers differ.

use lab::{Fault, SiteSpec};
use vcenter_stub::{FaultForm, Form, Options};

use crate::client::{Client, between, envelope};
use crate::rig::Rig;

const INSTANCE: (&str, &str) = ("ServiceInstance", "ServiceInstance");

/// Posts a call as of another version of the API.
fn post_as(client: &mut Client, version: &str, method: &str, children: &str) -> String {
    version.clone_into(&mut client.version);
    let answer = client.post(&envelope(method, children), "");
    answer.text().to_owned()
}

fn retrieve(type_name: &str, id: &str, path: &str) -> String {
    format!(
        "<_this type=\"PropertyCollector\">propertyCollector</_this><specSet><propSet>\
         <type>{type_name}</type><pathSet>{path}</pathSet></propSet><objectSet>\
         <obj type=\"{type_name}\">{id}</obj></objectSet></specSet>"
    )
}

#[test]
fn an_old_client_is_told_what_its_version_knows() {
    let rig = Rig::new();
    let mut client = rig.client();
    let content = "<_this type=\"ServiceInstance\">ServiceInstance</_this>";
    let new = post_as(&mut client, "8.0.2.0", "RetrieveServiceContent", content);
    let old = post_as(&mut client, "5.5", "RetrieveServiceContent", content);
    assert!(
        new.contains("<patchLevel>") && !old.contains("<patchLevel>"),
        "{old}"
    );
    assert!(old.contains("<licenseProductName>"));

    let devices = retrieve("VirtualMachine", &rig.vm, "config.hardware.device");
    let old = post_as(&mut client, "5.1", "RetrieveProperties", &devices);
    assert!(old.contains("<capacityInKB>") && !old.contains("<capacityInBytes>"));
    let path = "config.hardware.device[2000].capacityInBytes";
    let newer = retrieve("VirtualMachine", &rig.vm, path);
    let refused = post_as(&mut client, "5.1", "RetrieveProperties", &newer);
    assert!(
        refused.contains("xsi:type=\"InvalidProperty\"><name>config.hardware"),
        "{refused}"
    );
    assert!(post_as(&mut client, "5.5", "RetrieveProperties", &newer).contains("16778752"));
    let this = format!("<_this type=\"VirtualMachine\">{}</_this>", rig.vm);
    let fetch = format!("{this}<prop>{path}</prop>");
    assert!(post_as(&mut client, "5.1", "Fetch", &fetch).contains("\"InvalidProperty\""));

    let wait = "<_this type=\"PropertyCollector\">propertyCollector</_this>";
    let unknown = post_as(&mut client, "4.0", "WaitForUpdatesEx", wait);
    assert!(unknown.contains("xsi:type=\"MethodNotFound\""), "{unknown}");
    let snapshot = format!("{this}<name>a</name><memory>false</memory><quiesceSpec></quiesceSpec>");
    let newer = post_as(&mut client, "6.0", "CreateSnapshotEx_Task", &snapshot);
    assert!(newer.contains("xsi:type=\"MethodNotFound\""), "{newer}");
    let fine = post_as(&mut client, "6.5", "CreateSnapshotEx_Task", &snapshot);
    assert!(fine.contains("type=\"Task\""), "{fine}");
}

#[test]
fn a_host_has_its_own_ids_and_lacks_what_only_a_vcenter_has() {
    let rig = Rig::with_options(&["app01"], SiteSpec::default(), |options| {
        options.bare_host = true;
    });
    let mut client = rig.stranger();
    let content = client.call("RetrieveServiceContent", INSTANCE, "").unwrap();
    assert!(content.contains("<apiType>HostAgent</apiType>"));
    assert!(!content.contains("<instanceUuid>"));
    for id in [
        "ha-folder-root",
        "ha-property-collector",
        "ha-sessionmgr",
        "ha-searchindex",
    ] {
        assert!(content.contains(&format!(">{id}<")), "{id}");
    }
    client
        .host_login(crate::rig::USER, crate::rig::PASSWORD)
        .unwrap();
    "ha-property-collector".clone_into(&mut client.collector);

    let number = rig.vm.strip_prefix("vm-").unwrap().to_owned();
    let index = ("SearchIndex", "ha-searchindex");
    let path = "<inventoryPath>ha-datacenter/vm/app01</inventoryPath>";
    let found = client.call("FindByInventoryPath", index, path).unwrap();
    assert_eq!(
        found,
        format!("<returnval type=\"VirtualMachine\">{number}</returnval>")
    );
    let vm = client
        .read(
            ("VirtualMachine", &number),
            &["name", "parent", "runtime.host"],
        )
        .unwrap();
    for id in [number.as_str(), "ha-folder-vm", "ha-host"] {
        assert!(vm.contains(&format!(">{id}<")), "{id} in {vm}");
    }
    let foreign = client
        .read(("VirtualMachine", &rig.vm), &["name"])
        .unwrap_err();
    assert_eq!(foreign.type_name, "ManagedObjectNotFound");
    assert!(
        foreign
            .text
            .contains(&format!("VirtualMachine:{}&apos;", rig.vm)),
        "{}",
        foreign.text
    );

    let uuid = rig.lab.vm(&rig.vm).unwrap().instance_uuid;
    let args =
        format!("<uuid>{uuid}</uuid><vmSearch>true</vmSearch><instanceUuid>true</instanceUuid>");
    assert_eq!(client.call("FindByUuid", index, &args).unwrap(), "");
    let active = "<sessionID>52</sessionID><userName>u</userName>";
    let manager = ("SessionManager", "ha-sessionmgr");
    let fault = client.call("SessionIsActive", manager, active).unwrap_err();
    assert_eq!(fault.type_name, "NotImplemented");
    let current = client.read(manager, &["currentSession"]).unwrap();
    assert!(current.contains("<val xsi:type=\"UserSession\">"));
}

#[test]
fn answers_come_in_other_forms_when_told_to() {
    let rig = Rig::with_options(&["app01"], SiteSpec::default(), |options| {
        options.form = Form::default();
        options.form.other_prefix = true;
        options.form.type_first = true;
        options.form.short_empty = true;
    });
    let mut client = rig.client();
    let vm = ("VirtualMachine", rig.vm.as_str());
    let answer = client
        .read(vm, &["runtime.host", "config.annotation"])
        .unwrap();
    assert!(answer.contains(
        "<val XMLSchema-instance:type=\"ManagedObjectReference\" type=\"HostSystem\">host-16</val>"
    ));
    assert!(
        answer.contains("<val XMLSchema-instance:type=\"xsd:string\"/>"),
        "{answer}"
    );
}

#[test]
fn faults_come_in_the_forms_that_were_seen() {
    for (form, expected) in [
        (
            FaultForm::Plain,
            "<faultstring>A specified parameter was not correct: container</faultstring>\
             <detail><InvalidArgumentFault xmlns=\"urn:vim25\" xsi:type=\"InvalidArgument\">",
        ),
        (
            FaultForm::Message,
            "xsi:type=\"InvalidArgument\"><faultMessage><key>com.vmware.vim.vpxd.standin</key>\
             <message>A specified parameter was not correct: container</message></faultMessage>",
        ),
        (
            FaultForm::Unqualified,
            "<faultstring></faultstring><detail><InvalidArgumentFault xsi:type=",
        ),
        (
            FaultForm::Internal,
            "<InvalidArgumentFault xmlns=\"urn:internalvim25\" xsi:type=\"InvalidArgument\">",
        ),
    ] {
        let rig = Rig::with_options(&["app01"], SiteSpec::default(), |options| {
            options.form.fault = form;
        });
        let mut client = rig.client();
        let args = format!(
            "<_this type=\"ViewManager\">ViewManager</_this>\
             <container type=\"VirtualMachine\">{}</container><recursive>true</recursive>",
            rig.vm
        );
        let answer = client.post(&envelope("CreateContainerView", &args), "");
        assert_eq!(answer.status, 500);
        assert!(answer.text().contains(expected), "{}", answer.text());
    }
}

#[test]
fn a_proxy_in_front_shows_pages_of_html() {
    let rig = Rig::new();
    let mut client = rig.client();
    for status in [502, 503] {
        rig.lab
            .set_faults(&[Fault {
                call: "CurrentTime".to_owned(),
                http_status: Some(status),
                ..Fault::default()
            }])
            .unwrap();
        let time = "<_this type=\"ServiceInstance\">ServiceInstance</_this>";
        let answer = client.post(&envelope("CurrentTime", time), "");
        assert_eq!(answer.status, status);
        assert_eq!(
            answer.header("Content-Type"),
            Some("text/html; charset=utf-8")
        );
        assert!(between(answer.text(), "<h1>", "</h1>").starts_with(&status.to_string()));
    }
}

#[test]
fn names_with_every_kind_of_character_survive() {
    let names = [
        "a & b <c>",
        "50%2f",
        "slash/back\\slash",
        "Gerät 1 日本",
        "quote'\"s",
    ];
    // A slash cannot be part of a folder's name on a datastore, so these are renamed.
    let plain: Vec<String> = (0..names.len())
        .map(|number| format!("vm{number}"))
        .collect();
    let plain: Vec<&str> = plain.iter().map(String::as_str).collect();
    let rig = Rig::with_options(&plain, SiteSpec::default(), |_: &mut Options| {});
    let mut client = rig.client();
    for (vm, name) in rig.lab.vms().unwrap().iter().zip(names) {
        rig.lab
            .update_vm(&vm.moref, |vm| {
                name.clone_into(&mut vm.name);
                vm.annotation = "first line\nsecond & last".to_owned();
                Ok(())
            })
            .unwrap();
        let read = client.read(
            ("VirtualMachine", &vm.moref),
            &["name", "config.annotation"],
        );
        let read = read.unwrap();
        let shown = name
            .replace('%', "%25")
            .replace('/', "%2f")
            .replace('\\', "%5c");
        let text = |text: &str| {
            text.replace('&', "&amp;")
                .replace('<', "&lt;")
                .replace('>', "&gt;")
                .replace('\'', "&apos;")
                .replace('"', "&quot;")
        };
        assert!(read.contains(&format!(">{}<", text(&shown))), "{read}");
        assert!(read.contains("first line\nsecond &amp; last"));
        let path = format!("<inventoryPath>DC0/vm/{}</inventoryPath>", text(&shown));
        let found = client.call("FindByInventoryPath", ("SearchIndex", "SearchIndex"), &path);
        assert!(found.unwrap().contains(&vm.moref), "{shown}");
    }
}
