//! Something for each of many packs, in little memory.
//!
//! A 62 TiB disk needs 650,000 packs, nearly all of them of one session and numbered one after the
//! other. So the numbers are not kept: 64 neighbours share one entry of a sorted map.

use std::collections::BTreeMap;

use super::id::{PackId, PackKind, SessionId};

/// Packs that share an entry.
const GROUP: u32 = u64::BITS;

/// A set of packs, in order.
pub(crate) type PackSet = PackMap<()>;

/// A sorted map from packs to small values.
#[derive(Clone, Debug)]
pub(crate) struct PackMap<V> {
    groups: BTreeMap<(PackKind, SessionId, u32), Box<Group<V>>>,
    len: usize,
}

#[derive(Clone, Debug)]
struct Group<V> {
    /// Bit by bit, which packs of the group are there.
    present: u64,
    values: [V; GROUP as usize],
}

fn place(pack: PackId) -> ((PackKind, SessionId, u32), usize) {
    let PackId { kind, session, seq } = pack;
    ((kind, session, seq / GROUP), (seq % GROUP) as usize)
}

impl<V> Default for PackMap<V> {
    fn default() -> Self {
        Self {
            groups: BTreeMap::new(),
            len: 0,
        }
    }
}

impl<V: Copy + Default> PackMap<V> {
    /// The value of a pack, which is put in where it is missing.
    pub(crate) fn entry(&mut self, pack: PackId) -> &mut V {
        let (key, at) = place(pack);
        let group = self.groups.entry(key).or_insert_with(|| {
            Box::new(Group {
                present: 0,
                values: [V::default(); GROUP as usize],
            })
        });
        if group.present >> at & 1 == 0 {
            group.present |= 1 << at;
            group.values[at] = V::default();
            self.len += 1;
        }
        &mut group.values[at]
    }

    /// Sets the value of a pack. False when it was there before.
    pub(crate) fn insert(&mut self, pack: PackId, value: V) -> bool {
        let before = self.len;
        *self.entry(pack) = value;
        self.len > before
    }

    /// Takes a pack out.
    pub(crate) fn remove(&mut self, pack: PackId) {
        let (key, at) = place(pack);
        let Some(group) = self.groups.get_mut(&key) else {
            return;
        };
        if group.present >> at & 1 == 1 {
            group.present &= !(1 << at);
            self.len -= 1;
        }
        if group.present == 0 {
            self.groups.remove(&key);
        }
    }

    pub(crate) fn get(&self, pack: PackId) -> Option<V> {
        let (key, at) = place(pack);
        let group = self.groups.get(&key)?;
        (group.present >> at & 1 == 1).then(|| group.values[at])
    }

    pub(crate) fn contains(&self, pack: PackId) -> bool {
        self.get(pack).is_some()
    }

    /// Number of packs.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Packs and values, in the packs' order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (PackId, V)> {
        self.groups
            .iter()
            .flat_map(|(&(kind, session, number), group)| {
                let here = (0..GROUP).filter(|at| group.present >> at & 1 == 1);
                here.map(move |at| {
                    let seq = number * GROUP + at;
                    (PackId { kind, session, seq }, group.values[at as usize])
                })
            })
    }

    /// The packs, in order.
    pub(crate) fn packs(&self) -> impl Iterator<Item = PackId> {
        self.iter().map(|(pack, _)| pack)
    }

    /// The sessions that wrote them, each once for a kind and run of numbers.
    pub(crate) fn sessions(&self) -> impl Iterator<Item = SessionId> {
        self.groups.keys().map(|(_, session, _)| *session)
    }
}

impl<V: Copy + Default> Extend<(PackId, V)> for PackMap<V> {
    fn extend<I: IntoIterator<Item = (PackId, V)>>(&mut self, all: I) {
        for (pack, value) in all {
            self.insert(pack, value);
        }
    }
}

impl<V: Copy + Default> FromIterator<(PackId, V)> for PackMap<V> {
    fn from_iter<I: IntoIterator<Item = (PackId, V)>>(all: I) -> Self {
        let mut map = Self::default();
        map.extend(all);
        map
    }
}

impl FromIterator<PackId> for PackSet {
    fn from_iter<I: IntoIterator<Item = PackId>>(all: I) -> Self {
        all.into_iter().map(|pack| (pack, ())).collect()
    }
}

impl<V: Copy + Default + PartialEq> PartialEq for PackMap<V> {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl<V: Copy + Default + Eq> Eq for PackMap<V> {}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn pack() -> impl Strategy<Value = PackId> {
        (any::<bool>(), 0_u8..3, 0_u32..200).prop_map(|(data, session, seq)| PackId {
            kind: if data { PackKind::Data } else { PackKind::Node },
            session: SessionId::from_bytes([session; 16]),
            seq,
        })
    }

    proptest! {
        #[test]
        fn behaves_like_a_sorted_map(
            steps in proptest::collection::vec((pack(), proptest::option::of(any::<u64>())), 0..300),
            asked in proptest::collection::vec(pack(), 20),
        ) {
            let (mut map, mut model) = (PackMap::default(), BTreeMap::new());
            for (pack, step) in steps {
                if let Some(value) = step {
                    prop_assert_eq!(map.insert(pack, value), model.insert(pack, value).is_none());
                } else {
                    map.remove(pack);
                    model.remove(&pack);
                }
            }
            for pack in asked {
                prop_assert_eq!(map.get(pack), model.get(&pack).copied());
                prop_assert_eq!(map.contains(pack), model.contains_key(&pack));
            }
            prop_assert_eq!(map.len(), model.len());
            prop_assert!(map.iter().eq(model.iter().map(|(pack, value)| (*pack, *value))));
            prop_assert_eq!(&model.into_iter().collect::<PackMap<u64>>(), &map);
            for (pack, _) in map.clone().iter() {
                // What is put in again after it was taken out begins anew.
                map.remove(pack);
                prop_assert_eq!(*map.entry(pack), 0);
            }
        }
    }

    #[test]
    fn the_last_number_of_a_session_has_a_place() {
        let pack = PackId {
            kind: PackKind::Node,
            session: SessionId::from_bytes([7; 16]),
            seq: u32::MAX,
        };
        let set: PackSet = [pack].into_iter().collect();
        assert!(set.packs().eq([pack]));
    }
}
