//! What parameters name besides VMs: first-class disks, and folders of datastores.

use std::ffi::{CString, c_char};
use std::path::Path;
use std::ptr::null_mut;

use lab::{DatastoreKind, DatastoreSpec, DiskSpec, FirstClassDiskSpec, KitSpec, SiteSpec};
use vddk_sys::{VixDiskLibConnectParams, VixDiskLibConnection};
use vddk_sys::{VixDiskLibDatastoreSpec, VixDiskLibSpecType, VixDiskLibVStorageObjectSpec};
use vixDiskLib::*;

use crate::harness::*;
use crate::loaded::built;
use crate::local_disk::{clone, create, spec};
use crate::params::{free, text, told};
use crate::queries::allocated;

/// The managed object of the first datastore of a lab.
const DATASTORE: &str = "datastore-17";
const OTHER: &str = "datastore-18";
const CAPACITY_BYTES: u64 = CAPACITY_SECTORS * 512;

/// A `specType` and the texts of its union.
#[derive(Clone, Copy)]
struct Spec<'a> {
    kind: u32,
    texts: [Option<&'a str>; 3],
}

fn disk<'a>(id: &'a str, snapshot: Option<&'a str>) -> Spec<'a> {
    Spec {
        kind: 1,
        texts: [Some(id), Some(DATASTORE), snapshot],
    }
}

fn folder(folder: &str) -> Spec<'_> {
    Spec {
        kind: 2,
        texts: [Some(DATASTORE), Some(folder), None],
    }
}

impl Params {
    /// Lends these parameters with a spec in place of the VM. Its strings are overwritten afterwards.
    fn lend_with<R>(
        &self,
        spec: Spec<'_>,
        use_them: impl FnOnce(*const VixDiskLibConnectParams) -> R,
    ) -> R {
        let mut texts = spec
            .texts
            .map(|text| text.map(|text| CString::new(text).unwrap().into_bytes_with_nul()));
        let [first, second, third] = texts.each_mut().map(|text| {
            let text = text.as_mut();
            text.map_or(null_mut(), |text| text.as_mut_ptr().cast::<c_char>())
        });
        let without_vm = Params {
            vmx_spec: None,
            ..self.clone()
        };
        let result = without_vm.lend(|params| {
            // SAFETY: valid for 128 bytes, and plain data.
            let mut params = unsafe { params.read() };
            params.specType = VixDiskLibSpecType(spec.kind);
            if spec.kind == 2 {
                params.spec.dsSpec = VixDiskLibDatastoreSpec {
                    datastoreMoRef: first,
                    diskFolder: second,
                };
            } else {
                params.spec.vStorageObjSpec = VixDiskLibVStorageObjectSpec {
                    id: first,
                    datastoreMoRef: second,
                    ssId: third,
                };
            }
            use_them(&raw const params)
        });
        for text in texts.iter_mut().flatten() {
            text.fill(b'#');
        }
        result
    }
}

impl Site {
    /// `ConnectEx` for a spec.
    fn connect_for(
        &self,
        spec: Spec<'_>,
        read_only: bool,
        modes: Option<&str>,
    ) -> Result<VixDiskLibConnection, u64> {
        self.params().lend_with(spec, |params| {
            connect_raw(params, read_only, Some(""), modes)
        })
    }

    /// A first-class disk whose sector 256 holds 0x11 and whose last one holds 0x33.
    fn add_first_class_disk(&self) -> String {
        let spec = FirstClassDiskSpec {
            capacity_bytes: CAPACITY_BYTES,
            ..FirstClassDiskSpec::default()
        };
        let id = self.lab.add_first_class_disk(spec).unwrap().id;
        for (sector, byte) in [(256, 0x11), (CAPACITY_SECTORS - 1, 0x33)] {
            self.lab
                .write_first_class_disk(&id, sector * 512, &[byte; 512])
                .unwrap();
        }
        id
    }

    /// Makes the folder `loose` with `a.vmdk` in it, of 700 sectors; sector 650 holds 0x55. Returns
    /// its datastore path.
    fn add_loose_disk(&self) -> String {
        let folder = self.lab.root().join("datastores/datastore1/loose");
        std::fs::create_dir(&folder).unwrap();
        let path = self.folder.path().join("local.vmdk");
        let local = connect_local(false);
        assert_eq!(create(local, &path, &spec(1, 700)), 0);
        let disk = open_file(local, &path, 0).unwrap();
        assert_eq!(write(disk, 650, &[0x55; 512]), 0);
        assert_eq!(close(disk), 0);
        let loose = "[datastore1] loose/a.vmdk".to_owned();
        let remote = self.connect_for(super::specs::folder("loose"), false, None);
        let to = (remote.unwrap(), Path::new(&loose));
        assert_eq!(clone(to, (local, &path), None, false), 0);
        loose
    }
}

#[test]
fn a_first_class_disk_is_read_and_written() {
    in_own_process("specs::a_first_class_disk_is_read_and_written", || {
        let site = Site::new();
        site.init("");
        let id = site.add_first_class_disk();
        let connection = site.connect_for(disk(&id, None), false, None).unwrap();
        let handle = open_or_null(connection, None, 0).unwrap();
        assert_eq!(transport(handle), "nbdssl");
        assert_eq!(read(handle, 256, 1).unwrap(), [0x11; 512]);
        assert_eq!(read(handle, CAPACITY_SECTORS - 1, 1).unwrap(), [0x33; 512]);
        assert_eq!(read(handle, CAPACITY_SECTORS, 1), Err(16007));
        assert_eq!(allocated(handle, 0, 2048, 128), Ok(vec![(256, 128)]));
        assert_eq!(write(handle, 700, &[0x66; 512]), 0);
        assert_eq!(read(handle, 700, 1).unwrap(), [0x66; 512]);
        // One writer excludes all others.
        let again = |flags| open_or_null(connection, None, flags).map(close);
        assert_eq!((again(0), again(READ_ONLY)), (Err(15), Err(15)));
        assert_eq!(close(handle), 0);
        assert_eq!(again(READ_ONLY), Ok(0));

        let reading = site
            .connect_for(disk(&id, None), true, Some("nbd"))
            .unwrap();
        let handle = open_or_null(reading, None, 0).unwrap();
        assert_eq!(transport(handle), "nbd");
        assert_eq!(write(handle, 0, &[0; 512]), 11);
        assert_eq!(close(handle), 0);
        exit();

        let mut seen = [0; 512];
        site.lab
            .read_first_class_disk(&id, None, 700 * 512, &mut seen)
            .unwrap();
        assert_eq!(seen, [0x66; 512]);
        let opened = &site.journal("VixDiskLib_Open")[0];
        assert!(opened.args["path"].is_null());
        assert_eq!(site.journal("VixDiskLib_Read")[0].args["path"], *id);
        let connected = &site.journal("VixDiskLib_ConnectEx")[0];
        assert_eq!(connected.args["disk"], *id);
        assert_eq!(connected.args["datastore"], DATASTORE);
    });
}

#[test]
fn the_path_of_a_first_class_disk_does_not_matter() {
    let name = "specs::the_path_of_a_first_class_disk_does_not_matter";
    in_own_process(name, || {
        let site = Site::new();
        site.init("");
        let id = site.add_first_class_disk();
        let connection = site.connect_for(disk(&id, Some("")), true, None).unwrap();
        for path in [None, Some(""), Some(site.frozen()), Some("/etc/passwd")] {
            let handle = open_or_null(connection, path, READ_ONLY).unwrap();
            assert_eq!(read(handle, CAPACITY_SECTORS - 1, 1).unwrap(), [0x33; 512]);
            assert_eq!(close(handle), 0);
        }
        // Elsewhere there must be one.
        let vm = connect(&site.params(), true, Some(&site.snapshot.moref), None).unwrap();
        assert_eq!(open_or_null(vm, None, READ_ONLY), Err(3));
        assert_eq!(open_or_null(connect_local(true), None, READ_ONLY), Err(3));
        exit();
    });
}

#[test]
fn a_snapshot_of_a_first_class_disk_is_read_as_it_was() {
    let name = "specs::a_snapshot_of_a_first_class_disk_is_read_as_it_was";
    in_own_process(name, || {
        let site = Site::new();
        site.init("");
        let id = site.add_first_class_disk();
        let frozen = site.lab.snapshot_first_class_disk(&id).unwrap();
        let snapshot = frozen.snapshots[0].id.as_str();
        site.lab
            .write_first_class_disk(&id, 256 * 512, &[0x22; 512])
            .unwrap();

        let of_snapshot = site
            .connect_for(disk(&id, Some(snapshot)), false, None)
            .unwrap();
        let now = site.connect_for(disk(&id, None), false, None).unwrap();
        assert_eq!(open_or_null(of_snapshot, None, 0), Err(11));
        let old = open_or_null(of_snapshot, None, READ_ONLY).unwrap();
        // The disk itself goes on while its snapshot is read.
        let new = open_or_null(now, None, 0).unwrap();
        assert_eq!(read(old, 256, 1).unwrap(), [0x11; 512]);
        assert_eq!(read(new, 256, 1).unwrap(), [0x22; 512]);
        assert_eq!(write(new, 257, &[0x44; 512]), 0);
        assert_eq!(read(old, 257, 1).unwrap(), [0; 512]);
        assert_eq!(write(old, 257, &[0; 512]), 11);
        assert_eq!((close(new), close(old)), (0, 0));

        let unknown = site
            .connect_for(disk(&id, Some("none")), true, None)
            .unwrap();
        assert_eq!(open_or_null(unknown, None, READ_ONLY), Err(13003));
        exit();
    });
}

#[test]
fn wrong_names_of_first_class_disks_are_refused() {
    let name = "specs::wrong_names_of_first_class_disks_are_refused";
    in_own_process(name, || {
        let datastores = [
            DatastoreSpec::new("datastore1", DatastoreKind::Vmfs),
            DatastoreSpec::new("other", DatastoreKind::Nfs),
        ];
        let site = SiteSpec::default().with_datastores(datastores);
        let site = Site::with(site, DiskSpec::default());
        site.init("");
        let id = site.add_first_class_disk();
        let connected = |texts| {
            let spec = Spec { kind: 1, texts };
            site.connect_for(spec, true, None)
        };
        for (texts, code) in [
            ([None, Some(DATASTORE), None], 3),
            ([Some(""), Some(DATASTORE), None], 3),
            ([Some(&*id), None, None], 3),
            ([Some(&*id), Some(""), None], 3),
            ([Some(&*id), Some("datastore-1"), None], 25),
            ([Some(&*id), Some("datastore1"), None], 25),
        ] {
            assert_eq!(connected(texts), Err(code), "{texts:?}");
        }
        // Missing disks show when they are opened.
        for (id, datastore) in [("fcd-1", DATASTORE), ("../site", DATASTORE), (&*id, OTHER)] {
            let connection = connected([Some(id), Some(datastore), None]).unwrap();
            assert_eq!(open_or_null(connection, None, READ_ONLY), Err(4), "{id}");
        }
        let snapshot = Some(site.snapshot.moref.as_str());
        let of_a_vm = |params| connect_raw(params, true, snapshot, None);
        let code = site.params().lend_with(disk(&id, None), of_a_vm);
        assert_eq!(code, Err(3), "a snapshot of a VM");
        let wrong = Params {
            password: Some("geheim".into()),
            ..site.params()
        };
        let code = wrong.lend_with(disk(&id, None), |params| {
            connect_raw(params, true, None, None)
        });
        assert_eq!(code, Err(35));
        let wrong = Params {
            thumbprint: None,
            ..site.params()
        };
        let connection = wrong.lend_with(disk(&id, None), |params| {
            connect_raw(params, true, None, None)
        });
        assert_eq!(open_or_null(connection.unwrap(), None, READ_ONLY), Err(1));
        let single_link = READ_ONLY | vddk_sys::VIXDISKLIB_FLAG_OPEN_SINGLE_LINK;
        let connection = site.connect_for(disk(&id, None), true, None).unwrap();
        assert_eq!(open_or_null(connection, None, single_link), Err(20));
        exit();
    });
}

#[test]
fn what_belongs_to_no_vm_comes_over_the_network() {
    let name = "specs::what_belongs_to_no_vm_comes_over_the_network";
    in_own_process(name, || {
        let lun = DatastoreSpec::new("datastore1", DatastoreKind::Vmfs).seen_at("/dev/sdb");
        let site = SiteSpec::default().with_datastores([lun]);
        let site = Site::with(site, DiskSpec::default());
        site.init("");
        let id = site.add_first_class_disk();
        let loose = site.add_loose_disk();
        for (spec, path) in [(disk(&id, None), None), (folder("loose"), Some(&*loose))] {
            let by = |modes| -> Result<String, u64> {
                let connection = site.connect_for(spec, true, Some(modes)).unwrap();
                let handle = open_or_null(connection, path, READ_ONLY)?;
                let transport = transport(handle);
                assert_eq!(close(handle), 0);
                Ok(transport)
            };
            assert_eq!(by("san"), Err(16065));
            assert_eq!(by("san:nbdssl"), Ok("nbdssl".to_owned()));
            assert_eq!(by("san:hotadd:nbd"), Ok("nbd".to_owned()));
            assert_eq!(by("file"), Err(6));
        }
        exit();
    });
}

#[test]
fn a_disk_of_a_folder_is_attached_to_the_proxy() {
    let name = "specs::a_disk_of_a_folder_is_attached_to_the_proxy";
    in_own_process(name, || {
        let site = Site::new();
        let proxy = site.run_on_proxy();
        site.init("");
        let loose = site.add_loose_disk();
        let devices = || site.lab.vm(&proxy).unwrap().disks.len();
        let connection = site.connect_for(folder("loose"), false, Some("hotadd"));
        let connection = connection.unwrap();
        for (flags, written) in [(READ_ONLY, 11), (0, 0)] {
            let handle = open(connection, &loose, flags).unwrap();
            assert_eq!((&*transport(handle), devices()), ("hotadd", 2));
            assert_eq!(read(handle, 650, 1).unwrap(), [0x55; 512]);
            assert_eq!(write(handle, 7, &[0x77; 512]), written);
            assert_eq!(open(connection, &loose, READ_ONLY), Err(15), "attached");
            assert_eq!((close(handle), devices()), (0, 1));
        }
        let handle = open(connection, &loose, READ_ONLY).unwrap();
        assert_eq!(read(handle, 7, 1).unwrap(), [0x77; 512]);
        assert_eq!(disconnect(connection), 0);
        assert_eq!(devices(), 1);

        let id = site.add_first_class_disk();
        let connection = site.connect_for(disk(&id, None), true, Some("hotadd"));
        let opened = open_or_null(connection.unwrap(), None, READ_ONLY);
        assert_eq!(opened, Err(16065));
        exit();
    });
}

#[test]
fn a_folder_is_read_written_and_cloned_into() {
    in_own_process("specs::a_folder_is_read_written_and_cloned_into", || {
        let site = Site::new();
        site.init("");
        let path = site.add_loose_disk();
        let connection = site.connect_for(folder("loose"), false, None).unwrap();
        let handle = open(connection, &path, 0).unwrap();
        assert_eq!(transport(handle), "nbdssl");
        assert_eq!(read(handle, 650, 1).unwrap(), [0x55; 512]);
        assert_eq!(write(handle, 0, &[0x77; 512]), 0);
        assert_eq!(open(connection, &path, READ_ONLY), Err(15), "one writer");
        assert_eq!(close(handle), 0);
        let handle = open(connection, &path, READ_ONLY).unwrap();
        assert_eq!(read(handle, 0, 1).unwrap(), [0x77; 512]);
        assert_eq!(close(handle), 0);

        let local = connect_local(false);
        let copy = site.folder.path().join("copy.vmdk");
        let from = (connection, Path::new(&path));
        assert_eq!(clone((local, &copy), from, Some(&spec(1, 0)), false), 0);
        let handle = open_file(local, &copy, READ_ONLY).unwrap();
        assert_eq!(read(handle, 650, 1).unwrap(), [0x55; 512]);
        assert_eq!(close(handle), 0);
        let to = |connection, path: &str| {
            clone((connection, Path::new(path)), (local, &copy), None, false)
        };
        assert_eq!(to(connection, "[datastore1] loose/b.vmdk"), 0);
        assert_eq!(to(connection, "[datastore1] loose/b.vmdk"), 12);
        assert_eq!(to(connection, "[datastore1] app01/b.vmdk"), 4, "elsewhere");
        let id = site.add_first_class_disk();
        let disk = site.connect_for(disk(&id, None), false, None).unwrap();
        assert_eq!(to(disk, "[datastore1] loose/c.vmdk"), 6);
        let from = (disk, Path::new(""));
        let copy = site.folder.path().join("disk.vmdk");
        assert_eq!(clone((local, &copy), from, Some(&spec(1, 0)), false), 0);
        let handle = open_file(local, &copy, READ_ONLY).unwrap();
        assert_eq!(read(handle, 256, 1).unwrap(), [0x11; 512]);
        assert_eq!(close(handle), 0);
        assert_eq!(create(disk, &copy, &spec(1, 8)), 20, "local only");
        exit();
    });
}

#[test]
fn a_folder_has_its_own_disks_only() {
    in_own_process("specs::a_folder_has_its_own_disks_only", || {
        let site = Site::new();
        site.init("");
        let path = site.add_loose_disk();
        let id = site.add_first_class_disk();
        let code = |texts| {
            let spec = Spec { kind: 2, texts };
            site.connect_for(spec, true, None).err()
        };
        assert_eq!(code([None, Some("loose"), None]), Some(3));
        assert_eq!(code([Some(DATASTORE), None, None]), Some(3));
        assert_eq!(code([Some(DATASTORE), Some(""), None]), Some(3));
        assert_eq!(code([Some("datastore-1"), Some("loose"), None]), Some(25));
        let opened = |name: &str, path: Option<&str>| {
            let connection = site.connect_for(folder(name), true, None).unwrap();
            open_or_null(connection, path, READ_ONLY).map(close)
        };
        assert_eq!(opened("loose", Some(&path)), Ok(0));
        assert_eq!(opened("loose/", Some(&path)), Ok(0));
        assert_eq!(opened("loose", None), Err(3));
        for elsewhere in [
            "a.vmdk",
            "loose/a.vmdk",
            "[datastore1] loose/b.vmdk",
            "[datastore1] loose/../loose/a.vmdk",
            "[other] loose/a.vmdk",
            site.frozen(),
        ] {
            assert_eq!(opened("loose", Some(elsewhere)), Err(4), "{elsewhere}");
        }
        for name in ["loo", "..", "none", "loose/.."] {
            assert_eq!(opened(name, Some(&path)), Err(4), "{name}");
        }
        // What a VM or a first-class disk has.
        assert_eq!(opened("app01", Some(site.frozen())), Err(15));
        let first_class = format!("[datastore1] fcd/{id}.vmdk");
        assert_eq!(opened("fcd", Some(&first_class)), Err(15));
        exit();
    });
}

#[test]
fn access_is_prepared_for_a_first_class_disk_but_for_no_folder() {
    let name = "specs::access_is_prepared_for_a_first_class_disk_but_for_no_folder";
    in_own_process(name, || {
        let site = Site::new();
        site.init("");
        let id = site.add_first_class_disk();
        let code = |spec, prepare| {
            site.params().lend_with(spec, |params| {
                if prepare {
                    // SAFETY: valid pointers.
                    unsafe { VixDiskLib_PrepareForAccess(params, c"test".as_ptr()) }
                } else {
                    // SAFETY: valid pointers.
                    unsafe { VixDiskLib_EndAccess(params, c"test".as_ptr()) }
                }
            })
        };
        // As gvddk does it, which goes on only if it succeeds.
        assert_eq!(
            (code(disk(&id, None), true), code(disk(&id, None), false)),
            (0, 0)
        );
        assert_eq!(code(disk("fcd-1", None), true), 4);
        assert_eq!(
            (code(folder("loose"), true), code(folder("loose"), false)),
            (3, 3)
        );
        assert!(
            site.lab
                .vm(&site.vm.moref)
                .unwrap()
                .disabled_methods
                .is_empty()
        );
        exit();
    });
}

#[test]
fn a_connection_tells_its_spec() {
    in_own_process("specs::a_connection_tells_its_spec", || {
        let site = Site::new();
        site.init("");
        let id = site.add_first_class_disk();
        for spec in [disk(&id, None), disk(&id, Some("s")), folder("loose")] {
            let connection = site.connect_for(spec, true, None).unwrap();
            let object = told(connection).unwrap();
            // SAFETY: the object is 128 bytes long and not freed.
            let params = unsafe { object.read() };
            assert_eq!(params.specType.0, spec.kind);
            assert!(params.vmxSpec.is_null());
            // SAFETY: all members of the union are pointers, and this is the longest.
            let texts = unsafe { params.spec.vStorageObjSpec };
            let texts = [texts.id, texts.datastoreMoRef, texts.ssId].map(|found| text(found));
            assert_eq!(texts.each_ref().map(Option::as_deref), spec.texts);
            assert_eq!(text(params.serverName), site.params().server);
            free(object);
        }
        exit();
    });
}

#[test]
fn cleaning_up_does_not_look_behind_80_bytes() {
    in_own_process("specs::cleaning_up_does_not_look_behind_80_bytes", || {
        let site = Site::new();
        site.init("");
        let without_vm = Params {
            vmx_spec: None,
            ..site.params()
        };
        without_vm.lend(|params| {
            // SAFETY: valid for 128 bytes.
            let mut odd = unsafe { params.cast::<[u64; 16]>().read() };
            odd[12..15].fill(0xDEAD_BEEF_0BAD_F00D);
            for spec_type in [0, 1, 2, u32::MAX] {
                odd[15] = u64::from(spec_type);
                // SAFETY: null counters are allowed, and the parameters are valid.
                let code =
                    unsafe { VixDiskLib_Cleanup(odd.as_ptr().cast(), null_mut(), null_mut()) };
                assert_eq!(code, 0, "{spec_type}");
            }
        });
        exit();
    });
}

#[test]
fn older_releases_know_no_folders() {
    in_own_process("specs::older_releases_know_no_folders", || {
        let site = Site::new();
        let id = site.add_first_class_disk();
        let kind = KitSpec {
            major: 7,
            ..KitSpec::default()
        };
        let kit = site.lab.install_kit_as(&built(), &kind).unwrap();
        let library = vddk_sys::load(Some(&kit)).unwrap();
        assert_eq!(library.major(), Some(7));
        let symbols = library.symbols();
        let null = std::ptr::null();
        // SAFETY: null or valid pointers.
        let code = unsafe { symbols.VixDiskLib_InitEx(6, 5, None, None, None, null, null) };
        assert_eq!(code, 0);
        let connected = |spec| {
            site.params().lend_with(spec, |params| {
                let mut connection = null_mut();
                // SAFETY: null or valid pointers.
                unsafe { symbols.VixDiskLib_ConnectEx(params, 1, null, null, &raw mut connection) }
            })
        };
        assert_eq!(connected(disk(&id, None)), 0);
        assert_eq!(connected(folder("loose")), 6);
        // SAFETY: no other call runs.
        unsafe { symbols.VixDiskLib_Exit() };
    });
}
