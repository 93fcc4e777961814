//! What happened to a disk's tracking between two snapshots.

use std::fmt;

/// What is remembered of a disk with a snapshot.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Landmark {
    /// Its change id, `<tracking>/<number>`; none if it was not tracked.
    pub change_id: Option<String>,
    /// Its size.
    pub capacity_bytes: u64,
    /// Its UUID, where known.
    pub disk_uuid: Option<String>,
    /// The name of its base file.
    pub base_file_name: String,
    /// The host of the VM, where known.
    pub host: Option<String>,
}

/// What happened ("vSphere API reference, 5.5"). Servers do not tell: it is seen from the traces
/// it leaves. Events that leave none and do no harm, such as a clean power-off, are
/// [`TrackingEvent::Continued`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum TrackingEvent {
    /// Nothing that matters: snapshots came and went, the VM was off or was moved live.
    Continued,
    /// The VM moved to another host.
    Moved,
    /// The disk's files moved to another place, and tracking went on.
    StorageMoved,
    /// There is another disk now.
    Replaced,
    /// The size changed.
    Resized,
    /// The change id's number did not grow: the VM was taken back to an older snapshot.
    Reverted,
    /// The change id begins anew: tracking was off, was reset, or was lost with its host.
    Restarted,
    /// It begins anew since its files moved.
    RestartedByStorageMove,
    /// There is no change id any more.
    Lost,
    /// There is one for the first time.
    Begun,
    /// There is none, as before.
    Untracked,
    /// A change id has a form that we can't judge.
    Unreadable,
}

impl TrackingEvent {
    /// Recognises what happened between `old` and `new`. What forbids using the old change id
    /// comes first.
    pub fn between(old: &Landmark, new: &Landmark) -> Self {
        let differ =
            |a: &Option<String>, b: &Option<String>| matches!((a, b), (Some(a), Some(b)) if a != b);
        if differ(&old.disk_uuid, &new.disk_uuid) {
            return Self::Replaced;
        }
        if old.capacity_bytes != new.capacity_bytes {
            return Self::Resized;
        }
        let has_moved = old.base_file_name != new.base_file_name;
        let (old_id, new_id) = match (id(old), id(new)) {
            (None, None) => return Self::Untracked,
            (None, Some(_)) => return Self::Begun,
            (Some(_), None) => return Self::Lost,
            (Some(old), Some(new)) => (old, new),
        };
        let (Some((was, from)), Some((is, to))) = (parts(old_id), parts(new_id)) else {
            return Self::Unreadable;
        };
        match () {
            () if was != is && has_moved => Self::RestartedByStorageMove,
            () if was != is => Self::Restarted,
            () if to <= from => Self::Reverted,
            () if has_moved => Self::StorageMoved,
            () if differ(&old.host, &new.host) => Self::Moved,
            () => Self::Continued,
        }
    }

    /// True if what the old change id gives can be believed.
    pub fn keeps_tracking(self) -> bool {
        matches!(self, Self::Continued | Self::Moved | Self::StorageMoved)
    }

    /// A short name for scripts; it stays.
    pub fn id(self) -> &'static str {
        match self {
            Self::Continued => "continued",
            Self::Moved => "moved",
            Self::StorageMoved => "storage-moved",
            Self::Replaced => "replaced",
            Self::Resized => "resized",
            Self::Reverted => "reverted",
            Self::Restarted => "restarted",
            Self::RestartedByStorageMove => "restarted-by-storage-move",
            Self::Lost => "lost",
            Self::Begun => "begun",
            Self::Untracked => "untracked",
            Self::Unreadable => "unreadable",
        }
    }
}

fn id(landmark: &Landmark) -> Option<&str> {
    landmark.change_id.as_deref().filter(|id| !id.is_empty())
}

/// The first part of a change id, which is the same as long as tracking goes on. `None` for an id of another
/// form.
pub fn tracking_of(change_id: &str) -> Option<&str> {
    parts(change_id).map(|(tracking, _)| tracking)
}

/// The tracking and the number; everything else about an id is opaque.
fn parts(id: &str) -> Option<(&str, u64)> {
    let (tracking, number) = id.rsplit_once('/')?;
    Some((tracking, number.parse().ok()?))
}

impl fmt::Display for TrackingEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Continued => "tracking went on",
            Self::Moved => "the VM moved to another host, tracking went on",
            Self::StorageMoved => "the disk's files moved, tracking went on",
            Self::Replaced => "there is another disk now",
            Self::Resized => "the disk's size changed",
            Self::Reverted => {
                "the change id did not grow, as after going back to an older snapshot"
            }
            Self::Restarted => {
                "the change id begins anew: tracking was switched off, reset, or lost with its host"
            }
            Self::RestartedByStorageMove => {
                "the change id begins anew since the disk's files moved"
            }
            Self::Lost => "the disk has no change id any more",
            Self::Begun => "the disk is tracked for the first time",
            Self::Untracked => "the disk has no change id",
            Self::Unreadable => "a change id has an unknown form",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{Landmark, TrackingEvent};

    fn landmark(change_id: &str) -> Landmark {
        Landmark {
            change_id: (!change_id.is_empty()).then(|| change_id.to_owned()),
            capacity_bytes: 1 << 30,
            disk_uuid: Some("u-1".to_owned()),
            base_file_name: "[ds] a/a.vmdk".to_owned(),
            host: Some("host-1".to_owned()),
        }
    }

    #[test]
    fn each_event_is_seen_from_its_traces() {
        use TrackingEvent as E;
        let moved = Landmark {
            host: Some("host-2".to_owned()),
            ..landmark("a/2")
        };
        let elsewhere = |id: &str| Landmark {
            base_file_name: "[other] a/a.vmdk".to_owned(),
            ..landmark(id)
        };
        let replaced = Landmark {
            disk_uuid: Some("u-2".to_owned()),
            ..landmark("a/2")
        };
        let grown = Landmark {
            capacity_bytes: 2 << 30,
            ..landmark("a/2")
        };
        for (old, new, event) in [
            ("a/1", landmark("a/2"), E::Continued),
            ("a/1", moved, E::Moved),
            ("a/1", elsewhere("a/2"), E::StorageMoved),
            ("a/1", elsewhere("b/2"), E::RestartedByStorageMove),
            ("a/1", replaced, E::Replaced),
            ("a/1", grown, E::Resized),
            ("a/2", landmark("a/2"), E::Reverted),
            ("a/9", landmark("a/2"), E::Reverted),
            ("a/1", landmark("b/2"), E::Restarted),
            ("a/1", landmark(""), E::Lost),
            ("", landmark("a/1"), E::Begun),
            ("", landmark(""), E::Untracked),
            ("a/1", landmark("a/x"), E::Unreadable),
        ] {
            let seen = E::between(&landmark(old), &new);
            assert_eq!(seen, event);
            let keeps = matches!(event, E::Continued | E::Moved | E::StorageMoved);
            assert_eq!(seen.keeps_tracking(), keeps);
        }
    }
}
