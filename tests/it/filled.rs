//! Blocks of which a part changed: that part is read, and the rest comes from the repository.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::Result;
use cbt_tests::{Bench, Noise, Outcome};

const DISK: i32 = 2000;
const BLOCK: u64 = 1 << 18;
const GRAIN: u64 = 1 << 16;

/// Changes single grains far from each other; gives how many.
fn scatter(bench: &mut Bench, seed: u64) -> Result<u64> {
    let mut noise = Noise::new(seed);
    let blocks = bench.capacity_bytes(DISK)? / BLOCK;
    let mut changed = 0;
    for block in (1..blocks).step_by(5) {
        let grain = block * BLOCK + noise.below(4) * GRAIN;
        // A sector of it: the grain counts as changed.
        let sector = grain + noise.below(GRAIN / 512) * 512;
        bench.guest_write(DISK, sector, &noise.bytes(512))?;
        changed += 1;
    }
    Ok(changed)
}

fn read_bytes(outcome: &Outcome) -> u64 {
    outcome.disk(DISK).bytes("read_bytes")
}

#[test]
fn of_scattered_changes_little_more_is_read_than_changed() -> Result<()> {
    let mut bench = Bench::new()?;
    let _ = bench.init()?.expect_code(0);
    let full = bench.backup(&[])?.expect_code(0);
    let grains = scatter(&mut bench, 1)?;
    // Two neighbours, and the borders of blocks.
    bench.guest_write(DISK, 7 * BLOCK - 512, &[7; 1024])?;
    let second = bench.backup(&[])?.expect_code(0);
    assert_eq!(second.result()["kind"], "incremental", "{second:#?}");
    let changed = second.disk(DISK).bytes("changed_bytes");
    assert!(changed >= grains * GRAIN, "{changed}");
    let read = read_bytes(&second);
    println!("{changed} bytes changed, {read} were read");
    assert!(read * 10 <= changed * 13, "{read} of {changed}");
    assert_eq!(second.events(), Vec::<String>::new());

    // Part by part over blocks that were patched before, and blocks that are holes now.
    bench.guest_unmap(DISK, 10 * BLOCK, 3 * BLOCK)?;
    let third = bench.backup(&[])?.expect_code(0);
    let _ = scatter(&mut bench, 2)?;
    bench.guest_write(DISK, 11 * BLOCK + GRAIN, &[5; 512])?;
    let fourth = bench.backup(&[])?.expect_code(0);
    bench.assert_put_back()?;
    for outcome in [full, second, third, fourth] {
        bench.assert_restores(&outcome.point())?;
    }
    bench.assert_sound()
}

#[test]
fn a_block_the_repository_cannot_supply_is_read_whole() -> Result<()> {
    let mut bench = Bench::new()?;
    let _ = bench.init()?.expect_code(0);
    let _ = bench.backup(&[])?.expect_code(0);
    // Every data pack is damaged where its blocks are, at its full length: only who reads it sees that.
    let packs = walk(&bench.path("repository").join("pack"))?;
    let data = packs.iter().filter(|path| {
        let name = path.file_name().unwrap_or_default();
        name.to_string_lossy().starts_with('d')
    });
    let mut damaged = 0;
    for pack in data {
        let mut bytes = fs::read(pack)?;
        let length = bytes.len();
        for byte in bytes[64..length / 2].iter_mut().step_by(64) {
            *byte ^= 1;
        }
        fs::write(pack, bytes)?;
        damaged += 1;
    }
    assert!(damaged > 0);
    for block in [2, 3, 9] {
        bench.guest_write(DISK, block * BLOCK + 512, &[9; 512])?;
    }
    let second = bench.backup(&[])?.expect_code(0);
    // The parts, and then the blocks whose rest could not be had.
    let (least, most) = (3 * GRAIN + BLOCK, 3 * (GRAIN + BLOCK));
    let read = read_bytes(&second);
    assert!((least..=most).contains(&read), "{read}");
    bench.assert_put_back()?;
    // Once the damage is known the next run heals it. The three blocks are not read again: they are right.
    let _ = bench.verify("full")?.expect_code(4);
    let third = bench.backup(&[])?.expect_code(0);
    bench.assert_restores(&third.point())?;
    Ok(())
}

fn walk(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            files.extend(walk(&path)?);
        } else {
            files.push(path);
        }
    }
    Ok(files)
}

#[test]
fn blocks_of_every_size_restore_bit_for_bit() -> Result<()> {
    for (size, block_bytes) in [("64KiB", 1_u64 << 16), ("1MiB", 1 << 20), ("4MiB", 1 << 22)] {
        let mut bench = Bench::new()?;
        let arguments = bench.repository_arguments("init", &["--block-size", size]);
        let _ = bench.run(&arguments)?.expect_code(0);
        let full = bench.backup(&[])?.expect_code(0);
        bench.guest_write(DISK, 5 * BLOCK + 512, &[7; 512])?;
        // A disk keeps the size it began with.
        let second = bench.backup(&["--block-size", "256KiB"])?.expect_code(0);
        assert_eq!(read_bytes(&second), GRAIN.min(block_bytes), "{second:#?}");
        assert_eq!(second.disk(DISK).bytes("new_bytes"), block_bytes);
        for outcome in [full, second] {
            bench.assert_restores(&outcome.point())?;
        }
        bench.assert_sound()?;
    }
    Ok(())
}
