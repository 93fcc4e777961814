use vddk::{Error, Pending};

fn wrong(read: Pending) -> Result<(), Error> {
    read.wait()?;
    read.wait()?;
    Ok(())
}

fn main() {}
