//! Nodes of the tree and their encoding. Format: repository-format.md section 7.

use std::collections::HashMap;

use super::codec;
use super::config::{BLOCK_SHIFTS, FAN_OUT_BITS};
use super::error::Error;
use super::id::SessionId;
use super::reference::Ref;

const MARK: u8 = b'N';
const LEVEL_OF_ZSTD: i32 = 3;
const FIXED_BYTES: usize = 8;
const BITMAP_BYTES: usize = 32;
const COLUMNS_BYTES: usize = 1 + 4 + 4 + 4;

/// Highest level a node may have.
pub(crate) const MAX_LEVEL: u8 = 52;
/// No node's plaintext is longer.
pub(crate) const MAX_NODE_BYTES: usize = 32 << 10;

/// One node: the Refs of its slots, `None` for holes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Node {
    /// 1 when the slots are blocks.
    pub(crate) level: u8,
    pub(crate) block_shift: u8,
    pub(crate) fan_out_bits: u8,
    /// As many as the fan-out.
    pub(crate) slots: Box<[Option<Ref>]>,
}

impl Node {
    /// The plaintext. At least one slot must be present.
    pub(crate) fn encode(&self) -> Result<Vec<u8>, Error> {
        let mut sessions: Vec<SessionId> = Vec::new();
        let mut indexes: HashMap<SessionId, u8> = HashMap::new();
        let mut bitmaps = [0; 2 * BITMAP_BYTES];
        let (mut index, mut seqs, mut steps, mut lengths) = (vec![], vec![], vec![], vec![]);
        let mut ids = Vec::new();
        let mut last: Option<&Ref> = None;
        for (slot, reference) in self.slots.iter().enumerate() {
            let Some(reference) = reference else { continue };
            bitmaps[slot / 8] |= 1 << (slot % 8);
            bitmaps[BITMAP_BYTES + slot / 8] |= u8::from(reference.raw) << (slot % 8);
            // At most 256 slots, so at most 256 sessions.
            index.push(*indexes.entry(reference.session).or_insert_with(|| {
                sessions.push(reference.session);
                (sessions.len() - 1) as u8
            }));
            seqs.extend_from_slice(&reference.seq.to_le_bytes());
            let step = reference
                .offset
                .wrapping_sub(expected_offset(last, reference));
            steps.extend_from_slice(&step.to_le_bytes());
            lengths.extend_from_slice(&reference.length.to_le_bytes());
            ids.extend_from_slice(&reference.id);
            last = Some(reference);
        }
        let columns = codec::compress(&[index, seqs, steps, lengths].concat(), LEVEL_OF_ZSTD)?;
        let mut plain = vec![MARK, 0, self.level, self.block_shift, self.fan_out_bits, 0];
        plain.extend_from_slice(&(sessions.len() as u16).to_le_bytes());
        plain.extend(sessions.iter().flat_map(|session| session.to_bytes()));
        plain.extend_from_slice(&bitmaps);
        plain.extend_from_slice(&(columns.len() as u32).to_le_bytes());
        plain.extend_from_slice(&columns);
        plain.extend_from_slice(&ids);
        Ok(plain)
    }

    /// Reads a plaintext; every claim in it is checked.
    pub(crate) fn decode(plain: &[u8]) -> Result<Self, &'static str> {
        let (fixed, rest) = plain.split_first_chunk::<FIXED_BYTES>().ok_or(SHORT)?;
        let [
            mark,
            version,
            level,
            block_shift,
            fan_out_bits,
            zero,
            s0,
            s1,
        ] = *fixed;
        if mark != MARK || version != 0 || zero != 0 {
            return Err("it is no node of a known version");
        }
        if !(1..=MAX_LEVEL).contains(&level)
            || !BLOCK_SHIFTS.contains(&block_shift)
            || !FAN_OUT_BITS.contains(&fan_out_bits)
        {
            return Err("the node's geometry is impossible");
        }
        let fan_out = 1_usize << fan_out_bits;
        let sessions = usize::from(u16::from_le_bytes([s0, s1]));
        let (sessions, rest) = rest.split_at_checked(sessions * 16).ok_or(SHORT)?;
        let (sessions, _) = sessions.as_chunks::<16>();
        let (present, rest) = rest.split_first_chunk::<BITMAP_BYTES>().ok_or(SHORT)?;
        let (raw, rest) = rest.split_first_chunk::<BITMAP_BYTES>().ok_or(SHORT)?;
        let (packed_bytes, rest) = rest.split_first_chunk().ok_or(SHORT)?;
        let packed_bytes = u32::from_le_bytes(*packed_bytes) as usize;
        let (packed, ids) = rest.split_at_checked(packed_bytes).ok_or(SHORT)?;
        let used: Vec<usize> = (0..256).filter(|slot| bit(present, *slot)).collect();
        if used.is_empty() || used.iter().any(|slot| *slot >= fan_out) {
            return Err("the node's slots are impossible");
        }
        if ids.len() != used.len() * 32 {
            return Err("the node has not the length it must");
        }
        let columns = codec::expand(packed, used.len() * COLUMNS_BYTES)?;
        let mut slots = vec![None; fan_out].into_boxed_slice();
        fill(&mut slots, &used, raw, sessions, &columns, ids)?;
        Ok(Self {
            level,
            block_shift,
            fan_out_bits,
            slots,
        })
    }
}

const SHORT: &str = "the node is too short";

fn bit(bitmap: &[u8; BITMAP_BYTES], slot: usize) -> bool {
    bitmap[slot / 8] >> (slot % 8) & 1 == 1
}

/// Decodes the columns; their lengths have been checked against `used`.
fn fill(
    slots: &mut [Option<Ref>],
    used: &[usize],
    raw: &[u8; BITMAP_BYTES],
    sessions: &[[u8; 16]],
    columns: &[u8],
    ids: &[u8],
) -> Result<(), &'static str> {
    let n = used.len();
    let (index, words) = columns.split_at(n);
    let (words, _) = words.as_chunks::<4>();
    let word = |at: usize| u32::from_le_bytes(words[at]);
    let (ids, _) = ids.as_chunks::<32>();
    let mut last: Option<Ref> = None;
    for (i, slot) in used.iter().enumerate() {
        let session = sessions
            .get(usize::from(index[i]))
            .ok_or("the node names a session it has not")?;
        let mut reference = Ref {
            session: SessionId::from_bytes(*session),
            seq: word(i),
            offset: 0,
            length: word(2 * n + i),
            raw: bit(raw, *slot),
            id: ids[i],
        };
        reference.offset = expected_offset(last.as_ref(), &reference).wrapping_add(word(n + i));
        if reference.end().is_none() {
            return Err("the node has an impossible address");
        }
        slots[*slot] = Some(reference);
        last = Some(reference);
    }
    Ok(())
}

/// Where a blob would be that follows its neighbour in the pack.
fn expected_offset(last: Option<&Ref>, next: &Ref) -> u32 {
    match last {
        Some(last) if last.session == next.session && last.seq == next.seq => {
            last.offset.wrapping_add(last.length)
        }
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn reference() -> impl Strategy<Value = Ref> {
        (
            0_u8..3,
            0_u32..3,
            64_u32..1 << 30,
            17_u32..1 << 22,
            any::<bool>(),
            any::<[u8; 32]>(),
        )
            .prop_map(|(session, seq, offset, length, raw, id)| Ref {
                session: SessionId::from_bytes([session; 16]),
                seq,
                offset,
                length,
                raw,
                id,
            })
    }

    fn node() -> impl Strategy<Value = Node> {
        (1_u8..=8).prop_flat_map(|bits| {
            let slots = proptest::collection::vec(proptest::option::of(reference()), 1 << bits);
            (slots, 1_u8..=MAX_LEVEL).prop_map(move |(slots, level)| Node {
                level,
                block_shift: 18,
                fan_out_bits: bits,
                slots: slots.into(),
            })
        })
    }

    proptest! {
        #[test]
        fn nodes_go_both_ways(node in node()) {
            let plain = node.encode().unwrap();
            prop_assert!(plain.len() <= MAX_NODE_BYTES);
            if node.slots.iter().any(Option::is_some) {
                prop_assert_eq!(Node::decode(&plain).unwrap(), node);
            } else {
                prop_assert!(Node::decode(&plain).is_err());
            }
        }

        #[test]
        fn changed_nodes_never_panic(node in node(), at in any::<prop::sample::Index>(), to in any::<u8>(), cut in any::<bool>()) {
            let mut plain = node.encode().unwrap();
            let at = at.index(plain.len());
            plain[at] = to;
            if cut {
                plain.truncate(at);
            }
            if let Ok(node) = Node::decode(&plain) {
                prop_assert!(node.slots.len() == 1 << node.fan_out_bits);
            }
        }

        #[test]
        fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = Node::decode(&bytes);
            let _ = Node::decode(&[b"N\0\x01\x12\x08\0".as_slice(), &bytes].concat());
        }
    }

    #[test]
    fn a_whole_node_of_256_sessions_fits() {
        let slots = (0..=255_u8).map(|i| {
            Some(Ref {
                session: SessionId::from_bytes([i; 16]),
                seq: u32::from(i) << 20,
                offset: 64 + u32::from(i) * 977,
                length: 17 + u32::from(i),
                raw: i % 3 == 0,
                id: [i; 32],
            })
        });
        let node = Node {
            level: 1,
            block_shift: 18,
            fan_out_bits: 8,
            slots: slots.collect(),
        };
        assert_eq!(Node::decode(&node.encode().unwrap()).unwrap(), node);
    }
}
