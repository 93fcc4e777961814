//! All that matters for a backup of one VM.

use std::collections::HashMap;

use serde_json::{Value, json};

use super::summary_json;
use crate::{
    cli::{
        exit_code::Failure,
        output::{bytes, printable, table},
    },
    vsphere::{Client, Disk, Host, Moref, NetworkCard, SnapshotNode, Vm, VmSummary},
};

/// A VM with its host.
#[derive(Debug)]
pub(super) struct Detailed {
    summary: VmSummary,
    vm: Vm,
    host: Option<Host>,
}

/// Reads the VMs one by one, and their hosts at once.
pub(super) async fn read(
    client: &Client,
    summaries: Vec<VmSummary>,
) -> Result<Vec<Detailed>, Failure> {
    let mut all = Vec::with_capacity(summaries.len());
    for summary in summaries {
        let vm = client.vm(&summary.moref).await?;
        all.push(Detailed {
            summary,
            vm,
            host: None,
        });
    }
    let mut wanted: Vec<Moref> = all.iter().filter_map(|one| one.vm.host.clone()).collect();
    wanted.sort();
    wanted.dedup();
    let hosts: HashMap<Moref, Host> = client.hosts(&wanted).await?.into_iter().collect();
    for one in &mut all {
        let host = one.vm.host.as_ref();
        one.host = host.and_then(|host| hosts.get(host).cloned());
    }
    Ok(all)
}

/// The VMs as one document.
pub(super) fn document(vms: &[Detailed]) -> Value {
    let all: Vec<Value> = vms.iter().map(Detailed::json).collect();
    json!({"version": 1, "vms": all})
}

impl Detailed {
    #[cfg(test)]
    pub(super) fn new(summary: VmSummary, vm: Vm, host: Option<Host>) -> Self {
        Self { summary, vm, host }
    }

    /// The fields that scripts may rely on: those of the list, and more.
    fn json(&self) -> Value {
        let vm = &self.vm;
        let mut all = summary_json(&self.summary);
        let disks: Vec<Value> = vm.disks.iter().map(|disk| self.disk_json(disk)).collect();
        let snapshots: Vec<Value> = vm.snapshots.roots.iter().map(snapshot_json).collect();
        let cards: Vec<Value> = vm.network_cards.iter().map(card_json).collect();
        let more = json!({
            "hardware_version": vm.hardware_version,
            "firmware": vm.firmware,
            "vmx_path": vm.vmx_path,
            "nvram_path": vm.nvram_path,
            "virtual_tpm": vm.has_virtual_tpm,
            "change_tracking_supported": vm.change_tracking_supported,
            "change_tracking_key": vm.tracking_keys.vm,
            "consolidation_needed": vm.consolidation_needed,
            "encryption": {
                "key": vm.encryption.key.as_ref().map(|key| &key.key_id),
                "provider": vm.encryption.key.as_ref().and_then(|key| key.provider_id.as_ref()),
                "bundle": vm.encryption.has_bundle,
                "state": vm.encryption.state,
            },
            "guest": {
                "id": vm.guest.configured_id,
                "name": vm.guest.configured_name,
                "family": vm.guest.family,
                "host_name": vm.guest.host_name,
                "ip_address": vm.guest.ip_address,
                "tools_running": vm.guest.has_running_tools(),
                "tools_version_status": vm.guest.tools_version_status,
            },
            "host_product": self.host.as_ref().map(|host| &host.product),
            "host_version": self.host.as_ref().and_then(|host| host.version).map(|v| v.to_string()),
            "host_build": self.host.as_ref().and_then(|host| host.build),
            "managed_by": vm.managed_by.as_ref().map(|by| &by.extension_key),
            "question": vm.question,
            "disabled_methods": vm.disabled_methods,
            "current_snapshot": vm.snapshots.current.as_ref().map(|snapshot| &snapshot.id),
            "snapshots": snapshots,
            "disks": disks,
            "network_cards": cards,
        });
        if let (Some(all), Value::Object(more)) = (all.as_object_mut(), more) {
            all.extend(more);
        }
        all
    }

    fn disk_json(&self, disk: &Disk) -> Value {
        let backing = &disk.backing;
        json!({
            "device_key": disk.device_key,
            "label": disk.label,
            "address": disk.address(),
            "controller": disk.controller.as_ref().map(|controller| controller.kind.as_str()),
            "unit": disk.unit,
            "capacity_bytes": disk.capacity_bytes,
            "backing": backing.kind.as_words(),
            "file": backing.file_name,
            "base_file": backing.base_file_name,
            "chain_links": backing.chain_links,
            "disk_uuid": backing.disk_uuid,
            "mode": backing.disk_mode,
            "thin": backing.thin,
            "encryption_key": backing.encryption_key.as_ref().map(|key| &key.key_id),
            "tracking": self.tracking(disk),
            "not_in_snapshots": disk.exclusion().map(|reason| reason.to_string()),
            "not_trackable": disk.untrackable().map(|reason| reason.to_string()),
        })
    }

    fn tracking(&self, disk: &Disk) -> String {
        let vm = &self.vm;
        disk.tracking(vm.change_tracking_enabled, &vm.tracking_keys)
            .to_string()
    }

    /// The same for people.
    pub(super) fn text(&self) -> String {
        let mut lines = vec![format!(
            "{} ({})",
            printable(&self.summary.name),
            self.summary.moref.id
        )];
        lines.extend(
            self.facts()
                .into_iter()
                .map(|(name, fact)| format!("  {name:<12} {}", printable(&fact))),
        );
        for root in &self.vm.snapshots.roots {
            self.snapshot_lines(root, 1, &mut lines);
        }
        if !self.vm.disks.is_empty() {
            let disks = self.disk_table();
            lines.extend(disks.lines().map(|line| format!("  {line}")));
        }
        for disk in &self.vm.disks {
            if let Some(reason) = disk.exclusion() {
                let label = printable(&disk.label);
                lines.push(format!(
                    "  {label} is in no snapshot: {}",
                    printable(&reason.to_string())
                ));
            }
        }
        lines.join("\n")
    }

    /// What there is to say, by name.
    fn facts(&self) -> Vec<(&'static str, String)> {
        let (vm, summary) = (&self.vm, &self.summary);
        let unknown = || "unknown".to_owned();
        let text = |text: &Option<String>| text.clone().unwrap_or_else(unknown);
        let mut facts = vec![
            ("path", listed(std::slice::from_ref(&summary.path))),
            ("instance", text(&vm.instance_uuid)),
            ("BIOS", text(&vm.bios_uuid)),
            (
                "power",
                format!("{}, {}", vm.power_state, vm.connection_state),
            ),
            ("host", self.host_words()),
            ("pool", text(&summary.pool)),
            ("datastores", listed(&summary.datastores)),
            ("hardware", self.hardware_words()),
            ("guest", self.guest_words()),
            ("tracking", self.tracking_words()),
        ];
        for card in &vm.network_cards {
            let address = card.mac_address.as_deref().unwrap_or("no address yet");
            facts.push(("network", format!("{}, {address}", card.label)));
        }
        if let Some(key) = &vm.encryption.key {
            let bundle = if vm.encryption.has_bundle {
                "with"
            } else {
                "without"
            };
            let locked = vm
                .encryption
                .state
                .as_deref()
                .map_or(String::new(), |state| format!(", {state}"));
            facts.push((
                "encrypted",
                format!("key {key}, {bundle} its bundle{locked}"),
            ));
        }
        if let Some(path) = &vm.nvram_path {
            let tpm = if vm.has_virtual_tpm {
                ", virtual TPM"
            } else {
                ""
            };
            facts.push(("nvram", format!("{path}{tpm}")));
        }
        if summary.is_template {
            facts.push(("template", "no snapshot can be made of it".to_owned()));
        }
        if let Some(by) = &vm.managed_by {
            facts.push((
                "managed by",
                format!("{}, which makes it anew", by.extension_key),
            ));
        }
        if let Some(question) = &vm.question {
            facts.push(("question", question.clone()));
        }
        if vm.consolidation_needed == Some(true) {
            facts.push((
                "consolidate",
                "a removal of a snapshot left data unmerged".to_owned(),
            ));
        }
        if vm
            .disabled_methods
            .iter()
            .any(|method| method == "RelocateVM_Task")
        {
            facts.push(("relocation", "is disabled now".to_owned()));
        }
        let snapshots = vm.snapshots.iter().count();
        facts.push(("snapshots", snapshots.to_string()));
        facts
    }

    fn host_words(&self) -> String {
        match &self.host {
            Some(host) if host.product.is_empty() => host.name.clone(),
            Some(host) => format!("{}, {}", host.name, host.product),
            None => self
                .summary
                .host
                .clone()
                .unwrap_or_else(|| "unknown".to_owned()),
        }
    }

    fn hardware_words(&self) -> String {
        let version = self.vm.hardware_version;
        let version = version.map_or_else(
            || "unknown".to_owned(),
            |version| format!("vmx-{version:02}"),
        );
        match &self.vm.firmware {
            Some(firmware) => format!("{version}, {firmware}"),
            None => version,
        }
    }

    fn guest_words(&self) -> String {
        let guest = &self.vm.guest;
        let name = guest
            .configured_name
            .as_ref()
            .or(guest.configured_id.as_ref());
        let name = name.map_or("unknown", String::as_str);
        let tools = if guest.has_running_tools() {
            "run"
        } else {
            "do not run"
        };
        format!("{name}, Tools {tools}")
    }

    fn tracking_words(&self) -> String {
        let state = super::tracking(&self.summary);
        match self.vm.change_tracking_supported {
            Some(false) => format!("{state}, not supported by this VM"),
            _ => state.to_owned(),
        }
    }

    fn snapshot_lines(&self, node: &SnapshotNode, depth: usize, lines: &mut Vec<String>) {
        let current = self.vm.snapshots.current.as_ref() == Some(&node.snapshot);
        let here = if current { ", the VM is here" } else { "" };
        let created = node
            .created
            .map_or(String::new(), |time| format!(", {time}"));
        let indent = "  ".repeat(depth + 1);
        let name = printable(&node.name);
        lines.push(format!(
            "{indent}{name} ({}{created}{here})",
            node.snapshot.id
        ));
        for child in &node.children {
            self.snapshot_lines(child, depth + 1, lines);
        }
    }

    fn disk_table(&self) -> String {
        let head = [
            "DISK",
            "AT",
            "CONTROLLER",
            "SIZE",
            "MADE OF",
            "MODE",
            "LINKS",
            "TRACKING",
            "FILE",
        ];
        let mut rows = vec![head.map(str::to_owned).to_vec()];
        rows.extend(self.vm.disks.iter().map(|disk| {
            let controller = disk.controller.as_ref();
            let controller = controller.map_or("unknown", |controller| controller.kind.as_str());
            vec![
                printable(&disk.label),
                disk.address().unwrap_or_else(|| "unknown".to_owned()),
                printable(controller),
                bytes(disk.capacity_bytes),
                printable(disk.backing.kind.as_words()),
                printable(&disk.backing.disk_mode),
                disk.backing.chain_links.to_string(),
                printable(&self.tracking(disk)),
                printable(&disk.backing.base_file_name),
            ]
        }));
        table(&rows)
    }
}

/// What the account may see of a list.
fn listed(names: &[String]) -> String {
    let seen: Vec<&str> = names.iter().map(String::as_str).collect();
    let seen = seen.join(", ");
    if seen.is_empty() {
        "not visible to this account".to_owned()
    } else {
        seen
    }
}

fn card_json(card: &NetworkCard) -> Value {
    json!({
        "device_key": card.device_key,
        "label": card.label,
        "type": card.kind,
        "mac_address": card.mac_address,
    })
}

fn snapshot_json(node: &SnapshotNode) -> Value {
    let children: Vec<Value> = node.children.iter().map(snapshot_json).collect();
    json!({
        "moref": node.snapshot.id,
        "name": node.name,
        "description": node.description,
        "created": node.created.map(|time| time.to_string()),
        "quiesced": node.is_quiesced,
        "children": children,
    })
}
