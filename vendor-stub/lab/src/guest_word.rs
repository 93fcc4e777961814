//! The words for guest systems in a .vmx file, which are not those of the API.

/// What the API calls guests whose word does not tell it.
const IRREGULAR: [(&str, &str); 4] = [
    ("other-64", "otherGuest64"),
    ("otherlinux", "otherLinuxGuest"),
    ("otherlinux-64", "otherLinux64Guest"),
    ("ubuntu-64", "ubuntu64Guest"),
];

/// The word for a guest id: `rhel8-64` for `rhel8_64Guest`.
pub(crate) fn word_of(guest_id: &str) -> String {
    let is_64 = ["_64Guest", "64Guest", "Guest64"]
        .iter()
        .find_map(|end| guest_id.strip_suffix(end));
    let word = match is_64 {
        Some(name) => format!("{name}-64"),
        None => guest_id
            .strip_suffix("Guest")
            .unwrap_or(guest_id)
            .to_owned(),
    };
    word.to_lowercase()
}

/// The guest id for a word, as far as it can be told.
pub(crate) fn id_of(word: &str) -> String {
    if let Some((_, id)) = IRREGULAR.iter().find(|(known, _)| *known == word) {
        return (*id).to_owned();
    }
    match word.strip_suffix("-64") {
        Some(name) => format!("{name}_64Guest"),
        None => format!("{word}Guest"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_lead_back_to_ids() {
        for (id, word) in [
            ("rhel8_64Guest", "rhel8-64"),
            ("otherLinux64Guest", "otherlinux-64"),
            ("otherGuest64", "other-64"),
            ("otherGuest", "other"),
            ("ubuntu64Guest", "ubuntu-64"),
            ("windows2019srv_64Guest", "windows2019srv-64"),
        ] {
            assert_eq!(word_of(id), word);
            assert_eq!(id_of(word), id);
        }
        // Capitals are lost.
        assert_eq!(word_of("winXPPro64Guest"), "winxppro-64");
    }
}
