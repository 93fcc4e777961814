use vddk::{Disk, Error, WritableDisk};

fn wrong(disk: Disk, writable: WritableDisk) -> Result<(), Error> {
    disk.close()?;
    disk.close()?;
    writable.close()?;
    writable.close()
}

fn main() {}
