//! The program itself.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use lab::Lab;

use crate::client::{Client, between};
use crate::rig::{PASSWORD, USER};

fn program() -> Command {
    Command::new(env!("CARGO_BIN_EXE_vcenter-stub"))
}

#[test]
fn new_write_serve() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("lab");
    let image = folder.path().join("image.raw");
    std::fs::write(&image, vec![3; 1 << 20]).unwrap();
    let new = program()
        .args(["new".as_ref(), root.as_os_str()])
        .args(["--vm", "app01", "--disk", "8M", "--disk"])
        .arg(&image)
        .output()
        .unwrap();
    assert!(new.status.success(), "{new:?}");
    let text = String::from_utf8(new.stdout).unwrap();
    assert!(
        text.starts_with("vm-1021 app01\ndisk 2000 8388608 bytes "),
        "{text}"
    );
    assert!(text.contains("\ndisk 2001 1048576 bytes "), "{text}");

    let written = program()
        .args(["write".as_ref(), root.as_os_str()])
        .args(["app01", "2000", "64K", "--text", "hello"])
        .output()
        .unwrap();
    assert!(written.status.success(), "{written:?}");
    let unknown = program()
        .args(["write".as_ref(), root.as_os_str()])
        .args(["app02", "2000", "0", "--text", "x"])
        .output()
        .unwrap();
    assert_eq!(unknown.status.code(), Some(1));
    assert!(String::from_utf8(unknown.stderr).unwrap().contains("app02"));

    let mut serve = program()
        .args(["--lab".as_ref(), root.as_os_str()])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let mut output = BufReader::new(serve.stdout.take().unwrap());
    output.read_line(&mut line).unwrap();
    let lab = Lab::open(&root).unwrap();
    assert!(line.contains(&format!("sha1={} sha256=", lab.thumbprint_sha1().unwrap())));
    let address = between(&line, "https://", "/sdk ").parse().unwrap();
    lab.set_change_tracking("vm-1021", true).unwrap();
    let mut client = Client::new(address, &lab.certificate_pem().unwrap());
    client.login(USER, PASSWORD).unwrap();
    let snapshot = client.snapshot("vm-1021");
    let page = client.query("vm-1021", &snapshot, 0, "*").unwrap();
    assert_eq!(page.areas, [(65536, 65536)]);

    let pid = serve.id().to_string();
    let killed = Command::new("kill").args(["-TERM", &pid]).status().unwrap();
    assert!(killed.success());
    assert!(serve.wait().unwrap().success());
}

#[test]
fn many_vms_are_made_at_once_and_served_as_a_host_has_them() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("lab");
    let new = program()
        .args(["new".as_ref(), root.as_os_str()])
        .args(["--vms", "3"])
        .output()
        .unwrap();
    assert!(new.status.success(), "{new:?}");
    let lab = Lab::open(&root).unwrap();
    let names: Vec<String> = lab.vms().unwrap().into_iter().map(|vm| vm.name).collect();
    assert_eq!(names, ["vm-00001", "vm-00002", "vm-00003"]);

    let mut serve = program()
        .args(["serve".as_ref(), root.as_os_str()])
        .args(["--esxi", "--form", "short-empty"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let mut output = BufReader::new(serve.stdout.take().unwrap());
    output.read_line(&mut line).unwrap();
    let address = between(&line, "https://", "/sdk ").parse().unwrap();
    let mut client = Client::new(address, &lab.certificate_pem().unwrap());
    client.host_login(USER, PASSWORD).unwrap();
    "ha-property-collector".clone_into(&mut client.collector);
    let vm = client.read(("VirtualMachine", "1022"), &["name"]).unwrap();
    assert!(vm.contains(">vm-00002<"), "{vm}");
    serve.kill().unwrap();
    serve.wait().unwrap();
}

#[test]
fn the_manual_page_names_the_options() {
    let page = program().arg("man").output().unwrap();
    let page = String::from_utf8(page.stdout).unwrap();
    for word in [
        ".TH vcenter-stub 1",
        "\\-\\-lab",
        "\\-\\-esxi",
        "\\-\\-form",
        ".SH FILES",
        "trackingKeysAtOnce",
    ] {
        assert!(page.contains(word), "{word}");
    }
}

#[test]
fn each_page_that_the_manual_names_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let written = program()
        .args(["man".as_ref(), "--dir".as_ref(), folder.path().as_os_str()])
        .status()
        .unwrap();
    assert!(written.success());
    let read = |name: &str| std::fs::read_to_string(folder.path().join(name));
    let page = read("vcenter-stub.1").unwrap();
    assert!(page.contains("faults.toml"));
    let named: Vec<&str> = page
        .lines()
        .filter_map(|line| line.strip_prefix("vcenter\\-stub\\-"))
        .filter_map(|rest| rest.split('(').next())
        .collect();
    assert_eq!(named, ["serve", "new", "write", "man"]);
    for command in named {
        let page = read(&format!("vcenter-stub-{command}.1")).unwrap();
        assert!(page.contains("SYNOPSIS"), "{command}");
    }
}
