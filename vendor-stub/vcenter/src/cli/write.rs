//! `vcenter-stub write`.

use std::fs::File;
use std::io::Read as _;
use std::path::PathBuf;

use anyhow::{Context as _, bail};
use clap::Args;
use lab::Lab;

use super::size;

const SECTOR_BYTES: usize = 512;
const CHUNK_BYTES: usize = 1 << 20;

/// Write to a disk as the guest would.
///
/// The last sector is filled up with zeros.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  vcenter-stub write lab app01 2000 1M --text hello
  vcenter-stub write lab vm-1021 2001 0 changes.bin")]
pub(super) struct Write {
    /// Folder of the lab.
    lab: PathBuf,
    /// Name or moref of the VM.
    vm: String,
    /// Device key of the disk, such as 2000.
    key: i32,
    /// Where to write, in bytes or with K, M, G, T; a multiple of 512.
    #[arg(value_parser = size::parse)]
    offset: u64,
    /// The file to write.
    #[arg(required_unless_present = "text")]
    file: Option<PathBuf>,
    /// The text to write, in place of a file.
    #[arg(long, conflicts_with = "file")]
    text: Option<String>,
}

impl Write {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let lab = Lab::open(&self.lab)?;
        let vms = lab.vms()?;
        let mut found = vms
            .iter()
            .filter(|vm| vm.moref == self.vm || vm.name == self.vm);
        let Some(vm) = found.next() else {
            bail!("no VM {:?} in this lab", self.vm);
        };
        if let Some(text) = self.text {
            return write(&lab, &vm.moref, self.key, self.offset, text.into_bytes());
        }
        let path = self.file.context("a file or --text is needed")?;
        let mut file =
            File::open(&path).with_context(|| format!("failed to open {}", path.display()))?;
        let mut offset = self.offset;
        loop {
            let mut chunk = Vec::with_capacity(CHUNK_BYTES);
            file.by_ref()
                .take(CHUNK_BYTES as u64)
                .read_to_end(&mut chunk)
                .with_context(|| format!("failed to read {}", path.display()))?;
            if chunk.is_empty() {
                return Ok(());
            }
            let length = chunk.len() as u64;
            write(&lab, &vm.moref, self.key, offset, chunk)?;
            offset += length;
        }
    }
}

fn write(lab: &Lab, vm: &str, key: i32, offset: u64, mut data: Vec<u8>) -> anyhow::Result<()> {
    data.resize(data.len().next_multiple_of(SECTOR_BYTES), 0);
    lab.guest_write(vm, key, offset, &data)?;
    Ok(())
}
