//! What govc is told to do, and what it must say.

use Must::{Export, NotSay, Refuse, Say, WorkOrNoMethod};

/// What a command must do.
#[derive(Clone, Copy, Debug)]
pub(super) enum Must {
    /// Succeed and print all of these.
    Say(&'static [&'static str]),
    /// Succeed and print none of these.
    NotSay(&'static [&'static str]),
    /// Fail and print all of these.
    Refuse(&'static [&'static str]),
    /// Succeed and leave the disks of the first snapshot, which hold what they hold there.
    Export,
    /// Fail as a server fails that has no such method, and in no other way. It may succeed: then
    /// the server has learnt it, and that is noted.
    WorkOrNoMethod,
}

/// A command: its words, divided by single spaces, and what it must do.
///
/// A word in braces stands for a text that is known when the commands run, or that has spaces.
pub(super) type Step = (&'static str, Must);

/// The parts in order.
pub(super) const PARTS: [&[Step]; 11] = [
    INVENTORY, ONE_VM, SNAPSHOTS, CHANGES, FILES, LIFE, DEVICES, TREE, HISTORY, RIGHTS, ROLES,
];

const INVENTORY: &[Step] = &[
    (
        "about",
        Say(&["VMware vCenter Server 8.0", "API type:     VirtualCenter"]),
    ),
    ("about.cert -thumbprint", Say(&["{thumbprint}"])),
    (
        "ls",
        Say(&["/DC0/vm\n/DC0/host\n/DC0/datastore\n/DC0/network\n"]),
    ),
    ("ls -l /DC0/vm", Say(&["/DC0/vm/app01 (VirtualMachine)"])),
    ("find / -type m", Say(&["/DC0/vm/app01\n"])),
    (
        "find / -type m -runtime.powerState poweredOff",
        NotSay(&["app01"]),
    ),
    (
        "find / -type m -config.version vmx-*",
        Say(&["/DC0/vm/app01\n"]),
    ),
    (
        "find -l / -type s",
        Say(&["Datastore  /DC0/datastore/datastore1"]),
    ),
    (
        "find .",
        Say(&["/DC0/host/esx01.lab.test/Resources", "datastore1"]),
    ),
    ("tree", Say(&["├── datastore\n", "app01"])),
    ("datacenter.info", Say(&["DC0", "Virtual Machines:  1"])),
    (
        "datastore.info",
        Say(&["Type:      VMFS", "ds:///vmfs/volumes/"]),
    ),
    ("host.info", Say(&["esx01.lab.test", "Logical CPUs:"])),
    ("pool.info *", Say(&["Resources", "expandable=true"])),
    ("folder.info", Say(&["Types:     Folder,Datacenter"])),
    ("folder.info vm", Say(&["Children:  1"])),
];

const ONE_VM: &[Step] = &[
    (
        "vm.info app01",
        Say(&[
            "/DC0/vm/app01",
            "Power state:  poweredOn",
            "Host:         esx01.lab.test",
        ]),
    ),
    (
        "vm.info -json app01",
        Say(&["[datastore1] app01/app01.vmdk"]),
    ),
    ("vm.info -vm.uuid {uuid}", Say(&["/DC0/vm/app01"])),
    ("vm.info -vm.path {vmx}", Say(&["/DC0/vm/app01"])),
    ("vm.info -vm.ip {ip}", Say(&["/DC0/vm/app01"])),
    ("vm.ip -wait 10s app01", Say(&["{ip}"])),
    (
        "device.ls -vm app01",
        Say(&[
            "pvscsi-1000  ParaVirtualSCSIController",
            "disk-1000-1  VirtualDisk",
        ]),
    ),
    (
        "device.info -vm app01 disk-*",
        Say(&[
            "Hard disk 2",
            "Controller:   pvscsi-1000",
            "File:         [datastore1] app01/app01_1.vmdk",
        ]),
    ),
    ("device.info -vm app01 -json", Say(&["\"key\": 2001"])),
    ("object.collect -s vm/app01 name", Say(&["app01\n"])),
    (
        "object.collect -s vm/app01 runtime.powerState",
        Say(&["poweredOn\n"]),
    ),
    (
        "object.collect -type m / name",
        Say(&["VirtualMachine:{moref}", "app01"]),
    ),
    ("vm.question -vm app01", Say(&["No pending question"])),
];

const SNAPSHOTS: &[Step] = &[
    // With memory, as it does unless told otherwise.
    ("snapshot.create -vm app01 -d {note} {first}", Say(&[])),
    ("snapshot.create -vm app01 -m=false -q {second}", Say(&[])),
    ("snapshot.tree -vm app01 -s", Say(&["{first}", "B]"])),
    // The second below the first, and the running VM below both.
    ("snapshot.tree -vm app01", Say(&["{first}\n  {second}\n"])),
    (
        "snapshot.tree -vm app01 -i -d",
        Say(&["snapshot-", "{note}"]),
    ),
    (
        "device.info -vm app01 disk-*",
        Say(&["app01_1-000002.vmdk", "Parent:"]),
    ),
    ("snapshot.export -vm app01 -d {exports} {first}", Export),
    ("snapshot.revert -vm app01 {first}", Say(&[])),
    (
        "object.collect -s vm/app01 runtime.powerState",
        Say(&["poweredOn\n"]),
    ),
    // The one that the VM left; without a current one govc itself would fall over a null.
    ("snapshot.remove -vm app01 {second}", Say(&[])),
    ("snapshot.tree -vm app01", Say(&["{first}\n."])),
    ("snapshot.tree -vm app01", NotSay(&["{second}"])),
    ("snapshot.remove -vm app01 *", Say(&[])),
    ("snapshot.tree -vm app01", NotSay(&["{first}"])),
    (
        "tasks",
        Say(&[
            "CreateSnapshot",
            "RevertToSnapshot",
            "RemoveSnapshot",
            "success",
        ]),
    ),
    ("tasks vm/app01", Say(&["RemoveAllSnapshots"])),
];

const CHANGES: &[Step] = &[
    ("vm.power -suspend app01", Say(&["OK"])),
    (
        "object.collect -s vm/app01 runtime.powerState",
        Say(&["suspended\n"]),
    ),
    ("vm.power -on app01", Say(&["OK"])),
    ("vm.power -reset app01", Say(&["OK"])),
    ("vm.power -off app01", Say(&["OK"])),
    ("vm.info app01", Say(&["Power state:  poweredOff"])),
    ("vm.change -vm app01 -c 4 -m 512 -e cbt.note=govc", Say(&[])),
    (
        "vm.info -e app01",
        Say(&["CPU:          4", "512MB", "cbt.note"]),
    ),
    ("vm.change -vm app01 -annotation {note}", Say(&[])),
    (
        "object.collect -s vm/app01 config.annotation",
        Say(&["{note}\n"]),
    ),
    (
        "vm.change -vm app01 -memory-hot-add-enabled -cpu-hot-add-enabled -nested-hv-enabled",
        Say(&[]),
    ),
    (
        "object.collect -s vm/app01 config.memoryHotAddEnabled",
        Say(&["true\n"]),
    ),
    (
        "vm.change -vm app01 -mem.limit 600 -cpu.shares high -sync-time-with-host",
        Say(&[]),
    ),
    (
        "object.collect -s vm/app01 config.memoryAllocation.limit",
        Say(&["600\n"]),
    ),
    (
        "device.boot -vm app01 -order disk -firmware bios -delay 1000",
        Say(&[]),
    ),
    (
        "object.collect -s vm/app01 config.firmware",
        Say(&["bios\n"]),
    ),
    ("vm.change -vm app01 -name app01x", Say(&[])),
    ("vm.change -vm app01x -name app01", Say(&[])),
    (
        "vm.disk.create -vm app01 -name app01/more -size 20M",
        Say(&[]),
    ),
    (
        "device.info -vm app01 disk-1000-2",
        Say(&["Hard disk 3", "20,480 KB"]),
    ),
    (
        "vm.disk.change -vm app01 -disk.label {third-disk} -size 30M",
        Say(&[]),
    ),
    ("device.info -vm app01 disk-1000-2", Say(&["30,720 KB"])),
    ("device.remove -vm app01 disk-1000-2", Say(&[])),
    ("device.ls -vm app01", NotSay(&["disk-1000-2"])),
    (
        "device.scsi.add -vm app01 -type pvscsi",
        Say(&["pvscsi-1001"]),
    ),
    ("device.remove -vm app01 pvscsi-1001", Say(&[])),
    ("device.ls -vm app01", NotSay(&["pvscsi-1001"])),
    ("vm.upgrade -vm app01", Say(&[])),
    ("vm.power -on app01", Say(&["OK"])),
    ("vm.migrate -host esx01.lab.test app01", Say(&["OK"])),
    ("vm.clone -vm app01 -on=false app01c", Say(&["OK"])),
    (
        "device.info -vm app01c disk-1000-1",
        Say(&["[datastore1] app01c/app01c_1.vmdk"]),
    ),
    ("vm.markastemplate app01c", Say(&[])),
    (
        "object.collect -s vm/app01c config.template",
        Say(&["true\n"]),
    ),
    ("vm.markasvm -pool Resources app01c", Say(&[])),
    ("object.rename vm/app01c copy", Say(&["OK"])),
    ("vm.destroy copy", Say(&[])),
    ("find / -type m", NotSay(&["app01c", "copy"])),
    // First-class disks are not there, and it says so.
    ("disk.ls -ds datastore1", WorkOrNoMethod),
];

const FILES: &[Step] = &[
    ("datastore.upload {upload} app01/by-govc.txt", Say(&["OK"])),
    (
        "datastore.download app01/by-govc.txt -",
        Say(&["{content}"]),
    ),
    (
        "datastore.download app01/app01.vmx -",
        Say(&["displayName = \"app01\""]),
    ),
    (
        "datastore.tail app01/app01.vmx",
        Say(&["cbt.note = \"govc\""]),
    ),
    ("datastore.ls app01", Say(&["app01.vmx\n", "by-govc.txt\n"])),
    (
        "datastore.ls -l app01/by-govc.txt",
        Say(&["15B", "by-govc.txt"]),
    ),
    (
        "datastore.cp app01/by-govc.txt app01/copy.txt",
        Say(&["OK"]),
    ),
    ("datastore.mv app01/copy.txt app01/moved.txt", Say(&["OK"])),
    ("datastore.rm app01/by-govc.txt", Say(&[])),
    ("datastore.ls app01", NotSay(&["by-govc.txt", "copy.txt"])),
    ("datastore.mkdir by-govc", Say(&[])),
    ("datastore.ls", Say(&["by-govc\n"])),
    ("datastore.rm by-govc", Say(&[])),
];

/// A VM of its own, made and destroyed.
const LIFE: &[Step] = &[
    ("find / -type n", Say(&["/DC0/network/VM Network"])),
    (
        "vm.create -m 1024 -c 1 -disk 10M -on=false -g otherGuest made",
        Say(&[]),
    ),
    (
        "vm.info made",
        Say(&["1024MB", "CPU:          1", "Power state:  poweredOff"]),
    ),
    (
        "device.ls -vm made",
        Say(&["lsilogic-1000", "disk-1000-0", "10,240 KB"]),
    ),
    ("vm.unregister made", Say(&[])),
    ("find / -type m", NotSay(&["made"])),
    ("vm.register made/made.vmx", Say(&[])),
    ("vm.info made", Say(&["1024MB", "CPU:          1"])),
    ("device.remove -keep -vm made disk-1000-0", Say(&[])),
    (
        "vm.disk.attach -vm app01 -disk made/made.vmdk -link=false",
        Say(&[]),
    ),
    (
        "device.info -vm app01 disk-1000-2",
        Say(&["[datastore1] made/made.vmdk", "10,240 KB"]),
    ),
    ("device.remove -vm app01 disk-1000-2", Say(&[])),
    ("vm.destroy made", Say(&[])),
    ("find / -type m", NotSay(&["made"])),
];

/// Devices of every kind on a VM that is off, and what a running one refuses.
const DEVICES: &[Step] = &[
    (
        "vm.create -on=false -disk 5M -disk.controller ide gear",
        Say(&[]),
    ),
    ("device.ls -vm gear", Say(&["disk-200-0", "ethernet-0"])),
    ("device.ls -vm gear -boot", NotSay(&["panic"])),
    ("device.cdrom.add -vm gear", Say(&["cdrom-3001"])),
    (
        "device.cdrom.insert -vm gear -device cdrom-3001 made.iso",
        Say(&[]),
    ),
    (
        "device.info -vm gear cdrom-3001",
        Say(&["ISO [datastore1] made.iso"]),
    ),
    ("device.cdrom.eject -vm gear", Say(&[])),
    ("device.floppy.add -vm gear", Say(&["floppy-8000"])),
    ("device.floppy.insert -vm gear made.img", Say(&[])),
    ("device.floppy.eject -vm gear", Say(&[])),
    ("device.serial.add -vm gear", Say(&["serialport-9000"])),
    ("device.serial.connect -vm gear telnet://:33233", Say(&[])),
    (
        "device.info -vm gear serialport-9000",
        Say(&["Remote telnet://:33233", "sio-400"]),
    ),
    ("device.serial.disconnect -vm gear", Say(&[])),
    ("device.usb.add -vm gear", Say(&["usb-7000"])),
    (
        "device.usb.add -type xhci -vm gear",
        Say(&["usbxhci-14000"]),
    ),
    ("device.sata.add -vm gear", Say(&["ahci-15000"])),
    ("device.clock.add -vm gear", Say(&["clock-"])),
    (
        "vm.network.add -vm gear -net.adapter vmxnet3 -net {network}",
        Say(&[]),
    ),
    (
        "device.info -vm gear ethernet-1",
        Say(&["VirtualVmxnet3", "VM Network", "00:50:56:"]),
    ),
    (
        "vm.network.change -vm gear -net {network} -net.address 00:50:56:01:02:03 ethernet-1",
        Say(&[]),
    ),
    (
        "device.info -vm gear ethernet-1",
        Say(&["00:50:56:01:02:03"]),
    ),
    (
        "device.boot -vm gear -order cdrom,ethernet,disk -secure",
        Say(&[]),
    ),
    ("device.remove -vm gear cdrom-3001 floppy-8000", Say(&[])),
    ("device.ls -vm gear", NotSay(&["cdrom-", "floppy-"])),
    (
        "vm.disk.create -vm gear -controller ahci-15000 -name gear/sata -size 1M",
        Say(&[]),
    ),
    ("vm.power -on gear", Say(&["OK"])),
    ("device.disconnect -vm gear ethernet-1", Say(&[])),
    (
        "device.info -vm gear ethernet-1",
        Say(&["Connected:        false"]),
    ),
    ("device.connect -vm gear ethernet-1", Say(&[])),
    (
        "device.info -vm gear ethernet-1",
        Say(&["Connected:        true"]),
    ),
    ("vm.ip -a -v4 gear", Say(&["198.18."])),
    (
        "vm.info -t gear",
        Say(&["ToolsVersion:", "Boot time:    20"]),
    ),
    (
        "vm.change -vm gear -c 8",
        Refuse(&["CPU hot plug is not supported"]),
    ),
    (
        "vm.change -vm gear -m 8192",
        Refuse(&["Memory hot plug is not supported"]),
    ),
    (
        "device.remove -vm gear disk-200-0",
        Refuse(&["current state (Powered on)"]),
    ),
    ("vm.power -r gear", Say(&["OK"])),
    ("vm.power -s gear", Say(&["OK"])),
    (
        "object.collect -s vm/gear runtime.powerState",
        Say(&["poweredOff\n"]),
    ),
    ("vm.destroy gear", Say(&[])),
];

/// Folders, datacenters and pools.
const TREE: &[Step] = &[
    ("folder.create vm/one", Say(&[])),
    ("folder.create /DC0/vm/one/two", Say(&[])),
    ("object.mv vm/app01 /DC0/vm/one/two", Say(&["OK"])),
    ("find / -type m", Say(&["/DC0/vm/one/two/app01\n"])),
    ("object.rename vm/one/two three", Say(&["OK"])),
    ("folder.info vm/one/three", Say(&["Children:  1"])),
    (
        "object.destroy vm/one",
        Refuse(&["current state (Powered on)"]),
    ),
    ("object.mv vm/one/three/app01 vm", Say(&["OK"])),
    ("object.destroy vm/one", Say(&["OK"])),
    ("ls vm", NotSay(&["one"])),
    ("datacenter.create DC1", Say(&[])),
    (
        "datacenter.info DC1",
        Say(&["/DC1", "Hosts:             0"]),
    ),
    ("object.destroy /DC1", Say(&["OK"])),
    ("ls /", NotSay(&["DC1"])),
    (
        "pool.create -cpu.limit 500 -mem.shares high {pools}/gold",
        Say(&[]),
    ),
    (
        "pool.change -cpu.limit 600 -name silver {pools}/gold",
        Say(&[]),
    ),
    (
        "pool.info {pools}/silver",
        Say(&["CPU Limit:        600MHz"]),
    ),
    ("vm.migrate -pool {pools}/silver app01", Say(&["OK"])),
    (
        "pool.info -json {pools}/silver",
        Say(&["\"value\": \"{moref}\""]),
    ),
    ("pool.destroy {pools}/silver", Say(&[])),
    ("find / -type p", NotSay(&["silver"])),
    ("object.reload vm/app01", Say(&[])),
    (
        "object.save -d {exports}/saved",
        Say(&["total objects to", "Folder: 5"]),
    ),
];

/// What happened, and what the server says of itself.
const HISTORY: &[Step] = &[
    (
        "events vm/app01",
        Say(&["app01 on esx01.lab.test in DC0 is powered on", "[info]"]),
    ),
    (
        "events -l -n 99 -type VmCreatedEvent",
        Say(&["[VmCreatedEvent]"]),
    ),
    ("events -type VmSuspendedEvent", NotSay(&["was created"])),
    (
        "object.collect -s EventManager:EventManager latestEvent.userName",
        Say(&["VSPHERE.LOCAL"]),
    ),
    ("alarm.info", Say(&["Host connection and power state"])),
    ("alarms", Say(&["Alarm Name"])),
    ("license.ls", Say(&["eval"])),
    ("option.ls", Say(&["VirtualCenter.InstanceName"])),
    // Performance is not told.
    ("metric.ls vm/app01", WorkOrNoMethod),
];

const RIGHTS: &[Step] = &[
    ("role.ls", Say(&["Admin"])),
    (
        "permissions.ls",
        Say(&["Principal", "Admin  /       {user}"]),
    ),
    ("session.ls", Say(&["Agent", "govc/", "127.0.0.1"])),
    ("fields.add cost", Say(&["10"])),
    ("fields.ls", Say(&["cost"])),
    ("fields.set cost {note} vm/app01", Say(&[])),
    (
        "fields.info vm/app01",
        Say(&["/DC0/vm/app01  cost  {note}"]),
    ),
    ("fields.rename cost price", Say(&[])),
    ("fields.rm price", Say(&[])),
    ("fields.ls", NotSay(&["cost", "price"])),
];

/// Roles, made and given as the commands of `cbt-backup privileges --as govc` do.
const ROLES: &[Step] = &[
    ("role.ls", Say(&["Admin", "ReadOnly", "NoAccess"])),
    (
        "role.ls Admin",
        Say(&["VirtualMachine.State.CreateSnapshot\n"]),
    ),
    (
        "role.create cbt-backup VirtualMachine.State.CreateSnapshot Global.DisableMethods",
        Say(&[]),
    ),
    ("role.create cbt-backup", Refuse(&["exists already"])),
    ("role.create other Virtual.Nothing", Refuse(&["privIds"])),
    (
        "role.ls cbt-backup",
        Say(&["Global.DisableMethods\n", "System.Read\n"]),
    ),
    (
        "permissions.set -principal {other-user} -role cbt-backup -propagate=true /",
        Say(&[]),
    ),
    (
        "permissions.set -principal nobody@vsphere.local -role cbt-backup /",
        Refuse(&["could not be found"]),
    ),
    (
        "permissions.set -principal {user} -role ReadOnly /",
        Refuse(&["Admin"]),
    ),
    (
        "permissions.ls vm/app01",
        Say(&["cbt-backup  /       {other-user}"]),
    ),
    ("role.usage cbt-backup", Say(&["{other-user}", "Yes"])),
    ("role.remove cbt-backup", Refuse(&["in use"])),
    (
        "role.update -name cbt-more -a cbt-backup Folder.Create",
        Say(&[]),
    ),
    ("role.usage", Say(&["cbt-more", "Admin"])),
    ("permissions.remove -principal {other-user} /", Say(&[])),
    (
        "permissions.remove -principal {other-user} /",
        Refuse(&["not found"]),
    ),
    ("permissions.ls", NotSay(&["{other-user}"])),
    ("role.remove cbt-more", Say(&[])),
    ("role.ls", NotSay(&["cbt-"])),
];
