use vddk::{ConnectParams, Secret};

fn wrong(secret: &Secret, params: &ConnectParams) -> (Secret, ConnectParams) {
    (secret.clone(), params.clone())
}

fn main() {}
