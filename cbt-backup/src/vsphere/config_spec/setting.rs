//! What becomes of each setting of a saved configuration ("vSphere API reference, 7.2"). None goes
//! without a word: it is sent, belongs to the old VM alone, or is told.

use crate::vsphere::xml::Node;

/// Where a field of the spec comes from.
pub(super) enum Source {
    /// The field of the same name.
    Same,
    /// The field of the same name, if it differs from what a server takes anyway: an older one
    /// does not know the field, and refuses the whole call for it.
    Unless(&'static str),
    /// The field of another name.
    Field(&'static str),
    /// A field of `hardware`.
    Hardware(&'static str),
    /// Code of ours.
    Made,
}

use Source::{Field, Hardware, Made, Same, Unless};

/// The fields of the spec that are sent, in the schema's order.
pub(super) const FIELDS: &[(&str, Source)] = &[
    ("name", Made),
    ("version", Same),
    ("uuid", Made),
    ("instanceUuid", Made),
    ("guestId", Same),
    ("alternateGuestName", Same),
    ("annotation", Same),
    ("files", Made),
    ("tools", Same),
    ("flags", Same),
    ("consolePreferences", Same),
    ("powerOpInfo", Field("defaultPowerOps")),
    ("rebootPowerOff", Unless("false")),
    ("numCPUs", Hardware("numCPU")),
    ("numCoresPerSocket", Hardware("numCoresPerSocket")),
    ("memoryMB", Hardware("memoryMB")),
    ("memoryHotAddEnabled", Same),
    ("cpuHotAddEnabled", Same),
    ("cpuHotRemoveEnabled", Same),
    ("virtualICH7MPresent", Hardware("virtualICH7MPresent")),
    ("virtualSMCPresent", Hardware("virtualSMCPresent")),
    ("deviceChange", Made),
    ("cpuAllocation", Same),
    ("memoryAllocation", Same),
    ("latencySensitivity", Same),
    ("extraConfig", Made),
    ("swapPlacement", Same),
    ("bootOptions", Made),
    ("vAssertsEnabled", Unless("false")),
    ("firmware", Same),
    ("maxMksConnections", Same),
    ("guestAutoLockEnabled", Same),
    ("memoryReservationLockedToMax", Same),
    ("nestedHVEnabled", Same),
    ("vPMCEnabled", Same),
    ("vmProfile", Made),
    ("messageBusTunnelEnabled", Same),
    ("crypto", Made),
    ("migrateEncryption", Unless("opportunistic")),
    ("sgxInfo", Made),
    ("ftEncryptionMode", Unless("ftEncryptionOpportunistic")),
    ("guestMonitoringModeInfo", Same),
    ("sevEnabled", Unless("false")),
    ("virtualNuma", Made),
    ("motherboardLayout", Hardware("motherboardLayout")),
    ("pmemFailoverEnabled", Unless("false")),
    ("vmxStatsCollectionEnabled", Unless("true")),
    ("vmOpNotificationToAppEnabled", Unless("false")),
    ("vmOpNotificationTimeout", Unless("-1")),
    ("simultaneousThreads", Hardware("simultaneousThreads")),
    ("pmem", Same),
    ("fixedPassthruHotPlugEnabled", Unless("false")),
    ("tdxEnabled", Unless("false")),
    ("sevSnpEnabled", Unless("false")),
];

/// Fields that are left out and may be missed.
const TOLD: &[(&str, &str)] = &[
    ("vAppConfig", "the vApp's properties"),
    ("managedBy", "the product that manages the VM"),
    ("vcpuConfig", "the settings of single processors"),
    ("cpuAffinity", "the processors it was bound to"),
    ("memoryAffinity", "the memory nodes it was bound to"),
    ("networkShaper", "the limits of its network"),
    ("cpuFeatureMask", "the masks of processor features"),
    ("npivNodeWorldWideName", "its world-wide names"),
    ("ftInfo", "its fault tolerance"),
    ("repConfig", "its replication"),
    ("deviceGroups", "the groups of its devices"),
    ("metroFtHostGroup", "its metro fault tolerance"),
];

/// Fields that name the old VM, its place or its state, and mean nothing to a new one.
const OWN: &[&str] = &[
    "dynamicType",
    "dynamicProperty",
    "changeVersion",
    "modified",
    "guestFullName",
    "createDate",
    "npivPortWorldWideName",
    "npivWorldWideNameType",
    "npivDesiredNodeWwns",
    "npivDesiredPortWwns",
    "npivTemporaryDisabled",
    "npivOnNonRdmDisks",
    "locationId",
    "template",
    "hardware",
    "hotPlugMemoryLimit",
    "hotPlugMemoryIncrementSize",
    "datastoreUrl",
    "changeTrackingEnabled",
    "initialOverhead",
    "forkConfigInfo",
    "vFlashCacheReservation",
    "vmxConfigChecksum",
    "vmStorageObjectId",
    "swapStorageObjectId",
    // Told where encryption is.
    "keyId",
    "guestIntegrityInfo",
    "contentLibItemInfo",
    // Made into `virtualNuma`.
    "numaInfo",
    "deviceSwap",
    "metroFtEnabled",
    "vmxRuntimeConfig",
    "guestArchitecture",
    // Its own rule: told if one is planned.
    "scheduledHardwareUpgradeInfo",
];

/// What of `config` is left out though somebody may miss it, in words.
pub(super) fn left_out(config: &Node) -> Vec<String> {
    let mut told = Vec::new();
    for field in config.children.iter().filter(|field| !field.is_empty()) {
        let name = field.name.as_str();
        let words = TOLD.iter().find(|(known, _)| *known == name);
        let words = match words {
            Some((_, words)) => (*words).to_owned(),
            None if name == "scheduledHardwareUpgradeInfo" => {
                match field.child_text("upgradePolicy") {
                    None | Some("never") => continue,
                    Some(_) => "the upgrade of its hardware that was planned".to_owned(),
                }
            }
            None if is_sent(name) || OWN.contains(&name) => continue,
            None => format!("the setting {name}, which is not known here"),
        };
        if !told.contains(&words) {
            told.push(words);
        }
    }
    told
}

fn is_sent(name: &str) -> bool {
    FIELDS.iter().any(|(field, source)| match source {
        Field(other) => *other == name,
        Hardware(_) => false,
        Same | Unless(_) | Made => *field == name,
    })
}

/// `sgxInfo`, of a VM that has such memory.
pub(super) fn enclave_memory(config: &Node) -> Option<Node> {
    let old = config.child("sgxInfo")?;
    let size = old.child_text("epcSize")?;
    (size != "0").then(|| old.clone())
}

/// `virtualNuma`, if somebody has chosen it: else the server does.
pub(super) fn virtual_numa(config: &Node) -> Option<Node> {
    let old = config.child("numaInfo")?;
    let is_chosen = old.child_text("autoCoresPerNumaNode") == Some("false");
    let cores = old.child_text("coresPerNumaNode").filter(|_| is_chosen);
    let exposed = old.child_text("vnumaOnCpuHotaddExposed");
    let exposed = exposed.filter(|exposed| *exposed == "true");
    let mut fields = Vec::new();
    fields.extend(cores.map(|cores| Node::leaf("coresPerNumaNode", cores)));
    fields.extend(exposed.map(|exposed| Node::leaf("exposeVnumaOnCpuHotadd", exposed)));
    (!fields.is_empty()).then(|| Node::of("virtualNuma", fields))
}
