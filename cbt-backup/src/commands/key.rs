//! `key`: what opens a repository.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::json;

use super::Context;
use crate::{
    cli::{
        exit_code::{ExitCode, Failure},
        key_file::{make_key_file, read_key_file},
        options::RepositoryOptions,
        output::{note, printable, table},
        secret_input::{NEW_PASSPHRASE_VARIABLE, SecretInput, Sources},
    },
    repo::{ConfigRepair, Error, KdfParams, KeySlotInfo, KeySlotState, Repository, RepositoryKey},
    secret::Secret,
};

/// Show, add, replace and remove the keys of a repository.
///
/// A repository has one master key, and up to 16 slots that open it: passphrases, key files and
/// recovery passphrases. Any one of them is enough. The master key itself never changes, so whoever has
/// kept a copy of a slot and knows its secret can read the repository also after the slot is removed.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  cbt-backup key list --repo /backup/vms\n  cbt-backup key add --repo /backup/vms --new-key-file /etc/cbt-backup/key\n  cbt-backup key replace --repo /backup/vms --new-passphrase-file /root/new"
)]
pub struct Key {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List the key slots
    List(List),
    /// Add a key: a passphrase, a key file or a recovery passphrase
    Add(Add),
    /// Put a new key in the place of the one that opens the repository now
    Replace(Add),
    /// Remove a key slot; not the one that opens the repository now
    Remove(Remove),
    /// Write the object config again from the key slot, where it is lost or damaged
    Repair(Repair),
}

#[derive(Debug, Args)]
struct List {
    #[command(flatten)]
    repository: RepositoryOptions,
}

#[derive(Debug, Args)]
struct Repair {
    #[command(flatten)]
    repository: RepositoryOptions,
}

#[derive(Debug, Args)]
struct Add {
    #[command(flatten)]
    repository: RepositoryOptions,
    #[command(flatten)]
    new: KeyToSet,
    /// What the slot is called in `key list`
    #[arg(long, value_name = "TEXT", default_value = "")]
    label: String,
}

#[derive(Debug, Args)]
struct Remove {
    #[command(flatten)]
    repository: RepositoryOptions,
    /// Id of the slot, or its beginning
    #[arg(value_name = "SLOT")]
    slot: String,
}

/// The key that is to be set.
#[derive(Debug, Args)]
#[command(next_help_heading = "New key")]
#[group(multiple = false)]
struct KeyToSet {
    /// File whose first line is the new passphrase (else CBT_BACKUP_NEW_PASSPHRASE, else a prompt)
    #[arg(long, value_name = "FILE")]
    new_passphrase_file: Option<PathBuf>,
    /// Command that prints the new passphrase
    #[arg(long, value_name = "COMMAND")]
    new_passphrase_command: Option<String>,
    /// New key file; made with 64 random bytes when it is not there
    #[arg(long, value_name = "FILE")]
    new_key_file: Option<PathBuf>,
    /// Make a recovery passphrase and show it once
    #[arg(long)]
    recovery: bool,
}

impl KeyToSet {
    /// The key, and its text when it is to be shown.
    fn get(&self) -> Result<(RepositoryKey, Option<Secret>), Failure> {
        if self.recovery {
            let (key, text) = RepositoryKey::new_recovery()?;
            return Ok((key, Some(text)));
        }
        if let Some(path) = &self.new_key_file {
            make_key_file(path)?;
            return Ok((read_key_file(path)?, None));
        }
        let typed = Sources {
            file: self.new_passphrase_file.as_ref(),
            command: self.new_passphrase_command.as_ref(),
            ..Sources::default()
        };
        let inherited = Sources::default().or_variable(NEW_PASSPHRASE_VARIABLE);
        let input = SecretInput {
            what: "new passphrase",
            sources: Sources::first([typed, inherited]),
            variable: NEW_PASSPHRASE_VARIABLE,
            option: "--new-passphrase-file, --new-key-file, --recovery",
        };
        let text = input
            .get_new()
            .map_err(|error| Failure::new(ExitCode::Usage, error))?;
        Ok((RepositoryKey::passphrase(&text), None))
    }
}

impl Key {
    /// Runs the command.
    ///
    /// # Errors
    /// Those of opening the repository; 18 for a slot that is not there; 12 for one that is in use.
    pub fn run(&self, context: &Context) -> Result<ExitCode, Failure> {
        match &self.action {
            Action::List(list) => list.run(context),
            Action::Add(add) => add.run(context, false),
            Action::Replace(add) => add.run(context, true),
            Action::Remove(remove) => remove.run(context),
            Action::Repair(repair) => repair.run(context),
        }
    }
}

impl List {
    fn run(&self, context: &Context) -> Result<ExitCode, Failure> {
        let slots = context.runtime.block_on(async {
            let repository = self.repository.open(&context.config).await?;
            Ok::<_, Failure>(repository.key_slots().await?)
        })?;
        let damaged = |slot: &KeySlotInfo| matches!(slot.state, KeySlotState::Damaged { .. });
        if context.output.json {
            let document = json!({"version": 1, "slots": slots});
            context.output.document(&document);
        } else {
            let head = ["SLOT", "KIND", "LABEL", ""].map(str::to_owned).to_vec();
            let rows: Vec<_> = std::iter::once(head).chain(slots.iter().map(row)).collect();
            context.output.line(&table(&rows));
            for slot in slots.iter().filter(|slot| lacks_config(slot)) {
                note(&format!(
                    "hint: key/{} holds no copy of config, so `key repair` cannot use it: `key replace` with its key makes one that does",
                    slot.id
                ));
            }
            for slot in slots.iter().filter(|slot| damaged(slot)) {
                note(&format!(
                    "hint: key/{id} is damaged: remove it with `cbt-backup key remove {id}` and add its key again with `key add`",
                    id = slot.id
                ));
            }
        }
        Ok(if slots.iter().any(damaged) {
            ExitCode::Damage
        } else {
            ExitCode::Done
        })
    }
}

fn row(slot: &KeySlotInfo) -> Vec<String> {
    let (kind, label) = match &slot.state {
        KeySlotState::Usable { kind, label } => (kind.to_string(), printable(label)),
        KeySlotState::Unknown => ("of a later program".to_owned(), String::new()),
        KeySlotState::Damaged { why } => ("damaged".to_owned(), printable(why)),
    };
    let notes = [
        (slot.opened_by, "opened by this one"),
        (lacks_config(slot), "no copy of config"),
    ];
    let notes = notes.iter().filter(|(is_so, _)| *is_so);
    let notes: Vec<&str> = notes.map(|(_, note)| *note).collect();
    vec![slot.id.to_string(), kind, label, notes.join(", ")]
}

/// An earlier program made it.
fn lacks_config(slot: &KeySlotInfo) -> bool {
    matches!(slot.state, KeySlotState::Usable { .. }) && !slot.holds_config
}

impl Add {
    fn run(&self, context: &Context, replace: bool) -> Result<ExitCode, Failure> {
        let repository = context
            .runtime
            .block_on(self.repository.open(&context.config))?;
        let (key, shown) = self.new.get()?;
        let kdf = KdfParams::default();
        let changed = context.runtime.block_on(async {
            if replace {
                repository.replace_key(&key, &self.label, kdf).await
            } else {
                repository.add_key(&key, &self.label, kdf).await
            }
        });
        // The new slot stands also when only the old one could not be removed.
        let (slot, failure) = match changed {
            Ok(slot) => (slot, None),
            Err(error @ Error::KeySlotKept { new, .. }) => (new, Some(error)),
            Err(error) => return Err(error.into()),
        };
        if context.output.json {
            context.output.document(&json!({
                "version": 1,
                "slot": slot,
                "kind": key.kind(),
                "recovery_passphrase": shown.as_ref().map(Secret::expose),
            }));
        } else {
            let (kind, at) = (key.kind(), repository.location());
            let line = format!("slot {slot} of {at}: a {kind} opens it");
            context.output.line(&line);
            if let Some(text) = &shown {
                let line = format!("recovery passphrase, shown only now: {}", text.expose());
                context.output.line(&line);
            }
            if replace && failure.is_none() {
                context
                    .output
                    .line("the key that was used till now is removed");
            }
        }
        failure.map_or(Ok(ExitCode::Done), |error| Err(error.into()))
    }
}

impl Repair {
    fn run(&self, context: &Context) -> Result<ExitCode, Failure> {
        let store = self.repository.store(&context.config)?;
        let key = self.repository.key(&context.config)?;
        let repair = Repository::repair_config(&store, key);
        let (word, text) = match context.runtime.block_on(repair)? {
            ConfigRepair::Sound => ("sound", "config is what the key slot says"),
            ConfigRepair::Written => ("written", "config was written again from the key slot"),
        };
        if context.output.json {
            context
                .output
                .document(&json!({"version": 1, "config": word}));
        } else {
            context.output.line(text);
        }
        Ok(ExitCode::Done)
    }
}

impl Remove {
    fn run(&self, context: &Context) -> Result<ExitCode, Failure> {
        let slot = context.runtime.block_on(async {
            let repository = self.repository.open(&context.config).await?;
            let slot = repository.find_key(&self.slot).await?;
            repository.remove_key(slot).await?;
            Ok::<_, Failure>(slot)
        })?;
        if context.output.json {
            context
                .output
                .document(&json!({"version": 1, "removed": slot}));
        } else {
            context.output.line(&format!("removed key slot {slot}"));
        }
        Ok(ExitCode::Done)
    }
}
