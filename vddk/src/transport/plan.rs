//! Which transports are handed to the library, and what is done about the one it chooses.

use std::fmt;

use super::{DiskFacts, Dropped, Machine, TransportMode, TransportModes, impossible::impossible};
use crate::Error;

/// What is acceptable besides the transports that are wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum TransportPolicy {
    /// Nothing: a disk that comes by another transport is closed again, with an error.
    Require,
    /// `nbdssl`, which works for every disk, is tried last. A disk that does not come by the
    /// transport wanted most is reported ([`Disk::transport_fallback`](crate::Disk)).
    #[default]
    Prefer,
    /// Nothing either, but whichever of the list it is, it is not worth a report.
    Allow,
}

/// The transports that the library is given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransportPlan {
    wanted: TransportModes,
    list: TransportModes,
    policy: TransportPolicy,
    dropped: Vec<Dropped>,
}

/// A disk that does not come by the transport that was wanted most.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransportFallback {
    /// What was wanted, the most wanted first.
    pub wanted: TransportModes,
    /// What the library chose.
    pub got: TransportMode,
    /// What was not even tried.
    pub dropped: Vec<Dropped>,
}

impl TransportPlan {
    /// Leaves out what cannot work. The list is never empty: a library that is given none takes
    /// its own default, with SAN first.
    pub(crate) fn new(
        wanted: &TransportModes,
        policy: TransportPolicy,
        read_only: bool,
        facts: DiskFacts,
        machine: Machine,
    ) -> Result<Self, Error> {
        let mut list = Vec::new();
        let mut dropped = Vec::new();
        for mode in wanted.modes().iter().copied() {
            match impossible(mode, read_only, facts, machine) {
                Some(reason) => dropped.push(Dropped { mode, reason }),
                None => list.push(mode),
            }
        }
        if policy == TransportPolicy::Prefer && !list.contains(&TransportMode::NbdSsl) {
            list.push(TransportMode::NbdSsl);
        }
        if list.is_empty() {
            return Err(Error::NoTransport {
                wanted: wanted.clone(),
                dropped,
            });
        }
        Ok(Self {
            wanted: wanted.clone(),
            list: TransportModes(list),
            policy,
            dropped,
        })
    }

    /// What the library is given.
    pub fn list(&self) -> &TransportModes {
        &self.list
    }

    /// What was wanted and is left out.
    pub fn dropped(&self) -> &[Dropped] {
        &self.dropped
    }

    /// Refuses a transport that is not in the list, whatever made the library choose it.
    pub(crate) fn judge(&self, object: &str, got: TransportMode) -> Result<(), Error> {
        if self.list.modes().contains(&got) {
            return Ok(());
        }
        Err(Error::OtherTransport {
            object: object.to_owned(),
            allowed: self.list.clone(),
            got,
        })
    }

    /// What is to be told of the chosen transport.
    pub(crate) fn fallback(&self, got: TransportMode) -> Option<TransportFallback> {
        let as_wanted = self.wanted.modes().first() == Some(&got);
        if as_wanted || self.policy == TransportPolicy::Allow {
            return None;
        }
        Some(TransportFallback {
            wanted: self.wanted.clone(),
            got,
            dropped: self.dropped.clone(),
        })
    }
}

impl fmt::Display for TransportFallback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; wanted were {}", self.got, self.wanted)?;
        write_dropped(f, &self.dropped)
    }
}

/// `(san: …; hotadd: …)`, or nothing.
pub(crate) fn write_dropped(f: &mut fmt::Formatter<'_>, dropped: &[Dropped]) -> fmt::Result {
    let reasons: Vec<_> = dropped.iter().map(ToString::to_string).collect();
    if reasons.is_empty() {
        return Ok(());
    }
    write!(f, " ({})", reasons.join("; "))
}

#[cfg(test)]
mod tests {
    use super::{TransportPlan, TransportPolicy};
    use crate::{DiskFacts, Error, Machine, Storage, TransportMode};

    /// A machine on which everything is possible.
    const PHYSICAL: Machine = Machine {
        vmware_vm: Some(false),
        scsi_class: true,
        mtab: true,
    };

    fn on(storage: Storage) -> DiskFacts {
        DiskFacts {
            storage,
            ..DiskFacts::default()
        }
    }

    fn plan_on(
        wanted: &str,
        policy: TransportPolicy,
        facts: DiskFacts,
        machine: Machine,
    ) -> Result<TransportPlan, Error> {
        TransportPlan::new(&wanted.parse().unwrap(), policy, true, facts, machine)
    }

    fn list(wanted: &str, policy: TransportPolicy, facts: DiskFacts) -> String {
        plan_on(wanted, policy, facts, PHYSICAL)
            .map_or_else(|error| error.to_string(), |plan| plan.list().to_string())
    }

    #[test]
    fn san_is_for_shared_vmfs_alone() {
        use TransportPolicy::{Allow, Prefer, Require};
        let shared = on(Storage::SharedVmfs);
        assert_eq!(list("san:nbdssl", Require, shared), "san:nbdssl");
        assert_eq!(list("san", Prefer, shared), "san:nbdssl");
        assert_eq!(list("san", Allow, shared), "san");
        for storage in [
            Storage::Nfs,
            Storage::Vsan,
            Storage::Vvol,
            Storage::Unknown,
            Storage::LocalVmfs,
        ] {
            assert_eq!(list("san", Prefer, on(storage)), "nbdssl");
            assert_eq!(list("san:nbdssl", Allow, on(storage)), "nbdssl");
            let refused = plan_on("san", Require, on(storage), PHYSICAL).unwrap_err();
            let told = refused.to_string();
            assert!(told.contains(storage.describe()), "{told}");
            assert!(plan_on("san", Allow, on(storage), PHYSICAL).is_err());
        }
    }

    #[test]
    fn a_local_datastore_is_reached_by_nbdssl_alone() {
        let local = on(Storage::LocalVmfs);
        for wanted in ["san:hotadd:nbdssl:nbd", "nbd:nbdssl", "file:nbdssl"] {
            for policy in [
                TransportPolicy::Require,
                TransportPolicy::Prefer,
                TransportPolicy::Allow,
            ] {
                assert_eq!(list(wanted, policy, local), "nbdssl", "{wanted}");
            }
        }
        assert_eq!(list("hotadd", TransportPolicy::Prefer, local), "nbdssl");
        for wanted in ["hotadd", "nbd", "file"] {
            for policy in [TransportPolicy::Require, TransportPolicy::Allow] {
                let refused = plan_on(wanted, policy, local, PHYSICAL).unwrap_err();
                assert!(
                    refused.to_string().contains("local to one host"),
                    "{refused}"
                );
            }
        }
    }

    #[test]
    fn what_would_crash_or_cannot_work_on_this_machine_is_left_out() {
        let shared = on(Storage::SharedVmfs);
        let machines = [
            (
                Machine {
                    vmware_vm: Some(true),
                    ..PHYSICAL
                },
                "physical machine",
            ),
            (
                Machine {
                    scsi_class: false,
                    ..PHYSICAL
                },
                "/sys/class/scsi_disk",
            ),
            (
                Machine {
                    mtab: false,
                    ..PHYSICAL
                },
                "/etc/mtab",
            ),
        ];
        for (machine, told) in machines {
            let error = plan_on("san", TransportPolicy::Require, shared, machine).unwrap_err();
            assert!(error.to_string().contains(told), "{error}");
            let plan = plan_on("san", TransportPolicy::Prefer, shared, machine).unwrap();
            assert_eq!(plan.list().to_string(), "nbdssl");
            let fallback = plan.fallback(TransportMode::NbdSsl).unwrap().to_string();
            assert!(fallback.contains(told), "{fallback}");
        }
    }

    #[test]
    fn what_the_disks_forbid_is_left_out() {
        let shared = on(Storage::SharedVmfs);
        let facts = [
            DiskFacts {
                encrypted: Some(true),
                ..shared
            },
            DiskFacts {
                on_scsi: Some(false),
                ..shared
            },
            DiskFacts {
                vcenter: Some(false),
                ..shared
            },
            DiskFacts {
                raw: Some(true),
                ..shared
            },
            DiskFacts {
                in_folder: Some(true),
                ..shared
            },
        ];
        let lists = facts.map(|facts| list("san:hotadd:nbdssl", TransportPolicy::Prefer, facts));
        assert_eq!(
            lists,
            [
                "hotadd:nbdssl",
                "san:nbdssl",
                "san:nbdssl",
                "san:nbdssl",
                "hotadd:nbdssl"
            ]
        );
        let child = DiskFacts {
            child: Some(true),
            ..shared
        };
        let wanted = "san:nbdssl".parse().unwrap();
        for (read_only, expected) in [(true, "san:nbdssl"), (false, "nbdssl")] {
            let policy = TransportPolicy::Require;
            let plan = TransportPlan::new(&wanted, policy, read_only, child, PHYSICAL).unwrap();
            assert_eq!(plan.list().to_string(), expected);
        }
    }

    #[test]
    fn the_chosen_transport_is_judged_and_told() {
        use TransportMode::{HotAdd, Nbd, NbdSsl};
        let plan =
            |wanted, policy| plan_on(wanted, policy, DiskFacts::default(), PHYSICAL).unwrap();
        let prefer = plan("hotadd", TransportPolicy::Prefer);
        assert!(prefer.judge("d", HotAdd).is_ok() && prefer.fallback(HotAdd).is_none());
        assert!(prefer.judge("d", NbdSsl).is_ok());
        let told = prefer.fallback(NbdSsl).unwrap();
        assert_eq!(
            (told.wanted.to_string().as_str(), told.got),
            ("hotadd", NbdSsl)
        );
        assert_eq!(told.to_string(), "nbdssl; wanted were hotadd");
        // In the clear, and nobody asked for it.
        assert!(prefer.judge("d", Nbd).is_err());
        let require = plan("hotadd", TransportPolicy::Require);
        let error = require.judge("[ds] a.vmdk", NbdSsl).unwrap_err();
        assert!(error.to_string().contains("[ds] a.vmdk"), "{error}");
        let allow = plan("hotadd:nbdssl", TransportPolicy::Allow);
        assert!(allow.judge("d", NbdSsl).is_ok() && allow.fallback(NbdSsl).is_none());
        assert!(allow.judge("d", Nbd).is_err());
        let both = plan("hotadd:nbdssl", TransportPolicy::Require);
        assert!(both.judge("d", NbdSsl).is_ok() && both.fallback(NbdSsl).is_some());
    }
}
