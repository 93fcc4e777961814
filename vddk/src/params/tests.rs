use super::{ConnectParams, ConnectParamsBuilder};
use crate::{Secret, Target};

fn secret(text: &str) -> Secret {
    Secret::new(text.to_owned())
}

fn refusal(builder: ConnectParamsBuilder) -> String {
    builder.build().unwrap_err().to_string()
}

#[test]
fn what_is_missing_is_named() {
    let server = || ConnectParams::builder().server("vc");
    assert!(refusal(server()).contains("user and password"));
    assert!(refusal(ConnectParams::builder().user("u", secret("p"))).contains("server"));
    assert!(refusal(server().user("", secret("p"))).contains("user name"));
    assert!(refusal(server().user("u", secret(""))).contains("password"));
    let session = |cookie, user, key| server().session(secret(cookie), user, secret(key));
    assert!(refusal(session("", "u", "k")).contains("session cookie"));
    assert!(refusal(session("c", "", "k")).contains("user name"));
    assert!(refusal(session("c", "u", "")).contains("session key"));
    let params = session("c", "u", "k").build().unwrap();
    assert_eq!(params.target(), &Target::Server);
}

#[test]
fn what_c_would_misread_is_refused_without_telling_a_secret() {
    let with = |server: &str, user: &str, password: &str| {
        ConnectParams::builder()
            .server(server)
            .user(user, secret(password))
    };
    assert!(refusal(with("v\0c", "u", "p")).contains("server"));
    assert!(refusal(with("vc", "u\0", "p")).contains("user name"));
    let told = refusal(with("vc", "u", "tops3cret\0"));
    assert!(told.contains("password") && !told.contains("tops3cret"));
    assert!(refusal(with("vc", "u", "p").vm_moref("moref=vm-1")).contains("VM id"));
    let pairs = |pair: &str, count: usize| vec![pair; count].join(":");
    let wrong = [
        String::new(),
        "AA".to_owned(),
        "A".repeat(40),
        pairs("AA", 19),
        pairs("AA", 21),
        pairs("GG", 20),
        pairs("AA", 20) + ":",
        pairs("AA", 19) + ":B",
        pairs("AA", 19) + ":BBB",
    ];
    for thumbprint in wrong {
        let told = refusal(with("vc", "u", "p").thumbprint(thumbprint));
        assert!(told.contains("thumbprint"), "{told}");
    }
    for count in [20, 32] {
        let right = with("vc", "u", "p").thumbprint(pairs("0a", count));
        assert!(right.build().is_ok());
    }
}

#[test]
fn no_secret_is_ever_printed() {
    let params = ConnectParams::builder()
        .server("vc")
        .user("u", secret("tops3cret"));
    assert!(!format!("{params:?}").contains("tops3cret"));
    let params = params.build().unwrap();
    let printed = format!("{params:?}");
    assert!(!printed.contains("tops3cret") && printed.contains("\"u\""));
    let session = ConnectParams::builder()
        .server("vc")
        .session(secret("c00kie"), "u", secret("k3y"))
        .build()
        .unwrap();
    let printed = format!("{session:?}");
    assert!(!printed.contains("c00kie") && !printed.contains("k3y"));
}

static_assertions::assert_impl_all!(ConnectParams: Send, Sync);
static_assertions::assert_not_impl_any!(ConnectParams: Clone);
