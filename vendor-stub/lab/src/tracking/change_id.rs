//! Change ids: `<uuid>/<sequence>` ("vSphere Web Services API" section 5.3).

use crate::{Error, random};

/// A new UUID in the form it has in a change id: `52 2d 7b ... cc-77 4c ... 7b`.
pub(crate) fn new_uuid() -> Result<String, Error> {
    let mut bytes = random::sixteen()?;
    bytes[0] = 0x52;
    Ok(spaced(&bytes))
}

/// Sixteen bytes as pairs of digits with blanks, and a dash in the middle.
pub(crate) fn spaced(bytes: &[u8; 16]) -> String {
    let half = |bytes: &[u8]| {
        bytes
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect::<Vec<_>>()
            .join(" ")
    };
    format!("{}-{}", half(&bytes[..8]), half(&bytes[8..]))
}

/// Puts a change id together.
pub(crate) fn format(uuid: &str, sequence: u32) -> String {
    format!("{uuid}/{sequence}")
}

/// Takes a change id apart; `None` when it has another form.
pub(crate) fn parse(text: &str) -> Option<(&str, u32)> {
    let (uuid, digits) = text.rsplit_once('/')?;
    let plain = !uuid.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    plain
        .then(|| digits.parse().ok())
        .flatten()
        .map(|sequence| (uuid, sequence))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_have_the_documented_form() {
        let bytes = [
            0x52, 0x2d, 0x7b, 0x8f, 0xac, 0x61, 0x51, 0xcc, 0x77, 0x4c, 0x7b, 0xec, 0x91, 0x50,
            0xbb, 0x7b,
        ];
        let id = format(&spaced(&bytes), 16);
        assert_eq!(id, "52 2d 7b 8f ac 61 51 cc-77 4c 7b ec 91 50 bb 7b/16");
        assert_eq!(
            parse(&id),
            Some(("52 2d 7b 8f ac 61 51 cc-77 4c 7b ec 91 50 bb 7b", 16))
        );
        assert!(new_uuid().unwrap().starts_with("52 "));
    }

    #[test]
    fn other_forms_are_refused() {
        for text in [
            "",
            "*",
            "/",
            "/1",
            "x",
            "x/",
            "x/-1",
            "x/+1",
            "x/1 ",
            "x/4294967296",
            "x/1/",
        ] {
            assert_eq!(parse(text), None, "{text:?}");
        }
    }
}
