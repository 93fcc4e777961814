//! Buckets, and the addresses of repositories in them.

/// A bucket of some server.
#[derive(Debug)]
pub(super) struct Bucket {
    scheme: &'static str,
    name: String,
    parameters: String,
}

impl Bucket {
    pub(super) fn new(scheme: &'static str, name: &str, parameters: &str) -> Self {
        Self {
            scheme,
            name: name.to_owned(),
            parameters: parameters.to_owned(),
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// The address of a repository below this prefix.
    pub(super) fn at(&self, prefix: &str) -> String {
        format!(
            "{}://{}/{prefix}?{}",
            self.scheme, self.name, self.parameters
        )
    }
}
