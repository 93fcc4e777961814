"""Walks the stand-in vCenter with pyVmomi, as a backup program would.

Usage: pyvmomi_check.py HOST PORT USER PASSWORD_FILE CA_FILE VM

When change tracking is on and a first snapshot was taken and removed, the script prints the line
`write` and waits for one line: a JSON list of [start, length] with the areas of the first disk
that were written meanwhile. Prints `ok` and ends with 0 when everything was as it must be.
"""

import json
import pathlib
import ssl
import sys
import time

import pyvmomi_walk
from pyVim.connect import Disconnect, SmartConnect
from pyVmomi import vim, vmodl

TASK_SECONDS = 60


def main():
    host, port, user, password_file, ca_file, name = sys.argv[1:]
    password = pathlib.Path(password_file).read_text().splitlines()[0]
    trust = ssl.create_default_context(cafile=ca_file)
    # A server's own certificate is no authority in the strict sense.
    trust.verify_flags &= ~ssl.VERIFY_X509_STRICT

    def connect(secret):
        return SmartConnect(host=host, port=int(port), user=user, pwd=secret, sslContext=trust)

    fails_with(vim.fault.InvalidLogin, lambda: connect(password + "x"))
    service = connect(password)
    content = service.RetrieveContent()
    assert content.about.apiType == "VirtualCenter", content.about
    assert service.CurrentTime().year > 2000
    vm = find(content, name)
    walk(content, vm)
    changes(vm)
    refusals(vm)
    pyvmomi_walk.walk(service, vm)
    if pyvmomi_walk.lacks:
        print("lacking, and said so:", ", ".join(pyvmomi_walk.lacks), file=sys.stderr)
    Disconnect(service)
    print("ok")


def find(content, name):
    """The VM by a container view and by its inventory path."""
    view = content.viewManager.CreateContainerView(content.rootFolder, [vim.VirtualMachine], True)
    found = [vm for vm in view.view if vm.name == name]
    assert len(found) == 1, found
    view.Destroy()
    by_path = content.searchIndex.FindByInventoryPath(f"DC0/vm/{name}")
    assert by_path._moId == found[0]._moId, by_path
    by_uuid = content.searchIndex.FindByUuid(None, found[0].config.instanceUuid, True, True)
    assert by_uuid._moId == found[0]._moId, by_uuid
    return found[0]


def walk(content, vm):
    """The property collector: a traversal, pages of one object, a path that does not exist."""
    collector = vmodl.query.PropertyCollector
    view = content.viewManager.CreateContainerView(content.rootFolder, [vim.ManagedEntity], True)
    step = collector.TraversalSpec(name="view", type=vim.view.ContainerView, path="view", skip=False)
    start = collector.ObjectSpec(obj=view, skip=True, selectSet=[step])

    def spec(kind, paths):
        wanted = collector.PropertySpec(type=kind, pathSet=paths, all=False)
        return collector.FilterSpec(objectSet=[start], propSet=[wanted])

    options = collector.RetrieveOptions(maxObjects=1)
    page = content.propertyCollector.RetrievePropertiesEx([spec(vim.ManagedEntity, ["name"])], options)
    found = {}
    while True:
        assert len(page.objects) == 1, page
        found.update({item.obj._moId: item.propSet[0].val for item in page.objects})
        if not page.token:
            break
        page = content.propertyCollector.ContinueRetrievePropertiesEx(page.token)
    assert found[vm._moId] == vm.name and len(found) == len(view.view), found

    paths = ["config.hardware.device", "runtime.powerState", "snapshot"]
    page = content.propertyCollector.RetrievePropertiesEx(
        [spec(vim.VirtualMachine, paths)], collector.RetrieveOptions()
    )
    mine = next(item for item in page.objects if item.obj._moId == vm._moId)
    values = {part.name: part.val for part in mine.propSet}
    assert values["runtime.powerState"] == "poweredOn", values
    assert "snapshot" not in values, "unset properties are absent"
    assert any(isinstance(it, vim.vm.device.VirtualDisk) for it in values["config.hardware.device"])

    wrong = [spec(vim.VirtualMachine, ["config.nonsense"])]
    fails_with(
        vmodl.query.InvalidProperty,
        lambda: content.propertyCollector.RetrievePropertiesEx(wrong, collector.RetrieveOptions()),
    )
    view.Destroy()


def changes(vm):
    """Change tracking: on, a base, writes, and the pages of what changed."""
    wait(vm.ReconfigVM_Task(vim.vm.ConfigSpec(changeTrackingEnabled=True)))
    first = snapshot(vm, "first")
    tree = vm.snapshot.rootSnapshotList
    assert [node.name for node in tree] == ["first"], tree
    assert vm.snapshot.currentSnapshot._moId == first._moId
    base = disks(first.config)[0]
    whole = pages(vm, first, base.key, "*", base.capacityInBytes)
    assert all(length > 0 for _, length in whole), whole
    wait(first.RemoveSnapshot_Task(removeChildren=False))
    assert vm.snapshot is None
    assert vm.config.changeTrackingEnabled

    print("write", flush=True)
    written = merged(tuple(area) for area in json.loads(sys.stdin.readline()))

    second = snapshot(vm, "second")
    frozen = disks(second.config)[0]
    assert frozen.backing.changeId != base.backing.changeId
    found = pages(vm, second, base.key, base.backing.changeId, base.capacityInBytes)
    assert merged(found) == written, (found, written)
    assert len(found) == len(written), "neighbours are one area"
    same = pages(vm, second, base.key, frozen.backing.changeId, base.capacityInBytes)
    assert same == [], same
    wait(second.RemoveSnapshot_Task(removeChildren=True))


def refusals(vm):
    """What must fail, and with which fault."""
    key = disks(vm.config)[0].key
    third = snapshot(vm, "third")
    for arguments, wrong in [
        ((None, key, 0, "*"), "snapshot"),  # The VM is running.
        ((third, key, 1 << 60, "*"), "startOffset"),
        ((third, 1, 0, "*"), "deviceKey"),
        ((third, key, 0, "nonsense"), "changeId"),
    ]:
        fault = fails_with(vmodl.fault.InvalidArgument, lambda: vm.QueryChangedDiskAreas(*arguments))
        assert fault.invalidProperty == wrong, fault
    wait(third.RemoveSnapshot_Task(removeChildren=False))
    fails_with(vmodl.fault.ManagedObjectNotFound, lambda: third.config)


def pages(vm, of, key, change_id, capacity):
    """All changed areas. The pages must tile the disk."""
    areas, position, count = [], 0, 0
    while position < capacity:
        page = vm.QueryChangedDiskAreas(of, key, position, change_id)
        assert page.startOffset == position and page.length > 0, page
        for area in page.changedArea:
            assert position <= area.start and area.start + area.length <= position + page.length
            areas.append((area.start, area.length))
        position += page.length
        count += 1
    assert position == capacity, position
    print(f"{len(areas)} areas in {count} pages since {change_id}", file=sys.stderr)
    return areas


def merged(areas):
    done = []
    for start, length in sorted(areas):
        if done and done[-1][0] + done[-1][1] >= start:
            done[-1] = (done[-1][0], max(done[-1][1], start + length - done[-1][0]))
        else:
            done.append((start, length))
    return done


def disks(config):
    return [it for it in config.hardware.device if isinstance(it, vim.vm.device.VirtualDisk)]


def snapshot(vm, name):
    return wait(vm.CreateSnapshot_Task(name=name, description="", memory=False, quiesce=False))


def wait(task):
    """Polls a task. Gives its result or raises its fault."""
    end = time.monotonic() + TASK_SECONDS
    while task.info.state not in ("success", "error"):
        assert time.monotonic() < end, "the task does not end"
        time.sleep(0.01)
    if task.info.state == "error":
        raise task.info.error
    return task.info.result


def fails_with(kind, call):
    try:
        call()
    except kind as fault:
        return fault
    raise AssertionError(f"no {kind.__name__}")


if __name__ == "__main__":
    main()
