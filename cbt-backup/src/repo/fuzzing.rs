//! The parsers of what a store holds, for the fuzz targets alone.
//!
//! Each takes any bytes. What it must never do is panic, or take more memory than the format allows;
//! what it has read must hold together.

use super::changed_areas;
use super::codec;
use super::config::Config;
use super::key::{Keys, fuzzing as keys};
use super::name::{ObjectName, RootName};
use super::node::{MAX_NODE_BYTES, Node};
use super::pack::fuzzing as packs;
use super::root::{Coverage, Root, RootNeeds};
use super::sealed;
use super::tree::Geometry;
use super::usage::Usage;

thread_local! {
    static KEYS: Keys = keys::keys();
}

/// Longest plaintext of a small object that is tried.
const LIMIT_BYTES: u64 = 1 << 20;

/// Reads the plaintext of a node or a usage table; a node is also tried with these columns.
pub fn node(kind: u8, bytes: &[u8]) {
    match kind % 3 {
        0 => {
            if let Ok(node) = Node::decode(bytes) {
                assert!(node.slots.len() <= 256);
                let again = node.encode().expect("what was read can be written");
                // A node may name sessions that it does not need, and so be longer than it must.
                assert!(again.len() <= MAX_NODE_BYTES);
                assert_eq!(Node::decode(&again).as_ref(), Ok(&node));
            }
        }
        1 => {
            if let Some(plain) = node_of(bytes) {
                node(0, &plain);
            }
        }
        _ => {
            if let Ok(table) = Usage::decode(bytes) {
                let again = table.encode().expect("what was read can be written");
                let read = Usage::decode(&again).expect("what was written can be read");
                assert_eq!(read, table);
            }
        }
    }
}

/// A node of these fields, whose columns are compressed and whose lengths fit.
fn node_of(bytes: &[u8]) -> Option<Vec<u8>> {
    let (fields, rest) = bytes.split_first_chunk::<4>()?;
    let (bitmaps, columns) = rest.split_first_chunk::<64>()?;
    let used = bitmaps[..32]
        .iter()
        .map(|byte| byte.count_ones())
        .sum::<u32>() as usize;
    let sessions = fields[3] % 8;
    let packed = codec::compress(columns, 1).ok()?;
    let mut plain = vec![b'N', 0, fields[0], fields[1], fields[2], 0, sessions, 0];
    plain.extend(std::iter::repeat_n(9, usize::from(sessions) * 16));
    plain.extend_from_slice(bitmaps);
    plain.extend_from_slice(&(packed.len() as u32).to_le_bytes());
    plain.extend_from_slice(&packed);
    plain.extend(std::iter::repeat_n(8, used * 32));
    Some(plain)
}

/// Reads a footer: its plaintext, its columns, or a whole pack with it.
pub fn footer(kind: u8, bytes: &[u8]) {
    let Some((head, rest)) = bytes.split_first_chunk::<4>() else {
        return;
    };
    let [a, b, c, d] = *head;
    let blobs = u16::from_le_bytes([a, b]);
    match kind % 4 {
        0 => packs::plain(blobs, rest),
        1 => packs::columns(a, rest),
        2 => KEYS.with(|keys| {
            let body_bytes = u32::from_le_bytes([c, d, 0, 0]);
            packs::pack(keys, blobs, body_bytes, rest).expect("sealing works");
        }),
        _ => KEYS.with(|keys| packs::raw(keys, rest)),
    }
}

/// Reads a root: its JSON, or the sealed object.
pub fn root(kind: u8, bytes: &[u8]) {
    if kind.is_multiple_of(2) {
        let _ = read_root(bytes);
        return;
    }
    let name = "open/01J00000000000000000000000";
    let opened = KEYS.with(|keys| sealed::open(keys, name, bytes, LIMIT_BYTES));
    assert!(opened.is_err(), "nobody can forge a seal");
}

fn read_root(bytes: &[u8]) -> Option<()> {
    let needs: RootNeeds = serde_json::from_slice(bytes).ok()?;
    let root: Root = serde_json::from_slice(bytes).ok()?;
    let name = RootName {
        vm: "0123456789abcdef".parse().ok()?,
        point: root.point,
        generation: root.generation,
        session: root.session,
    };
    let parsed = ObjectName::parse(&name.to_string());
    assert_eq!(parsed, Some(ObjectName::Root(name.clone())));
    needs.check(&name).ok()?;
    root.check(&name).ok()?;
    for disk in &root.disks {
        let geometry = disk.geometry().expect("the root was checked");
        let last = geometry.blocks() - 1;
        let bytes = geometry.block_bytes(last) as u64;
        let shift = u32::from(geometry.block_shift());
        assert_eq!(last * 2_u64.pow(shift) + bytes, disk.capacity_bytes);
    }
    let again = serde_json::to_vec(&root).ok()?;
    let read: Root = serde_json::from_slice(&again).expect("what was written can be read");
    assert_eq!(read, root);
    Some(())
}

/// Reads the file of what has changed on a disk of this size.
pub fn changed_areas(capacity_bytes: u64, bytes: &[u8]) {
    let Ok(geometry) = Geometry::new(capacity_bytes, 22, 8) else {
        return;
    };
    if let Ok(answers) = changed_areas::read(bytes, capacity_bytes) {
        assert!((1..=2).contains(&answers.len()));
        let _ = changed_areas::contradiction(&answers, &Coverage::default(), capacity_bytes);
        for answer in &answers {
            let last = answer.blocks(geometry).runs().last();
            assert!(last.is_none_or(|run| run.first + run.blocks <= geometry.blocks()));
        }
    }
}

/// Reads the `config` of a repository.
pub fn config(bytes: &[u8]) {
    if let Ok(config) = Config::parse(bytes) {
        assert!(config.check().is_ok());
        let again = serde_json::to_vec(&config).expect("what was read can be written");
        assert!(Config::parse(&again).is_ok());
    }
}

/// Reads a key slot.
pub fn slot(bytes: &[u8]) {
    KEYS.with(|own| keys::slot(own, bytes));
}
