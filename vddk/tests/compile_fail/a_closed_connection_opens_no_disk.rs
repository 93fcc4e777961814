use vddk::{Connection, Error, OpenOptions};

fn wrong(connection: Connection) -> Result<(), Error> {
    connection.close()?;
    connection.open("[ds] vm/vm.vmdk", &OpenOptions::default())?.close()
}

fn main() {}
