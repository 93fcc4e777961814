//! Usage tables: which packs a point needs. Format: repository-format.md section 7.

use std::collections::{BTreeMap, HashMap};

use super::error::Error;
use super::id::{PackId, PackKind, SessionId};
use super::pack_map::PackMap;
use super::reference::Ref;

const MAX_ROWS: usize = 4 << 20;
const HEAD_BYTES: usize = 12;
const ROW_BYTES: usize = 1 + 1 + 4 + 4 + 8 + 8 + 8;

/// No usage table is longer.
pub(crate) const MAX_USAGE_BYTES: usize = 256 << 20;

/// How much of a pack a disk needs.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Need {
    /// Length of the pack.
    pub(crate) pack_bytes: u64,
    /// References into it.
    pub(crate) references: u64,
    /// Sum of their sealed lengths.
    pub(crate) bytes: u64,
}

/// What a disk needs.
pub(crate) type Needs = PackMap<Need>;

/// The table: by disk (255 for the root's own blobs) and pack.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Usage {
    disks: BTreeMap<u8, Needs>,
}

impl Usage {
    /// What a disk needs; nothing, if the table does not name it.
    pub(crate) fn of_disk(&self, disk: u8) -> Needs {
        self.disks.get(&disk).cloned().unwrap_or_default()
    }

    /// Says what a disk needs.
    pub(crate) fn set(&mut self, disk: u8, needs: Needs) {
        if needs.len() == 0 {
            self.disks.remove(&disk);
        } else {
            self.disks.insert(disk, needs);
        }
    }

    /// The disks that need anything.
    pub(crate) fn disks(&self) -> impl Iterator<Item = u8> {
        self.disks.keys().copied()
    }

    /// The rows, sorted by disk and pack.
    pub(crate) fn rows(&self) -> impl Iterator<Item = ((u8, PackId), Need)> {
        self.disks.iter().flat_map(|(disk, needs)| {
            let disk = *disk;
            needs.iter().map(move |(pack, need)| ((disk, pack), need))
        })
    }

    /// The packs of all rows: once for each disk that needs them.
    pub(crate) fn packs(&self) -> impl Iterator<Item = PackId> {
        self.rows().map(|((_, pack), _)| pack)
    }

    /// Number of rows.
    pub(crate) fn len(&self) -> usize {
        self.disks.values().map(PackMap::len).sum()
    }

    pub(crate) fn encode(&self) -> Result<Vec<u8>, Error> {
        let rows = self.len();
        if rows > MAX_ROWS {
            return Err(Error::OutOfRange {
                what: "packs of a point",
                value: rows as u64,
            });
        }
        let mut sessions = Vec::new();
        let mut indexes = HashMap::new();
        for session in self.disks.values().flat_map(PackMap::sessions) {
            indexes.entry(session).or_insert_with(|| {
                sessions.push(session);
                (sessions.len() - 1) as u32
            });
        }
        // Tables get large: the room is taken once.
        let length = HEAD_BYTES + sessions.len() * 16 + rows * ROW_BYTES;
        let mut plain = Vec::with_capacity(length);
        plain.extend_from_slice(&[b'U', 0, 0, 0]);
        plain.extend_from_slice(&(sessions.len() as u32).to_le_bytes());
        plain.extend_from_slice(&(rows as u32).to_le_bytes());
        plain.extend(sessions.iter().flat_map(|session| session.to_bytes()));
        plain.extend(self.rows().map(|((disk, _), _)| disk));
        plain.extend(self.packs().map(|pack| pack.kind.letter()));
        let index = |pack: PackId| indexes[&pack.session];
        plain.extend(self.packs().flat_map(|pack| index(pack).to_le_bytes()));
        plain.extend(self.packs().flat_map(|pack| pack.seq.to_le_bytes()));
        let longs: [fn(Need) -> u64; 3] = [
            |need| need.pack_bytes,
            |need| need.references,
            |need| need.bytes,
        ];
        for long in longs {
            plain.extend(self.rows().flat_map(|(_, need)| long(need).to_le_bytes()));
        }
        Ok(plain)
    }

    pub(crate) fn decode(plain: &[u8]) -> Result<Self, &'static str> {
        let (head, rest) = plain
            .split_first_chunk::<HEAD_BYTES>()
            .ok_or("it is too short")?;
        if head[..4] != [b'U', 0, 0, 0] {
            return Err("it is no usage table of a known version");
        }
        let word =
            |at: usize| u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
        let (sessions, rows) = (word(4) as usize, word(8) as usize);
        // The length proves both numbers, so nothing is allocated for a false one.
        if rows > MAX_ROWS || sessions > rows || rest.len() != sessions * 16 + rows * ROW_BYTES {
            return Err("the usage table has not the length it must");
        }
        let (sessions, rest) = rest.split_at(sessions * 16);
        let (sessions, _) = sessions.as_chunks::<16>();
        let (disks, rest) = rest.split_at(rows);
        let (kinds, rest) = rest.split_at(rows);
        let (words, longs) = rest.split_at(rows * 8);
        let (words, _) = words.as_chunks::<4>();
        let (longs, _) = longs.as_chunks::<8>();
        let long = |at: usize| u64::from_le_bytes(longs[at]);
        let mut table = Self::default();
        let mut last = None;
        for i in 0..rows {
            let session = sessions
                .get(u32::from_le_bytes(words[i]) as usize)
                .ok_or("the usage table names a session it has not")?;
            let pack = PackId {
                kind: PackKind::from_letter(kinds[i])
                    .ok_or("the usage table has an unknown kind")?,
                session: SessionId::from_bytes(*session),
                seq: u32::from_le_bytes(words[rows + i]),
            };
            let key = Some((disks[i], pack));
            if last >= key {
                return Err("the usage table is not sorted");
            }
            last = key;
            let need = Need {
                pack_bytes: long(i),
                references: long(rows + i),
                bytes: long(2 * rows + i),
            };
            table.disks.entry(disks[i]).or_default().insert(pack, need);
        }
        Ok(table)
    }
}

/// References gained and lost while a tree changes, or counted while one is walked.
#[derive(Clone, Default, Debug)]
pub(crate) struct UsageChange {
    packs: PackMap<(i64, i64)>,
}

impl UsageChange {
    pub(crate) fn add(&mut self, kind: PackKind, reference: &Ref) {
        self.count(kind, reference, 1);
    }

    pub(crate) fn remove(&mut self, kind: PackKind, reference: &Ref) {
        self.count(kind, reference, -1);
    }

    /// One takes the place of another.
    pub(crate) fn replace(&mut self, kind: PackKind, old: Option<Ref>, new: Option<Ref>) {
        if old == new {
            return;
        }
        if let Some(old) = &old {
            self.remove(kind, old);
        }
        if let Some(new) = &new {
            self.add(kind, new);
        }
    }

    /// Adds another change.
    pub(crate) fn join(&mut self, other: &Self) {
        for (pack, (references, bytes)) in other.packs.iter() {
            let entry = self.packs.entry(pack);
            entry.0 += references;
            entry.1 += bytes;
        }
    }

    fn count(&mut self, kind: PackKind, reference: &Ref, sign: i64) {
        let entry = self.packs.entry(reference.pack(kind));
        entry.0 += sign;
        entry.1 += sign * i64::from(reference.length);
    }

    /// Applies the change to what was needed before. `pack_bytes` knows the lengths of new packs.
    ///
    /// # Errors
    /// The pack whose numbers become impossible: the table before was wrong.
    pub(crate) fn apply(
        &self,
        mut needs: Needs,
        pack_bytes: impl Fn(PackId) -> Option<u64>,
    ) -> Result<Needs, PackId> {
        for (pack, (references, bytes)) in self.packs.iter() {
            let need = needs.entry(pack);
            if *need == Need::default() {
                need.pack_bytes = pack_bytes(pack).unwrap_or(0);
            }
            need.references = need.references.checked_add_signed(references).ok_or(pack)?;
            need.bytes = need.bytes.checked_add_signed(bytes).ok_or(pack)?;
            match (need.references, need.bytes) {
                (0, 0) => needs.remove(pack),
                (0, _) => return Err(pack),
                _ if need.pack_bytes == 0 => return Err(pack),
                _ => {}
            }
        }
        Ok(needs)
    }

    /// References and bytes by pack, where there are any, in the packs' order.
    pub(crate) fn counts(&self) -> impl Iterator<Item = (PackId, i64, i64)> {
        let used = self.packs.iter().filter(|(_, count)| *count != (0, 0));
        used.map(|(pack, (references, bytes))| (pack, references, bytes))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn table() -> impl Strategy<Value = Usage> {
        let row = (
            0_u8..3,
            any::<bool>(),
            0_u8..3,
            0_u32..5,
            any::<u64>(),
            any::<u64>(),
        );
        proptest::collection::vec(row, 0..30).prop_map(|rows| {
            let rows = rows
                .into_iter()
                .map(|(disk, data, session, seq, pack_bytes, bytes)| {
                    let kind = if data { PackKind::Data } else { PackKind::Node };
                    let pack = PackId {
                        kind,
                        session: SessionId::from_bytes([session; 16]),
                        seq,
                    };
                    (
                        (disk, pack),
                        Need {
                            pack_bytes,
                            references: bytes / 3,
                            bytes,
                        },
                    )
                });
            let mut table = Usage::default();
            for ((disk, pack), need) in rows {
                table.disks.entry(disk).or_default().insert(pack, need);
            }
            table
        })
    }

    proptest! {
        #[test]
        fn tables_go_both_ways(table in table()) {
            let plain = table.encode().unwrap();
            prop_assert_eq!(Usage::decode(&plain).unwrap(), table);
            for length in 0..plain.len() {
                prop_assert!(Usage::decode(&plain[..length]).is_err());
            }
        }

        #[test]
        fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = Usage::decode(&bytes);
            let _ = Usage::decode(&[b"U\0\0\0\x01\0\0\0\x02\0\0\0".as_slice(), &bytes].concat());
        }
    }

    #[test]
    fn changes_that_cannot_be_name_the_pack() {
        let pack = PackId {
            kind: PackKind::Data,
            session: SessionId::generate(),
            seq: 0,
        };
        let reference = Ref {
            session: pack.session,
            seq: 0,
            offset: 64,
            length: 100,
            raw: false,
            id: [0; 32],
        };
        let lengths = |asked| (asked == pack).then_some(1000);
        let mut gain = UsageChange::default();
        gain.add(PackKind::Data, &reference);
        let after = gain.apply(Needs::default(), lengths).unwrap();
        assert_eq!(
            after.get(pack),
            Some(Need {
                pack_bytes: 1000,
                references: 1,
                bytes: 100
            })
        );
        let mut loss = UsageChange::default();
        loss.remove(PackKind::Data, &reference);
        assert!(loss.apply(after, lengths).unwrap().len() == 0);
        assert_eq!(loss.apply(Needs::default(), lengths), Err(pack));
    }
}
