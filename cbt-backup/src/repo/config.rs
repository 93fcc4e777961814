//! The `config` object. Format: repository-format.md section 3.

use serde::{Deserialize, Serialize};

use super::error::Error;
use super::id::ObjectId;
use super::name::CONFIG;

/// The format this build writes and reads.
pub const FORMAT: u32 = 1;

/// Smallest and largest block size, as powers of two; below 16 is for tests.
pub(crate) const BLOCK_SHIFTS: std::ops::RangeInclusive<u8> = 12..=22;
/// Fan-outs of a node, as powers of two; below 8 is for tests.
pub(crate) const FAN_OUT_BITS: std::ops::RangeInclusive<u8> = 1..=8;

/// What a repository says about itself.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Config {
    /// Format number.
    pub format: u32,
    /// Identity of the repository.
    pub id: ObjectId,
    /// Block size of new disks is two to this power, in bytes.
    pub block_shift: u8,
    /// Fan-out of new trees is two to this power.
    pub fan_out_bits: u8,
    /// Features a reader must know.
    #[serde(default)]
    pub reads_need: Vec<String>,
    /// Features a writer must know.
    #[serde(default)]
    pub writes_need: Vec<String>,
}

/// Only the number, which must be understood before anything else is.
#[derive(Deserialize)]
struct FormatOnly {
    format: u32,
}

impl Config {
    /// Reads and checks the object.
    ///
    /// # Errors
    /// `FormatTooNew`, `FormatDraft`, `NeedsFeature` for a reader's feature, `Damaged` for anything else.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let bad = |error: serde_json::Error| Error::damaged(CONFIG, error.to_string());
        let FormatOnly { format } = serde_json::from_slice(bytes).map_err(bad)?;
        refuse_format(format)?;
        let config: Self = serde_json::from_slice(bytes).map_err(bad)?;
        refuse_features(CONFIG, &config.reads_need, &[])?;
        config
            .check()
            .map_err(|error| Error::damaged(CONFIG, error.to_string()))?;
        Ok(config)
    }

    /// The object.
    pub(crate) fn encode(&self) -> Result<Vec<u8>, Error> {
        serde_json::to_vec_pretty(self).map_err(|error| Error::machine("JSON", &error))
    }

    pub(crate) fn check(&self) -> Result<(), Error> {
        check_range("block shift", self.block_shift, &BLOCK_SHIFTS)?;
        check_range("fan-out bits", self.fan_out_bits, &FAN_OUT_BITS)
    }

    /// Refuses to write when a feature is asked for that this program does not know.
    pub(crate) fn check_writable(&self) -> Result<(), Error> {
        refuse_features(CONFIG, &self.writes_need, &[])
    }
}

/// Refuses a format this program does not know. Format 0 was a draft, which changed from build to build.
pub(crate) fn refuse_format(found: u32) -> Result<(), Error> {
    match found {
        0 => Err(Error::FormatDraft),
        1..=FORMAT => Ok(()),
        _ => Err(Error::FormatTooNew {
            found,
            known: FORMAT,
        }),
    }
}

/// Refuses an object that needs a feature which is not among those `known`.
pub(crate) fn refuse_features(object: &str, needs: &[String], known: &[&str]) -> Result<(), Error> {
    let unknown = |feature: &&String| !known.contains(&feature.as_str());
    match needs.iter().find(unknown) {
        None => Ok(()),
        Some(feature) => Err(Error::NeedsFeature {
            object: object.to_owned(),
            feature: feature.clone(),
        }),
    }
}

pub(crate) fn check_range(
    what: &'static str,
    value: u8,
    range: &std::ops::RangeInclusive<u8>,
) -> Result<(), Error> {
    if range.contains(&value) {
        return Ok(());
    }
    Err(Error::OutOfRange {
        what,
        value: value.into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(format: u32, needs: &str, shift: u8) -> Vec<u8> {
        let id = ObjectId::generate();
        format!(
            r#"{{"format":{format},"id":"{id}","block_shift":{shift},"fan_out_bits":8,"reads_need":{needs},"later":1}}"#
        )
        .into_bytes()
    }

    #[test]
    fn refusals_are_by_name() {
        assert!(Config::parse(&json(1, "[]", 18)).is_ok());
        let newer = Config::parse(br#"{"format": 7, "all else": "changed"}"#).unwrap_err();
        assert!(matches!(newer, Error::FormatTooNew { found: 7, known: 1 }));
        let draft = Config::parse(&json(0, "[]", 18)).unwrap_err();
        assert!(matches!(draft, Error::FormatDraft), "{draft}");
        let needs = Config::parse(&json(1, r#"["teleport"]"#, 18)).unwrap_err();
        assert!(needs.to_string().contains("teleport"));
        assert!(Config::parse(&json(1, "[]", 40)).unwrap_err().is_damage());
        assert!(Config::parse(b"{").unwrap_err().is_damage());
    }
}
