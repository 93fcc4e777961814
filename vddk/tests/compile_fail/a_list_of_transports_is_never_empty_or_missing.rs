use vddk::{ConnectOptions, TransportModes};

fn wrong() -> [ConnectOptions; 3] {
    [
        ConnectOptions::read_only("snapshot-47", None),
        ConnectOptions::read_only("snapshot-47", TransportModes::default()),
        ConnectOptions::read_only("snapshot-47", TransportModes(Vec::new())),
    ]
}

fn main() {}
