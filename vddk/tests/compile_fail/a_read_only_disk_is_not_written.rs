use vddk::{Disk, Error, SectorBuf};

fn wrong(disk: &Disk, buffer: SectorBuf) -> Result<(), Error> {
    disk.write(0, buffer)?.wait()?;
    disk.flush()
}

fn main() {}
