//! Usage tables: which packs a point needs. Format: repository-format.md section 7.

use std::collections::{BTreeMap, HashMap};

use super::error::Error;
use super::id::{PackId, PackKind, SessionId};
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

/// The table: by disk (255 for the root's own blobs) and pack.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Usage {
    pub(crate) rows: BTreeMap<(u8, PackId), Need>,
}

impl Usage {
    pub(crate) fn of_disk(&self, disk: u8) -> HashMap<PackId, Need> {
        let rows = self.rows.iter().filter(|((of, _), _)| *of == disk);
        rows.map(|((_, pack), need)| (*pack, *need)).collect()
    }

    pub(crate) fn encode(&self) -> Result<Vec<u8>, Error> {
        if self.rows.len() > MAX_ROWS {
            return Err(Error::OutOfRange {
                what: "packs of a point",
                value: self.rows.len() as u64,
            });
        }
        let mut sessions = Vec::new();
        let mut indexes = HashMap::new();
        for (_, pack) in self.rows.keys() {
            indexes.entry(pack.session).or_insert_with(|| {
                sessions.push(pack.session);
                (sessions.len() - 1) as u32
            });
        }
        let mut plain = vec![b'U', 0, 0, 0];
        plain.extend_from_slice(&(sessions.len() as u32).to_le_bytes());
        plain.extend_from_slice(&(self.rows.len() as u32).to_le_bytes());
        plain.extend(sessions.iter().flat_map(|session| session.to_bytes()));
        plain.extend(self.rows.keys().map(|(disk, _)| *disk));
        plain.extend(self.rows.keys().map(|(_, pack)| pack.kind.letter()));
        plain.extend(
            self.rows
                .keys()
                .flat_map(|(_, pack)| indexes[&pack.session].to_le_bytes()),
        );
        plain.extend(
            self.rows
                .keys()
                .flat_map(|(_, pack)| pack.seq.to_le_bytes()),
        );
        plain.extend(
            self.rows
                .values()
                .flat_map(|need| need.pack_bytes.to_le_bytes()),
        );
        plain.extend(
            self.rows
                .values()
                .flat_map(|need| need.references.to_le_bytes()),
        );
        plain.extend(self.rows.values().flat_map(|need| need.bytes.to_le_bytes()));
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
            let key = (disks[i], pack);
            if table
                .rows
                .last_key_value()
                .is_some_and(|(last, _)| *last >= key)
            {
                return Err("the usage table is not sorted");
            }
            let need = Need {
                pack_bytes: long(i),
                references: long(rows + i),
                bytes: long(2 * rows + i),
            };
            table.rows.insert(key, need);
        }
        Ok(table)
    }
}

/// References gained and lost while a tree changes, or counted while one is walked.
#[derive(Clone, Default, Debug)]
pub(crate) struct UsageChange {
    packs: HashMap<PackId, (i64, i64)>,
}

impl UsageChange {
    pub(crate) fn add(&mut self, kind: PackKind, reference: &Ref) {
        self.count(kind, reference, 1);
    }

    pub(crate) fn remove(&mut self, kind: PackKind, reference: &Ref) {
        self.count(kind, reference, -1);
    }

    /// Adds another change.
    pub(crate) fn join(&mut self, other: &Self) {
        for (pack, (references, bytes)) in &other.packs {
            let entry = self.packs.entry(*pack).or_default();
            entry.0 += references;
            entry.1 += bytes;
        }
    }

    fn count(&mut self, kind: PackKind, reference: &Ref, sign: i64) {
        let entry = self.packs.entry(reference.pack(kind)).or_default();
        entry.0 += sign;
        entry.1 += sign * i64::from(reference.length);
    }

    /// Applies the change to what was needed before. `pack_bytes` knows the lengths of new packs.
    ///
    /// # Errors
    /// The pack whose numbers become impossible: the table before was wrong.
    pub(crate) fn apply(
        &self,
        mut needs: HashMap<PackId, Need>,
        pack_bytes: &HashMap<PackId, u64>,
    ) -> Result<HashMap<PackId, Need>, PackId> {
        for (pack, (references, bytes)) in &self.packs {
            let new = || Need {
                pack_bytes: pack_bytes.get(pack).copied().unwrap_or(0),
                ..Need::default()
            };
            let need = needs.entry(*pack).or_insert_with(new);
            need.references = need
                .references
                .checked_add_signed(*references)
                .ok_or(*pack)?;
            need.bytes = need.bytes.checked_add_signed(*bytes).ok_or(*pack)?;
            match (need.references, need.bytes) {
                (0, 0) => {
                    needs.remove(pack);
                }
                (0, _) => return Err(*pack),
                _ if need.pack_bytes == 0 => return Err(*pack),
                _ => {}
            }
        }
        Ok(needs)
    }

    /// References and bytes by pack, where there are any.
    pub(crate) fn counts(&self) -> impl Iterator<Item = (PackId, i64, i64)> {
        let used = self.packs.iter().filter(|(_, count)| **count != (0, 0));
        used.map(|(pack, (references, bytes))| (*pack, *references, *bytes))
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
            Usage {
                rows: rows.collect(),
            }
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
        let lengths = HashMap::from([(pack, 1000)]);
        let mut gain = UsageChange::default();
        gain.add(PackKind::Data, &reference);
        let after = gain.apply(HashMap::new(), &lengths).unwrap();
        assert_eq!(
            after[&pack],
            Need {
                pack_bytes: 1000,
                references: 1,
                bytes: 100
            }
        );
        let mut loss = UsageChange::default();
        loss.remove(PackKind::Data, &reference);
        assert!(loss.apply(after, &lengths).unwrap().is_empty());
        assert_eq!(loss.apply(HashMap::new(), &lengths), Err(pack));
    }
}
