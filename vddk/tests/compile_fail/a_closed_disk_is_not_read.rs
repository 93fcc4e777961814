use vddk::{Disk, Error, SectorBuf};

fn wrong(disk: Disk, buffer: SectorBuf) -> Result<(), Error> {
    disk.close()?;
    disk.read(0, buffer)?.wait()?;
    Ok(())
}

fn main() {}
