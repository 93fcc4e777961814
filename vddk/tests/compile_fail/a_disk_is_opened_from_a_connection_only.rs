use vddk::{Access, Disk, Error, Library, OpenOptions};

fn wrong(library: Library, access: Access) -> Result<Disk, Error> {
    access.open("[ds] vm/vm.vmdk", &OpenOptions::default())?;
    library.open("[ds] vm/vm.vmdk", &OpenOptions::default())
}

fn main() {}
