use vddk::{Error, Library};

fn wrong(library: Library) -> Result<(), Error> {
    library.close()?;
    library.connect_local(true)?.close()
}

fn main() {}
