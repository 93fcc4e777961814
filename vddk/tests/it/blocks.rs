//! Allocated blocks.

use lab::Fault;
use vddk::{Error, OpenOptions, SectorBuf};

use crate::kit::{DISK_BYTES, Kit, in_own_process};

#[test]
fn the_map_holds_all_data_and_the_end_that_cannot_be_asked() {
    in_own_process(
        "blocks::the_map_holds_all_data_and_the_end_that_cannot_be_asked",
        || {
            let kit = Kit::new();
            let library = kit.load();
            let (snapshot, path) = kit.snapshot();
            let connection = library
                .connect(&kit.params(), &Kit::connect_options(&snapshot))
                .unwrap();
            let disk = connection.open(&path, &OpenOptions::default()).unwrap();
            // In flight when the map is asked for: it must be let end first.
            let read = disk.read(0, SectorBuf::new(128).unwrap()).unwrap();
            let map = disk.allocated_blocks().unwrap();
            read.wait().unwrap();
            assert!(
                map.sectors() < DISK_BYTES / 512,
                "a hole was called allocated: {map:?}"
            );
            for (sector, bytes) in kit.image.chunks(512).enumerate() {
                let inside = map.ranges().iter().any(|range| {
                    (range.start_sector..range.end_sector()).contains(&(sector as u64))
                });
                assert!(
                    inside || bytes.iter().all(|byte| *byte == 0),
                    "sector {sector} has data and is not in {map:?}"
                );
            }
            assert_eq!(map.ranges().last().unwrap().end_sector(), DISK_BYTES / 512);
            disk.close().unwrap();
        },
    );
}

#[test]
fn a_failing_query_is_an_error_and_the_disk_still_reads() {
    in_own_process(
        "blocks::a_failing_query_is_an_error_and_the_disk_still_reads",
        || {
            let kit = Kit::new();
            kit.fault(Fault {
                call: "VixDiskLib_QueryAllocatedBlocks".to_owned(),
                code: Some(1),
                ..Fault::default()
            });
            let library = kit.load();
            let (snapshot, path) = kit.snapshot();
            let connection = library
                .connect(&kit.params(), &Kit::connect_options(&snapshot))
                .unwrap();
            let disk = connection.open(&path, &OpenOptions::default()).unwrap();
            assert!(matches!(disk.allocated_blocks(), Err(Error::Call(_))));
            disk.read(0, SectorBuf::new(1).unwrap())
                .unwrap()
                .wait()
                .unwrap();
            disk.close().unwrap();
        },
    );
}
