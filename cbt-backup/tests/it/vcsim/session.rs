//! Trust, login and logout.

use cbt_backup::secret::Secret;
use cbt_backup::vsphere::{Client, Error, Trust};

use super::simulator::{Simulator, USER};

#[tokio::test]
async fn a_session_begins_and_ends() {
    let Some(simulator) = Simulator::start(&[]) else {
        return;
    };
    let client = simulator.connect().await;
    let about = client.about();
    assert!(about.is_vcenter());
    assert_eq!(about.name, "VMware vCenter Server");
    assert!(about.instance_uuid.is_some());
    assert_eq!(client.api_version(), about.api_version);
    assert!(!client.session_key().is_empty());
    client.current_time().await.unwrap();
    client.logout().await.unwrap();
    let after = client.current_time().await;
    assert!(matches!(after, Err(Error::LoggedOut)), "{after:?}");
}

#[tokio::test]
async fn a_wrong_password_is_refused_and_not_tried_again() {
    let Some(simulator) = Simulator::start(&[]) else {
        return;
    };
    let mut options = simulator.options().await;
    options.password = Secret::new("not the password".to_owned());
    match Client::connect(options).await {
        Err(Error::InvalidLogin { user, .. }) => assert_eq!(user, USER),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn only_the_pinned_certificate_and_the_named_authority_are_trusted() {
    let Some(simulator) = Simulator::start(&[]) else {
        return;
    };
    let mut options = simulator.options().await;
    options.trust = Trust::Thumbprint("00:".repeat(32).trim_end_matches(':').parse().unwrap());
    let pinned = Client::connect(options).await;
    assert!(
        matches!(pinned, Err(Error::ThumbprintMismatch { .. })),
        "{pinned:?}"
    );
    let mut options = simulator.options().await;
    options.trust = Trust::SystemRoots;
    let roots = Client::connect(options).await;
    assert!(
        matches!(
            roots,
            Err(Error::Tls { .. } | Error::CertificateRefused { .. })
        ),
        "{roots:?}"
    );
    let mut options = simulator.options().await;
    options.trust = Trust::CaFile(simulator.authority_file.clone());
    let client = Client::connect(options).await.unwrap();
    client.logout().await.unwrap();
}

#[tokio::test]
async fn a_stand_alone_host_is_one() {
    let Some(simulator) = Simulator::start(&["-esxi"]) else {
        return;
    };
    let client = simulator.connect().await;
    assert!(!client.about().is_vcenter());
    assert_eq!(client.about().api_type, "HostAgent");
    let vms = client.vms().await.unwrap();
    assert_eq!(vms.len(), 2, "{vms:?}");
    assert_eq!(vms[0].path, format!("ha-datacenter/vm/{}", vms[0].name));
    client.logout().await.unwrap();
}
