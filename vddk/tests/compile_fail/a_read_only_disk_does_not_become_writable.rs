use vddk::{Disk, WritableDisk};

fn wrong(disk: Disk) -> WritableDisk {
    WritableDisk { disk }
}

fn main() {}
