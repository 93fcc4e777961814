use vddk::{Access, ConnectOptions, Error};

fn wrong(access: Access, options: &ConnectOptions) -> Result<(), Error> {
    access.close()?;
    access.connect(options)?.close()
}

fn main() {}
