//! One VM, one run: from its lock to the committed point and a clean vCenter.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    path::PathBuf,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use vddk::{
    Access, ConnectOptions, Connection, DiskFacts, OpenOptions, TransportModes, TransportPolicy,
};

use super::{
    access::{self, AccessOptions, AccessRequest},
    description::Description,
    disk_choice::DiskChoice,
    disk_run::{DiskReport, DiskRun},
    error::{Error, chain},
    freeze::{self, Frozen, QuiescePolicy},
    hook::{Hooked, Hooks, Moment},
    host::host_name,
    janitor::{JanitorMode, JanitorOptions, Outcome, Visit},
    ledger::{Effect, Ledger, Subject},
    monitor::{Event, Monitor},
    patience::{Patience, Tries},
    pipeline::Pace,
    plan::Tracking,
    recorder::Recorder,
    reverts::RevertPolicy,
    saved,
    site::Site,
    storage,
    tracking::{self, TrackingPolicy},
    undo,
    vm_lock::VmLock,
};
use crate::{
    repo::{
        NewFile, ObjectId, PointEvent, PointId, PointKind, Repository, RootInfo, RowInterval,
        Session, SessionOptions, SessionRow, SessionSpec, VmIdentity,
    },
    vsphere::{Disk, Moref, Vm},
};

/// What to do when the server's map of changed areas cannot be believed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnBadMap {
    /// Read the disk in full, in the same run.
    #[default]
    Full,
    /// Fail the run.
    Fail,
}

/// How a backup is made.
#[derive(Clone, Debug)]
pub struct BackupOptions {
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
    /// How disks are opened and read through VDDK.
    pub open: OpenOptions,
    /// How long VDDK's calls are tried that fail for a reason that may pass.
    pub patience: Patience,
    /// How disks are moved.
    pub pace: Pace,
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
        let error = match attempt(site, repository, moref, options, &recorder, cancel) {
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
fn attempt(
    site: &Site,
    repository: &Repository,
    moref: &Moref,
    options: &BackupOptions,
    recorder: &Recorder<'_>,
    cancel: &AtomicBool,
) -> Result<BackupReport, Error> {
    let vm = fit(site.ask(site.client.vm(moref))?)?;
    let subject = Subject {
        vcenter: site.vcenter_name(),
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
        repository,
        moref,
        subject: &subject,
        options: &janitor,
        monitor: recorder,
        cancel,
    };
    let tidied = visit.tidy()?;
    let left_before = tidied
        .findings
        .iter()
        .any(|finding| finding.outcome == Outcome::Left);
    let vm = fit(tidied.vm)?;
    let session = begin_session(site, repository, &vm, options.heartbeat)?;
    let ledgers = options.state_dir.join("ledger");
    let ledger = match Ledger::begin(&ledgers, &session.id().to_string(), subject) {
        Ok(ledger) => ledger,
        Err(source) => {
            session.abandon();
            return Err(state(source));
        }
    };
    let (name, told_of) = (session.id().to_string(), vm.clone());
    let run = Run {
        site,
        vm,
        options,
        recorder,
        cancel,
        ledger,
        access: None,
        // Elsewhere a block costs a request, which takes as long as reading it whole from the disk.
        fills_blocks: repository.is_folder(),
    };
    let mut result = run.go(session, repository.config().id);
    if let Ok(report) = &mut result {
        report.left_behind |= left_before;
    }
    let hooked = Hooked {
        hooks: &options.hooks,
        vm: &told_of,
        run: &name,
        monitor: recorder,
        cancel,
    };
    tell_end(hooked, &result)?;
    if let Ok(report) = &mut result {
        // The last command may have added one.
        report.events = recorder.events();
    }
    result
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
    heartbeat: Duration,
) -> Result<Session, Error> {
    let uuid = vm_uuid(vm);
    let spec = SessionSpec {
        vm: VmIdentity {
            vcenter_instance_uuid: site.vcenter_name(),
            vcenter: site.client.server().host().to_owned(),
            moref: vm.id.clone(),
            instance_uuid: uuid,
            name: vm.name.clone(),
            folder: vm.folder_path.clone(),
        },
        host: host_name(),
    };
    let options = SessionOptions {
        heartbeat,
        ..SessionOptions::default()
    };
    let begun = repository.begin(spec, &site.runtime, options);
    Ok(site.runtime.block_on(begun)?)
}

/// A run from the first outside effect on.
struct Run<'a> {
    site: &'a Site,
    vm: Vm,
    options: &'a BackupOptions,
    recorder: &'a Recorder<'a>,
    cancel: &'a AtomicBool,
    ledger: Ledger,
    access: Option<Access>,
    fills_blocks: bool,
}

/// What was read, and what the root has to say of it.
struct ReadOut {
    disks: Vec<DiskReport>,
    files: Vec<NewFile>,
    frozen: Frozen,
}

impl Run<'_> {
    /// Reads, then ends both sides: the point is committed, and vSphere is put back as it was.
    /// Neither end waits for the other or keeps the other from happening.
    fn go(mut self, session: Session, repository: ObjectId) -> Result<BackupReport, Error> {
        let name = Description {
            session: session.id(),
            repository: Some(repository),
        };
        // A fault of ours must not keep vSphere from being put back as it was.
        let row = SessionRow::new(session, self.options.checkpoint);
        let read = catch_unwind(AssertUnwindSafe(|| self.read(&row, name)))
            .unwrap_or_else(|payload| Err(Error::panicked(payload.as_ref())));
        // None if changing sessions failed on the way: then there is an error, too.
        let session = row.into_session();
        let Run {
            site,
            vm,
            recorder,
            ledger,
            access,
            ..
        } = self;
        let moref = vm.moref();
        let went_wrong = match &read {
            Ok(read) => read.disks.iter().any(|disk| disk.failure.is_some()),
            Err(_) => true,
        };
        let hot_added = read.as_ref().is_ok_and(|read| {
            read.disks
                .iter()
                .any(|disk| disk.transport.as_deref() == Some("hotadd"))
        });
        let clean_up = (went_wrong && !ledger.open_effects().is_empty()) || hot_added;
        thread::scope(|scope| {
            let tail =
                scope.spawn(move || undo::unwind(site, &moref, ledger, access, clean_up, recorder));
            let stored = match (read, session) {
                (Ok(read), Ok(session)) => commit(session, vm.name, read, recorder),
                (Err(error), session) => {
                    if let Ok(session) = session {
                        session.abandon();
                    }
                    Err(error)
                }
                (Ok(_), Err(error)) => Err(error.into()),
            };
            // A panic in there is a fault of ours; then something may well be left.
            let unwound = tail.join().unwrap_or(undo::Unwound {
                is_clean: false,
                removal: Duration::ZERO,
            });
            stored.map(|report| BackupReport {
                left_behind: !unwound.is_clean,
                removal: unwound.removal,
                events: recorder.events(),
                ..report
            })
        })
    }

    fn read(&mut self, row: &SessionRow, name: Description) -> Result<ReadOut, Error> {
        self.check_cancel()?;
        let facts = storage::facts(self.site, &self.vm, &self.options.transports, self.recorder);
        // What cannot work is refused before anything is changed.
        self.connect_options(facts).plan()?;
        self.begin_access(&name.identity())?;
        let host = self.site.ask(self.site.client.host_of(&self.vm))?;
        let tracking = tracking::prepare(
            self.site,
            &self.vm,
            &host,
            self.options.tracking,
            self.recorder,
            self.cancel,
        )?;
        if let Tracking::Off { reason } | Tracking::Unsound { reason } = &tracking {
            self.recorder.event(&Event::info(
                "tracking-off",
                format!("disks are read in full: {reason}"),
            ));
        }
        self.check_cancel()?;
        let run = name.session.to_string();
        let asked = self.hooked(&run).run(Moment::Before, &[]);
        // A command that failed or was ended half way may have frozen something: the next one follows in any case.
        let frozen = asked.and_then(|()| self.freeze(&name.to_string()));
        let snapshot = frozen.as_ref().map_or("", |frozen| &frozen.snapshot.id);
        let words = [("CBT_HOOK_SNAPSHOT", snapshot)];
        self.hooked(&run).run(Moment::AfterSnapshot, &words)?;
        let frozen = frozen?;
        let snapshot = &frozen.snapshot;
        self.check_cancel()?;
        let config = self.site.ask(self.site.client.snapshot_config(snapshot))?;
        let vm = self.vm.moref();
        let disks_of = self.options.disks.of(&config.disks, self.recorder);
        let files = saved::files(self.site, &self.vm, &host, config, self.recorder);
        let recorder = self.recorder;
        let connect = || self.connect(snapshot, facts);
        let partial = || root_info(PointKind::Partial, &frozen, files.clone(), None, recorder);
        let run = DiskRun {
            site: self.site,
            vm: &vm,
            snapshot,
            tracking: &tracking,
            only_our_snapshot: self.vm.snapshots.roots.is_empty(),
            snapshots_before: frozen.others,
            before_snapshot: frozen.before,
            host: &host,
            row,
            fills_blocks: self.fills_blocks,
            partial: &partial,
            connect: &connect,
            options: self.options,
            monitor: self.recorder,
            cancel: self.cancel,
        };
        let mut tasks = Vec::new();
        for disk in &disks_of {
            self.check_cancel()?;
            tasks.extend(run.prepare(disk)?);
        }
        if tasks.is_empty() {
            return Err(Error::NoDisk {
                vm: self.vm.name.clone(),
            });
        }
        self.recorder.step("connect to the disks");
        let connection = self.connect_patiently(&connect)?;
        self.recorder.step("read disks");
        let mut disks = Vec::new();
        for task in tasks {
            self.check_cancel()?;
            disks.push(run.copy(&connection, task)?);
        }
        if let Err(error) = connection.close() {
            self.recorder
                .event(&Event::warning("disconnect-failed", error.to_string()));
        }
        self.look_for_moves(&run, &disks_of, &mut disks)?;
        if let Some(failure) = disks
            .iter()
            .all(|disk| disk.failure.is_some())
            .then(|| disks.swap_remove(0).failure)
        {
            return Err(Error::AllDisksFailed {
                vm: self.vm.name.clone(),
                reason: failure.unwrap_or_default(),
            });
        }
        Ok(ReadOut {
            disks,
            files,
            frozen,
        })
    }

    fn hooked<'b>(&'b self, run: &'b str) -> Hooked<'b> {
        Hooked {
            hooks: &self.options.hooks,
            vm: &self.vm,
            run,
            monitor: self.recorder,
            cancel: self.cancel,
        }
    }

    fn check_cancel(&self) -> Result<(), Error> {
        if self.cancel.load(Ordering::Relaxed) {
            Err(Error::Interrupted)
        } else {
            Ok(())
        }
    }

    fn record(&mut self, effect: Effect) -> Result<(), Error> {
        let path = self.options.state_dir.clone();
        self.ledger
            .record(effect)
            .map_err(|source| Error::State { path, source })
    }

    /// Keeps the VM from being moved.
    fn begin_access(&mut self, identity: &str) -> Result<(), Error> {
        let path = &self.options.state_dir;
        let vm = self.vm.moref();
        let request = AccessRequest {
            site: self.site,
            vm: &vm,
            identity,
            options: self.options.access,
            monitor: self.recorder,
            cancel: self.cancel,
        };
        let access = request.prepare(&mut self.ledger, |source| Error::State {
            path: path.clone(),
            source,
        })?;
        self.access = access;
        Ok(())
    }

    /// Without access the VM may have been moved meanwhile: what was read of a disk that was is in
    /// doubt.
    fn look_for_moves(
        &self,
        run: &DiskRun<'_>,
        before: &[Disk],
        disks: &mut [DiskReport],
    ) -> Result<(), Error> {
        if self.access.is_some() {
            return Ok(());
        }
        let now = self
            .site
            .ask(self.site.client.snapshot_config(run.snapshot))?;
        for (device_key, reason) in access::moved(before, &now) {
            for disk in disks.iter_mut().filter(|d| d.device_key == device_key) {
                if disk.failure.is_none() {
                    run.fail(disk, reason.clone())?;
                }
            }
        }
        Ok(())
    }

    /// Makes the snapshot, which is on the ledger before.
    fn freeze(&mut self, description: &str) -> Result<Frozen, Error> {
        self.record(Effect::Snapshot {
            description: description.to_owned(),
        })?;
        let vm = self.vm.moref();
        let quiesce = self.options.quiesce.for_vm(&self.vm, self.recorder);
        freeze::freeze(self.site, &vm, description, quiesce, self.recorder)
    }

    /// How disks are reached; the snapshot is still to be named.
    fn connect_options(&self, facts: DiskFacts) -> ConnectOptions {
        ConnectOptions {
            read_only: true,
            ..ConnectOptions::writable(self.options.transports.clone())
        }
        .with_policy(self.options.transport_policy)
        .with_facts(facts)
    }

    fn connect_patiently(
        &self,
        connect: &dyn Fn() -> Result<Connection, Error>,
    ) -> Result<Connection, Error> {
        let mut tries = Tries::new(self.options.patience);
        loop {
            match connect() {
                Err(Error::Vddk(error)) => {
                    tries.wait("connecting", error, self.recorder, self.cancel)?;
                }
                connected => return connected,
            }
        }
    }

    fn connect(&self, snapshot: &Moref, facts: DiskFacts) -> Result<Connection, Error> {
        let options = ConnectOptions {
            snapshot: Some(snapshot.id.clone()),
            ..self.connect_options(facts)
        };
        Ok(match &self.access {
            Some(access) => access.connect(&options)?,
            None => self
                .site
                .library
                .connect(&self.site.connect_params(&self.vm.moref())?, &options)?,
        })
    }
}

/// What a point says beside its disks.
fn root_info(
    kind: PointKind,
    frozen: &Frozen,
    files: Vec<NewFile>,
    parent: Option<PointId>,
    recorder: &Recorder<'_>,
) -> RootInfo {
    let events = recorder.events().into_iter().map(|event| PointEvent {
        code: event.kind,
        text: event.message,
    });
    RootInfo {
        kind,
        snapshot_time: format!("{:.0}", frozen.time),
        snapshot_time_ms: frozen.time.as_millisecond(),
        zone: "UTC".to_owned(),
        consistency: frozen.consistency,
        parent,
        files,
        events: events.collect(),
        program: concat!("cbt-backup ", env!("CARGO_PKG_VERSION")).to_owned(),
    }
}

fn commit(
    session: Session,
    vm: String,
    read: ReadOut,
    recorder: &Recorder<'_>,
) -> Result<BackupReport, Error> {
    let any_full = read.disks.iter().any(|disk| disk.action == "full");
    let kind = if any_full {
        PointKind::Full
    } else {
        PointKind::Incremental
    };
    let incomplete = read.disks.iter().any(|disk| disk.failure.is_some());
    let mut files = read.files;
    files.extend(saved::disk_databases(&read.disks));
    let parent = read.disks.iter().filter_map(|disk| disk.parent).max();
    let info = root_info(kind, &read.frozen, files, parent, recorder);
    let committed = session.commit(info)?;
    Ok(BackupReport {
        point: committed.point,
        vm,
        kind,
        disks: read.disks,
        events: Vec::new(),
        left_behind: false,
        removal: Duration::ZERO,
        incomplete,
    })
}
