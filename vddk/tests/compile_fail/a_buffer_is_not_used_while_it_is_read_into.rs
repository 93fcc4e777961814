use vddk::{Disk, Error, SectorBuf};

fn wrong(disk: &Disk, buffer: SectorBuf) -> Result<u8, Error> {
    let read = disk.read(0, buffer)?;
    let early = buffer[0];
    read.wait()?;
    Ok(early)
}

fn main() {}
