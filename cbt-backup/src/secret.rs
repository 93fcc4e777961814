//! A string that must not leak: it wipes itself, and prints as `Secret(***)`.

use std::fmt;

use zeroize::Zeroizing;

/// A password, passphrase or session cookie.
///
/// It has no `Display`, `Clone` or `Serialize`: what is secret is moved, or lent for the
/// shortest possible time by [`Secret::expose`].
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes `text` over; its memory is wiped when the secret is dropped.
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// Lends the text. Never log it, and never keep a copy that does not wipe itself.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// True for an empty text, which no service here accepts.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(***)")
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self::new(text)
    }
}

#[cfg(test)]
mod tests {
    use super::Secret;

    #[test]
    fn debug_hides_the_text() {
        let secret = Secret::new("hunter2".to_owned());
        assert_eq!(format!("{secret:?}"), "Secret(***)");
        assert_eq!(secret.expose(), "hunter2");
    }
}
