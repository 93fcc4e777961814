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
    made = make(datacenter)
    change(made)
    browse(content.fileManager, datacenter, made)
    events(content)
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
    assert vm.recentTask, "tasks are told for a while"


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


def events(content):
    """What happened, where the server keeps it."""
    if content.eventManager is None:
        return lacks.append("ServiceContent.eventManager")
    spec = vim.event.EventFilterSpec()
    found = unless_lacking(lambda: content.eventManager.QueryEvents(spec))
    assert found is None or all(one.createdTime for one in found), found


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
