//! The C functions, each in the thinnest Rust form, so that a check sees what a C program sees.

use std::{
    ffi::{CStr, CString, c_char, c_void},
    path::{Path, PathBuf},
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    time::Duration,
};

use vddk::SectorBuf;
use vddk_sys::{
    __va_list_tag, Loaded, MissingFunction, Symbols, VixDiskLibAdapterType,
    VixDiskLibConnectParams, VixDiskLibConnection, VixDiskLibCreateParams, VixDiskLibCredType,
    VixDiskLibDiskType, VixDiskLibHandle, VixDiskLibUidPasswdCreds,
};

use crate::options::Server;

/// Why a check does not end with "as expected".
#[derive(Debug)]
pub(crate) enum No {
    /// What was seen instead.
    Deviates(String),
    /// Why it was not asked.
    Skip(String),
}

/// What was seen, when it was as expected.
pub(crate) type Seen = Result<String, No>;

impl From<MissingFunction> for No {
    fn from(missing: MissingFunction) -> Self {
        Self::Skip(format!("the library has no {}", missing.function.name))
    }
}

impl From<vddk::Error> for No {
    fn from(error: vddk::Error) -> Self {
        Self::Deviates(error.to_string())
    }
}

impl From<std::io::Error> for No {
    fn from(error: std::io::Error) -> Self {
        Self::Deviates(error.to_string())
    }
}

/// Insists on a code.
pub(crate) fn expect(seen: u64, wanted: u32) -> Seen {
    expect_one_of(seen, &[wanted])
}

/// Insists on one of several codes.
pub(crate) fn expect_one_of(seen: u64, wanted: &[u32]) -> Seen {
    let code = (seen & 0xFFFF) as u32;
    if wanted.contains(&code) {
        Ok(format!("code {code}"))
    } else {
        Err(No::Deviates(format!("code {code}")))
    }
}

/// Insists on success.
pub(crate) fn ok(seen: u64) -> Result<(), No> {
    expect(seen, 0).map(|_| ())
}

/// Insists on a fact.
pub(crate) fn is(fact: bool, seen: impl Into<String>) -> Seen {
    if fact {
        Ok(seen.into())
    } else {
        Err(No::Deviates(seen.into()))
    }
}

static LINES: AtomicUsize = AtomicUsize::new(0);
static LAST: Mutex<String> = Mutex::new(String::new());

unsafe extern "C" {
    fn vsnprintf(
        buffer: *mut c_char,
        size: usize,
        format: *const c_char,
        args: *mut __va_list_tag,
    ) -> i32;
}

/// A log function that counts, and keeps the last line.
unsafe extern "C" fn log(format: *const c_char, args: *mut __va_list_tag) {
    let mut line = [0_u8; 1024];
    // SAFETY: the buffer is as long as said; format and arguments are the library's, for this call.
    let length = unsafe { vsnprintf(line.as_mut_ptr().cast(), line.len(), format, args) };
    LINES.fetch_add(1, Ordering::Relaxed);
    if let (true, Ok(mut last), Ok(text)) =
        (length >= 0, LAST.lock(), CStr::from_bytes_until_nul(&line))
    {
        *last = text.to_string_lossy().into_owned();
    }
}

/// How many log lines came, and the last one.
pub(crate) fn log_lines() -> (usize, String) {
    let last = LAST.lock().map(|line| line.clone()).unwrap_or_default();
    (LINES.load(Ordering::Relaxed), last)
}

/// The loaded library and a folder for its disks.
pub(crate) struct Api {
    loaded: Loaded,
    folder: tempfile::TempDir,
}

/// Sectors of the disks that checks make: no whole number of 64 KiB chunks.
pub(crate) const SECTORS: u64 = 4096 + 3;

/// An open local disk of [`SECTORS`], and what it came from.
pub(crate) struct Local {
    pub(crate) connection: VixDiskLibConnection,
    pub(crate) handle: VixDiskLibHandle,
    pub(crate) path: PathBuf,
}

/// A request that was made.
pub(crate) struct Asked {
    /// The answer of the call.
    pub(crate) code: u64,
    results: mpsc::Receiver<u64>,
    buf: *const SectorBuf,
}

impl Asked {
    pub(crate) fn is_accepted(&self) -> bool {
        expect(self.code, vddk_sys::VIX_ASYNC).is_ok()
    }

    /// Insists that the call accepted the request.
    pub(crate) fn accepted(self) -> Result<Self, No> {
        expect(self.code, vddk_sys::VIX_ASYNC)?;
        Ok(self)
    }

    /// The result of the completion and the bytes read, if it comes in time.
    pub(crate) fn result(&self, limit: Duration) -> Option<(u64, Vec<u8>)> {
        let result = self.results.recv_timeout(limit).ok()?;
        // SAFETY: the buffer is never freed, and the library left it when it called the completion.
        let bytes = unsafe { (*self.buf).to_vec() };
        Some((result, bytes))
    }
}

impl Api {
    pub(crate) fn load(libdir: &Path) -> Result<Self, No> {
        let loaded =
            vddk_sys::load(Some(libdir)).map_err(|error| No::Deviates(error.to_string()))?;
        let folder = tempfile::tempdir()?;
        Ok(Self { loaded, folder })
    }

    pub(crate) fn symbols(&self) -> &Symbols {
        self.loaded.symbols()
    }

    pub(crate) fn major(&self) -> Option<u32> {
        self.loaded.major()
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// `InitEx` for an interface.
    pub(crate) fn init_as(&self, major: u32, minor: u32) -> u64 {
        let kit = c_path(self.loaded.kit());
        let function = Some(log as _);
        // SAFETY: the log function lives for ever, the path through the call; once a process.
        unsafe {
            self.symbols().VixDiskLib_InitEx(
                major,
                minor,
                function,
                function,
                function,
                kit.as_ptr(),
                std::ptr::null(),
            )
        }
    }

    pub(crate) fn init(&self) -> Result<(), No> {
        ok(self.init_as(6, 5))
    }

    pub(crate) fn error_text(&self, code: u64) -> Option<String> {
        // SAFETY: any value in any state; the locale must be NULL.
        let text = unsafe {
            self.symbols()
                .VixDiskLib_GetErrorText(code, std::ptr::null())
        };
        let owned = text_of(text);
        // SAFETY: from GetErrorText, freed once; NULL is accepted (reference, 1.10).
        unsafe { self.symbols().VixDiskLib_FreeErrorText(text) };
        owned
    }

    /// `ConnectEx` with parameters that are all zero.
    pub(crate) fn connect_local(&self, read_only: bool) -> Result<VixDiskLibConnection, u64> {
        // SAFETY: all-zero is valid: NULL pointers and numbers.
        let params: VixDiskLibConnectParams = unsafe { std::mem::zeroed() };
        self.connect_with(&params, read_only, None, None)
    }

    pub(crate) fn connect_with(
        &self,
        params: &VixDiskLibConnectParams,
        read_only: bool,
        snapshot: Option<&CStr>,
        modes: Option<&CStr>,
    ) -> Result<VixDiskLibConnection, u64> {
        let mut connection = std::ptr::null_mut();
        let pointer = |text: Option<&CStr>| text.map_or(std::ptr::null(), CStr::as_ptr);
        // SAFETY: everything lives through the call, and checks keep it longer where it matters.
        let code = unsafe {
            self.symbols().VixDiskLib_ConnectEx(
                params,
                c_char::from(read_only),
                pointer(snapshot),
                pointer(modes),
                &raw mut connection,
            )
        };
        if code == 0 { Ok(connection) } else { Err(code) }
    }

    pub(crate) fn disconnect(&self, connection: VixDiskLibConnection) -> u64 {
        // SAFETY: from ConnectEx, its disks are closed.
        unsafe { self.symbols().VixDiskLib_Disconnect(connection) }
    }

    pub(crate) fn create(
        &self,
        connection: VixDiskLibConnection,
        path: &Path,
        sectors: u64,
        kind: VixDiskLibDiskType,
    ) -> u64 {
        let params = create_params(sectors, kind);
        let path = c_path(path);
        // SAFETY: path and parameters live through the call; progress may be NULL (reference, 1.9).
        unsafe {
            self.symbols().VixDiskLib_Create(
                connection,
                path.as_ptr(),
                &raw const params,
                None,
                std::ptr::null_mut(),
            )
        }
    }

    pub(crate) fn open(
        &self,
        connection: VixDiskLibConnection,
        path: &Path,
        flags: u32,
    ) -> Result<VixDiskLibHandle, u64> {
        let mut handle = std::ptr::null_mut();
        let path = c_path(path);
        // SAFETY: the connection is open, the path lives through the call.
        let code = unsafe {
            self.symbols()
                .VixDiskLib_Open(connection, path.as_ptr(), flags, &raw mut handle)
        };
        if code == 0 { Ok(handle) } else { Err(code) }
    }

    pub(crate) fn close(&self, handle: VixDiskLibHandle) -> u64 {
        // SAFETY: from Open, closed once.
        unsafe { self.symbols().VixDiskLib_Close(handle) }
    }

    /// Starts the library and opens a fresh local disk.
    pub(crate) fn local(&self, flags: u32) -> Result<Local, No> {
        self.init()?;
        let path = self.file("disk.vmdk");
        let kind = VixDiskLibDiskType::VIXDISKLIB_DISK_MONOLITHIC_SPARSE;
        let connection = self.connect_local(false).map_err(failed("ConnectEx"))?;
        match self.create(connection, &path, SECTORS, kind) {
            0 => {}
            code => return Err(failed("Create")(code)),
        }
        let handle = self
            .open(connection, &path, flags)
            .map_err(failed("Open"))?;
        Ok(Local {
            connection,
            handle,
            path,
        })
    }

    /// The transport of an open disk; `None` for NULL.
    pub(crate) fn transport(&self, handle: VixDiskLibHandle) -> Option<String> {
        // SAFETY: the handle is open.
        text_of(unsafe { self.symbols().VixDiskLib_GetTransportMode(handle) })
    }

    pub(crate) fn read(&self, handle: VixDiskLibHandle, sector: u64, buf: &mut SectorBuf) -> u64 {
        let sectors = buf.sectors() as u64;
        // SAFETY: the handle is open, and the buffer has that many sectors.
        unsafe {
            self.symbols()
                .VixDiskLib_Read(handle, sector, sectors, buf.as_mut_ptr())
        }
    }

    pub(crate) fn write(&self, handle: VixDiskLibHandle, sector: u64, buf: &SectorBuf) -> u64 {
        let sectors = buf.sectors() as u64;
        // SAFETY: as above; the bytes are only read.
        unsafe {
            self.symbols()
                .VixDiskLib_Write(handle, sector, sectors, buf.as_ptr())
        }
    }

    /// `ReadAsync`. Buffer and channel are never freed: a library that deviates may complete a
    /// request that it refused, twice, or after the check has ended.
    pub(crate) fn read_async(
        &self,
        handle: VixDiskLibHandle,
        sector: u64,
        buf: SectorBuf,
    ) -> Asked {
        let (done, results) = mpsc::channel();
        let done = Box::into_raw(Box::new(done));
        let mut buf = Box::new(buf);
        // The bytes are elsewhere and stay where they are.
        let (pointer, sectors) = (buf.as_mut_ptr(), buf.sectors() as u64);
        let buf: *const SectorBuf = Box::into_raw(buf);
        // SAFETY: the handle is open; buffer and channel live as long as the process.
        let code = unsafe {
            self.symbols().VixDiskLib_ReadAsync(
                handle,
                sector,
                sectors,
                pointer,
                Some(completed),
                done.cast(),
            )
        };
        Asked { code, results, buf }
    }

    pub(crate) fn wait(&self, handle: VixDiskLibHandle) -> u64 {
        // SAFETY: the handle is open.
        unsafe { self.symbols().VixDiskLib_Wait(handle) }
    }

    /// The allocated runs, or the code.
    pub(crate) fn allocated(
        &self,
        handle: VixDiskLibHandle,
        start: u64,
        sectors: u64,
        chunk: u64,
    ) -> Result<Result<Vec<(u64, u64)>, u64>, No> {
        let mut list = std::ptr::null_mut();
        // SAFETY: the handle is open and idle.
        let code = unsafe {
            self.symbols().VixDiskLib_QueryAllocatedBlocks(
                handle,
                start,
                sectors,
                chunk,
                &raw mut list,
            )
        }?;
        if code != 0 {
            return Ok(Err(code));
        }
        if list.is_null() {
            return Err(No::Deviates("success and no list".to_owned()));
        }
        // SAFETY: a list of the library's, until it is freed.
        let count = unsafe { (*list).numBlocks };
        if count > 1 << 20 {
            return Err(No::Deviates(format!("a list of {count} runs")));
        }
        // SAFETY: as above.
        let first = unsafe { (&raw const (*list).blocks).cast::<vddk_sys::VixDiskLibBlock>() };
        let runs = (0..count as usize)
            .map(|index| {
                // SAFETY: below the count that the list tells.
                let run = unsafe { first.wrapping_add(index).read() };
                (run.offset, run.length)
            })
            .collect();
        // SAFETY: freed once.
        unsafe { self.symbols().VixDiskLib_FreeBlockList(list) }?;
        Ok(Ok(runs))
    }

    /// `ReadMetadata`: code and required length.
    pub(crate) fn read_metadata(
        &self,
        handle: VixDiskLibHandle,
        key: &CStr,
        buf: &mut [u8],
    ) -> Result<(u64, usize), No> {
        let mut required = 0;
        let pointer = if buf.is_empty() {
            std::ptr::null_mut()
        } else {
            buf.as_mut_ptr().cast()
        };
        // SAFETY: the handle is open; buffer and length belong together.
        let code = unsafe {
            self.symbols().VixDiskLib_ReadMetadata(
                handle,
                key.as_ptr(),
                pointer,
                buf.len(),
                &raw mut required,
            )
        }?;
        Ok((code, required))
    }

    /// `GetMetadataKeys`: code and required length.
    pub(crate) fn metadata_keys(
        &self,
        handle: VixDiskLibHandle,
        buf: &mut [u8],
    ) -> Result<(u64, usize), No> {
        let mut required = 0;
        let pointer = if buf.is_empty() {
            std::ptr::null_mut()
        } else {
            buf.as_mut_ptr().cast()
        };
        // SAFETY: as above.
        let code = unsafe {
            self.symbols()
                .VixDiskLib_GetMetadataKeys(handle, pointer, buf.len(), &raw mut required)
        }?;
        Ok((code, required))
    }
}

/// Lends the parameters of a server.
pub(crate) fn with_server<R>(
    server: &Server,
    use_them: impl FnOnce(&VixDiskLibConnectParams) -> R,
) -> R {
    let password = std::env::var("CONFORMANCE_PASSWORD").unwrap_or_default();
    let texts = [
        format!("moref={}", server.vm),
        server.name.clone(),
        server.thumbprint.clone(),
        server.user.clone(),
        password,
    ]
    .map(|text| CString::new(text).unwrap_or_default());
    let [vm, name, thumbprint, user, password] = texts.each_ref().map(|text| {
        // The library reads them only; C has no const here.
        text.as_ptr().cast_mut()
    });
    // SAFETY: all-zero is valid: NULL pointers and numbers.
    let mut params: VixDiskLibConnectParams = unsafe { std::mem::zeroed() };
    params.vmxSpec = vm;
    params.serverName = name;
    params.thumbPrint = thumbprint;
    params.credType = VixDiskLibCredType::VIXDISKLIB_CRED_UID;
    params.creds.uid = VixDiskLibUidPasswdCreds {
        userName: user,
        password,
    };
    use_them(&params)
}

/// Tells the result of a request.
unsafe extern "C" fn completed(data: *mut c_void, result: u64) {
    // SAFETY: the pointer is that of `read_async`, whose channel is never freed.
    let done = unsafe { &*data.cast::<mpsc::Sender<u64>>() };
    // The check may have ended.
    let _ = done.send(result);
}

pub(crate) fn create_params(sectors: u64, kind: VixDiskLibDiskType) -> VixDiskLibCreateParams {
    VixDiskLibCreateParams {
        diskType: kind,
        adapterType: VixDiskLibAdapterType::VIXDISKLIB_ADAPTER_SCSI_LSILOGIC,
        hwVersion: 11,
        capacity: sectors,
        logicalSectorSize: 512,
        physicalSectorSize: 512,
    }
}

/// Copies a string of the library's.
pub(crate) fn text_of(text: *const c_char) -> Option<String> {
    if text.is_null() {
        return None;
    }
    // SAFETY: not NULL, so a C string of the library's that lives through this call.
    let text = unsafe { CStr::from_ptr(text) };
    Some(text.to_string_lossy().into_owned())
}

pub(crate) fn c_path(path: &Path) -> CString {
    CString::new(path.as_os_str().as_encoded_bytes()).unwrap_or_default()
}

/// Names the call whose code is a deviation.
pub(crate) fn failed(call: &'static str) -> impl Fn(u64) -> No {
    move |code| No::Deviates(format!("{call} gave code {}", code & 0xFFFF))
}
