use vddk::Secret;

fn wrong(secret: &Secret) -> String {
    format!("{secret}")
}

fn main() {}
