//! The workspace: its folder, its target folder, and what cargo builds in it.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail};
use serde_json::Value;

/// The folder with the root manifest.
///
/// # Errors
///
/// When this program lies in no workspace, which cargo does not let happen.
pub(crate) fn root() -> anyhow::Result<PathBuf> {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let root = package
        .parent()
        .context("this package has no folder above it")?;
    Ok(root.to_path_buf())
}

/// The folder cargo builds into, as `CARGO_TARGET_DIR` or the workspace says.
///
/// # Errors
///
/// As [`root`], and when there is no current folder.
pub(crate) fn target() -> anyhow::Result<PathBuf> {
    match env::var_os("CARGO_TARGET_DIR").filter(|folder| !folder.is_empty()) {
        Some(folder) => Ok(env::current_dir()?.join(folder)),
        None => Ok(root()?.join("target")),
    }
}

/// A cargo command in the workspace. The cargo that runs us is the one that is used.
///
/// # Errors
///
/// As [`target`].
pub(crate) fn cargo() -> anyhow::Result<Command> {
    let program = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(program);
    command
        .current_dir(root()?)
        .env("CARGO_TARGET_DIR", target()?);
    // What we build must not depend on a kit that happens to lie on this machine.
    command.env_remove("VDDK_INCLUDE_DIR");
    for (name, _) in env::vars_os() {
        if is_of_this_package(&name.to_string_lossy()) {
            command.env_remove(name);
        }
    }
    Ok(command)
}

/// Does cargo set this variable to tell the program it runs about its package? Build scripts that
/// watch such variables, as ring's does, would run again and make much of the tree build anew.
fn is_of_this_package(name: &str) -> bool {
    let kinds = [
        "CARGO_PKG_",
        "CARGO_MANIFEST_",
        "CARGO_BIN_",
        "CARGO_CRATE_NAME",
        "CARGO_PRIMARY_PACKAGE",
    ];
    kinds.iter().any(|kind| name.starts_with(kind))
}

/// What a `cargo build` made, message by message.
#[derive(Debug)]
pub(crate) struct Build {
    messages: Vec<Value>,
}

impl Build {
    /// Builds packages of the workspace. This package is named with them: it needs more features of
    /// the dependencies than any other, and cargo unites the features of what is built together. So
    /// what cargo has built to run us is used again.
    ///
    /// # Errors
    ///
    /// As [`Build::run`].
    pub(crate) fn packages(names: &[&str]) -> anyhow::Result<Self> {
        let names = names.iter().chain(&[env!("CARGO_PKG_NAME")]);
        Self::run(&names.flat_map(|name| ["-p", name]).collect::<Vec<_>>())
    }

    /// Runs `cargo build` with these arguments. Its progress goes to standard error.
    ///
    /// # Errors
    ///
    /// When cargo cannot be started or says that the build failed.
    pub(crate) fn run(arguments: &[&str]) -> anyhow::Result<Self> {
        Self::run_by(cargo()?, arguments)
    }

    /// As [`Build::run`], against the header of a kit in a folder.
    ///
    /// # Errors
    ///
    /// As [`Build::run`].
    pub(crate) fn run_against(include: &Path, arguments: &[&str]) -> anyhow::Result<Self> {
        let mut command = cargo()?;
        command.env("VDDK_INCLUDE_DIR", include);
        Self::run_by(command, arguments)
    }

    fn run_by(mut command: Command, arguments: &[&str]) -> anyhow::Result<Self> {
        command.args(["build", "--message-format=json-render-diagnostics"]);
        command.args(arguments).stderr(Stdio::inherit());
        let output = command.output().context("failed to start cargo")?;
        if !output.status.success() {
            bail!("cargo build {} failed", arguments.join(" "));
        }
        let text = String::from_utf8(output.stdout).context("cargo wrote no UTF-8")?;
        let messages = text
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok());
        Ok(Self {
            messages: messages.collect(),
        })
    }

    /// The program with that name.
    ///
    /// # Errors
    ///
    /// When the build made no such program.
    pub(crate) fn program(&self, name: &str) -> anyhow::Result<PathBuf> {
        let path = self
            .artifacts(name)
            .find_map(|artifact| artifact["executable"].as_str());
        path.map(PathBuf::from)
            .with_context(|| format!("cargo built no program {name}"))
    }

    /// The shared library of the target with that name.
    ///
    /// # Errors
    ///
    /// When the build made no such library.
    pub(crate) fn shared_library(&self, name: &str) -> anyhow::Result<PathBuf> {
        let files = self
            .artifacts(name)
            .filter_map(|artifact| artifact["filenames"].as_array());
        let mut names = files.flatten().filter_map(Value::as_str).map(PathBuf::from);
        names
            .find(|path| path.extension().is_some_and(|extension| extension == "so"))
            .with_context(|| format!("cargo built no shared library {name}"))
    }

    /// The folder the build script of a package wrote to.
    ///
    /// # Errors
    ///
    /// When no build script of such a package ran.
    pub(crate) fn out_dir(&self, package: &str) -> anyhow::Result<PathBuf> {
        let ran = self.messages.iter().filter(|message| {
            let id = message["package_id"].as_str().unwrap_or_default();
            message["reason"] == "build-script-executed" && names_package(id, package)
        });
        let folder = ran
            .filter_map(|message| message["out_dir"].as_str())
            .next_back();
        folder
            .map(PathBuf::from)
            .with_context(|| format!("no build script of {package} ran"))
    }

    fn artifacts<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Value> {
        self.messages.iter().filter(move |message| {
            message["reason"] == "compiler-artifact" && message["target"]["name"] == name
        })
    }
}

/// Package ids end in `folder#version` or `folder#name@version`.
fn names_package(id: &str, package: &str) -> bool {
    let (place, version) = id.rsplit_once('#').unwrap_or((id, ""));
    match version.split_once('@') {
        Some((name, _)) => name == package,
        None => place.rsplit('/').next() == Some(package),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn artifacts_are_found_by_kind() {
        let messages = vec![
            json!({"reason": "compiler-artifact", "target": {"name": "vixDiskLib"},
                "filenames": ["/t/libvixDiskLib.so", "/t/libvixDiskLib.rlib"], "executable": null}),
            json!({"reason": "compiler-artifact", "target": {"name": "cbt-backup"},
                "filenames": ["/t/libcbt_backup.rlib"], "executable": null}),
            json!({"reason": "compiler-artifact", "target": {"name": "cbt-backup"},
                "filenames": ["/t/cbt-backup"], "executable": "/t/cbt-backup"}),
            json!({"reason": "build-script-executed", "out_dir": "/t/out",
                "package_id": "path+file:///w/vddk-sys#0.1.0"}),
        ];
        let build = Build { messages };
        assert_eq!(
            build.program("cbt-backup").unwrap(),
            Path::new("/t/cbt-backup")
        );
        let library = build.shared_library("vixDiskLib").unwrap();
        assert_eq!(library, Path::new("/t/libvixDiskLib.so"));
        assert_eq!(build.out_dir("vddk-sys").unwrap(), Path::new("/t/out"));
        assert!(build.program("vixDiskLib").is_err());
        assert!(build.out_dir("vddk").is_err());
    }

    #[test]
    fn package_ids_have_two_forms() {
        assert!(names_package("path+file:///w/vddk-sys#0.1.0", "vddk-sys"));
        assert!(names_package(
            "registry+https://index#bindgen@0.73.2",
            "bindgen"
        ));
        assert!(!names_package("path+file:///w/vddk-sys#0.1.0", "sys"));
    }

    #[test]
    fn only_variables_about_the_package_are_held_back() {
        assert!(is_of_this_package("CARGO_PKG_NAME") && is_of_this_package("CARGO_MANIFEST_DIR"));
        for kept in [
            "CARGO_HOME",
            "CARGO_TARGET_DIR",
            "CARGO_NET_OFFLINE",
            "CARGO_BUILD_JOBS",
            "PATH",
        ] {
            assert!(!is_of_this_package(kept), "{kept}");
        }
    }

    #[test]
    fn the_root_has_the_workspace_manifest() {
        let manifest = std::fs::read_to_string(root().unwrap().join("Cargo.toml")).unwrap();
        assert!(manifest.contains("[workspace]"));
    }
}
