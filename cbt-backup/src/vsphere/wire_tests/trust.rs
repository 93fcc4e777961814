//! Which servers are believed, and which are not.

use std::io::Write as _;

use rustls::pki_types::CertificateDer;

use super::usual_server;
use crate::secret::Secret;
use crate::vsphere::test_server::{TestServer, identity, usual};
use crate::vsphere::{Client, ConnectOptions, Error, Thumbprint, Trust, observe};

#[tokio::test]
async fn either_thumbprint_is_a_pin_and_another_is_a_mismatch_before_anything_is_sent() {
    let server = usual_server().await;
    let thumbprints = server.thumbprints();
    for pin in [thumbprints.sha1, thumbprints.sha256] {
        let client = Client::connect(server.options_pinned(pin)).await.unwrap();
        client.logout().await.unwrap();
    }
    let before = server.seen().len();
    let other = usual_server().await.thumbprints().sha256;
    let error = Client::connect(server.options_pinned(other))
        .await
        .unwrap_err();
    let Error::ThumbprintMismatch {
        expected,
        observed_sha1,
        observed_sha256,
    } = error
    else {
        panic!("{error:?}");
    };
    assert_eq!(expected, other);
    assert_eq!(
        (observed_sha1, observed_sha256),
        (thumbprints.sha1, thumbprints.sha256)
    );
    assert_eq!(server.seen().len(), before);
}

#[tokio::test]
async fn a_server_can_be_looked_at_without_being_trusted() {
    let server = usual_server().await;
    let address = server.address().parse().unwrap();
    assert_eq!(observe(&address).await.unwrap(), server.thumbprints());
    assert!(server.seen().is_empty());
    let nobody = "127.0.0.1:9".parse().unwrap();
    assert!(matches!(
        observe(&nobody).await,
        Err(Error::Transport { .. })
    ));
}

#[tokio::test]
async fn a_pin_does_not_replace_the_proof_that_the_server_has_the_key() {
    let shown = identity().cert.der().clone();
    let server =
        TestServer::start_with(shown, &identity().signing_key, |seen| usual(seen, 0)).await;
    let error = Client::connect(server.options()).await.unwrap_err();
    assert!(matches!(error, Error::Tls { .. }), "{error:?}");
    assert!(server.seen().is_empty());
}

#[tokio::test]
async fn authorities_vouch_or_do_not() {
    let server = usual_server().await;
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(pem(&server.certificate).as_bytes()).unwrap();
    let trust = Trust::CaFile(file.path().to_owned());
    let client = Client::connect(server.options_with(trust.clone()))
        .await
        .unwrap();
    client.logout().await.unwrap();

    let stranger = usual_server().await;
    let error = Client::connect(stranger.options_with(trust))
        .await
        .unwrap_err();
    let Error::CertificateRefused { observed, .. } = error else {
        panic!("{error:?}");
    };
    assert_eq!(*observed, stranger.thumbprints());
    assert!(stranger.seen().is_empty());
}

/// What stands in a file of authorities beside the good ones.
const JUNK: &str = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n-----BEGIN CERTIFICATE-----\n!!!\n-----END CERTIFICATE-----\n";

#[tokio::test]
async fn authorities_that_cannot_be_read_do_not_spoil_the_others() {
    let server = usual_server().await;
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(JUNK.as_bytes()).unwrap();
    let trust = Trust::CaFile(file.path().to_owned());
    let error = Client::connect(server.options_with(trust.clone())).await;
    let Err(Error::CaFile { why, .. }) = error else {
        panic!("{error:?}");
    };
    assert_eq!(why, "none of its 2 certificates can be read");
    file.write_all(pem(&server.certificate).as_bytes()).unwrap();
    let client = Client::connect(server.options_with(trust)).await.unwrap();
    client.logout().await.unwrap();
}

/// Set for a process of its own, whose system trusts what stands there.
const CHILD: &str = "CBT_BACKUP_TEST_SERVER";
/// The thumbprint of its certificate.
const CHILD_PIN: &str = "CBT_BACKUP_TEST_SERVER_PIN";

/// The system's authorities are read from the environment, once a process.
#[tokio::test]
async fn the_systems_authorities_vouch_for_a_server() {
    let server = usual_server().await;
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(pem(&server.certificate).as_bytes()).unwrap();
    let mut child = std::process::Command::new(std::env::current_exe().unwrap());
    let name = "vsphere::wire_tests::trust::a_process_whose_system_trusts_the_server";
    child
        .args(["--exact", name, "--ignored"])
        .env("SSL_CERT_FILE", file.path())
        .env_remove("SSL_CERT_DIR")
        .env(CHILD, server.address());
    run(child).await;
    assert_eq!(server.count("Logout"), 1);
}

#[tokio::test]
async fn a_refusal_by_the_systems_authorities_tells_all_that_a_pin_wants() {
    let (server, known) = (usual_server().await, usual_server().await);
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(pem(&known.certificate).as_bytes()).unwrap();
    let mut child = std::process::Command::new(std::env::current_exe().unwrap());
    let name = "vsphere::wire_tests::trust::a_process_whose_system_refuses_the_server";
    child
        .args(["--exact", name, "--ignored"])
        .env("SSL_CERT_FILE", file.path())
        .env_remove("SSL_CERT_DIR")
        .env(CHILD, server.address())
        .env(CHILD_PIN, server.thumbprints().sha256.to_string());
    run(child).await;
    assert!(server.seen().is_empty());
}

async fn run(mut child: std::process::Command) {
    let output = tokio::task::spawn_blocking(move || child.output()).await;
    let output = output.unwrap().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}");
    assert!(said.contains("1 passed"), "{said}");
}

#[tokio::test]
#[ignore = "the other half of the test above, which starts it"]
async fn a_process_whose_system_refuses_the_server() {
    let address = std::env::var(CHILD).expect("the other half sets it");
    let pin: Thumbprint = std::env::var(CHILD_PIN).unwrap().parse().unwrap();
    let error = Client::connect(options(&address, Trust::SystemRoots)).await;
    let Err(Error::CertificateRefused {
        observed, subject, ..
    }) = &error
    else {
        panic!("{error:?}");
    };
    assert_eq!(subject, "CN=rcgen self signed cert");
    assert_eq!(observed.sha256, pin);
    let told = error.as_ref().unwrap_err().to_string();
    for part in [
        subject,
        &observed.sha1.to_string(),
        &observed.sha256.to_string(),
    ] {
        assert!(told.contains(part), "{told}");
    }
}

#[tokio::test]
#[ignore = "the other half of the test above, which starts it"]
async fn a_process_whose_system_trusts_the_server() {
    let address = std::env::var(CHILD).expect("the other half sets it");
    let client = Client::connect(options(&address, Trust::SystemRoots)).await;
    client.unwrap().logout().await.unwrap();
}

fn options(address: &str, trust: Trust) -> ConnectOptions {
    ConnectOptions::new(
        address.parse().unwrap(),
        "u".to_owned(),
        Secret::new("p".to_owned()),
        trust,
    )
}

fn pem(der: &[u8]) -> String {
    use std::fmt::Write as _;
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::from("-----BEGIN CERTIFICATE-----");
    for (index, group) in der.chunks(3).enumerate() {
        if index % 16 == 0 {
            text.push('\n');
        }
        let padded = [group, &[0, 0]].concat();
        let bits = u32::from_be_bytes([0, padded[0], padded[1], padded[2]]);
        for digit in 0..4 {
            let value = (bits >> (18 - 6 * digit)) as usize & 63;
            let c = if digit > group.len() {
                '='
            } else {
                ALPHABET[value] as char
            };
            write!(text, "{c}").unwrap();
        }
    }
    text + "\n-----END CERTIFICATE-----\n"
}

#[tokio::test]
async fn a_version_1_certificate_is_named_as_such_even_when_pinned() {
    let identity = identity();
    let old = CertificateDer::from(version_1(identity.cert.der()));
    let server = TestServer::start_with(old, &identity.signing_key, |seen| usual(seen, 0)).await;
    let error = Client::connect(server.options()).await.unwrap_err();
    let Error::CertificateVersion1 { observed } = error else {
        panic!("{error:?}");
    };
    assert_eq!(observed, server.thumbprints());
    // It can still be looked at.
    let address = server.address().parse().unwrap();
    assert_eq!(observe(&address).await.unwrap(), server.thumbprints());
}

/// The certificate without its version and its extensions.
fn version_1(der: &[u8]) -> Vec<u8> {
    let (_, certificate, _) = element(der);
    let (_, to_be_signed, rest) = element(certificate);
    let mut parts = Vec::new();
    let mut left = to_be_signed;
    while !left.is_empty() {
        let (tag, _, after) = element(left);
        let whole = &left[..left.len() - after.len()];
        if tag != 0xa0 && tag != 0xa3 {
            parts.extend_from_slice(whole);
        }
        left = after;
    }
    sequence(&[sequence(&parts), rest.to_vec()].concat())
}

/// Tag, content and what follows.
fn element(der: &[u8]) -> (u8, &[u8], &[u8]) {
    let (length, start) = match der[1] {
        0x81 => (usize::from(der[2]), 3),
        0x82 => (usize::from(der[2]) << 8 | usize::from(der[3]), 4),
        short => (usize::from(short), 2),
    };
    (der[0], &der[start..start + length], &der[start + length..])
}

fn sequence(content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len()).unwrap().to_be_bytes();
    [&[0x30, 0x82, length[0], length[1]], content].concat()
}
