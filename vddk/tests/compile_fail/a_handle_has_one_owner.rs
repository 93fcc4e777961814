use vddk::{Access, Connection, Disk};

fn wrong(access: &Access, connection: &Connection, disk: &Disk) -> (Access, Connection, Disk) {
    (access.clone(), connection.clone(), disk.clone())
}

fn main() {}
