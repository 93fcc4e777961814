//! Recovery passphrases: made once, written on paper, typed in a bad hour.

use zeroize::Zeroizing;

use crate::{
    repo::{cipher::random, error::Error},
    secret::Secret,
};

const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const CHARACTERS: usize = 32;
const GROUP: usize = 4;

/// Makes one of 160 random bits: eight groups of four characters.
pub(super) fn generate() -> Result<Secret, Error> {
    let bytes = random::<20>()?;
    let mut text = String::with_capacity(CHARACTERS + CHARACTERS / GROUP);
    // Five bytes are eight characters.
    for five in bytes.chunks_exact(5) {
        let number = five
            .iter()
            .fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
        for character in 0..8 {
            if character % GROUP == 0 && !text.is_empty() {
                text.push('-');
            }
            let digit = number >> (35 - 5 * character) & 31;
            text.push(char::from(ALPHABET[usize::from(digit as u8)]));
        }
    }
    Ok(Secret::new(text))
}

/// The bytes a slot was made with, from what somebody typed; `None` when it is none.
pub(super) fn normalise(typed: &str) -> Option<Zeroizing<Vec<u8>>> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(CHARACTERS));
    for character in typed.chars() {
        let character = match character.to_ascii_uppercase() {
            '-' | ' ' => continue,
            'O' => '0',
            'I' | 'L' => '1',
            other => other,
        };
        let byte = u8::try_from(character).ok()?;
        if !ALPHABET.contains(&byte) || bytes.len() == CHARACTERS {
            return None;
        }
        bytes.push(byte);
    }
    (bytes.len() == CHARACTERS).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_is_taken_back_however_it_is_typed() {
        let made = generate().unwrap();
        let shown = made.expose();
        assert_eq!(shown.len(), 39);
        assert!(shown.split('-').all(|group| group.len() == 4), "{shown}");
        let bytes = normalise(shown).unwrap();
        assert_eq!(bytes.len(), 32);
        assert_eq!(normalise(&shown.to_lowercase()).unwrap(), bytes);
        assert_eq!(normalise(&shown.replace('-', " ")).unwrap(), bytes);
        let like = shown.replace('0', "o").replace('1', "l");
        assert_eq!(normalise(&like).unwrap(), bytes);
        assert_ne!(generate().unwrap().expose(), shown);
    }

    #[test]
    fn other_texts_are_none() {
        for text in [
            "",
            "correct horse battery staple",
            "AAAA",
            &"A".repeat(33),
            &"U".repeat(32),
            &"ä".repeat(32),
        ] {
            assert!(normalise(text).is_none(), "{text}");
        }
    }
}
