use vddk::Secret;

fn wrong(secret: &Secret) -> &str {
    secret.expose()
}

fn main() {}
