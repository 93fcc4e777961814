//! What the command line asks for.

use std::{ffi::OsString, path::PathBuf};

pub(crate) const USAGE: &str = "\
usage: conformance --libdir DIR [--json FILE] [--only TEXT] [--list] [server]

  --libdir DIR      the kit, its lib64, or the library file itself
  --json FILE       write the report there, too; - is the standard output
  --only TEXT       only checks whose name holds the text
  --list            name the checks and stop

a server, for the checks that need one:
  --server NAME --user NAME --vm MOREF --snapshot MOREF --disk '[datastore] vm/vm.vmdk'
  --thumbprint AA:BB:…   (the password: CONFORMANCE_PASSWORD)";

/// A server with a VM that has a snapshot.
#[derive(Clone, Debug, Default)]
pub(crate) struct Server {
    pub(crate) name: String,
    pub(crate) user: String,
    pub(crate) vm: String,
    pub(crate) snapshot: String,
    pub(crate) disk: String,
    pub(crate) thumbprint: String,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Options {
    pub(crate) libdir: PathBuf,
    pub(crate) json: Option<PathBuf>,
    pub(crate) only: Option<String>,
    pub(crate) list: bool,
    /// Run this one check in this process.
    pub(crate) check: Option<String>,
    pub(crate) server: Option<Server>,
}

impl Options {
    pub(crate) fn from_arguments(
        mut arguments: impl Iterator<Item = OsString>,
    ) -> Result<Self, String> {
        let mut options = Self::default();
        let mut server = Server::default();
        while let Some(argument) = arguments.next() {
            let name = argument.to_string_lossy().into_owned();
            if name == "--list" {
                options.list = true;
                continue;
            }
            let value = arguments
                .next()
                .ok_or_else(|| format!("{name} without a value"))?;
            let text = || value.to_string_lossy().into_owned();
            match name.as_str() {
                "--libdir" => options.libdir = value.into(),
                "--json" => options.json = Some(value.into()),
                "--only" => options.only = Some(text()),
                "--check" => options.check = Some(text()),
                "--server" => server.name = text(),
                "--user" => server.user = text(),
                "--vm" => server.vm = text(),
                "--snapshot" => server.snapshot = text(),
                "--disk" => server.disk = text(),
                "--thumbprint" => server.thumbprint = text(),
                _ => return Err(format!("{name} is not known")),
            }
        }
        if options.libdir.as_os_str().is_empty() && !options.list {
            return Err("--libdir is missing".to_owned());
        }
        options.server = (!server.name.is_empty()).then_some(server);
        Ok(options)
    }
}

impl Server {
    /// The arguments that name this server.
    pub(crate) fn arguments(&self) -> Vec<String> {
        [
            ("--server", &self.name),
            ("--user", &self.user),
            ("--vm", &self.vm),
            ("--snapshot", &self.snapshot),
            ("--disk", &self.disk),
            ("--thumbprint", &self.thumbprint),
        ]
        .into_iter()
        .flat_map(|(name, value)| [name.to_owned(), value.clone()])
        .collect()
    }
}
