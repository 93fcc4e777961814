//! Calls that hang: who waits, who is refused, and what is undone when they return after all.

use std::{thread, time::Duration};

use vddk::{ConnectOptions, Error, Geometry, OpenOptions, Progress, SectorBuf};

use crate::{
    double::{Double, Script},
    lies::HONEST,
};

/// Long enough that a call which does not hang is never late, in a slow interpreter neither.
const LIMIT: Duration = Duration::from_millis(if cfg!(miri) { 2_000 } else { 200 });

fn hangs_in(function: &'static str) -> Double {
    Double::start(Script {
        hang: Some(function),
        limit: Some(LIMIT),
        ..HONEST
    })
}

/// `error` tells of `function`.
#[track_caller]
fn is_stuck<T: std::fmt::Debug>(result: Result<T, Error>, in_function: &str) {
    match result {
        Err(Error::Stuck { function }) => assert_eq!(function, in_function),
        other => panic!("{other:?}"),
    }
}

fn server_options() -> ConnectOptions {
    ConnectOptions::read_only("snapshot-1", "nbdssl".parse().unwrap())
}

#[test]
fn a_disk_that_opens_late_is_closed_before_its_connection() {
    let mut double = hangs_in("VixDiskLib_Open");
    is_stuck(double.open(&OpenOptions::default()), "VixDiskLib_Open");
    drop(double.take());
    Double::release();
    Double::wait_for_call("VixDiskLib_Exit");
    let ends = ["Close", "Disconnect", "Exit"].map(|name| format!("VixDiskLib_{name}"));
    let ends = ends.each_ref().map(String::as_str);
    assert_eq!(Double::calls_of(&ends), ends);
}

#[test]
fn a_connection_that_comes_late_is_ended_before_its_parameters_are_freed() {
    let script = Script {
        limit: Some(LIMIT),
        ..HONEST
    };
    let mut double = Double::start(script);
    let (local, library) = double.take();
    local.close().unwrap();
    let ends = ["VixDiskLib_Disconnect", "VixDiskLib_FreeConnectParams"];
    let before = Double::calls_of(&ends).len();
    Double::hang("VixDiskLib_ConnectEx");
    let late = library.connect(&Double::params(), &server_options());
    is_stuck(late, "VixDiskLib_ConnectEx");
    is_stuck(library.close(), "VixDiskLib_ConnectEx");
    Double::release();
    Double::wait_for_call("VixDiskLib_Exit");
    assert_eq!(Double::calls_of(&ends)[before..], ends);
}

#[test]
fn an_access_that_is_prepared_late_is_ended() {
    let mut double = hangs_in("VixDiskLib_PrepareForAccess");
    let late = double.library().prepare_for_access(&Double::params(), "me");
    is_stuck(late, "VixDiskLib_PrepareForAccess");
    drop(double.take());
    Double::release();
    Double::wait_for_call("VixDiskLib_Exit");
    let ends = ["VixDiskLib_EndAccess", "VixDiskLib_Exit"];
    assert_eq!(Double::calls_of(&ends), ends);
}

#[test]
fn a_long_call_that_works_is_no_hang_for_those_behind_it() {
    let double = hangs_in("VixDiskLib_Grow");
    let disk = double.open(&OpenOptions::default()).unwrap();
    thread::scope(|scope| {
        let grow = scope.spawn(|| {
            let connection = double.connection();
            connection.grow("/other.vmdk", 9, Geometry::Keep, Progress::none())
        });
        Double::wait_for_call("VixDiskLib_Grow");
        let close = scope.spawn(move || {
            let keys = disk.metadata_keys();
            (keys, disk.close())
        });
        // Longer than any call may take: the limit begins when a call does.
        thread::sleep(3 * LIMIT);
        assert!(!close.is_finished(), "nobody waited for the long call");
        Double::release();
        grow.join().unwrap().unwrap();
        let (keys, closed) = close.join().unwrap();
        assert_eq!(keys.unwrap(), [""; 0]);
        closed.unwrap();
    });
    double.end();
}

#[test]
fn a_call_behind_one_that_hangs_is_not_made_and_costs_no_disk() {
    let double = hangs_in("VixDiskLib_Open");
    Double::release();
    let disk = double.open(&OpenOptions::default()).unwrap();
    Double::hang("VixDiskLib_Open");
    thread::scope(|scope| {
        let open = scope.spawn(|| double.open(&OpenOptions::default()));
        Double::wait_for_hang();
        // Queued while nobody knows yet that the call in front hangs.
        is_stuck(disk.metadata_keys(), "VixDiskLib_Open");
        is_stuck(open.join().unwrap(), "VixDiskLib_Open");
        // Refused at once, since that is known.
        is_stuck(disk.metadata_keys(), "VixDiskLib_Open");
    });
    Double::release();
    let keys = "VixDiskLib_GetMetadataKeys";
    while let Err(error) = disk.metadata_keys() {
        is_stuck(Err::<(), _>(error), "VixDiskLib_Open");
        thread::yield_now();
    }
    assert_eq!(Double::calls_of(&[keys]), [keys], "called once");
    let read = disk.read(0, SectorBuf::new(1).unwrap()).unwrap();
    read.wait().unwrap();
    disk.close().unwrap();
    double.end();
}

#[test]
fn what_is_closed_during_a_hang_is_closed_after_it_in_order() {
    let mut double = Double::start(Script {
        limit: Some(LIMIT),
        transport: Some(b"nbdssl\0"),
        ..HONEST
    });
    let (local, library) = double.take();
    local.close().unwrap();
    let ends = [
        "VixDiskLib_Open",
        "VixDiskLib_Close",
        "VixDiskLib_Close",
        "VixDiskLib_Disconnect",
        "VixDiskLib_EndAccess",
        "VixDiskLib_Exit",
    ];
    let access = library.prepare_for_access(&Double::params(), "me").unwrap();
    let connection = access.connect(&server_options()).unwrap();
    let open = || connection.open("[d] a.vmdk", &OpenOptions::default());
    let disk = open().unwrap();
    let before = Double::calls_of(&ends).len();
    Double::hang("VixDiskLib_Open");
    is_stuck(open(), "VixDiskLib_Open");
    is_stuck(disk.close(), "VixDiskLib_Open");
    is_stuck(connection.close(), "VixDiskLib_Open");
    is_stuck(access.close(), "VixDiskLib_Open");
    is_stuck(library.close(), "VixDiskLib_Open");
    Double::release();
    Double::wait_for_call("VixDiskLib_Exit");
    assert_eq!(Double::calls_of(&ends)[before..], ends);
}

#[test]
fn a_close_that_hangs_holds_the_rest_up_until_it_returns() {
    let mut double = hangs_in("VixDiskLib_Close");
    let disk = double.open(&OpenOptions::default()).unwrap();
    let (connection, library) = double.take();
    is_stuck(disk.close(), "VixDiskLib_Close");
    is_stuck(connection.close(), "VixDiskLib_Close");
    is_stuck(library.close(), "VixDiskLib_Close");
    let ends = [
        "VixDiskLib_Close",
        "VixDiskLib_Disconnect",
        "VixDiskLib_Exit",
    ];
    assert_eq!(Double::calls_of(&ends), ends[..1]);
    Double::release();
    Double::wait_for_call("VixDiskLib_Exit");
    assert_eq!(Double::calls_of(&ends), ends);
}

#[test]
fn a_parent_that_was_never_attached_is_closed() {
    let double = hangs_in("VixDiskLib_Grow");
    Double::release();
    let [parent, child] = [(); 2].map(|()| double.open(&OpenOptions::default()).unwrap());
    Double::hang("VixDiskLib_Open");
    is_stuck(double.open(&OpenOptions::default()), "VixDiskLib_Open");
    is_stuck(child.attach_to(parent), "VixDiskLib_Open");
    Double::release();
    // Both, and the one that came late: so nothing hangs any more.
    Double::wait_for_calls("VixDiskLib_Close", 3);
    assert_eq!(Double::calls_of(&["VixDiskLib_Attach"]), [""; 0]);
    double.end();
}

#[test]
fn a_parent_that_may_be_attached_is_never_closed() {
    let mut double = hangs_in("VixDiskLib_Attach");
    let [parent, child] = [(); 2].map(|()| double.open(&OpenOptions::default()).unwrap());
    is_stuck(child.attach_to(parent), "VixDiskLib_Attach");
    Double::release();
    let (connection, library) = double.take();
    let closed = connection.close();
    assert!(matches!(closed, Err(Error::Poisoned { .. })), "{closed:?}");
    assert!(!library.close().unwrap());
    let closes = ["VixDiskLib_Close", "VixDiskLib_Disconnect"];
    assert_eq!(Double::calls_of(&closes), [""; 0]);
}
