use vddk::{Disk, Error, SectorBuf};

fn wrong(disk: &Disk, bytes: Vec<u8>, slice: &mut [u8]) -> Result<(), Error> {
    disk.read(0, bytes)?.wait()?;
    disk.read(0, slice)?.wait()?;
    disk.read(0, SectorBuf(vec![0; 512]))?.wait()?;
    Ok(())
}

fn main() {}
