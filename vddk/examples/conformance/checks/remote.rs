//! What a server is needed for.

use std::ffi::CString;

use vddk::SectorBuf;
use vddk_sys::{VIX_E_AUTHENTICATION_FAIL, VIX_E_FAIL, VIXDISKLIB_FLAG_OPEN_READ_ONLY};

use super::Check;
use crate::{
    options::{Options, Server},
    raw::{Api, No, expect, failed, is, ok, with_server},
};

fn server(options: &Options) -> Result<Server, No> {
    options
        .server
        .clone()
        .ok_or_else(|| No::Skip("no server was named".to_owned()))
}

/// Connects and opens the server's disk for reading.
fn opened(
    api: &Api,
    server: &Server,
) -> Result<(vddk_sys::VixDiskLibConnection, vddk_sys::VixDiskLibHandle), No> {
    let snapshot = CString::new(server.snapshot.as_str()).unwrap_or_default();
    let connection = with_server(server, |params| {
        api.connect_with(params, true, Some(&snapshot), Some(c"nbdssl"))
    })
    .map_err(failed("ConnectEx"))?;
    let handle = api
        .open(
            connection,
            server.disk.as_ref(),
            VIXDISKLIB_FLAG_OPEN_READ_ONLY,
        )
        .map_err(failed("Open"))?;
    Ok((connection, handle))
}

pub(super) const CHECKS: &[Check] = &[
    Check {
        name: "remote.read",
        source: "8.1",
        expected: "a snapshot's disk opens by nbdssl and reads, though the strings were freed",
        run: |api, options| {
            let server = server(options)?;
            api.init()?;
            let (connection, handle) = opened(api, &server)?;
            let mode = api.transport(handle);
            ok(api.read(handle, 0, &mut SectorBuf::new(8)?))?;
            ok(api.close(handle))?;
            ok(api.disconnect(connection))?;
            is(mode.as_deref() == Some("nbdssl"), format!("{mode:?}"))
        },
    },
    Check {
        name: "remote.wrong-thumbprint",
        source: "6.7",
        expected: "a wrong thumbprint passes ConnectEx and fails at Open with 1",
        run: |api, options| {
            let mut server = server(options)?;
            server.thumbprint = ["AB"; 20].join(":");
            api.init()?;
            let snapshot = CString::new(server.snapshot.as_str()).unwrap_or_default();
            let connection = with_server(&server, |params| {
                api.connect_with(params, true, Some(&snapshot), Some(c"nbdssl"))
            })
            .map_err(failed("ConnectEx"))?;
            let flags = VIXDISKLIB_FLAG_OPEN_READ_ONLY;
            match api.open(connection, server.disk.as_ref(), flags) {
                Ok(_) => Err(No::Deviates("it was opened".to_owned())),
                Err(code) => expect(code, VIX_E_FAIL),
            }
        },
    },
    Check {
        name: "remote.wrong-user",
        source: "1.5",
        expected: "a wrong login fails at ConnectEx with 35",
        run: |api, options| {
            let mut server = server(options)?;
            "nobody@nowhere.invalid".clone_into(&mut server.user);
            api.init()?;
            let connected =
                with_server(&server, |params| api.connect_with(params, true, None, None));
            match connected {
                Ok(_) => Err(No::Deviates("it was accepted".to_owned())),
                Err(code) => expect(code, VIX_E_AUTHENTICATION_FAIL),
            }
        },
    },
];
