"""The common parts of pyVmomi, beside what a backup needs: finding, waiting, making and removing.

`walk(service, vm)` raises when something is not as it must be. `lacks` of the module names what
the server does not have; it must say so by the documented fault.
"""

from pyVim.task import WaitForTask
from pyVmomi import vim, vmodl

NAME = "made by <pyVmomi> & co"
lacks = []


def walk(service, vm):
    content = service.RetrieveContent()
    datacenter = content.searchIndex.FindByInventoryPath("DC0")
    assert isinstance(datacenter, vim.Datacenter) and datacenter.name == "DC0", datacenter
    finding(content, datacenter, vm)
    views(content, vm)
    sessions(content, vm)
    waiting(content, vm)
    power(vm)
    attributes(content, vm)
    plugs(vm)
    tree(content, datacenter, vm)
    made = make(datacenter)
    change(made)
    gear(made)
    browse(content.fileManager, datacenter, made)
    events(content, vm)
    managers(content)
    remove(content, datacenter, made)


def finding(content, datacenter, vm):
    """The search index by each of its keys, with one answer and with a list of them."""
    index = content.searchIndex
    by = {
        "path": index.FindByInventoryPath(f"DC0/vm/{vm.name}"),
        "child": index.FindChild(datacenter.vmFolder, vm.name),
        "bios uuid": index.FindByUuid(datacenter, vm.config.uuid, True),
        "instance uuid": index.FindByUuid(None, vm.config.instanceUuid, True, True),
        "ip": index.FindByIp(None, vm.guest.ipAddress, True),
        "dns name": index.FindByDnsName(None, vm.guest.hostName, True),
        "file": index.FindByDatastorePath(datacenter, vm.config.files.vmPathName),
    }
    for key, found in by.items():
        assert found is not None and found._moId == vm._moId, (key, found)
    for found in (
        index.FindAllByUuid(None, vm.config.uuid, True, False),
        index.FindAllByIp(None, vm.guest.ipAddress, True),
        index.FindAllByDnsName(datacenter, vm.guest.hostName, True),
    ):
        assert [one._moId for one in found] == [vm._moId], found
    assert index.FindByInventoryPath("DC0/vm/nobody") is None
    assert index.FindByUuid(None, "00000000-0000-0000-0000-000000000000", True) is None


def views(content, vm):
    """Views of containers and of lists, and the ways around the tree by attributes alone."""
    kinds = [vim.Datacenter, vim.Folder, vim.HostSystem, vim.Datastore, vim.ResourcePool]
    for kind in kinds:
        view = content.viewManager.CreateContainerView(content.rootFolder, [kind], True)
        assert view.view and all(isinstance(one, kind) for one in view.view), (kind, view.view)
        assert all(one.name for one in view.view)
        view.Destroy()
    flat = content.viewManager.CreateContainerView(content.rootFolder, [vim.VirtualMachine], False)
    assert flat.view == [], "a view that does not go down"
    flat.Destroy()
    chosen = content.viewManager.CreateListView([vm])
    assert [one._moId for one in chosen.view] == [vm._moId]
    chosen.ResetListView([])
    assert chosen.view == []
    chosen.Destroy()

    place, names = vm, []
    while place is not None:
        names.append(place.name)
        place = place.parent
    assert names == [vm.name, "vm", "DC0", "Datacenters"], names
    host = vm.runtime.host
    assert vm._moId in [one._moId for one in host.vm]
    assert vm.datastore[0].summary.type == "VMFS"
    assert host.parent.resourcePool._moId == vm.resourcePool._moId


def sessions(content, vm):
    """Who is logged in, and what they may do."""
    manager = content.sessionManager
    mine = manager.currentSession
    assert manager.SessionIsActive(mine.key, mine.userName)
    assert not manager.SessionIsActive("52000000-0000-0000-0000-000000000000", mine.userName)
    asked = ["VirtualMachine.State.CreateSnapshot", "Datastore.FileManagement"]
    [answer] = content.authorizationManager.HasPrivilegeOnEntities([vm], mine.key, asked)
    told = {one.privId: one.isGranted for one in answer.privAvailability}
    assert told == dict.fromkeys(asked, True), told


def waiting(content, vm):
    """A filter, and the waits for what happens to its object."""
    collector = vmodl.query.PropertyCollector
    wanted = collector.PropertySpec(type=vim.VirtualMachine, pathSet=["config.annotation"])
    spec = collector.FilterSpec(objectSet=[collector.ObjectSpec(obj=vm)], propSet=[wanted])
    mine = content.propertyCollector.CreatePropertyCollector()
    mine.CreateFilter(spec, False)
    first = mine.WaitForUpdatesEx("", collector.WaitOptions(maxWaitSeconds=10))
    assert first.filterSet[0].objectSet[0].kind == "enter", first
    note = f"waited for, not {vm.config.annotation!r}"
    WaitForTask(vm.ReconfigVM_Task(vim.vm.ConfigSpec(annotation=note)))
    second = mine.WaitForUpdatesEx(first.version, collector.WaitOptions(maxWaitSeconds=10))
    change = second.filterSet[0].objectSet[0].changeSet[0]
    assert (change.name, change.val) == ("config.annotation", note), change
    nothing = mine.WaitForUpdatesEx(second.version, collector.WaitOptions(maxWaitSeconds=1))
    assert nothing is None, nothing
    assert mine.CheckForUpdates(second.version) is None
    mine.Destroy()


def power(vm):
    """Off, on and suspended, and what is refused in the wrong state."""
    states = vim.VirtualMachinePowerState
    WaitForTask(vm.PowerOffVM_Task())
    assert vm.runtime.powerState == states.poweredOff
    fails_with(vim.fault.InvalidPowerState, lambda: WaitForTask(vm.PowerOffVM_Task()))
    WaitForTask(vm.PowerOnVM_Task())
    WaitForTask(vm.SuspendVM_Task())
    assert vm.runtime.powerState == states.suspended
    WaitForTask(vm.PowerOnVM_Task())
    assert vm.runtime.powerState == states.poweredOn
    vm.RebootGuest()
    assert vm.runtime.powerState == states.poweredOn
    assert vm.runtime.bootTime is not None
    assert vm.recentTask, "tasks are told for a while"


def plugs(vm):
    """What a running VM does not take, and the fault of a unit that is taken."""
    more = vim.vm.ConfigSpec(numCPUs=vm.config.hardware.numCPU + 1)
    refused = lambda spec: lambda: WaitForTask(vm.ReconfigVM_Task(spec))
    fails_with(vim.fault.CpuHotPlugNotSupported, refused(more))
    more = vim.vm.ConfigSpec(memoryMB=vm.config.hardware.memoryMB * 2)
    fails_with(vim.fault.MemoryHotPlugNotSupported, refused(more))
    device = vim.vm.device
    first = disks(vm)[0]
    for unit in (first.unitNumber, 7):
        backing = device.VirtualDisk.FlatVer2BackingInfo(
            fileName="[datastore1]", diskMode="persistent"
        )
        disk = device.VirtualDisk(
            key=-1,
            controllerKey=first.controllerKey,
            unitNumber=unit,
            capacityInKB=1024,
            backing=backing,
        )
        change = device.VirtualDeviceSpec(operation="add", fileOperation="create", device=disk)
        fault = fails_with(
            vim.fault.InvalidDeviceSpec, refused(vim.vm.ConfigSpec(deviceChange=[change]))
        )
        assert fault.deviceIndex == 0, fault


def tree(content, datacenter, vm):
    """Folders, a datacenter and a resource pool, made, used and removed."""
    folder = datacenter.vmFolder.CreateFolder("by <pyVmomi>")
    fails_with(vim.fault.DuplicateName, lambda: datacenter.vmFolder.CreateFolder("by <pyVmomi>"))
    WaitForTask(folder.MoveIntoFolder_Task([vm]))
    assert vm.parent == folder, vm.parent
    path = f"DC0/vm/by <pyVmomi>/{vm.name}"
    assert content.searchIndex.FindByInventoryPath(path) == vm
    WaitForTask(datacenter.vmFolder.MoveIntoFolder_Task([vm]))
    WaitForTask(folder.Rename_Task("renamed"))
    assert folder.name == "renamed"
    WaitForTask(folder.Destroy_Task())
    other = content.rootFolder.CreateDatacenter("DC9")
    assert other.vmFolder.name == "vm" and other.datastore == [], other
    WaitForTask(other.Destroy_Task())
    assert content.rootFolder.childEntity == [datacenter]

    def allocation():
        shares = vim.SharesInfo(level="normal", shares=4000)
        return vim.ResourceAllocationInfo(
            shares=shares, reservation=0, limit=-1, expandableReservation=True
        )

    root = vm.resourcePool
    spec = vim.ResourceConfigSpec(cpuAllocation=allocation(), memoryAllocation=allocation())
    pool = root.CreateResourcePool("gold", spec)
    pool.MoveIntoResourcePool([vm])
    assert vm.resourcePool == pool and pool.vm == [vm]
    WaitForTask(pool.Destroy_Task())
    assert vm.resourcePool == root


def gear(vm):
    """A network card, a drive and a port, added, changed and taken away."""
    device = vim.vm.device
    added = [
        device.VirtualVmxnet3(
            key=-1,
            backing=device.VirtualEthernetCard.NetworkBackingInfo(deviceName="VM Network"),
        ),
        device.VirtualCdrom(
            key=-2,
            controllerKey=200,
            backing=device.VirtualCdrom.IsoBackingInfo(fileName="[datastore1] some.iso"),
        ),
        device.VirtualSerialPort(
            key=-3,
            yieldOnPoll=True,
            backing=device.VirtualSerialPort.URIBackingInfo(
                serviceURI="tcp://:1", direction="server"
            ),
        ),
    ]

    def reconfigure(operation, devices):
        changes = [device.VirtualDeviceSpec(operation=operation, device=one) for one in devices]
        WaitForTask(vm.ReconfigVM_Task(vim.vm.ConfigSpec(deviceChange=changes)))

    def found():
        kinds = tuple(type(one) for one in added)
        return [one for one in vm.config.hardware.device if isinstance(one, kinds)]

    reconfigure("add", added)
    told = {type(one).__name__.rpartition(".")[2]: one.deviceInfo.summary for one in found()}
    assert told == {
        "VirtualVmxnet3": "VM Network",
        "VirtualCdrom": "ISO [datastore1] some.iso",
        "VirtualSerialPort": "Remote tcp://:1",
    }, told

    def card():
        [card] = [one for one in found() if isinstance(one, device.VirtualEthernetCard)]
        return card

    edited = card()
    assert edited.macAddress.startswith("00:50:56:") and edited.connectable.startConnected
    edited.connectable.startConnected = False
    reconfigure("edit", [edited])
    assert not card().connectable.startConnected
    reconfigure("remove", found())
    assert found() == []


def attributes(content, vm):
    """Custom attributes, by key and by name."""
    manager = content.customFieldsManager
    field = manager.AddCustomFieldDef("cost centre", vim.VirtualMachine)
    manager.SetField(vm, field.key, "<42> & more")
    assert [(one.key, one.value) for one in vm.customValue] == [(field.key, "<42> & more")]
    vm.SetCustomValue("cost centre", "43")
    assert vm.customValue[0].value == "43"
    fails_with(
        vim.fault.DuplicateName,
        lambda: manager.AddCustomFieldDef("cost centre", vim.VirtualMachine),
    )
    manager.RemoveCustomFieldDef(field.key)
    assert vm.customValue == []


def make(datacenter):
    """A VM with a disk on a controller, both new."""
    device = vim.vm.device
    controller = device.ParaVirtualSCSIController(
        key=-101, busNumber=0, sharedBus=device.VirtualSCSIController.Sharing.noSharing
    )
    backing = device.VirtualDisk.FlatVer2BackingInfo(
        fileName="[datastore1]", diskMode="persistent", thinProvisioned=True
    )
    disk = device.VirtualDisk(
        key=-102, controllerKey=-101, unitNumber=0, capacityInKB=8192, backing=backing
    )
    add = device.VirtualDeviceSpec.Operation.add
    create = device.VirtualDeviceSpec.FileOperation.create
    spec = vim.vm.ConfigSpec(
        name=NAME,
        memoryMB=512,
        numCPUs=1,
        guestId="otherGuest64",
        files=vim.vm.FileInfo(vmPathName="[datastore1]"),
        deviceChange=[
            device.VirtualDeviceSpec(operation=add, device=controller),
            device.VirtualDeviceSpec(operation=add, fileOperation=create, device=disk),
        ],
    )
    host = datacenter.hostFolder.childEntity[0]
    task = datacenter.vmFolder.CreateVM_Task(spec, host.resourcePool)
    WaitForTask(task)
    made = task.info.result
    assert (made.name, made.runtime.powerState) == (NAME, "poweredOff"), made.name
    assert made.config.files.vmPathName.startswith("[datastore1] "), made.config.files
    assert [disk.capacityInKB for disk in disks(made)] == [8192], disks(made)
    again = lambda: WaitForTask(datacenter.vmFolder.CreateVM_Task(spec, host.resourcePool))
    fails_with((vim.fault.DuplicateName, vim.fault.AlreadyExists), again)
    return made


def change(vm):
    """One more disk, then larger, then gone; a snapshot and back to it."""
    device = vim.vm.device
    operation = device.VirtualDeviceSpec.Operation

    def reconfigure(change):
        WaitForTask(vm.ReconfigVM_Task(vim.vm.ConfigSpec(deviceChange=[change])))

    backing = device.VirtualDisk.FlatVer2BackingInfo(
        fileName="[datastore1]", diskMode="independent_persistent", thinProvisioned=True
    )
    first = disks(vm)[0]
    disk = device.VirtualDisk(
        key=-1, controllerKey=first.controllerKey, unitNumber=1, capacityInKB=4096, backing=backing
    )
    create = device.VirtualDeviceSpec.FileOperation.create
    reconfigure(
        device.VirtualDeviceSpec(operation=operation.add, fileOperation=create, device=disk)
    )
    second = disks(vm)[1]
    assert (second.backing.diskMode, second.unitNumber) == ("independent_persistent", 1), second
    second.capacityInKB, second.capacityInBytes = 6144, 6144 << 10
    reconfigure(device.VirtualDeviceSpec(operation=operation.edit, device=second))
    assert disks(vm)[1].capacityInKB == 6144
    destroy = device.VirtualDeviceSpec.FileOperation.destroy
    reconfigure(
        device.VirtualDeviceSpec(operation=operation.remove, fileOperation=destroy, device=second)
    )
    assert len(disks(vm)) == 1

    WaitForTask(vm.CreateSnapshotEx_Task(name="one", description="", memory=False))
    WaitForTask(vm.CreateSnapshot_Task(name="two", description="", memory=False, quiesce=False))
    [one] = vm.snapshot.rootSnapshotList
    [two] = one.childSnapshotList
    assert (one.name, two.name, vm.snapshot.currentSnapshot) == ("one", "two", two.snapshot)
    WaitForTask(one.snapshot.RevertToSnapshot_Task())
    assert vm.snapshot.currentSnapshot == one.snapshot
    WaitForTask(vm.RemoveAllSnapshots_Task())
    assert vm.snapshot is None


def browse(manager, datacenter, vm):
    """The files of a VM by the datastore's browser, and a folder made and removed."""
    [datastore] = vm.datastore
    if datastore.browser is None:
        return lacks.append("Datastore.browser")

    folder = vm.config.files.vmPathName.rpartition("/")[0]
    task = unless_lacking(lambda: datastore.browser.SearchDatastore_Task(folder))
    if task:
        WaitForTask(task)
        names = {one.path for one in task.info.result.file}
        assert vm.config.files.vmPathName.rpartition("/")[2] in names, names

    if manager is None:
        return lacks.append("ServiceContent.fileManager")
    path = "[datastore1] by pyVmomi"
    unless_lacking(lambda: manager.MakeDirectory(path, datacenter, False))
    task = unless_lacking(lambda: manager.DeleteDatastoreFile_Task(path, datacenter))
    if task:
        WaitForTask(task)


def events(content, vm):
    """What happened to a VM, at once and by a collector."""
    manager = content.eventManager
    by_entity = vim.event.EventFilterSpec.ByEntity(entity=vm, recursion="self")
    kinds = ["VmPoweredOnEvent", "VmPoweredOffEvent"]
    found = manager.QueryEvents(vim.event.EventFilterSpec(entity=by_entity, eventTypeId=kinds))
    assert found and all(one.vm.vm == vm and one.createdTime for one in found), found
    assert {type(one) for one in found} == {vim.event.VmPoweredOnEvent, vim.event.VmPoweredOffEvent}
    assert "is powered" in found[0].fullFormattedMessage, found[0]
    collector = manager.CreateCollectorForEvents(vim.event.EventFilterSpec())
    collector.SetCollectorPageSize(5)
    assert len(collector.latestPage) == 5
    collector.RewindCollector()
    first = collector.ReadNextEvents(3)
    assert [one.key for one in first] == sorted(one.key for one in first), first
    assert manager.latestEvent.key > first[-1].key
    collector.DestroyCollector()


def managers(content):
    """Every manager that the server names is there, with its properties as far as it has them."""
    for member in content._GetPropertyList():
        manager = getattr(content, member.name)
        if not hasattr(manager, "_moId") or member.name == "rootFolder":
            continue
        for one in manager._GetPropertyList():
            try:
                getattr(manager, one.name)
            except (vmodl.query.InvalidProperty, vmodl.fault.MethodNotFound):
                lacks.append(f"{member.name}.{one.name}")


def remove(content, datacenter, vm):
    path = vm.config.files.vmPathName
    WaitForTask(vm.Destroy_Task())
    fails_with(vmodl.fault.ManagedObjectNotFound, lambda: vm.name)
    assert content.searchIndex.FindByDatastorePath(datacenter, path) is None
    fails_with(
        (vim.fault.NotFound, vim.fault.FileFault, vmodl.fault.MethodNotFound),
        lambda: WaitForTask(
            datacenter.vmFolder.RegisterVM_Task(
                path=path,
                asTemplate=False,
                pool=datacenter.hostFolder.childEntity[0].resourcePool,
            )
        ),
    )


def unless_lacking(call):
    """What a call gives; where the server has no such method it must say just that."""
    try:
        return call()
    except vmodl.fault.MethodNotFound as fault:
        lacks.append(fault.method)
        return None


def disks(vm):
    return [it for it in vm.config.hardware.device if isinstance(it, vim.vm.device.VirtualDisk)]


def fails_with(kind, call):
    try:
        call()
    except kind as fault:
        return fault
    raise AssertionError(f"no {kind}")
