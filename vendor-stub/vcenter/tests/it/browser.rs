//! The object browser.

use crate::client::between;
use crate::rig::Rig;

/// `backup@vsphere.local:stand-in`.
const BASIC: &str = "Authorization: Basic YmFja3VwQHZzcGhlcmUubG9jYWw6c3RhbmQtaW4=\r\n";

#[test]
fn objects_are_shown_to_who_logs_in_and_changed_by_nobody() {
    let rig = Rig::new();
    let mut client = rig.client();
    let vm = rig.vm.as_str();
    rig.lab
        .update_vm(vm, |vm| {
            "<script>a & b".clone_into(&mut vm.name);
            Ok(())
        })
        .unwrap();
    rig.lab.set_change_tracking(vm, true).unwrap();
    let snapshot = client.snapshot(vm);
    let nobody = client.http("GET", "/mob/?moid=vm-1021", "", "");
    assert_eq!(nobody.status, 401);
    assert_eq!(
        nobody.header("WWW-Authenticate"),
        Some("Basic realm=\"stand-in\"")
    );
    let wrong = "Authorization: Basic YmFja3VwQHZzcGhlcmUubG9jYWw6eA==\r\n";
    assert_eq!(client.http("GET", "/mob", wrong, "").status, 401);

    let start = client.http("GET", "/mob", BASIC, "");
    assert_eq!(start.status, 200);
    assert!(
        start
            .text()
            .contains("Managed Object Type: vim.ServiceInstance")
    );
    let cookie = start
        .header("Set-Cookie")
        .unwrap()
        .split(';')
        .next()
        .unwrap();
    let cookie = format!("Cookie: {cookie}\r\n");
    let get = |path: &str| client.http("GET", path, &cookie, "");
    let page = get(&format!("/mob/?moid={vm}"));
    let text = page.text();
    assert!(text.contains("<td>&lt;script&gt;a &amp; b</td>"), "{text}");
    assert!(!text.contains("<script"));
    assert!(text.contains("<a href=\"/mob/?moid=group-v4\">group-v4</a> (vm)"));
    assert!(text.contains(&format!("<a href=\"/mob/?moid={vm}&amp;doPath=config\">")));

    let devices = get(&format!(
        "/mob/?moid={snapshot}&doPath=config.hardware.device"
    ));
    let device = "doPath=config.hardware.device%5B2000%5D";
    assert!(devices.text().contains(device), "{}", devices.text());
    let backing = get(&format!("/mob/?moid={snapshot}&{device}.backing"));
    let change_id = &rig.lab.vm(vm).unwrap().snapshots[0].disks[0].change_id;
    let shown = between(
        backing.text(),
        "<td>changeId</td><td>string</td><td>",
        "</td>",
    );
    assert_eq!(Some(shown), change_id.as_deref());

    for missing in [
        "?moid=vm-1",
        "?moid=vm-1021&doPath=config.none",
        "?moid=../x",
    ] {
        assert_eq!(get(&format!("/mob/{missing}")).status, 404, "{missing}");
    }
    let post = client.http("POST", "/mob/?moid=vm-1021&method=destroy", &cookie, "");
    assert_eq!(post.status, 405);
    assert_eq!(rig.calls().last().unwrap(), "mob ok");
}
