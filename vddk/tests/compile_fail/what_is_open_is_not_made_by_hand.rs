use vddk::{Access, Connection, Disk, Library};

fn wrong() {
    let _ = Library::default();
    let _ = Access::default();
    let _ = Connection::default();
    let _ = Disk::default();
}

fn main() {}
