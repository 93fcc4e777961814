//! Why so much was read of a disk, and what came of it, from what its point says.

use serde::Serialize;

use crate::{
    cli::output::{bytes, printable},
    repo::{DiskRecord, DiskState},
};

/// One reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Why {
    /// A short name for programs; it stays.
    code: String,
    /// The sentence.
    text: String,
}

/// From this share on, in percent, a part of what was read is told.
const TOLD_PERCENT: u64 = 25;
/// An increment of this share of the disk, in percent, is an answer that says nothing.
const WHOLE_PERCENT: u64 = 95;

/// The reasons, the most important first. None for an increment of which nothing is remarkable.
pub(super) fn why(disk: &DiskRecord) -> Vec<Why> {
    if disk.state != DiskState::Complete || disk.capacity_bytes == 0 {
        return Vec::new();
    }
    let mut reasons = Vec::new();
    let mut add = |code: &str, text: String| {
        let code = code.to_owned();
        reasons.push(Why { code, text });
    };
    let parts = Parts::of(disk);
    let is_full = disk.coverage.method == "full";
    if is_full && !disk.coverage.cause.is_empty() {
        let words = printable(&disk.coverage.reason);
        add(
            &disk.coverage.cause,
            format!("read in full because {words}"),
        );
    }
    if !is_full && percent(disk.coverage.area_bytes, disk.capacity_bytes) >= WHOLE_PERCENT {
        add(
            "whole-disk",
            format!(
                "vSphere called {} of {} changed, in {} areas: an answer like this says nothing",
                bytes(disk.coverage.area_bytes),
                bytes(disk.capacity_bytes),
                disk.coverage.areas
            ),
        );
    }
    if percent(parts.zeros, parts.read) >= TOLD_PERCENT {
        let zeros = bytes(parts.zeros);
        if is_full {
            add(
                "zeros-read",
                format!(
                    "{zeros} of what was read were zeros, as on an eager-zeroed disk; they take no room"
                ),
            );
        } else {
            add(
                "trimmed",
                format!(
                    "{zeros} of what was called changed are zeros: the guest trimmed or zeroed it; they take no room"
                ),
            );
        }
    }
    if percent(parts.unchanged, parts.read) >= TOLD_PERCENT {
        add(
            "same-as-before",
            format!(
                "{} of what was read are as in the point before, and were not stored again",
                bytes(parts.unchanged)
            ),
        );
    }
    if percent(parts.known, parts.read) >= TOLD_PERCENT {
        add(
            "known",
            format!(
                "{} of what was read are in the repository already, from elsewhere",
                bytes(parts.known)
            ),
        );
    }
    // Only then there is no point before, with which it could be compared.
    let is_first = matches!(disk.coverage.cause.as_str(), "first" | "resized");
    if is_full && is_first && percent(parts.data, disk.capacity_bytes) >= TOLD_PERCENT {
        add(
            "data",
            format!(
                "{} of {} hold data; what the guest has deleted and not trimmed is among it",
                bytes(parts.data),
                bytes(disk.capacity_bytes)
            ),
        );
    }
    reasons
}

/// What was read, in bytes of whole blocks.
struct Parts {
    read: u64,
    zeros: u64,
    unchanged: u64,
    known: u64,
    /// All but zeros.
    data: u64,
}

impl Parts {
    fn of(disk: &DiskRecord) -> Self {
        let stats = &disk.stats;
        let size = |blocks: u64| blocks.saturating_mul(1 << disk.block_shift.min(62));
        let data = stats
            .unchanged_blocks
            .saturating_add(stats.duplicate_blocks)
            .saturating_add(stats.new_blocks);
        Self {
            read: size(stats.put_blocks),
            zeros: size(stats.put_blocks.saturating_sub(data)),
            unchanged: size(stats.unchanged_blocks),
            known: size(stats.duplicate_blocks),
            data: size(data),
        }
    }
}

fn percent(part: u64, whole: u64) -> u64 {
    (u128::from(part) * 100)
        .checked_div(u128::from(whole))
        .map_or(0, |percent| u64::try_from(percent).unwrap_or(u64::MAX))
}

impl std::fmt::Display for Why {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::{DiskRecord, DiskState, why};
    use crate::repo::{Coverage, DiskIdentity, Distrust, PutStats};

    fn disk(cause: &str, area_bytes: u64, stats: PutStats) -> DiskRecord {
        let is_full = !cause.is_empty();
        DiskRecord {
            identity: DiskIdentity::default(),
            capacity_bytes: 100 << 18,
            block_shift: 18,
            fan_out_bits: 8,
            change_id: None,
            snapshots_before: None,
            change_id_after_ms: None,
            distrust: Distrust::default(),
            sound_tracking: None,
            state: DiskState::Complete,
            tree: None,
            unreadable: Vec::new(),
            coverage: Coverage {
                method: if is_full {
                    "full"
                } else {
                    "query-changed-disk-areas"
                }
                .to_owned(),
                cause: cause.to_owned(),
                reason: "of\u{1b}something".to_owned(),
                area_bytes,
                areas: 1,
                ..Coverage::default()
            },
            stats,
        }
    }

    fn stats(read: u64, unchanged: u64, known: u64, new: u64) -> PutStats {
        PutStats {
            put_blocks: read,
            unchanged_blocks: unchanged,
            duplicate_blocks: known,
            new_blocks: new,
            ..PutStats::default()
        }
    }

    fn codes(disk: &DiskRecord) -> Vec<String> {
        why(disk).into_iter().map(|why| why.code).collect()
    }

    #[test]
    fn each_reason_has_its_sentence() {
        for (disk, wanted) in [
            (
                disk("first", 0, stats(90, 0, 0, 90)),
                &["first", "data"][..],
            ),
            (
                disk("first", 0, stats(90, 0, 0, 10)),
                &["first", "zeros-read"],
            ),
            (
                disk("restarted", 0, stats(90, 85, 0, 5)),
                &["restarted", "same-as-before"],
            ),
            (
                disk("", 100 << 18, stats(100, 90, 0, 10)),
                &["whole-disk", "same-as-before"],
            ),
            (disk("", 10 << 18, stats(10, 0, 0, 1)), &["trimmed"]),
            (disk("", 10 << 18, stats(10, 0, 9, 1)), &["known"]),
            (disk("", 10 << 18, stats(10, 0, 0, 10)), &[]),
            (disk("", 0, stats(0, 0, 0, 0)), &[]),
        ] {
            assert_eq!(codes(&disk), wanted, "{disk:?}");
            let texts: Vec<_> = why(&disk).iter().map(ToString::to_string).collect();
            assert!(!texts.join("").contains('\u{1b}'), "{texts:?}");
        }
        let absent = DiskRecord {
            state: DiskState::Absent {
                reason: String::new(),
            },
            ..disk("first", 0, stats(9, 0, 0, 9))
        };
        assert_eq!(codes(&absent), Vec::<String>::new());
        // Numbers that no program of ours writes.
        let _ = why(&disk(
            "first",
            u64::MAX,
            stats(u64::MAX, u64::MAX, u64::MAX, 1),
        ));
    }
}
