use vddk::{Error, SectorBuf, WritableDisk};

fn wrong(disk: &WritableDisk, mut buffer: SectorBuf) -> Result<(), Error> {
    let write = disk.write(0, buffer)?;
    buffer[0] = 7;
    write.wait()?;
    Ok(())
}

fn main() {}
