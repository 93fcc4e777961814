//! Source packages of Debian, from the mirror that apt is set to.
//!
//! Everything happens in a folder of our own: apt gets its own lists and its own list of sources
//! there, and the machine's settings are only read.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail};

use super::process;

/// Where Debian installs the keys that its lists are signed with.
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// A source package as it was published, unpacked.
#[derive(Debug)]
pub(super) struct Source {
    /// The folder with its files.
    pub(super) folder: PathBuf,
    /// Its version, as in the name of the archive.
    pub(super) version: String,
}

/// Fetches a source package into a folder under `tools` and unpacks the archive of its authors,
/// without Debian's patches. One that was fetched before is used again.
///
/// The stable suite is asked first, then the machine's own, then unstable: a mirror need not have
/// the files of all.
///
/// # Errors
///
/// When there is no apt, or no suite of the mirror has the package.
pub(super) fn source(tools: &Path, package: &str) -> anyhow::Result<Source> {
    let folder = tools.join("debian").join(package);
    if let Some(source) = unpacked(&folder, package)? {
        return Ok(source);
    }
    process::need("apt-get", "apt")?;
    let (mirror, codename) = mirror()?;
    let mut last = anyhow::anyhow!("no suite to ask");
    for suite in ["stable", codename.as_str(), "unstable"] {
        match fetch(&folder, &mirror, suite, package) {
            Ok(()) => {
                unpack(&folder, package)?;
                let source = unpacked(&folder, package)?;
                return source.with_context(|| format!("{package} was not unpacked"));
            }
            Err(error) => last = error.context(format!("Debian {suite}")),
        }
    }
    Err(last)
}

/// The address of the mirror, and the codename of the machine's own suite.
fn mirror() -> anyhow::Result<(String, String)> {
    let mut command = process::foreign("apt-get");
    command.args([
        "indextargets",
        "--format",
        "$(ORIGIN) $(REPO_URI) $(CODENAME)",
    ]);
    let text = process::must(command.arg("Created-By: Packages"))?;
    let mut targets = text.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        let found = (words.next()?, words.next()?, words.next()?);
        (found.0 == "Debian" && !found.2.contains('-')).then_some((found.1, found.2))
    });
    let (mirror, codename) = targets.next().context("apt knows no mirror of Debian")?;
    Ok((mirror.to_owned(), codename.to_owned()))
}

/// Downloads the files of a source package.
fn fetch(folder: &Path, mirror: &str, suite: &str, package: &str) -> anyhow::Result<()> {
    let place = |name: &str| folder.join("apt").join(suite).join(name);
    for name in ["lists/partial", "cache/archives/partial", "no-parts"] {
        fs::create_dir_all(place(name))?;
    }
    let signed_by = if Path::new(KEYRING).is_file() {
        format!("[signed-by={KEYRING}] ")
    } else {
        String::new()
    };
    let list = format!("deb-src {signed_by}{mirror} {suite} main\n");
    fs::write(place("sources.list"), list)?;
    let settings = [
        format!(
            "Dir::Etc::sourcelist \"{}\";",
            place("sources.list").display()
        ),
        format!("Dir::Etc::sourceparts \"{}\";", place("no-parts").display()),
        format!("Dir::State::lists \"{}\";", place("lists").display()),
        format!("Dir::Cache \"{}\";", place("cache").display()),
        "Acquire::Languages \"none\";".to_owned(),
        // Else apt drops its rights to a user that may not write here.
        "APT::Sandbox::User \"\";".to_owned(),
    ];
    fs::write(place("apt.conf"), settings.join("\n") + "\n")?;
    let apt = || -> Command {
        let mut command = process::foreign("apt-get");
        command
            .current_dir(folder)
            .env("APT_CONFIG", place("apt.conf"))
            .arg("-qq");
        command
    };
    process::must(apt().arg("update"))?;
    process::must(apt().args(["source", "--download-only", package]))?;
    Ok(())
}

/// Unpacks the authors' archive beside itself.
fn unpack(folder: &Path, package: &str) -> anyhow::Result<()> {
    let archive = archive(folder, package)?.context("no archive came")?;
    let temporary = folder.join("unpacking");
    if temporary.exists() {
        fs::remove_dir_all(&temporary)?;
    }
    fs::create_dir(&temporary)?;
    let mut tar = process::foreign("tar");
    tar.arg("--strip-components=1").arg("-xf").arg(archive);
    process::must(tar.arg("-C").arg(&temporary))?;
    fs::rename(&temporary, folder.join("source"))?;
    Ok(())
}

/// What is unpacked already.
fn unpacked(folder: &Path, package: &str) -> anyhow::Result<Option<Source>> {
    let place = folder.join("source");
    if !place.is_dir() {
        return Ok(None);
    }
    let archive = archive(folder, package)?.context("the archive of what is unpacked is gone")?;
    let name = archive.file_name().unwrap_or_default().to_string_lossy();
    let version = version(&name, package).unwrap_or_default();
    Ok(Some(Source {
        folder: place,
        version,
    }))
}

/// The authors' archive in a folder.
fn archive(folder: &Path, package: &str) -> anyhow::Result<Option<PathBuf>> {
    if !folder.is_dir() {
        return Ok(None);
    }
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if version(&entry.file_name().to_string_lossy(), package).is_some() {
            return Ok(Some(entry.path()));
        }
    }
    Ok(None)
}

/// The version in the name of an authors' archive, `name_1.2.orig.tar.gz`.
fn version(archive: &str, package: &str) -> Option<String> {
    let rest = archive.strip_prefix(package)?.strip_prefix('_')?;
    let (version, end) = rest.split_once(".orig.tar.")?;
    let is_signature = Path::new(end).extension().is_some();
    (!is_signature).then(|| version.to_owned())
}

/// Fails when one of the programs is missing that a source package is built with.
///
/// # Errors
///
/// That of [`process::need`].
pub(super) fn need_compiler() -> anyhow::Result<()> {
    for program in ["gcc", "make"] {
        process::need(program, "build-essential")?;
    }
    if !cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        bail!("VixDiskLib is for x86-64 Linux only")
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::version;

    #[test]
    fn only_the_authors_archive_has_a_version() {
        assert_eq!(
            version("nbdkit_1.42.3.orig.tar.gz", "nbdkit").as_deref(),
            Some("1.42.3")
        );
        for other in [
            "nbdkit_1.42.3-1.debian.tar.xz",
            "nbdkit_1.42.3-1.dsc",
            "nbdkit_1.42.3.orig.tar.gz.asc",
            "nbdkit-extra_1.0.orig.tar.gz",
        ] {
            assert_eq!(version(other, "nbdkit"), None, "{other}");
        }
    }
}
