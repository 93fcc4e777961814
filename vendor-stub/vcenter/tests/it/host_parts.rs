//! What libvirt's driver looks at of a host, and what a search tells of disks.

use crate::client::between;
use crate::rig::{CAPACITY_BYTES, Rig};

#[test]
fn a_host_has_adapters_and_a_manager_of_what_starts_by_itself() {
    let rig = Rig::new();
    let mut client = rig.client();
    let host = ("HostSystem", "host-16");
    let adapters = client
        .read(host, &["config.storageDevice.hostBusAdapter"])
        .unwrap();
    assert!(
        adapters.contains("<HostHostBusAdapter xsi:type=\"HostBlockHba\">"),
        "{adapters}"
    );
    assert!(!adapters.contains("InternetScsi"));
    let managers = client.read(host, &["configManager"]).unwrap();
    let manager = between(
        &managers,
        "<autoStartManager type=\"HostAutoStartManager\">",
        "<",
    );
    let defaults = client
        .read(("HostAutoStartManager", manager), &["config.defaults"])
        .unwrap();
    assert!(defaults.contains("<enabled>false</enabled>"), "{defaults}");
    let storage = between(&managers, "<storageSystem type=\"HostStorageSystem\">", "<");
    let adapter = client
        .read(("HostStorageSystem", storage), &["storageDeviceInfo"])
        .unwrap();
    assert!(adapter.contains("<device>vmhba0</device>"), "{adapter}");
}

#[test]
fn a_search_tells_of_disks_what_is_asked_for() {
    let rig = Rig::new();
    let mut client = rig.client();
    let host = client
        .read(("HostSystem", "host-16"), &["datastoreBrowser"])
        .unwrap();
    let browser = between(&host, "<val type=\"HostDatastoreBrowser\"", "/")
        .split('>')
        .nth(1)
        .unwrap()
        .split('<')
        .next()
        .unwrap()
        .to_owned();
    let search = |client: &mut crate::client::Client, details: &str| {
        let args = format!(
            "<datastorePath>[datastore1] app01</datastorePath><searchSpec>\
             <query xsi:type=\"VmDiskFileQuery\">{details}</query>\
             <matchPattern>app01.vmdk</matchPattern></searchSpec>"
        );
        client.task(
            "SearchDatastore_Task",
            ("HostDatastoreBrowser", &browser),
            &args,
        )
    };
    let all = "<details><diskType>true</diskType><capacityKb>true</capacityKb>\
        <hardwareVersion>false</hardwareVersion><thin>true</thin></details>";
    let told = search(&mut client, all);
    let capacity = format!(
        "<path>app01.vmdk</path><diskType>VirtualDiskFlatVer2BackingInfo</diskType>\
         <capacityKb>{}</capacityKb><thin>true</thin></file>",
        CAPACITY_BYTES / 1024
    );
    assert!(told.contains(&capacity), "{told}");
    let told = search(&mut client, "");
    assert!(told.contains("<path>app01.vmdk</path></file>"), "{told}");
}
