//! Releases of hosts whose change tracking is known to lose changes ("vSphere API reference, 5.7").
//!
//! The build numbers are those of VMware's list of builds; they could not be tried here.

use super::{Host, HostVersion};

/// ESXi600-201511001, the patch after 6.0 Update 1a.
const FIRST_SOUND_BUILD_OF_6_0: u64 = 3_247_720;
/// ESXi 8.0 Update 2b.
const FIRST_SOUND_BUILD_OF_8_0_2: u64 = 23_305_546;

impl Host {
    /// True when the changes of a disk that has grown may be told wrongly from then on: ESX 4 and 5 after a
    /// multiple of 128 GB, ESXi 8.0 Update 2 below Update 2b after growth while the VM was on. Also true for a
    /// release that is not known.
    pub fn may_mistrack_growth(&self) -> bool {
        match self.version {
            None => true,
            Some(version) if version.major < 6 => true,
            Some(HostVersion {
                major: 8,
                minor: 0,
                update: 2,
            }) => self.is_older_than(FIRST_SOUND_BUILD_OF_8_0_2),
            Some(_) => false,
        }
    }

    /// True when writes made while a snapshot is consolidated are not tracked: ESXi 6.0 up to Update 1a.
    pub fn loses_writes_of_consolidation(&self) -> bool {
        self.version
            .is_some_and(|version| (version.major, version.minor) == (6, 0))
            && self.is_older_than(FIRST_SOUND_BUILD_OF_6_0)
    }

    /// A build that is not told counts as older.
    fn is_older_than(&self, build: u64) -> bool {
        self.build.is_none_or(|own| own < build)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(version: &str, build: Option<u64>) -> Host {
        Host {
            version: version.parse().ok(),
            build,
            ..Host::default()
        }
    }

    #[test]
    fn growth_is_mistracked_by_old_and_unknown_releases_and_the_first_of_8_0_2() {
        for (version, build) in [
            ("4.1.0", Some(348_481)),
            ("5.5.0", Some(15_000_000)),
            ("8.0.2", Some(22_380_479)),
            ("8.0.2", None),
            ("", Some(24_000_000)),
        ] {
            assert!(
                host(version, build).may_mistrack_growth(),
                "{version} {build:?}"
            );
        }
        for (version, build) in [
            ("6.0.0", Some(2_494_585)),
            ("7.0.3", None),
            ("8.0.1", None),
            ("8.0.2", Some(23_305_546)),
            ("8.0.3", None),
            ("9.0.0", None),
        ] {
            assert!(
                !host(version, build).may_mistrack_growth(),
                "{version} {build:?}"
            );
        }
    }

    #[test]
    fn consolidation_loses_writes_on_the_first_builds_of_6_0() {
        assert!(host("6.0.0", Some(3_073_146)).loses_writes_of_consolidation());
        assert!(host("6.0.0", None).loses_writes_of_consolidation());
        assert!(!host("6.0.0", Some(3_247_720)).loses_writes_of_consolidation());
        assert!(!host("6.5.0", Some(4_564_106)).loses_writes_of_consolidation());
        assert!(!host("", None).loses_writes_of_consolidation());
    }
}
