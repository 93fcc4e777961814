use vddk::{Access, Connection, Disk, Library};

fn made_by_hand<T: Default>() {}

fn wrong() {
    made_by_hand::<Library>();
    made_by_hand::<Access>();
    made_by_hand::<Connection>();
    made_by_hand::<Disk>();
}

fn main() {}
