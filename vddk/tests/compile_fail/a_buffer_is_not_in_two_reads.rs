use vddk::{Disk, Error, SectorBuf};

fn wrong(disk: &Disk, buffer: SectorBuf) -> Result<(), Error> {
    let first = disk.read(0, buffer)?;
    let second = disk.read(8, buffer)?;
    first.wait()?;
    second.wait()?;
    Ok(())
}

fn main() {}
