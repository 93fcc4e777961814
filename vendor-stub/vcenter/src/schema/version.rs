//! Versions of the API, such as `6.5` and `8.0.2.0`.

/// A version; shorter texts count as filled up with zeros. The default is older than all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Version([u16; 4]);

impl Version {
    /// Reads a version; `None` for any other text, such as the names of builds.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut parts = [0; 4];
        let mut texts = text.split('.');
        for (part, text) in parts.iter_mut().zip(&mut texts) {
            *part = text.parse().ok()?;
        }
        texts.next().is_none().then_some(Self(parts))
    }

    /// The version that answers a request: the one asked for in `SOAPAction`, as
    /// `urn:vim25/8.0.2.0` with or without quotes, but none newer than the server's own. A
    /// request that asks for none, or for one that is not understood, gets the server's.
    pub(crate) fn asked(action: Option<&str>, own: &str) -> Self {
        let own = Self::parse(own).unwrap_or(Self([u16::MAX; 4]));
        let asked = action.map(|action| action.trim().trim_matches('"'));
        let asked = asked.and_then(|action| action.rsplit_once('/'));
        let asked = asked.and_then(|(_, version)| Self::parse(version));
        asked.map_or(own, |asked| asked.min(own))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_ordered_by_their_numbers() {
        let version = |text| Version::parse(text).unwrap();
        assert!(version("6.5") < version("6.7.1"));
        assert!(version("8.0.2.0") > version("8.0"));
        assert!(Version::default() < version("2.0"));
        for wrong in ["", "uA046D008", "8.0.2.0.1", "8.", "-1"] {
            assert_eq!(Version::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn nobody_is_answered_in_a_version_newer_than_the_server() {
        let version = |text| Version::parse(text).unwrap();
        let asked = |action| Version::asked(action, "7.0.3.0");
        assert_eq!(asked(Some("\"urn:vim25/5.5\"")), version("5.5"));
        assert_eq!(asked(Some("urn:vim25/8.0.2.0")), version("7.0.3.0"));
        assert_eq!(asked(Some("urn:vim25/uA046D008")), version("7.0.3.0"));
        assert_eq!(asked(Some("urn:vim25")), version("7.0.3.0"));
        assert_eq!(asked(None), version("7.0.3.0"));
    }
}
