//! One VM, one run: from its lock to the committed point and a clean vCenter.

mod audit;
mod distrust;
mod run;

pub use self::audit::{AuditReport, audit};

use std::{
    collections::BTreeSet,
    path::PathBuf,
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

use vddk::{OpenOptions, TransportModes, TransportPolicy};

use self::run::{ReadOut, Run, commit};
use super::{
    access::AccessOptions,
    audit::Scope,
    binding::Stage,
    budget::Budget,
    disk_choice::DiskChoice,
    disk_run::DiskReport,
    error::{Error, chain},
    freeze::QuiescePolicy,
    hook::{Hooked, Hooks, Moment},
    host::host_name,
    janitor::{JanitorMode, JanitorOptions, Outcome, Visit},
    ledger::{Ledger, Subject},
    monitor::{Event, Monitor},
    patience::Patience,
    pipeline::Pace,
    recorder::Recorder,
    reverts::RevertPolicy,
    session_memory::SessionMemory,
    site::Site,
    tracking::TrackingPolicy,
    undo::Unwound,
    vm_lock::VmLock,
};
use crate::{
    repo::{
        PointId, PointKind, Repository, RowInterval, Session, SessionOptions, SessionSpec, Tag,
        VmIdentity,
    },
    vsphere::{Moref, Vm},
};

/// What to do when the server's map of changed or allocated areas cannot be believed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnBadMap {
    /// Read the disk in full, in the same run.
    #[default]
    Full,
    /// Fail the run.
    Fail,
}

/// What a run is for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Purpose {
    /// A point.
    Backup {
        /// Every so many points of a disk what vSphere says of it is audited on the way; 0: only after risky events.
        audit_every: u32,
    },
    /// No point: what vSphere says is compared with the last one.
    Audit(Scope),
}

/// How a backup is made.
#[derive(Clone, Debug)]
pub struct BackupOptions {
    /// What the run is for.
    pub purpose: Purpose,
    /// What its points are called.
    pub tags: BTreeSet<Tag>,
    /// Names of VMs whose blocks the first full of a disk need not store again.
    pub seeds: BTreeSet<String>,
    /// Where ledgers and locks are kept.
    pub state_dir: PathBuf,
    /// Which disks take part.
    pub disks: DiskChoice,
    /// Ways to reach the disks, most wanted first.
    pub transports: TransportModes,
    /// What is acceptable besides them.
    pub transport_policy: TransportPolicy,
    /// What to do about change tracking that is off.
    pub tracking: TrackingPolicy,
    /// How hard it is tried to keep the VM in place.
    pub access: AccessOptions,
    /// Whether the guest is brought to rest.
    pub quiesce: QuiescePolicy,
    /// What the administrator wants done around the snapshot.
    pub hooks: Hooks,
    /// What to do about a map that cannot be believed.
    pub on_bad_map: OnBadMap,
    /// What is believed of a VM that has a snapshot of somebody else.
    pub reverts: RevertPolicy,
    /// Read everything although changes are tracked.
    pub full: bool,
    /// In a full, read also what VDDK calls unallocated.
    pub read_unallocated: bool,
    /// How disks are opened and read through VDDK.
    pub open: OpenOptions,
    /// How long VDDK's calls are tried that fail for a reason that may pass.
    pub patience: Patience,
    /// How disks are moved.
    pub pace: Pace,
    /// Most disks of a VM that are read at once.
    pub disks_at_once: usize,
    /// What the session of the VM may take.
    pub session_memory: SessionMemory,
    /// What they share with those of other VMs.
    pub budget: Arc<Budget>,
    /// The time between two signs of life in the repository.
    pub heartbeat: Duration,
    /// As [`JanitorOptions::look_interval`].
    pub look_interval: Duration,
    /// Size of the blocks of disks that no point has yet, as a power of two; else the repository's.
    pub block_shift: Option<u8>,
    /// When a long run keeps what it has for the next one, should it die.
    pub checkpoint: RowInterval,
}

/// What a backup did.
#[derive(Clone, Debug)]
pub struct BackupReport {
    /// The new point.
    pub point: PointId,
    /// The VM's name.
    pub vm: String,
    /// Full if any disk was read in full.
    pub kind: PointKind,
    /// What was done with each disk.
    pub disks: Vec<DiskReport>,
    /// What happened.
    pub events: Vec<Event>,
    /// The stage that the others waited for, if any was waited for.
    pub binding: Option<Stage>,
    /// Something is left in vSphere.
    pub left_behind: bool,
    /// Some disks could not be read.
    pub incomplete: bool,
    /// What the removal of the snapshot took.
    pub removal: Duration,
}

/// How often a run begins again because the point it builds on is damaged.
const TRIES: usize = 4;

/// Backs one VM up. When the point it builds on turns out to be damaged, the pack is put into quarantine, and
/// the run begins again: it reads from the disks what was in there.
///
/// # Errors
/// Before the point is committed, anything that keeps it from being made; what the run changed in
/// vSphere is undone all the same. After it, nothing: what could not be undone is in the report.
pub fn backup(
    site: &Site,
    repository: &Repository,
    moref: &Moref,
    options: &BackupOptions,
    monitor: &dyn Monitor,
    cancel: &AtomicBool,
) -> Result<BackupReport, Error> {
    let mut found = Vec::new();
    loop {
        let recorder = Recorder::new(monitor);
        for event in &found {
            recorder.keep(event);
        }
        let around = Around {
            site,
            repository,
            moref,
            options,
            recorder: &recorder,
            cancel,
        };
        let error = match attempt(&around) {
            Err(Error::Repository(error)) if found.len() + 1 < TRIES => error,
            done => return done,
        };
        let Some(pack) = error.damaged_pack() else {
            return Err(error.into());
        };
        site.runtime.block_on(repository.quarantine(vec![pack]))?;
        let event = Event::warning(
            "pack-damaged",
            format!(
                "{}: it is in quarantine now, and the run begins again; cbt-backup verify tells which points are hit",
                chain(&error)
            ),
        );
        monitor.event(&event);
        found.push(event);
    }
}

/// One try.
fn attempt(around: &Around<'_>) -> Result<BackupReport, Error> {
    around.hold(|held, session, ledger| {
        let result = held
            .run(session, ledger, commit)
            .map(|(report, unwound)| BackupReport {
                left_behind: held.left_before || !unwound.is_clean,
                removal: unwound.removal,
                ..report
            });
        held.act_on_mismatch();
        tell_end(held.hooked(), &result)?;
        result.map(|report| BackupReport {
            // The last command may have added one.
            events: around.recorder.events(),
            ..report
        })
    })
}

/// What a run is given from outside.
struct Around<'a> {
    site: &'a Site,
    repository: &'a Repository,
    moref: &'a Moref,
    options: &'a BackupOptions,
    recorder: &'a Recorder<'a>,
    cancel: &'a AtomicBool,
}

/// A VM that is ours alone on this machine.
struct Held<'a> {
    around: &'a Around<'a>,
    vm: Vm,
    /// The session's name.
    name: String,
    /// Something of earlier runs could not be undone.
    left_before: bool,
}

impl Around<'_> {
    /// Takes the VM's lock and undoes what dead runs left; then `work` has its turn.
    fn hold<T>(
        &self,
        work: impl FnOnce(&Held<'_>, Session, Ledger) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let (site, options) = (self.site, self.options);
        let vm = fit(site.ask(site.client.vm(self.moref))?)?;
        let subject = Subject {
            vcenter: site.server_name(&vm)?,
            vm: vm_uuid(&vm),
        };
        let state = |source| Error::State {
            path: options.state_dir.clone(),
            source,
        };
        let lock = VmLock::take(&options.state_dir.join("lock"), &subject).map_err(state)?;
        let Some(_lock) = lock else {
            return Err(Error::Busy { vm: vm.name });
        };

        let janitor = JanitorOptions {
            state_dir: options.state_dir.clone(),
            look_interval: options.look_interval,
            mode: JanitorMode::Clean,
        };
        let visit = Visit {
            site,
            repository: Some(self.repository),
            moref: self.moref,
            subject: &subject,
            options: &janitor,
            monitor: self.recorder,
            cancel: self.cancel,
        };
        let tidied = visit.tidy()?;
        let left_before = tidied
            .findings
            .iter()
            .any(|finding| finding.outcome == Outcome::Left);
        let vm = fit(tidied.vm)?;
        let session = begin_session(site, self.repository, &vm, &subject, options)?;
        let ledgers = options.state_dir.join("ledger");
        let name = session.id().to_string();
        let ledger = match Ledger::begin(&ledgers, &name, subject) {
            Ok(ledger) => ledger,
            Err(source) => {
                session.abandon();
                return Err(state(source));
            }
        };
        let held = Held {
            around: self,
            vm,
            name,
            left_before,
        };
        work(&held, session, ledger)
    }
}

impl Held<'_> {
    /// Reads the VM and puts vSphere back as it was; `finish` ends the session.
    fn run<T>(
        &self,
        session: Session,
        ledger: Ledger,
        finish: impl FnOnce(Session, String, ReadOut, &Recorder<'_>) -> Result<T, Error>,
    ) -> Result<(T, Unwound), Error> {
        let around = self.around;
        let run = Run {
            site: around.site,
            repository: around.repository,
            vm: self.vm.clone(),
            options: around.options,
            recorder: around.recorder,
            cancel: around.cancel,
            ledger,
            access: None,
            // Elsewhere a block costs a request, which takes as long as reading it whole from the disk.
            fills_blocks: around.repository.is_folder(),
        };
        run.go(session, around.repository.config().id, finish)
    }

    fn hooked(&self) -> Hooked<'_> {
        Hooked {
            hooks: &self.around.options.hooks,
            vm: &self.vm,
            run: &self.name,
            monitor: self.around.recorder,
            cancel: self.around.cancel,
        }
    }
}

/// Runs the administrator's last command, and tells it what came of the run.
fn tell_end(hooked: Hooked<'_>, result: &Result<BackupReport, Error>) -> Result<(), Error> {
    let (word, point, left_behind, error) = match result {
        Ok(report) => {
            let word = if report.incomplete {
                "incomplete"
            } else {
                "done"
            };
            (
                word,
                report.point.to_string(),
                report.left_behind,
                String::new(),
            )
        }
        Err(error) => ("failed", String::new(), false, chain(error)),
    };
    let words = [
        ("CBT_HOOK_RESULT", word),
        ("CBT_HOOK_POINT", &point),
        (
            "CBT_HOOK_LEFT_BEHIND",
            if left_behind { "yes" } else { "no" },
        ),
        ("CBT_HOOK_ERROR", &error),
    ];
    hooked.run(Moment::After, &words)
}

/// Refuses what cannot be backed up at all.
pub(super) fn fit(vm: Vm) -> Result<Vm, Error> {
    let reason = match () {
        () if vm.is_template => {
            "it is a template; convert it to a virtual machine first".to_owned()
        }
        () if !vm.is_connected() => format!("its connection state is {}", vm.connection_state),
        () => return Ok(vm),
    };
    Err(Error::Unfit {
        vm: vm.name,
        reason,
    })
}

/// What identifies a VM for as long as it lives.
pub(super) fn vm_uuid(vm: &Vm) -> String {
    let uuid = vm.instance_uuid.clone().or_else(|| vm.bios_uuid.clone());
    uuid.unwrap_or_else(|| vm.id.clone())
}

fn begin_session(
    site: &Site,
    repository: &Repository,
    vm: &Vm,
    subject: &Subject,
    options: &BackupOptions,
) -> Result<Session, Error> {
    let spec = SessionSpec {
        vm: VmIdentity {
            vcenter_instance_uuid: subject.vcenter.clone(),
            vcenter: site.client.server().host().to_owned(),
            moref: vm.id.clone(),
            instance_uuid: subject.vm.clone(),
            name: vm.name.clone(),
            folder: vm.folder_path.clone(),
            esxi_host: vm
                .host
                .as_ref()
                .map(|host| host.id.clone())
                .unwrap_or_default(),
        },
        host: host_name(),
        tags: options.tags.clone(),
        seeds: options.seeds.clone(),
    };
    let options = SessionOptions {
        heartbeat: options.heartbeat,
        ..options.session_memory.options()
    };
    let begun = repository.begin(spec, &site.runtime, options);
    Ok(site.runtime.block_on(begun)?)
}
