//! A run from the first outside effect on: reading, then both tails.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use vddk::{Access, ConnectOptions, Connection, DiskFacts};

use super::{BackupOptions, BackupReport, Purpose, distrust::Marks};
use crate::{
    engine::{
        access::{self, AccessRequest},
        audit::DiskAudit,
        binding::{Stage, Waits},
        description::Description,
        disk_run::{DiskReport, DiskRun},
        error::{Error, chain},
        freeze::{self, Frozen},
        hook::{Hooked, Moment},
        ledger::{Effect, Ledger},
        monitor::{Event, Monitor},
        plan::Tracking,
        recorder::Recorder,
        saved,
        site::Site,
        storage,
        tracking::{self, TrackingPolicy},
        undo::{self, CleanUp, Unwound},
    },
    repo::{
        Asked, NewFile, ObjectId, PointEvent, PointId, PointKind, Repository, RootInfo,
        SETTLED_LIMIT, Session, SessionRow,
    },
    vsphere::{Disk, Moref, Vm},
};

/// A run from the first outside effect on.
pub(super) struct Run<'a> {
    pub(super) site: &'a Site,
    pub(super) repository: &'a Repository,
    pub(super) vm: Vm,
    pub(super) options: &'a BackupOptions,
    pub(super) recorder: &'a Recorder<'a>,
    pub(super) cancel: &'a AtomicBool,
    pub(super) ledger: Ledger,
    pub(super) access: Option<Access>,
    pub(super) fills_blocks: bool,
}

/// What was read, and what the root has to say of it.
pub(super) struct ReadOut {
    binding: Option<Stage>,
    pub(super) disks: Vec<DiskReport>,
    files: Vec<NewFile>,
    frozen: Frozen,
}

impl Run<'_> {
    /// Reads, then ends both sides: `finish` commits the point, and vSphere is put back as it was.
    /// Neither end waits for the other or keeps the other from happening.
    pub(super) fn go<T>(
        mut self,
        session: Session,
        repository: ObjectId,
        finish: impl FnOnce(Session, String, ReadOut, &Recorder<'_>) -> Result<T, Error>,
    ) -> Result<(T, Unwound), Error> {
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
            options,
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
        let clean_up = match () {
            () if went_wrong && (hot_added || !ledger.open_effects().is_empty()) => CleanUp::Surely,
            () if hot_added => CleanUp::Soon,
            () => CleanUp::No,
        };
        thread::scope(|scope| {
            let patience = options.patience;
            let tail = scope.spawn(move || {
                undo::unwind(site, &moref, ledger, access, clean_up, patience, recorder)
            });
            let stored = match (read, session) {
                (Ok(read), Ok(session)) => finish(session, vm.name, read, recorder),
                (Err(error), session) => {
                    if let Ok(session) = session {
                        session.abandon();
                    }
                    Err(error)
                }
                (Ok(_), Err(error)) => Err(error.into()),
            };
            // A panic in there is a fault of ours; then something may well be left.
            let unwound = tail.join().unwrap_or(Unwound {
                is_clean: false,
                removal: Duration::ZERO,
            });
            stored.map(|made| (made, unwound))
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
            self.tracking_policy(),
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
        let partial = |asked| {
            self.is_in_place(snapshot, &disks_of, asked)
                .then(|| root_info(PointKind::Partial, &frozen, files.clone(), None, recorder))
        };
        let waits = Waits::default();
        let marks = Marks {
            site: self.site,
            repository: self.repository,
            recorder,
            heartbeat: self.options.heartbeat,
            turn: Mutex::default(),
        };
        let doubt = |disk: &Disk| self.doubt(snapshot, disk);
        let mark = |disk: &Disk, audit: &DiskAudit| marks.mark(disk, audit);
        let run = DiskRun {
            site: self.site,
            vm: &vm,
            snapshot,
            tracking: &tracking,
            only_our_snapshot: self.vm.snapshots.roots.is_empty(),
            snapshots_before: frozen.others,
            before_snapshot: frozen.before,
            host: &host,
            host_id: self.vm.host.as_ref().map(|host| host.id.as_str()),
            row,
            fills_blocks: self.fills_blocks,
            doubt: &doubt,
            mark: &mark,
            partial: &partial,
            connect: &connect,
            options: self.options,
            waits: &waits,
            monitor: self.recorder,
            cancel: self.cancel,
        };
        let tasks = run.prepare_all(&disks_of)?;
        if tasks.is_empty() {
            return Err(Error::NoDisk {
                vm: self.vm.name.clone(),
            });
        }
        self.recorder.step("connect to the disks");
        let connection = self.connect_patiently(&connect)?;
        self.recorder.step("read disks");
        self.check_cancel()?;
        let mut disks = run.copy_all(&connection, tasks)?;
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
        let binding = waits.measured(row.with(Session::times)?).binding();
        Ok(ReadOut {
            binding,
            disks,
            files,
            frozen,
        })
    }

    /// An audit looks, and begins no tracking.
    fn tracking_policy(&self) -> TrackingPolicy {
        match self.options.purpose {
            Purpose::Backup { .. } => self.options.tracking,
            Purpose::Audit(_) => TrackingPolicy::Never,
        }
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
            patience: self.options.patience,
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

    /// Looks whether the snapshot stands where it was when the first block was read. Access keeps the VM from being
    /// moved, and nobody from removing a snapshot: then blocks may hold what the guest wrote since. Of disks that
    /// were moved, or whose snapshot is gone, what was read is in doubt.
    ///
    /// # Errors
    /// Without access, when the server does not answer: then nothing speaks for what was read.
    fn look_for_moves(
        &self,
        run: &DiskRun<'_>,
        before: &[Disk],
        disks: &mut [DiskReport],
    ) -> Result<(), Error> {
        let now = self
            .site
            .ask(self.site.client.snapshot_config(run.snapshot));
        let doubts = match access::in_doubt(before, now) {
            Ok(doubts) => doubts,
            Err(error) if self.access.is_some() => {
                let message = format!(
                    "whether the snapshot stood until all was read is not known: {}",
                    chain(&error)
                );
                self.recorder
                    .event(&Event::warning("snapshot-not-seen", message));
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        for (device_key, reason) in doubts {
            for disk in disks.iter_mut().filter(|d| d.device_key == device_key) {
                if disk.failure.is_none() {
                    run.fail(disk, reason.clone())?;
                }
            }
        }
        Ok(())
    }

    /// Why what was read of a disk is not what the snapshot holds, as far as the server tells.
    fn doubt(&self, snapshot: &Moref, disk: &Disk) -> Option<String> {
        let now = self.site.ask(self.site.client.snapshot_config(snapshot));
        let doubts = access::in_doubt(std::slice::from_ref(disk), now).ok()?;
        doubts.into_iter().next().map(|(_, reason)| reason)
    }

    /// False where what was read until now is in doubt, which is told. It is looked at before anything is kept on the
    /// way: whoever builds upon that later has no other way to find out.
    fn is_in_place(&self, snapshot: &Moref, before: &[Disk], asked: Asked) -> bool {
        let config = self.site.client.snapshot_config(snapshot);
        let now = match asked {
            Asked::Early => self.site.ask(config).map(Some),
            Asked::Settled => self.site.ask_within(SETTLED_LIMIT, config),
        };
        let why = match now.transpose() {
            None => format!("the server takes longer than {} s", SETTLED_LIMIT.as_secs()),
            Some(now) => match access::in_doubt(before, now) {
                Ok(doubts) => match doubts.into_iter().next() {
                    Some((_, reason)) => reason,
                    None => return true,
                },
                Err(error) => chain(&error),
            },
        };
        let message = format!("what is read so far is not kept for another run: {why}");
        self.recorder
            .event(&Event::warning("partial-point-not-made", message));
        false
    }

    /// Makes the snapshot, which is on the ledger before.
    fn freeze(&mut self, description: &str) -> Result<Frozen, Error> {
        self.record(Effect::Snapshot {
            description: description.to_owned(),
            unmerged_before: self.vm.consolidation_needed == Some(true),
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
        let patience = self.options.patience;
        patience.until_done("connecting", self.recorder, self.cancel, connect)
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

/// Makes the point.
pub(super) fn commit(
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
        binding: read.binding,
        disks: read.disks,
        events: Vec::new(),
        left_behind: false,
        removal: Duration::ZERO,
        incomplete,
    })
}
