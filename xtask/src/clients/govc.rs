//! govc, VMware's command line, built of the pinned module that `tests/go` names.

mod commands;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail};
use commands::{Must, PARTS};

use super::process::{Said, foreign, hear, must, need};
use super::{Outcome, certificate, moref};
use crate::output::line;
use crate::stage::Stage;
use crate::workspace;

/// Where its module is pinned.
const FOLDER: &str = "tests/go";
/// Who is given a role.
const OTHER_USER: &str = "other@vsphere.local";
/// What it says when the server does not know a method.
const NO_METHOD: &str = "MethodNotFound";

/// Runs the commands.
///
/// # Errors
///
/// When one does not do what it must.
pub(super) fn run(stage: &Stage, tools: &Path) -> anyhow::Result<Outcome> {
    if let Err(error) = fetched() {
        return Ok(Outcome::Skipped(format!("{error:#}")));
    }
    let govc = Govc {
        program: build(tools)?,
        password: fs::read_to_string(&stage.password_file)?
            .trim_end()
            .to_owned(),
        stage,
    };
    refused(&govc)?;
    let folder = exports(tools);
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    fs::create_dir_all(&folder)?;
    let lab = &stage.lab;
    lab.set_user(OTHER_USER, &govc.password, Some(Vec::new()))?;
    let words = govc.words(tools)?;
    for (command, must) in PARTS.into_iter().flatten() {
        let said = hear(govc.command().args(words.arguments(command)))?;
        words.judge(command, *must, &said)?;
        if matches!(must, Must::Export) {
            exported(stage, &exports(tools))?;
        }
    }
    Ok(Outcome::Passed)
}

/// The program and whom it talks to.
struct Govc<'a> {
    program: PathBuf,
    password: String,
    stage: &'a Stage,
}

impl Govc<'_> {
    fn command(&self) -> Command {
        let mut command = foreign(&self.program);
        command
            .env("GOVC_URL", self.stage.vcenter.url())
            .env("GOVC_USERNAME", &self.stage.user)
            .env("GOVC_PASSWORD", &self.password)
            .env("GOVC_TLS_CA_CERTS", certificate(self.stage))
            .env("GOVC_PERSIST_SESSION", "false")
            .current_dir(self.stage.lab.root())
            .env_remove("GOVC_INSECURE");
        command
    }

    /// What the words in braces stand for.
    fn words(&self, tools: &Path) -> anyhow::Result<Words> {
        let upload = tools.join("govc-upload");
        let content = "a file of govc\n";
        fs::write(&upload, content).context("failed to write a file for govc")?;
        let asked = |path: &str| -> anyhow::Result<String> {
            let text = must(
                self.command()
                    .args(["object.collect", "-s", "vm/app01", path]),
            )?;
            Ok(text.trim_end().to_owned())
        };
        let thumbprint = self.stage.vcenter.thumbprint_sha256().to_string();
        let words = [
            ("thumbprint", thumbprint),
            ("moref", moref(self.stage)?),
            ("user", self.stage.user.clone()),
            ("other-user", OTHER_USER.to_owned()),
            ("uuid", asked("config.uuid")?),
            ("vmx", asked("config.files.vmPathName")?),
            ("ip", asked("guest.ipAddress")?),
            ("upload", upload.display().to_string()),
            ("content", content.to_owned()),
            ("first", "before the update".to_owned()),
            ("second", "größer & <kleiner>".to_owned()),
            ("note", "\"a note\" & 'more' <of it>".to_owned()),
            ("third-disk", "Hard disk 3".to_owned()),
            ("network", "VM Network".to_owned()),
            ("pools", "/DC0/host/esx01.lab.test/Resources".to_owned()),
            ("exports", exports(tools).display().to_string()),
        ];
        Ok(Words(words.into()))
    }
}

/// The texts that words in braces stand for.
struct Words(BTreeMap<&'static str, String>);

impl Words {
    fn filled(&self, text: &str) -> String {
        let mut filled = text.to_owned();
        for (name, value) in &self.0 {
            filled = filled.replace(&format!("{{{name}}}"), value);
        }
        filled
    }

    fn arguments(&self, command: &str) -> Vec<String> {
        command.split(' ').map(|word| self.filled(word)).collect()
    }

    /// Compares what a command did with what it must do.
    fn judge(&self, command: &str, must: Must, said: &Said) -> anyhow::Result<()> {
        let Said { success, text, .. } = said;
        let says = |part: &&str| text.contains(&self.filled(part));
        match must {
            Must::WorkOrNoMethod if *success => {
                line(&format!("  govc {command}: the server has learnt it"));
            }
            Must::WorkOrNoMethod if text.contains(NO_METHOD) => {
                line(&format!("  govc {command}: no such method, and it says so"));
            }
            Must::Refuse(parts) if !*success && parts.iter().all(&says) => {
                line(&format!("  govc {command}: refused"));
            }
            Must::Export if *success => line(&format!("  govc {command}: ok")),
            Must::Say(parts) if *success && parts.iter().all(&says) => {
                line(&format!("  govc {command}: ok"));
            }
            Must::NotSay(parts) if *success && !parts.iter().any(says) => {
                line(&format!("  govc {command}: ok"));
            }
            _ => bail!("govc {command} must {must:?}, but said:\n{text}"),
        }
        Ok(())
    }
}

/// Where it writes what it exports.
fn exports(tools: &Path) -> PathBuf {
    tools.join("govc-exports")
}

/// Compares the disks that it exported with those of the VM's first snapshot.
fn exported(stage: &Stage, folder: &Path) -> anyhow::Result<()> {
    let vm = stage.lab.vm(&moref(stage)?)?;
    let snapshot = vm.snapshots.first().context("there is no snapshot")?;
    for (number, disk) in snapshot.disks.iter().enumerate() {
        let top = disk.top().context("a disk has no file")?;
        let frozen = Some(snapshot.moref.as_str());
        let expected = stage.lab.resolve_disk(&vm.moref, frozen, &top.file)?;
        let found = folder.join(format!("disk-{number}.vmdk"));
        same_content(&expected, &found).with_context(|| found.display().to_string())?;
    }
    line("  the disks that it exported hold what the snapshot holds");
    Ok(())
}

fn same_content(expected: &Path, found: &Path) -> anyhow::Result<()> {
    const STEP_SECTORS: u64 = 2048;
    let open = |path: &Path| vmdk::Disk::open(path, vmdk::OpenOptions::default());
    let (expected, found) = (open(expected)?, open(found)?);
    let sectors = expected.capacity_sectors();
    if found.capacity_sectors() != sectors {
        bail!("{} sectors, not {sectors}", found.capacity_sectors());
    }
    let length = usize::try_from(STEP_SECTORS * vmdk::SECTOR_BYTES)?;
    let (mut left, mut right) = (vec![0; length], vec![0; length]);
    for start in (0..sectors).step_by(usize::try_from(STEP_SECTORS)?) {
        let count = STEP_SECTORS.min(sectors - start);
        let bytes = usize::try_from(count * vmdk::SECTOR_BYTES)?;
        expected.read_at(start, &mut left[..bytes])?;
        found.read_at(start, &mut right[..bytes])?;
        if left[..bytes] != right[..bytes] {
            bail!("it differs in the {count} sectors from {start} on");
        }
    }
    Ok(())
}

fn refused(govc: &Govc<'_>) -> anyhow::Result<()> {
    let mut command = govc.command();
    command.env("GOVC_PASSWORD", "not the password");
    let Said { success, text, .. } = hear(command.arg("ls"))?;
    if success || !text.contains("incorrect user name or password") {
        bail!("govc with a wrong password was not refused as it must be:\n{text}");
    }
    line("  govc ls with a wrong password: refused");
    Ok(())
}

/// An error tells what this machine lacks.
fn fetched() -> anyhow::Result<()> {
    need("go", "golang-go")?;
    must(go()?.args(["mod", "download"])).context("its module cannot be had")?;
    Ok(())
}

fn build(tools: &Path) -> anyhow::Result<PathBuf> {
    let program = tools.join("bin/govc");
    let mut build = go()?;
    build.args(["build", "-mod=readonly", "-o"]);
    must(build.arg(&program).arg("./govc"))?;
    Ok(program)
}

fn go() -> anyhow::Result<Command> {
    let mut go = foreign("go");
    go.current_dir(workspace::root()?.join(FOLDER));
    Ok(go)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(success: bool, text: &str) -> Said {
        Said {
            success,
            code: None,
            text: text.to_owned(),
        }
    }

    #[test]
    fn what_it_says_is_compared() {
        let words = Words([("name", "two words".to_owned())].into());
        assert_eq!(words.arguments("ls {name}"), ["ls", "two words"]);
        let judge = |must, success, text| words.judge("ls", must, &said(success, text)).is_ok();
        let say = Must::Say(&["{name}", "other"]);
        assert!(judge(say, true, "two words, other"));
        assert!(!judge(say, true, "two words"));
        assert!(!judge(say, false, "two words, other"));
        assert!(judge(Must::NotSay(&["{name}"]), true, "two"));
        assert!(!judge(Must::NotSay(&["{name}"]), true, "two words"));
        assert!(!judge(Must::NotSay(&["{name}"]), false, "two"));
        let refuse = Must::Refuse(&["{name}"]);
        assert!(judge(refuse, false, "two words"));
        assert!(!judge(refuse, false, "other"));
        assert!(!judge(refuse, true, "two words"));
        assert!(judge(Must::WorkOrNoMethod, false, "fault: MethodNotFound"));
        assert!(!judge(Must::WorkOrNoMethod, false, "fault: SystemError"));
        assert!(judge(Must::WorkOrNoMethod, true, ""));
    }
}
