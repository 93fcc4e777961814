//! What the tests share: own processes, log lines, a lab, and the calls with Rust types.

use std::ffi::{CStr, CString, c_char};
use std::path::Path;
use std::process::Command;
use std::sync::Mutex;

use lab::{DiskSpec, Entry, Lab, Machine, SiteSpec, Snapshot, SnapshotSpec, Vm, VmSpec};
use tempfile::TempDir;
use vddk_sys::{
    __va_list_tag, VixDiskLibConnectParams, VixDiskLibConnection, VixDiskLibCredType,
    VixDiskLibHandle,
};
use vixDiskLib::*;

pub(crate) const READ_ONLY: u32 = vddk_sys::VIXDISKLIB_FLAG_OPEN_READ_ONLY;

const CHILD: &str = "VIXDISKLIB_TEST_CHILD";

/// Runs a test in a process of its own: this binary again, with this test only.
pub(crate) fn in_own_process(name: &str, test: impl FnOnce()) {
    in_own_process_with(name, &[], test);
}

/// As [`in_own_process`], with environment variables.
pub(crate) fn in_own_process_with(name: &str, environment: &[(&str, &Path)], test: impl FnOnce()) {
    if std::env::var_os(CHILD).is_some_and(|child| child == name) {
        return test();
    }
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture", "--test-threads=1"])
        .env_remove("VDDK_STANDIN_LAB")
        .env(CHILD, name)
        .envs(environment.iter().copied())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{name} failed:\n{text}\n{errors}");
    assert!(text.contains("1 passed"), "{name} did not run:\n{text}");
}

unsafe extern "C" {
    fn vsnprintf(
        buffer: *mut c_char,
        size: usize,
        format: *const c_char,
        args: *mut __va_list_tag,
    ) -> i32;
}

static LOG: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// A log function that keeps the lines, and insists on a newline at the end of each.
pub(crate) unsafe extern "C" fn log(format: *const c_char, args: *mut __va_list_tag) {
    let mut buffer = [0_u8; 2048];
    // SAFETY: the buffer has this length; format and list are the library's, unread so far.
    let length = unsafe { vsnprintf(buffer.as_mut_ptr().cast(), buffer.len(), format, args) };
    assert!(length > 0);
    let text = CStr::from_bytes_until_nul(&buffer).unwrap();
    LOG.lock().unwrap().push(text.to_str().unwrap().to_owned());
}

/// The log lines so far that contain a text. Each ends in a newline.
pub(crate) fn log_lines(part: &str) -> Vec<String> {
    let log = LOG.lock().unwrap();
    assert!(log.iter().all(|line| line.ends_with('\n')), "{log:?}");
    log.iter()
        .filter(|line| line.contains(part))
        .cloned()
        .collect()
}

/// `InitEx` with the log functions above.
pub(crate) fn init(version: (u32, u32), lib_dir: Option<&Path>) -> u64 {
    init_configured(version, lib_dir, None)
}

/// As [`init`], with VDDK's configuration file.
pub(crate) fn init_configured(
    (major, minor): (u32, u32),
    lib_dir: Option<&Path>,
    config: Option<&Path>,
) -> u64 {
    let c_path = |path: Option<&Path>| path.map(|path| c_string(path.to_str()));
    let (lib_dir, config) = (c_path(lib_dir), c_path(config));
    let lend =
        |path: &Option<CString>| path.as_ref().map_or(std::ptr::null(), |path| path.as_ptr());
    let log = Some(log as _);
    // SAFETY: `log` is a log function; the strings are null or valid.
    unsafe { VixDiskLib_InitEx(major, minor, log, log, log, lend(&lib_dir), lend(&config)) }
}

/// `Exit`.
pub(crate) fn exit() {
    // SAFETY: no other call runs in these tests.
    unsafe { VixDiskLib_Exit() };
}

/// Capacity of the first disk of the lab's VM: 1 MiB and three sectors.
pub(crate) const CAPACITY_SECTORS: u64 = 2048 + 3;

/// A lab with one running VM of two disks (the second is independent) and one snapshot.
pub(crate) struct Site {
    pub(crate) folder: TempDir,
    pub(crate) lab: Lab,
    pub(crate) vm: Vm,
    pub(crate) snapshot: Snapshot,
}

impl Site {
    /// Makes the lab. The guest writes 0x11 to sector 256 before the snapshot and 0x22 after it,
    /// and 0x33 to the last sector before it.
    pub(crate) fn new() -> Self {
        Self::with(SiteSpec::default(), DiskSpec::default())
    }

    /// As [`Site::new`], in another site and with another first disk, whose capacity is set here.
    pub(crate) fn with(site: SiteSpec, first: DiskSpec) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let lab = Lab::create(&folder.path().join("lab"), site).unwrap();
        let spec = VmSpec {
            name: "app01".into(),
            disks: vec![
                DiskSpec {
                    capacity_bytes: CAPACITY_SECTORS * 512,
                    ..first
                },
                DiskSpec {
                    capacity_bytes: 1 << 20,
                    mode: "independent_persistent".into(),
                    ..DiskSpec::default()
                },
            ],
            ..VmSpec::default()
        };
        let vm = lab.add_vm(spec).unwrap();
        let key = vm.disks[0].device_key;
        let write = |sector: u64, byte: u8| {
            lab.guest_write(&vm.moref, key, sector * 512, &[byte; 512])
                .unwrap();
        };
        write(256, 0x11);
        write(CAPACITY_SECTORS - 1, 0x33);
        let snapshot = lab
            .create_snapshot(&vm.moref, &SnapshotSpec::named("s"))
            .unwrap();
        write(256, 0x22);
        let vm = lab.vm(&vm.moref).unwrap();
        Self {
            folder,
            lab,
            vm,
            snapshot,
        }
    }

    /// Initialises the library with this lab, through a `standin.toml` with more settings.
    pub(crate) fn init(&self, settings: &str) {
        self.init_configured(settings, None);
    }

    /// As [`Site::init`], with the text of VDDK's configuration file.
    pub(crate) fn init_configured(&self, settings: &str, config: Option<&str>) {
        let kit = self.folder.path().join("kit");
        std::fs::create_dir_all(&kit).unwrap();
        let text = format!("lab = '{}'\n{settings}", self.lab.root().display());
        std::fs::write(kit.join("standin.toml"), text).unwrap();
        let file = config.map(|config| {
            let file = self.folder.path().join("vddk.conf");
            std::fs::write(&file, config).unwrap();
            file
        });
        assert_eq!(init_configured((6, 5), Some(&kit), file.as_deref()), 0);
    }

    /// Correct parameters.
    pub(crate) fn params(&self) -> Params {
        Params {
            vmx_spec: Some(format!("moref={}", self.vm.moref)),
            server: Some("localhost".into()),
            thumbprint: Some(self.lab.thumbprint_sha1().unwrap()),
            user: Some("backup@vsphere.local".into()),
            password: Some("stand-in".into()),
            cred_type: VixDiskLibCredType::VIXDISKLIB_CRED_UID,
        }
    }

    /// A VM with one disk that this machine is from now on. Returns its moref.
    pub(crate) fn run_on_proxy(&self) -> String {
        self.run_on_proxy_with(DiskSpec::default())
    }

    /// As [`Site::run_on_proxy`], with another disk.
    pub(crate) fn run_on_proxy_with(&self, disk: DiskSpec) -> String {
        let spec = VmSpec {
            name: "proxy".into(),
            disks: vec![DiskSpec {
                capacity_bytes: 1 << 20,
                ..disk
            }],
            ..VmSpec::default()
        };
        let vm = self.lab.add_vm(spec).unwrap().moref;
        let machine = Machine::Proxy { vm: vm.clone() };
        self.lab.set_machine(machine).unwrap();
        vm
    }

    /// Opens the frozen first disk by a list of transports.
    pub(crate) fn open_by(&self, modes: Option<&str>) -> Result<VixDiskLibHandle, u64> {
        let snapshot = Some(self.snapshot.moref.as_str());
        let connection = connect(&self.params(), true, snapshot, modes).unwrap();
        open(connection, self.frozen(), READ_ONLY)
    }

    /// Makes a VM that is off, with one disk of 1 MiB whose first sector holds 0x44.
    pub(crate) fn add_off(&self, name: &str, disk: DiskSpec) -> Vm {
        let spec = VmSpec {
            name: name.into(),
            disks: vec![DiskSpec {
                capacity_bytes: 1 << 20,
                ..disk
            }],
            powered_on: false,
            ..VmSpec::default()
        };
        let vm = self.lab.add_vm(spec).unwrap();
        let key = vm.disks[0].device_key;
        self.lab
            .guest_write(&vm.moref, key, 0, &[0x44; 512])
            .unwrap();
        vm
    }

    /// Opens a file of another VM.
    pub(crate) fn open_of(
        &self,
        vm: &Vm,
        snapshot: Option<&str>,
        file: &str,
        modes: Option<&str>,
        flags: u32,
    ) -> Result<VixDiskLibHandle, u64> {
        let params = Params {
            vmx_spec: Some(format!("moref={}", vm.moref)),
            ..self.params()
        };
        let connection = connect(&params, flags & READ_ONLY != 0, snapshot, modes).unwrap();
        open(connection, file, flags)
    }

    /// Path of the frozen first disk.
    pub(crate) fn frozen(&self) -> &str {
        &self.snapshot.disks[0].top().unwrap().file
    }

    /// Opens the frozen first disk.
    pub(crate) fn open_frozen(&self) -> (VixDiskLibConnection, VixDiskLibHandle) {
        let connection = connect(&self.params(), true, Some(&self.snapshot.moref), None).unwrap();
        let handle = open(connection, self.frozen(), READ_ONLY).unwrap();
        (connection, handle)
    }

    /// The journal lines of one function.
    pub(crate) fn journal(&self, call: &str) -> Vec<Entry> {
        let mut entries = self.lab.journal().entries().unwrap();
        entries.retain(|entry| entry.who == "vixdisklib" && entry.call == call);
        entries
    }
}

/// Connection parameters in Rust.
#[derive(Clone)]
pub(crate) struct Params {
    pub(crate) vmx_spec: Option<String>,
    pub(crate) server: Option<String>,
    pub(crate) thumbprint: Option<String>,
    pub(crate) user: Option<String>,
    pub(crate) password: Option<String>,
    pub(crate) cred_type: VixDiskLibCredType,
}

impl Params {
    /// Lends them in their C form. The strings are overwritten and freed afterwards, so a library
    /// that keeps a pointer is found out.
    pub(crate) fn lend<R>(&self, use_them: impl FnOnce(*const VixDiskLibConnectParams) -> R) -> R {
        let texts = [
            &self.vmx_spec,
            &self.server,
            &self.thumbprint,
            &self.user,
            &self.password,
        ];
        let mut texts = texts.map(|text| {
            let text = text.as_ref()?;
            Some(CString::new(text.as_str()).unwrap().into_bytes_with_nul())
        });
        let pointers = texts.each_mut().map(|text| {
            let text = text.as_mut();
            text.map_or(std::ptr::null_mut(), |text| {
                text.as_mut_ptr().cast::<c_char>()
            })
        });
        // SAFETY: all-zero bytes are valid parameters: null pointers and numbers.
        let mut params: VixDiskLibConnectParams = unsafe { std::mem::zeroed() };
        [params.vmxSpec, params.serverName, params.thumbPrint, ..] = pointers;
        params.credType = self.cred_type;
        params.creds.uid = vddk_sys::VixDiskLibUidPasswdCreds {
            userName: pointers[3],
            password: pointers[4],
        };
        let result = use_them(&raw const params);
        for text in texts.iter_mut().flatten() {
            text.fill(b'#');
        }
        result
    }
}

fn result<T>(code: u64, value: T) -> Result<T, u64> {
    if code == 0 { Ok(value) } else { Err(code) }
}

fn c_string(text: Option<&str>) -> CString {
    CString::new(text.unwrap_or_default()).unwrap()
}

fn pointer(text: Option<&str>, c_text: &CString) -> *const c_char {
    text.map_or(std::ptr::null(), |_| c_text.as_ptr())
}

/// `ConnectEx`.
pub(crate) fn connect(
    params: &Params,
    read_only: bool,
    snapshot: Option<&str>,
    modes: Option<&str>,
) -> Result<VixDiskLibConnection, u64> {
    params.lend(|params| connect_raw(params, read_only, snapshot, modes))
}

/// `ConnectEx` for local files.
pub(crate) fn connect_local(read_only: bool) -> VixDiskLibConnection {
    connect_raw(std::ptr::null(), read_only, None, None).unwrap()
}

/// `ConnectEx` with C parameters.
pub(crate) fn connect_raw(
    params: *const VixDiskLibConnectParams,
    read_only: bool,
    snapshot: Option<&str>,
    modes: Option<&str>,
) -> Result<VixDiskLibConnection, u64> {
    let (c_snapshot, c_modes) = (c_string(snapshot), c_string(modes));
    let mut connection = std::ptr::null_mut();
    // SAFETY: all pointers are null or valid during the call.
    let code = unsafe {
        VixDiskLib_ConnectEx(
            params,
            c_char::from(read_only),
            pointer(snapshot, &c_snapshot),
            pointer(modes, &c_modes),
            &raw mut connection,
        )
    };
    result(code, connection)
}

/// `Disconnect`.
pub(crate) fn disconnect(connection: VixDiskLibConnection) -> u64 {
    // SAFETY: no other call runs on it.
    unsafe { VixDiskLib_Disconnect(connection) }
}

/// `PrepareForAccess` or `EndAccess`.
pub(crate) fn access(params: &Params, identity: &str, prepare: bool) -> u64 {
    let identity = CString::new(identity).unwrap();
    params.lend(|params| {
        if prepare {
            // SAFETY: the pointers are valid during the call.
            unsafe { VixDiskLib_PrepareForAccess(params, identity.as_ptr()) }
        } else {
            // SAFETY: the pointers are valid during the call.
            unsafe { VixDiskLib_EndAccess(params, identity.as_ptr()) }
        }
    })
}

/// `Open`.
pub(crate) fn open(
    connection: VixDiskLibConnection,
    path: &str,
    flags: u32,
) -> Result<VixDiskLibHandle, u64> {
    open_or_null(connection, Some(path), flags)
}

/// `Open`, with null for no path.
pub(crate) fn open_or_null(
    connection: VixDiskLibConnection,
    path: Option<&str>,
    flags: u32,
) -> Result<VixDiskLibHandle, u64> {
    let c_path = c_string(path);
    let mut handle = std::ptr::null_mut();
    let path = pointer(path, &c_path);
    // SAFETY: the path is null or valid during the call, and the handle is writable.
    let code = unsafe { VixDiskLib_Open(connection, path, flags, &raw mut handle) };
    result(code, handle)
}

/// `Open` on a path of this machine.
pub(crate) fn open_file(
    connection: VixDiskLibConnection,
    path: &Path,
    flags: u32,
) -> Result<VixDiskLibHandle, u64> {
    open(connection, path.to_str().unwrap(), flags)
}

/// `Close`.
pub(crate) fn close(handle: VixDiskLibHandle) -> u64 {
    // SAFETY: no other call runs on it.
    unsafe { VixDiskLib_Close(handle) }
}

/// `Read` of whole sectors, into an aligned buffer.
pub(crate) fn read(handle: VixDiskLibHandle, sector: u64, sectors: usize) -> Result<Vec<u8>, u64> {
    let mut space = vec![0xEE; (sectors + 1) * 512];
    let start = space.as_ptr().align_offset(512);
    let buffer = &mut space[start..][..sectors * 512];
    // SAFETY: the buffer has the length asked for.
    let code = unsafe { VixDiskLib_Read(handle, sector, sectors as u64, buffer.as_mut_ptr()) };
    result(code, buffer.to_vec())
}

/// `Write` of whole sectors.
pub(crate) fn write(handle: VixDiskLibHandle, sector: u64, data: &[u8]) -> u64 {
    // SAFETY: the buffer has the length given.
    unsafe { VixDiskLib_Write(handle, sector, data.len() as u64 / 512, data.as_ptr()) }
}

/// `Wait`.
pub(crate) fn wait(handle: VixDiskLibHandle) -> u64 {
    // SAFETY: a handle or anything else.
    unsafe { VixDiskLib_Wait(handle) }
}

/// `Cleanup`: its code and its counters.
pub(crate) fn clean_up(params: &Params) -> (u64, u32, u32) {
    let (mut cleaned, mut remaining) = (77, 77);
    let code = params.lend(|params| {
        // SAFETY: the pointers are valid during the call.
        unsafe { VixDiskLib_Cleanup(params, &raw mut cleaned, &raw mut remaining) }
    });
    (code, cleaned, remaining)
}

const DYING: &str = "VIXDISKLIB_TEST_DYING";

/// True in a process that [`dying`] started: it shall go there at once.
pub(crate) fn is_dying() -> bool {
    std::env::var_os(DYING).is_some()
}

/// Runs a part of a test in a process of its own, which then dies as if it were killed. `name` is
/// the test's own; in that process nothing else of the test shall run, see [`is_dying`]. The part
/// gets the lab in `root`.
pub(crate) fn dying(name: &str, root: &Path, part: impl FnOnce(Lab)) {
    if let Some(root) = std::env::var_os(DYING) {
        part(Lab::open(Path::new(&root)).unwrap());
        // SAFETY: the call has no precondition; the process ends without any clean-up.
        unsafe { libc::_exit(0) };
    }
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture", "--test-threads=1"])
        .env(CHILD, name)
        .env(DYING, root)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{name} failed:\n{text}\n{errors}");
    assert!(!text.contains("1 passed"), "{name} did not die:\n{text}");
}

/// `GetTransportMode`.
pub(crate) fn transport(handle: VixDiskLibHandle) -> String {
    // SAFETY: a handle or anything else.
    let text = unsafe { VixDiskLib_GetTransportMode(handle) };
    assert!(!text.is_null());
    // SAFETY: not null, so a static text.
    let text = unsafe { CStr::from_ptr(text) };
    text.to_str().unwrap().to_owned()
}
