//! An opened repository.

use std::collections::HashMap;
use std::sync::Arc;

use futures_util::{StreamExt, stream};

use super::config::{Config, FORMAT};
use super::error::Error;
use super::id::{ObjectId, PackId, PackKind, VmKey};
use super::key::{KdfParams, Keys, Master, OpenedBy, RepositoryKey, first_slot, unlock};
use super::name::{CONFIG, ObjectName, SMALL_LIMIT_BYTES};
use super::node::{MAX_NODE_BYTES, Node};
use super::node_cache::NodeCache;
use super::pack::{PlainLength, open_blob};
use super::reference::Ref;
use super::root::UsageRecord;
use super::store::Store;
use super::tree::Geometry;
use super::usage::{MAX_USAGE_BYTES, Usage};

/// Nodes, tables and the like that are read side by side.
pub(crate) const READS_AT_ONCE: usize = 16;
/// Nodes of one level that are read before they are wanted.
pub(crate) const NODES_AHEAD: usize = 32;

/// Choices made once, when a repository is made.
#[derive(Clone, Copy, Debug)]
pub struct InitOptions {
    /// How hard it is to try a passphrase or key file.
    pub kdf: KdfParams,
    /// Block size of new disks as a power of two: 16 to 22, and 12 to 15 for tests. A backup
    /// reads 2 MiB of the source at a time, but never less than a block: with 22 it reads 4 MiB.
    pub block_shift: u8,
    /// Fan-out of trees as a power of two: 8, and less for tests.
    pub fan_out_bits: u8,
}

impl Default for InitOptions {
    /// 64 MiB for a passphrase, blocks of 256 KiB, fan-out 256.
    fn default() -> Self {
        Self {
            kdf: KdfParams::default(),
            block_shift: 18,
            fan_out_bits: 8,
        }
    }
}

/// An opened repository. Cheap to clone; clones share one node cache.
#[derive(Clone, Debug)]
pub struct Repository(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    store: Store,
    config: Config,
    keys: Keys,
    opened_by: OpenedBy,
    nodes: NodeCache,
}

impl Repository {
    /// Refuses a store that holds a repository or something else.
    ///
    /// # Errors
    /// `AlreadyRepository`, `NotEmpty`, `AccessDenied`, `Store`.
    pub async fn refuse_used(store: &Store) -> Result<(), Error> {
        let location = store.location().to_owned();
        match store.get(CONFIG, SMALL_LIMIT_BYTES).await {
            Err(Error::Missing { .. }) => {}
            Err(error) if !error.is_damage() => return Err(error),
            _ => return Err(Error::AlreadyRepository { location }),
        }
        match store.any().await? {
            None => Ok(()),
            Some(found) => Err(Error::NotEmpty { location, found }),
        }
    }

    /// Makes a repository in an empty store.
    ///
    /// # Errors
    /// `AlreadyRepository`, `NotEmpty`, `NotWritable`, `OutOfRange` for an option, `Store`.
    pub async fn init(
        store: Store,
        key: impl Into<RepositoryKey>,
        options: InitOptions,
    ) -> Result<Self, Error> {
        Self::refuse_used(&store).await?;
        let config = Config {
            format: FORMAT,
            id: ObjectId::generate(),
            block_shift: options.block_shift,
            fan_out_bits: options.fan_out_bits,
            reads_need: Vec::new(),
            writes_need: Vec::new(),
        };
        config.check()?;
        let keys = Keys::new(Master::generate()?);
        let (keys, slot) = first_slot(keys, &config, &key.into(), options.kdf).await?;
        let name = ObjectName::Key(slot.id).to_string();
        store.put(&name, slot.bytes.clone()).await?;
        // Of several that begin at once, each sees the slots of those that were quicker: none goes on but one
        // that saw nobody, and after its look everybody else sees it.
        let slots = store.list("key").await?;
        if let Some((found, _)) = slots.into_iter().find(|(other, _)| *other != name) {
            store.delete(&name).await?;
            let location = store.location().to_owned();
            return Err(Error::NotEmpty { location, found });
        }
        store.put(CONFIG, config.encode()?.into()).await?;
        store.keep_reserve().await;
        Ok(Self::with(store, config, keys, OpenedBy::new(slot)))
    }

    /// Opens a repository.
    ///
    /// # Errors
    /// `NoRepository`, `ConfigLost`, `WrongKey`, `FormatTooNew`, `FormatDraft`, `NeedsFeature`, `Damaged`, `Store`.
    pub async fn open(store: Store, key: impl Into<RepositoryKey>) -> Result<Self, Error> {
        let bytes = match store.get(CONFIG, SMALL_LIMIT_BYTES).await {
            Err(Error::Missing { .. }) => return Err(Self::without_config(&store).await),
            other => other?,
        };
        let config = Config::parse(&bytes)?;
        let (keys, opened_by) = unlock(&store, config.id, &key.into()).await?;
        Ok(Self::with(store, config, keys, opened_by))
    }

    fn with(store: Store, config: Config, keys: Keys, opened_by: OpenedBy) -> Self {
        Self(Arc::new(Inner {
            store,
            config,
            keys,
            opened_by,
            nodes: NodeCache::default(),
        }))
    }

    /// What the repository says about itself.
    pub fn config(&self) -> &Config {
        &self.0.config
    }

    /// The store's address.
    pub fn location(&self) -> &str {
        self.0.store.location()
    }

    /// The key under which a VM's points stand.
    pub fn vm_key(&self, vcenter_instance_uuid: &str, vm_instance_uuid: &str) -> VmKey {
        self.0.keys.vm_key(vcenter_instance_uuid, vm_instance_uuid)
    }

    /// True when it lies in a folder: to read from it costs no request to a distant place.
    pub fn is_folder(&self) -> bool {
        self.store().is_folder()
    }

    pub(crate) fn store(&self) -> &Store {
        &self.0.store
    }

    pub(crate) fn keys(&self) -> &Keys {
        &self.0.keys
    }

    pub(crate) fn opened_by(&self) -> &OpenedBy {
        &self.0.opened_by
    }

    /// Forgets the nodes that were read.
    #[cfg(test)]
    pub(crate) fn forget_nodes(&self) {
        self.0.nodes.clear();
    }

    /// Reads one blob and checks it.
    pub(crate) async fn blob(
        &self,
        kind: PackKind,
        reference: &Ref,
        length: PlainLength,
    ) -> Result<Vec<u8>, Error> {
        let name = reference.pack(kind).to_string();
        let end = reference
            .end()
            .ok_or_else(|| Error::damaged(&name, "an address in it is impossible"))?;
        let limit_bytes = match length {
            PlainLength::Exactly(bytes) | PlainLength::AtMost(bytes) => bytes as u64,
        };
        // A blob is never stored longer than its plaintext, but for the tag.
        let size_bytes = u64::from(reference.length);
        if size_bytes > limit_bytes + super::cipher::TAG_BYTES as u64 {
            return Err(Error::TooLarge {
                object: name,
                size_bytes,
                limit_bytes,
            });
        }
        let range = u64::from(reference.offset)..u64::from(end);
        let bytes = self.store().get_range(&name, range).await?;
        open_blob(self.keys(), kind, reference, &mut Vec::from(bytes), length)
    }

    /// Reads a node of `level`, from memory if it was read before.
    pub(crate) async fn node(
        &self,
        reference: &Ref,
        geometry: Geometry,
        level: u8,
    ) -> Result<Arc<Node>, Error> {
        let bad = |what: &str| Error::damaged(&reference.pack(PackKind::Node), what);
        let node = if let Some(node) = self.0.nodes.get(reference) {
            node
        } else {
            let length = PlainLength::AtMost(MAX_NODE_BYTES);
            let plain = self.blob(PackKind::Node, reference, length).await?;
            let node = Arc::new(Node::decode(&plain).map_err(bad)?);
            self.0.nodes.put(*reference, Arc::clone(&node));
            node
        };
        let expected = (level, geometry.block_shift(), geometry.fan_out_bits());
        if (node.level, node.block_shift, node.fan_out_bits) == expected {
            return Ok(node);
        }
        Err(bad("a node is not of the level or shape its place demands"))
    }

    /// Reads nodes side by side into the memory that [`Repository::node`] looks into. Those that cannot be
    /// read are left to whoever wants them.
    pub(crate) async fn read_ahead(&self, nodes: Vec<Ref>, geometry: Geometry, level: u8) {
        let reads = nodes.into_iter().map(|reference| async move {
            if let Err(error) = self.node(&reference, geometry, level).await {
                tracing::debug!(%error, "a node was not read ahead");
            }
        });
        let reads = stream::iter(reads).buffer_unordered(READS_AT_ONCE);
        reads.collect::<()>().await;
    }

    /// All packs that are there, with their lengths in bytes.
    pub(crate) async fn stored_packs(&self) -> Result<HashMap<PackId, u64>, Error> {
        let names = self.store().list("pack").await?;
        let packs = names
            .into_iter()
            .filter_map(|(name, bytes)| match ObjectName::parse(&name) {
                Some(ObjectName::Pack(pack)) => Some((pack, bytes)),
                _ => None,
            });
        Ok(packs.collect())
    }

    /// Reads a usage table.
    pub(crate) async fn usage(&self, record: &UsageRecord) -> Result<Usage, Error> {
        let reference = &record.reference;
        let length = PlainLength::AtMost(MAX_USAGE_BYTES);
        let plain = self.blob(PackKind::Node, reference, length).await?;
        Usage::decode(&plain).map_err(|what| Error::damaged(&reference.pack(PackKind::Node), what))
    }
}
