//! Object names, both ways. Format: repository-format.md section 2.

use std::fmt;

use super::id::{ObjectId, PackId, PackKind, PointId, SessionId, VmKey};

/// Limits of objects in bytes, by kind.
pub(crate) const SMALL_LIMIT_BYTES: u64 = 64 << 10;
pub(crate) const ROOT_LIMIT_BYTES: u64 = 16 << 20;
pub(crate) const LIST_LIMIT_BYTES: u64 = 64 << 20;
pub(crate) const PACK_LIMIT_BYTES: u64 = 288 << 20;

/// The name of the plain JSON that makes a folder a repository.
pub(crate) const CONFIG: &str = "config";
/// The name of the bytes that are given up when a folder is full.
pub(crate) const RESERVE: &str = "reserve";

/// Where a root stands.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct RootName {
    /// The VM.
    pub vm: VmKey,
    /// The point.
    pub point: PointId,
    /// Rises when the point is rewritten.
    pub generation: u32,
    /// The session that wrote the root.
    pub session: SessionId,
}

impl fmt::Display for RootName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            vm,
            point,
            generation,
            session,
        } = self;
        write!(f, "point/{vm}/{point}/{generation:08x}-{session}")
    }
}

/// Any object of a repository, by its name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum ObjectName {
    Config,
    Key(ObjectId),
    Open(SessionId),
    Pack(PackId),
    Root(RootName),
    Dead(PointId),
    Fence {
        session: SessionId,
        sweep: ObjectId,
        last: bool,
    },
    Condemned(ObjectId),
    Quarantine(ObjectId),
    Lost(SessionId),
    Reserve,
}

impl fmt::Display for ObjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config => f.write_str(CONFIG),
            Self::Key(slot) => write!(f, "key/{slot}"),
            Self::Open(session) => write!(f, "open/{session}"),
            Self::Pack(pack) => pack.fmt(f),
            Self::Root(root) => root.fmt(f),
            Self::Dead(point) => write!(f, "dead/{point}"),
            Self::Fence {
                session,
                sweep,
                last,
            } => {
                write!(
                    f,
                    "fence/{session}/{sweep}.{}",
                    if *last { 'f' } else { 'p' }
                )
            }
            Self::Condemned(sweep) => write!(f, "sweep/{sweep}"),
            Self::Quarantine(id) => write!(f, "sweep/q-{id}"),
            Self::Lost(session) => write!(f, "lost/{session}"),
            Self::Reserve => f.write_str(RESERVE),
        }
    }
}

impl ObjectName {
    /// Reads a name; `None` for one that no repository object has.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        let mut parts = name.split('/');
        let parsed = match (parts.next()?, parts.next(), parts.next(), parts.next()) {
            (CONFIG, None, None, None) => Self::Config,
            (RESERVE, None, None, None) => Self::Reserve,
            ("key", Some(slot), None, None) => Self::Key(slot.parse().ok()?),
            ("open", Some(session), None, None) => Self::Open(session.parse().ok()?),
            ("pack", Some(session), Some(pack), None) => Self::Pack(parse_pack(session, pack)?),
            ("point", Some(vm), Some(point), Some(root)) => {
                let (generation, session) = root.split_once('-')?;
                Self::Root(RootName {
                    vm: vm.parse().ok()?,
                    point: point.parse().ok()?,
                    generation: parse_number(generation)?,
                    session: session.parse().ok()?,
                })
            }
            ("dead", Some(point), None, None) => Self::Dead(point.parse().ok()?),
            ("fence", Some(session), Some(fence), None) => {
                let (sweep, end) = fence.split_once('.')?;
                let last = match end {
                    "p" => false,
                    "f" => true,
                    _ => return None,
                };
                Self::Fence {
                    session: session.parse().ok()?,
                    sweep: sweep.parse().ok()?,
                    last,
                }
            }
            ("sweep", Some(list), None, None) => match list.strip_prefix("q-") {
                Some(id) => Self::Quarantine(id.parse().ok()?),
                None => Self::Condemned(list.parse().ok()?),
            },
            ("lost", Some(session), None, None) => Self::Lost(session.parse().ok()?),
            _ => return None,
        };
        parts.next().is_none().then_some(parsed)
    }

    /// The session that wrote it, or that it is about.
    pub(crate) fn session(&self) -> Option<SessionId> {
        match self {
            Self::Open(session) | Self::Fence { session, .. } | Self::Lost(session) => {
                Some(*session)
            }
            Self::Pack(pack) => Some(pack.session),
            Self::Root(root) => Some(root.session),
            _ => None,
        }
    }
}

fn parse_pack(session: &str, pack: &str) -> Option<PackId> {
    let letter = *pack.as_bytes().first()?;
    Some(PackId {
        kind: PackKind::from_letter(letter)?,
        session: session.parse().ok()?,
        seq: parse_number(pack.get(1..)?)?,
    })
}

/// Eight lower case hex digits.
fn parse_number(text: &str) -> Option<u32> {
    super::id::unhex(text).map(u32::from_be_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_go_both_ways() {
        let (session, point) = (SessionId::generate(), PointId::generate());
        let sweep = ObjectId::generate();
        let vm: VmKey = "0123456789abcdef".parse().unwrap();
        let names = [
            ObjectName::Config,
            ObjectName::Key(sweep),
            ObjectName::Open(session),
            ObjectName::Pack(PackId {
                kind: PackKind::Data,
                session,
                seq: 0xab,
            }),
            ObjectName::Pack(PackId {
                kind: PackKind::Node,
                session,
                seq: u32::MAX,
            }),
            ObjectName::Root(RootName {
                vm,
                point,
                generation: 3,
                session,
            }),
            ObjectName::Dead(point),
            ObjectName::Fence {
                session,
                sweep,
                last: true,
            },
            ObjectName::Fence {
                session,
                sweep,
                last: false,
            },
            ObjectName::Condemned(sweep),
            ObjectName::Quarantine(sweep),
            ObjectName::Lost(session),
            ObjectName::Reserve,
        ];
        for name in names {
            assert_eq!(ObjectName::parse(&name.to_string()), Some(name));
        }
    }

    #[test]
    fn strange_names_are_refused() {
        let id = SessionId::generate();
        for name in [
            String::new(),
            "config/x".to_owned(),
            format!("pack/{id}"),
            format!("pack/{id}/d0000000"),
            format!("pack/{id}/d0000000G"),
            format!("pack/{id}/x00000000"),
            format!("pack/{id}/d00000000/more"),
            format!("fence/{id}/{id}.x"),
            format!("point/0123456789abcdef/{id}/00000000-{id}/x"),
            "pack/é/é".to_owned(),
        ] {
            assert_eq!(ObjectName::parse(&name), None, "{name}");
        }
    }
}
