//! The managed object browser: where a person can look for themselves.

use crate::vsphere::address::ServerAddress;
use crate::vsphere::moref::Moref;

/// The page of the server's object browser that shows the backing, with its `changeId`, of the
/// disk `device_key`: of `object`, which is a snapshot, or a VM where there is none.
pub fn browser_path(server: &ServerAddress, object: &Moref, device_key: i32) -> String {
    format!(
        "https://{}/mob/?moid={}&doPath=config.hardware.device%5b{device_key}%5d.backing",
        server.url_authority(),
        percent_encode(&object.id)
    )
}

/// Ids are opaque: everything but letters, digits and `-._~` is encoded.
fn percent_encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                out.push(char::from(byte));
            }
            byte => {
                let digit = |nibble: u8| char::from(b"0123456789ABCDEF"[usize::from(nibble)]);
                out.extend(['%', digit(byte >> 4), digit(byte & 15)]);
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::browser_path;
    use crate::vsphere::moref::Moref;

    #[test]
    fn a_path_names_object_and_disk() {
        let server = "vcenter.example.test:8443".parse().unwrap();
        assert_eq!(
            browser_path(&server, &Moref::snapshot("snapshot-2044"), 2000),
            "https://vcenter.example.test:8443/mob/?moid=snapshot-2044&doPath=config.hardware.device%5b2000%5d.backing"
        );
        let usual = "vcenter.example.test".parse().unwrap();
        assert!(
            browser_path(&usual, &Moref::vm("vm-1"), 1)
                .starts_with("https://vcenter.example.test/mob/")
        );
        let odd = browser_path(&server, &Moref::vm("a b&c"), -1);
        assert!(odd.contains("moid=a%20b%26c&"), "{odd}");
    }
}
