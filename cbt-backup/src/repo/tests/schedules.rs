//! The actors of the crate `protocol` as the real code, their operations mixed in orders that a seed
//! chooses, one of them killed now and then. The promises are those of the checker.
//!
//! `CBT_BACKUP_SCHEDULES=10000 cargo test -p cbt-backup --lib schedules` runs more of them.

use std::sync::{Arc, Mutex};
use std::thread;

use object_store::memory::InMemory;

use super::compaction::all_that_is_not_full;
use super::site::{BLOCK_BYTES, Site, content, info, options, passphrase, spec};
use super::sweep::at_once;
use super::turn_store::{Choices, TurnStore, Turns};
use crate::repo::{Error, Image, PointId, PointMark, Repository, Store, SweepOptions, VerifyLevel};

const BLOCKS: usize = 10;

/// Who acts beside retention.
#[derive(Clone, Copy, Debug)]
enum Actor {
    Writer,
    Sweep,
    Compaction,
    Undelete,
    Mark,
    Reader,
}

/// The sets of the checker, and a mark, which does what a compaction does.
const SCENES: [&[Actor]; 9] = [
    &[Actor::Writer, Actor::Sweep, Actor::Reader],
    &[Actor::Writer, Actor::Sweep, Actor::Sweep],
    &[Actor::Writer, Actor::Writer, Actor::Sweep],
    &[Actor::Compaction, Actor::Sweep, Actor::Sweep],
    &[
        Actor::Writer,
        Actor::Compaction,
        Actor::Sweep,
        Actor::Reader,
    ],
    &[Actor::Undelete, Actor::Sweep, Actor::Sweep],
    &[Actor::Mark, Actor::Sweep, Actor::Sweep],
    &[Actor::Mark, Actor::Compaction, Actor::Sweep],
    &[
        Actor::Writer,
        Actor::Writer,
        Actor::Sweep,
        Actor::Sweep,
        Actor::Compaction,
    ],
];

fn image(seed: u8) -> Vec<u8> {
    (0..BLOCKS as u8)
        .flat_map(|block| content(block * 2 + seed, BLOCK_BYTES))
        .collect()
}

/// What the world was told, and what was done to it.
#[derive(Default)]
struct Told {
    points: Vec<(PointId, Vec<u8>)>,
    lost_read: Option<String>,
}

/// Two points: the second shares a part with the first, which was dropped and swept away in part.
struct World {
    site: Site,
    objects: Arc<InMemory>,
    points: [(PointId, Vec<u8>); 2],
}

fn world() -> World {
    let objects = Arc::new(InMemory::new());
    let site = Site::over(objects.clone(), 2);
    let first = image(1);
    let full = site.backup(&first, None, 1).unwrap();
    let mut second = first.clone();
    second[..7 * BLOCK_BYTES].copy_from_slice(&image(61)[..7 * BLOCK_BYTES]);
    let next = site
        .backup(&second, Some((full, (0..7).collect())), 2)
        .unwrap();
    World {
        site,
        objects,
        points: [(full, first), (next, second)],
    }
}

/// One actor from its beginning to its end.
fn act(actor: Actor, repo: &Repository, world: &World, seed: u8, told: &Mutex<Told>) {
    let handle = world.site.runtime.handle();
    let (oldest, newest) = (world.points[0].0, world.points[1].0);
    match actor {
        Actor::Writer => {
            let content = image(121 + seed * 3);
            if let Ok(point) = write(repo, handle, &content, seed) {
                told.lock().unwrap().points.push((point, content));
            }
        }
        Actor::Sweep => {
            // Some hold what a session needs that has all but its root, and some end it at once.
            let options = SweepOptions {
                now_ms: 5_000,
                lost_ms: i64::from(seed % 2) * 1_000,
                ..at_once()
            };
            drop(handle.block_on(repo.sweep(options, &())));
        }
        Actor::Compaction => drop(repo.compact(handle, "", &all_that_is_not_full(), &())),
        Actor::Undelete => {
            if let Ok(made) = repo.undelete(handle, oldest, "", options()) {
                let content = world.points[0].1.clone();
                told.lock().unwrap().points.push((made.point, content));
            }
        }
        Actor::Mark => {
            let marked = repo.mark(handle, "", newest, &PointMark::default(), options());
            let is_known = matches!(
                marked,
                Ok(())
                    | Err(Error::PointNotFound { .. }
                        | Error::NotWhole { .. }
                        | Error::Fenced { .. }
                        | Error::FenceUndecided { .. }
                        | Error::Store { .. }
                        | Error::Missing { .. })
            );
            assert!(is_known, "{marked:?}");
        }
        Actor::Reader => {
            if let Err(why) = read(repo, handle, newest, &world.points[1].1) {
                told.lock().unwrap().lost_read = Some(why);
            }
        }
    }
}

fn write(
    repo: &Repository,
    handle: &tokio::runtime::Handle,
    content: &[u8],
    seed: u8,
) -> Result<PointId, Error> {
    let options = crate::repo::SessionOptions {
        uploads: 1,
        ..options()
    };
    let session = handle.block_on(repo.begin(spec(), handle, options))?;
    let parent = session.parents().first().map(crate::repo::Point::id);
    // Whatever the parent cannot supply is put too, and a third of what it can.
    let changed = (0..BLOCKS as u64).collect();
    let filled = Site::fill(&session, content, parent.map(|parent| (parent, changed)));
    match filled {
        Ok(kind) => Ok(session.commit(info(kind, i64::from(seed) + 3))?.point),
        Err(error) => {
            session.abandon();
            Err(error)
        }
    }
}

/// A reader that has pinned its point and found it alive must read all of it.
fn read(
    repo: &Repository,
    handle: &tokio::runtime::Handle,
    id: PointId,
    expected: &[u8],
) -> Result<(), String> {
    let hour = std::time::Duration::from_hours(1);
    let Ok(Some(pin)) = handle.block_on(repo.pin(&[id], "", hour, handle)) else {
        return Ok(());
    };
    let read = || {
        let Ok(point) = handle.block_on(repo.point(&id)) else {
            return Ok(());
        };
        let disk = Image::open(repo, handle, &point, 0).map_err(|error| error.to_string())?;
        let mut bytes = vec![0; expected.len()];
        match disk.read_at(0, &mut bytes) {
            Ok(()) if bytes == expected => Ok(()),
            Ok(()) => Err("other bytes".to_owned()),
            Err(error) if error.is_damage() => Err(error.to_string()),
            // Killed.
            Err(_) => Ok(()),
        }
    };
    let outcome = read();
    let _ = handle.block_on(pin.close());
    outcome
}

fn run(seed: u64) -> usize {
    let world = world();
    let mut choices = Choices(seed);
    let scene = SCENES[choices.below(SCENES.len())];
    let dropped = world.points[choices.below(2)].0;
    let turns = Turns::default();
    let told = Mutex::new(Told::default());
    let store_of = |actor| TurnStore {
        inner: Arc::clone(&world.objects),
        turns: turns.clone(),
        actor,
    };
    // Opened before the curtain rises: how a repository is opened is no part of the play.
    let repos: Vec<Repository> = (0..=scene.len())
        .map(|actor| {
            turns.enter(actor);
            let store = Store::with_objects(Arc::new(store_of(actor)), "memory");
            let opening = thread::scope(|scope| {
                let open = scope.spawn(|| {
                    let secret = passphrase();
                    let opened = world
                        .site
                        .runtime
                        .block_on(Repository::open(store, &secret));
                    turns.leave(actor);
                    opened
                });
                turns.direct(&mut Choices(0), None);
                open.join().unwrap()
            });
            opening.unwrap()
        })
        .collect();
    (0..=scene.len()).for_each(|actor| turns.enter(actor));
    let kill = (choices.below(3) == 0).then(|| (choices.below(scene.len()), choices.below(120)));
    let done = thread::scope(|scope| {
        for (number, actor) in scene.iter().enumerate() {
            let (repo, turns, told, world) = (&repos[number], &turns, &told, &world);
            scope.spawn(move || {
                act(*actor, repo, world, number as u8, told);
                turns.leave(number);
            });
        }
        let last = scene.len();
        let (repo, turns, runtime) = (&repos[last], &turns, &world.site.runtime);
        scope.spawn(move || {
            let _ = runtime.block_on(repo.drop_point(dropped, "", "", 0));
            turns.leave(last);
        });
        turns.direct(&mut choices, kill)
    });
    let told = told.into_inner().unwrap();
    assert_eq!(told.lost_read, None, "seed {seed}: {scene:?}");
    check(
        &world,
        &told,
        dropped,
        &format!("seed {seed}: {scene:?}, kill {kill:?}"),
    );
    done
}

fn check(world: &World, told: &Told, dropped: PointId, what: &str) {
    let site = &world.site;
    let look = |what: &str| {
        let repo = site.reopen().unwrap();
        for (point, image) in told.points.iter().chain(&world.points) {
            match site.restore(&repo, *point) {
                Ok(bytes) => assert!(bytes == *image, "{what}: {point} has other bytes"),
                Err(Error::PointNotFound { .. }) if *point == dropped => {}
                Err(error) => panic!("{what}: {point}: {error}"),
            }
        }
        let report = repo
            .verify(site.runtime.handle(), VerifyLevel::Full, &())
            .unwrap();
        // The root of a session that was fenced is a warning.
        assert!(report.is_clean(), "{what}: {:?}", report.findings);
        let living = site.runtime.block_on(repo.points(None)).unwrap().points;
        assert!(
            living.iter().all(|point| point.id != dropped),
            "{what}: it lives again"
        );
    };
    look(what);
    for _ in 0..2 {
        let swept = site.runtime.block_on(site.repo.sweep(at_once(), &()));
        swept.unwrap_or_else(|error| panic!("{what}: the next sweep: {error}"));
    }
    look(&format!("{what}, after two sweeps"));
}

#[test]
fn the_promises_hold_whatever_the_order() {
    let wanted = std::env::var("CBT_BACKUP_SCHEDULES").ok();
    let schedules = wanted.and_then(|text| text.parse().ok()).unwrap_or(140);
    let operations: usize = (0..schedules).map(run).sum();
    println!("{schedules} schedules of {operations} operations: all promises held");
}
