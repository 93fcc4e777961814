//! Datastore files over HTTP.

use crate::client::{Client, Http};
use crate::rig::{PASSWORD, Rig, USER};

const PLACE: &str = "?dcPath=DC0&dsName=datastore1";

fn ask(client: &Client, method: &str, path: &str, headers: &str, body: &str) -> Http {
    let cookie = client.cookie.as_deref().unwrap_or("none=1");
    let headers = format!("Cookie: {cookie}\r\n{headers}");
    client.http(method, path, &headers, body)
}

#[test]
fn the_nvram_goes_down_and_up() {
    let rig = Rig::new();
    let client = rig.client();
    let file = rig
        .lab
        .root()
        .join("datastores/datastore1/app01/app01.nvram");
    let content = std::fs::read(&file).unwrap();
    let url = format!("/folder/app01/app01.nvram{PLACE}");
    let whole = ask(&client, "GET", &url, "", "");
    assert_eq!((whole.status, &whole.body), (200, &content));
    let part = ask(&client, "GET", &url, "Range: bytes=4-9\r\n", "");
    assert_eq!((part.status, part.body.as_slice()), (206, &content[4..10]));
    let line = format!("bytes 4-9/{}", content.len());
    assert_eq!(part.header("Content-Range"), Some(line.as_str()));
    let beyond = ask(&client, "GET", &url, "Range: bytes=99999-\r\n", "");
    assert_eq!(beyond.status, 416);
    let head = ask(&client, "HEAD", &url, "", "");
    let length = content.len().to_string();
    assert_eq!(head.header("Content-Length"), Some(length.as_str()));
    assert!(head.body.is_empty());
    // As libvirt writes it.
    let escaped = format!("/folder/app01%2Fapp01.nvram{PLACE}");
    assert_eq!(ask(&client, "GET", &escaped, "", "").body, content);

    assert_eq!(ask(&client, "PUT", &url, "", "new").status, 200);
    assert_eq!(std::fs::read(&file).unwrap(), b"new");
    let other = format!("/folder/app01/a%20b%2Bc.bin{PLACE}");
    assert_eq!(ask(&client, "PUT", &other, "", "x").status, 201);
    assert!(file.with_file_name("a b+c.bin").is_file());
    assert_eq!(ask(&client, "DELETE", &other, "", "").status, 200);
    assert_eq!(ask(&client, "GET", &other, "", "").status, 404);
    let listed = ask(&client, "GET", &format!("/folder/app01{PLACE}"), "", "");
    assert!(listed.text().contains("<li>app01.vmx</li>"));
}

#[test]
fn who_is_not_logged_in_and_what_is_not_there() {
    let rig = Rig::new();
    let stranger = rig.stranger();
    let url = format!("/folder/app01/app01.vmx{PLACE}");
    let refused = ask(&stranger, "GET", &url, "", "");
    assert_eq!(refused.status, 401);
    assert!(refused.header("WWW-Authenticate").is_some());
    let basic = base64_of(&format!("{USER}:{PASSWORD}"));
    let basic = format!("Authorization: Basic {basic}\r\n");
    let served = ask(&stranger, "GET", &url, &basic, "");
    assert_eq!(served.status, 200);
    assert!(served.header("Set-Cookie").is_some());

    let client = rig.client();
    for url in [
        "/folder/app01/app01.vmx?dcPath=DC0&dsName=none",
        "/folder/app01/app01.vmx?dcPath=DC9&dsName=datastore1",
        "/folder/app01/app01.vmx?dsName=datastore1",
        "/folder/app01/app01.vmx?dcPath=DC0",
        "/folder/app01/none?dcPath=DC0&dsName=datastore1",
        "/folder/..%2f..%2fsite.json?dcPath=DC0&dsName=datastore1",
        "/folder/%2e%2e/%2e%2e/site.json?dcPath=DC0&dsName=datastore1",
    ] {
        assert_eq!(ask(&client, "GET", url, "", "").status, 404, "{url}");
    }
    // The VM runs and writes to this one.
    let busy = format!("/folder/app01/app01-flat.vmdk{PLACE}");
    assert_eq!(ask(&client, "GET", &busy, "", "").status, 500);
    rig.lab
        .set_power_state(&rig.vm, lab::PowerState::PoweredOff)
        .unwrap();
    let first = "Range: bytes=0-511\r\n";
    assert_eq!(ask(&client, "GET", &busy, first, "").status, 206);
}

#[test]
fn who_uploads_may_look_and_write() {
    let rig = Rig::new();
    let url = format!("/folder/app01/up.bin{PLACE}");
    let (look, write) = ("Datastore.Browse", "Datastore.FileManagement");
    for (privileges, get, put) in [
        (&[look][..], 404, 403),
        (&[write], 403, 403),
        (&[look, write], 404, 201),
    ] {
        let permission = lab::Permission {
            entity: lab::Site::ROOT_FOLDER.to_owned(),
            role: lab::Role::new("files", privileges.iter().copied()),
            propagate: true,
        };
        rig.lab
            .set_user("files@vsphere.local", "secret", Some(vec![permission]))
            .unwrap();
        let mut client = rig.stranger();
        client.login("files@vsphere.local", "secret").unwrap();
        let status = |method: &str| ask(&client, method, &url, "", "x").status;
        assert_eq!((status("GET"), status("PUT")), (get, put), "{privileges:?}");
    }
}

fn base64_of(text: &str) -> String {
    use base64::Engine as _;
    base64::prelude::BASE64_STANDARD.encode(text)
}

#[test]
fn a_ticket_serves_one_request_without_a_session() {
    let rig = Rig::new();
    let mut client = rig.client();
    let host = client
        .call(
            "AcquireGenericServiceTicket",
            ("SessionManager", "SessionManager"),
            "<spec xsi:type=\"SessionManagerHttpServiceRequestSpec\"><method>httpGet</method>\
             <url>https://esx01.lab.test/folder/app01/app01.nvram?dsName=datastore1</url></spec>",
        )
        .unwrap();
    assert!(
        host.contains("<hostName>esx01.lab.test</hostName>"),
        "{host}"
    );
    assert!(host.contains(rig.vcenter.thumbprint_sha1()), "{host}");
    let id = crate::client::between(&host, "<id>", "<");
    let stranger = rig.stranger();
    let url = "/folder/app01/app01.nvram?dsName=datastore1";
    let headers = format!("Cookie: vmware_cgi_ticket={id}\r\n");
    let got = stranger.http("GET", url, &headers, "");
    assert_eq!(got.status, 200);
    assert!(got.body.starts_with(b"MRVN"));
    // It is spent now, and what it made is gone.
    assert_eq!(stranger.http("GET", url, &headers, "").status, 401);
    assert_eq!(got.header("Set-Cookie"), None);
    let mut stranger = rig.stranger();
    let nobody = stranger
        .call(
            "AcquireGenericServiceTicket",
            ("SessionManager", "SessionManager"),
            "<spec xsi:type=\"SessionManagerHttpServiceRequestSpec\"><url>https://a/b</url></spec>",
        )
        .unwrap_err();
    assert_eq!(nobody.type_name, "NotAuthenticated");
}
