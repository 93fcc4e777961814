//! Connection parameters: what is told of them, and how they name a VM.

use std::ffi::{CStr, c_char};
use std::ptr::null_mut;

use vddk_sys::{VixDiskLibConnectParams, VixDiskLibConnection, VixDiskLibCredType};
use vixDiskLib::*;

use crate::harness::*;

/// `GetConnectParams`.
pub(crate) fn told(connection: VixDiskLibConnection) -> Result<*mut VixDiskLibConnectParams, u64> {
    let mut params = null_mut();
    // SAFETY: a connection or anything else, and a pointer to write to.
    let code = unsafe { VixDiskLib_GetConnectParams(connection, &raw mut params) };
    if code == 0 { Ok(params) } else { Err(code) }
}

pub(crate) fn text(pointer: *const c_char) -> Option<String> {
    if pointer.is_null() {
        return None;
    }
    // SAFETY: not null, so a string of an object that is not freed yet.
    let text = unsafe { CStr::from_ptr(pointer) };
    Some(text.to_str().unwrap().to_owned())
}

pub(crate) fn free(params: *mut VixDiskLibConnectParams) {
    // SAFETY: nothing uses the object any more; any address may be given.
    unsafe { VixDiskLib_FreeConnectParams(params) };
}

#[test]
fn a_connection_tells_what_it_was_made_with_but_no_secret() {
    let name = "params::a_connection_tells_what_it_was_made_with_but_no_secret";
    in_own_process(name, || {
        let site = Site::new();
        site.init("");
        let (connection, _) = site.open_frozen();
        let (one, two) = (told(connection).unwrap(), told(connection).unwrap());
        assert_ne!(one, two, "each call gives a new object");
        assert_eq!(disconnect(connection), 0);
        free(two);
        // SAFETY: the object is 128 bytes long and not freed; it outlives the connection.
        let params = unsafe { one.read() };
        let given = site.params();
        assert_eq!(text(params.serverName), given.server);
        assert_eq!(text(params.vmxSpec), given.vmx_spec);
        assert_eq!(text(params.thumbPrint), given.thumbprint);
        assert_eq!(params.credType, given.cred_type);
        // SAFETY: the kind of login says that this member is filled.
        let uid = unsafe { params.creds.uid };
        assert_eq!(text(uid.userName), given.user);
        assert!(uid.password.is_null(), "no secret is told");
        assert_eq!((params.port, params.nfcHostPort), (0, 0));
        assert!(params.state.is_null());
        free(one);
        free(one);
        assert_eq!(log_lines("not the library's").len(), 1, "freed twice");
        assert!(told(connection).is_err(), "the connection is closed");
        exit();
    });
}

#[test]
fn local_connections_tell_zeros_and_bad_calls_are_refused() {
    let name = "params::local_connections_tell_zeros_and_bad_calls_are_refused";
    in_own_process(name, || {
        let site = Site::new();
        site.init("");
        let connection = connect_local(true);
        let params = told(connection).unwrap();
        // SAFETY: the object has this length in bytes and is not freed.
        let bytes = unsafe { params.cast::<[u8; 128]>().read() };
        assert_eq!(bytes, [0; 128]);
        free(params);
        // SAFETY: null is refused.
        let code = unsafe { VixDiskLib_GetConnectParams(connection, null_mut()) };
        assert_eq!(code, 3);
        assert!(told(null_mut()).is_err());
        assert_eq!(site.journal("VixDiskLib_GetConnectParams").len(), 3);
        exit();
    });
}

#[test]
fn strings_of_allocated_parameters_stay_the_callers() {
    let mut server = b"vc\0".to_vec();
    // SAFETY: works at any time.
    let params = unsafe { VixDiskLib_AllocateConnectParams() };
    // SAFETY: the object is new.
    let fields = unsafe { &mut *params };
    fields.serverName = server.as_mut_ptr().cast();
    free(params);
    assert_eq!(server, b"vc\0", "untouched, and freed once, by this test");
}

#[test]
fn a_vm_is_named_in_each_documented_form() {
    in_own_process("params::a_vm_is_named_in_each_documented_form", || {
        let site = Site::new();
        site.init("");
        let moref = &site.vm.moref;
        let connect_as = |vmx_spec: String| -> Result<u8, u64> {
            let params = Params {
                vmx_spec: Some(vmx_spec),
                ..site.params()
            };
            let snapshot = Some(site.snapshot.moref.as_str());
            let connection = connect(&params, true, snapshot, Some("nbd"))?;
            let handle = open(connection, site.frozen(), READ_ONLY)?;
            let sector = read(handle, 256, 1)?[0];
            assert_eq!((close(handle), disconnect(connection)), (0, 0));
            Ok(sector)
        };
        for known in [
            format!("moref={moref}"),
            format!("moRef={moref}"),
            format!("moid={moref}"),
            "app01/app01.vmx?dcPath=DC0&dsName=datastore1".into(),
            "app01/app01.vmx?dsName=datastore1&dcPath=/DC0".into(),
        ] {
            assert_eq!(connect_as(known.clone()), Ok(0x11), "{known}");
        }
        for unknown in [
            "moref=vm-1".to_owned(),
            "moref=../site".into(),
            moref.clone(),
            "app02/app01.vmx?dcPath=DC0&dsName=datastore1".into(),
            "app01/app01.vmx?dcPath=DC1&dsName=datastore1".into(),
            "app01/app01.vmx?dcPath=DC0&dsName=datastore2".into(),
            "app01/app01.vmx?dcPath=DC0".into(),
        ] {
            assert_eq!(connect_as(unknown.clone()), Err(4000), "{unknown}");
        }
        let journal = site.journal("VixDiskLib_ConnectEx");
        assert!(journal[..5].iter().all(|line| line.args["vm"] == **moref));
        exit();
    });
}

#[test]
fn a_vmx_spec_is_a_vm_whatever_stands_behind_80_bytes() {
    let name = "params::a_vmx_spec_is_a_vm_whatever_stands_behind_80_bytes";
    in_own_process(name, || {
        let site = Site::new();
        site.init("");
        site.params().lend(|params| {
            // SAFETY: valid for 128 bytes.
            let whole = unsafe { params.cast::<[u64; 16]>().read() };
            // As older clients do it: 80 bytes, and what lies behind them is another's.
            let old: Box<[u64; 10]> = Box::new(whole[..10].try_into().unwrap());
            let connection = connect_raw(old.as_ptr().cast(), true, None, None).unwrap();
            assert_eq!(disconnect(connection), 0);
            for spec_type in [1, 2, 3, u32::MAX] {
                let mut odd = whole;
                odd[12..15].fill(0xDEAD_BEEF_0BAD_F00D);
                odd[15] = u64::from(spec_type);
                let connection = connect_raw(odd.as_ptr().cast(), true, None, None);
                assert_eq!(disconnect(connection.unwrap()), 0, "{spec_type}");
            }
        });
        exit();
    });
}

#[test]
fn a_session_of_the_vcenter_is_as_good_as_a_password() {
    let name = "params::a_session_of_the_vcenter_is_as_good_as_a_password";
    in_own_process(name, || {
        let site = Site::new();
        site.init("");
        let (cookie, user) = ("c00kie-of-a-session", "backup@vsphere.local");
        // The first two pointers of the member are those of the other kind: cookie and user.
        let login =
            |cookie: Option<&str>, user: Option<&str>| -> Result<VixDiskLibConnection, u64> {
                let params = Params {
                    user: cookie.map(str::to_owned),
                    password: user.map(str::to_owned),
                    cred_type: VixDiskLibCredType::VIXDISKLIB_CRED_SESSIONID,
                    ..site.params()
                };
                let connection = connect(&params, true, Some(&site.snapshot.moref), None)?;
                let disk = open(connection, site.frozen(), READ_ONLY)?;
                assert_eq!(close(disk), 0);
                Ok(connection)
            };
        let code = |cookie, user| login(cookie, user).err();
        assert_eq!(code(Some(cookie), Some(user)), Some(35), "nobody knows it");
        site.lab.publish_session(cookie, user, None).unwrap();
        let connection = login(Some(cookie), Some(user)).unwrap();
        assert_eq!(code(Some(cookie), Some("VSPHERE.LOCAL\\backup")), None);
        assert_eq!(code(Some(cookie), Some("other@vsphere.local")), Some(35));
        assert_eq!(code(Some("c00kie"), Some(user)), Some(35));
        assert_eq!(code(None, Some(user)), Some(3));
        assert_eq!(code(Some(cookie), None), Some(3));
        site.lab.publish_session(cookie, user, Some(0)).unwrap();
        assert_eq!(code(Some(cookie), Some(user)), Some(35), "idled out");
        site.lab.publish_session(cookie, user, None).unwrap();
        assert_eq!(code(Some(cookie), Some(user)), None);
        site.lab.end_session(cookie).unwrap();
        assert_eq!(code(Some(cookie), Some(user)), Some(35), "logged out");

        let params = told(connection).unwrap();
        // SAFETY: the object is not freed.
        let fields = unsafe { params.read() };
        assert_eq!(
            fields.credType,
            VixDiskLibCredType::VIXDISKLIB_CRED_SESSIONID
        );
        // SAFETY: the kind of login says that this member is filled.
        let session = unsafe { fields.creds.sessionId };
        assert_eq!(text(session.userName).as_deref(), Some(user));
        assert!(session.cookie.is_null() && session.key.is_null());
        free(params);
        exit();
        let journal = std::fs::read_to_string(site.lab.root().join("journal.jsonl")).unwrap();
        assert!(journal.contains(user) && !journal.contains("c00kie"));
        assert!(log_lines("c00kie").is_empty());
    });
}
