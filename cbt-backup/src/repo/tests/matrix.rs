//! The damage matrix: every kind of object that the format names, damaged in every way there is.
//!
//! Whatever is done to one object: no byte that is read is wrong, points that do not need the object
//! are read as before, what is not harmless is told, a sweep makes nothing worse, and the next backup
//! is whole. The test prints how often each kind was damaged in each way.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::AssertUnwindSafe;

use super::fault_store::Faults;
use super::life::{Life, Truth};
use super::site::Site;
use super::sweep::at_once;
use crate::repo::id::{ObjectId, PackId, PointId, SessionId};
use crate::repo::name::{ObjectName, RootName};
use crate::repo::{Error, Finding, VerifyLevel};

/// How an object is damaged.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Way {
    Flip,
    Cut,
    Delete,
    Swap,
    Duplicate,
    Replay,
    /// It lies on a bad sector.
    Rot,
}

const WAYS: [Way; 7] = [
    Way::Flip,
    Way::Cut,
    Way::Delete,
    Way::Swap,
    Way::Duplicate,
    Way::Replay,
    Way::Rot,
];

/// One damage: objects as they are to be, none for one that is lost.
struct Damage {
    way: Way,
    kind: &'static str,
    what: String,
    objects: Vec<(String, Option<Vec<u8>>)>,
}

/// What came of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Outcome {
    /// Somebody is told: an error, a finding, a point that is missing in the list.
    Told,
    /// Nothing is told, and everything is as it was.
    Harmless,
}

/// Places in an object whose bits are turned: each field of its header and trailer, and a few of each
/// sealed part.
fn places(name: &str, length: usize) -> Vec<usize> {
    let spread = |from: usize, to: usize, count: usize| {
        (0..count).map(move |place| from + (to - from) * place / count)
    };
    let mut places: Vec<usize> = match ObjectName::parse(name) {
        Some(ObjectName::Config | ObjectName::Key(_)) => spread(0, length, 48).collect(),
        Some(ObjectName::Pack(_)) => {
            let header = [0, 4, 6, 7, 8, 23, 24, 28, 63];
            let trailer = [0, 4, 8, 12, 20, 24, 28].map(|field| length - 32 + field);
            let blobs = spread(64, length - 32, 12);
            let last_bytes = [length - 33, length - 1];
            header
                .into_iter()
                .chain(blobs)
                .chain(trailer)
                .chain(last_bytes)
                .collect()
        }
        _ => {
            let header = [0, 4, 6, 7, 8, 24, 28];
            header
                .into_iter()
                .chain(spread(32.min(length), length, 5))
                .collect()
        }
    };
    places.retain(|place| *place < length);
    places.sort_unstable();
    places.dedup();
    places
}

/// Names of the same kind that no object has, the first of them one that means something.
fn other_names(life: &Life, name: &str) -> Vec<String> {
    let living = &life.points[0];
    let others = match ObjectName::parse(name).unwrap() {
        ObjectName::Config | ObjectName::Reserve => vec![],
        ObjectName::Key(_) => vec![ObjectName::Key(ObjectId::generate())],
        ObjectName::Open(_) => vec![ObjectName::Open(SessionId::generate())],
        ObjectName::Pack(pack) => vec![
            ObjectName::Pack(PackId { seq: 900, ..pack }),
            ObjectName::Pack(PackId {
                session: SessionId::generate(),
                ..pack
            }),
        ],
        ObjectName::Root(root) => {
            let generation = root.generation + 9;
            let point = PointId::generate();
            let (new, later) = (
                RootName {
                    point,
                    ..root.clone()
                },
                RootName { generation, ..root },
            );
            vec![ObjectName::Root(new), ObjectName::Root(later)]
        }
        ObjectName::Dead(_) => vec![
            ObjectName::Dead(living.id),
            ObjectName::Dead(PointId::generate()),
        ],
        ObjectName::Fence { last, sweep, .. } => {
            let fence = |session| ObjectName::Fence {
                session,
                sweep,
                last,
            };
            let of_points = life.points.iter().map(|point| point.name.session);
            let others = [SessionId::generate(), life.writer];
            of_points.chain(others).map(fence).collect()
        }
        ObjectName::Condemned(_) => vec![ObjectName::Condemned(ObjectId::generate())],
        ObjectName::Quarantine(_) => vec![ObjectName::Quarantine(ObjectId::generate())],
        ObjectName::Lost(_) => vec![ObjectName::Lost(SessionId::generate())],
    };
    others.iter().map(ToString::to_string).collect()
}

fn damages(life: &Life) -> Vec<Damage> {
    let mut damages = Vec::new();
    let mut add = |way, kind, what: String, objects| {
        damages.push(Damage {
            way,
            kind,
            what,
            objects,
        });
    };
    let now = life.objects();
    for (name, sound) in &now {
        let kind = life.kind(name);
        let mut put = |way, what: &str, bytes: Option<Vec<u8>>| {
            add(
                way,
                kind,
                format!("{name} {what}"),
                vec![(name.clone(), bytes)],
            );
        };
        for place in places(name, sound.len()) {
            // Of what no living point needs there is much, and little comes of it.
            let bits: &[u8] = if kind == "garbage pack" {
                &[1]
            } else {
                &[1, 128]
            };
            for bit in bits {
                let mut flipped = sound.clone();
                flipped[place] ^= bit;
                put(Way::Flip, &format!("bit {bit} at {place}"), Some(flipped));
            }
        }
        let mut lengths = vec![0, sound.len() / 2, sound.len().saturating_sub(1)];
        lengths.retain(|length| *length < sound.len());
        lengths.dedup();
        for length in lengths {
            put(
                Way::Cut,
                &format!("cut to {length}"),
                Some(sound[..length].to_vec()),
            );
        }
        put(
            Way::Cut,
            "a byte longer",
            Some([sound.as_slice(), b"x"].concat()),
        );
        put(Way::Delete, "lost", None);
        put(Way::Rot, "on a bad sector", Some(sound.clone()));
        for other in other_names(life, name) {
            let objects = vec![(other.clone(), Some(sound.clone()))];
            add(Way::Duplicate, kind, format!("{name} as {other}"), objects);
        }
    }
    for pair in life.pairs(&now) {
        let [a, b] = pair;
        let objects = vec![
            (a.clone(), Some(now[&b].clone())),
            (b.clone(), Some(now[&a].clone())),
        ];
        add(Way::Swap, life.kind(&a), format!("{a} with {b}"), objects);
    }
    for (name, old) in &life.past {
        for bytes in old.iter().filter(|bytes| now.get(name) != Some(*bytes)) {
            let objects = vec![(name.clone(), Some(bytes.clone()))];
            let what = format!("{name} as it was, {} bytes", bytes.len());
            add(Way::Replay, life.kind(name), what, objects);
        }
    }
    let config = life.other_config.clone();
    let objects = vec![("config".to_owned(), Some(config))];
    add(
        Way::Swap,
        "config",
        "that of another repository".to_owned(),
        objects,
    );
    damages
}

/// Whether the point may suffer from what was done to these objects.
fn may_suffer(point: &Truth, damage: &Damage) -> bool {
    damage.objects.iter().any(|(name, _)| {
        point.needs.contains(name)
            || match ObjectName::parse(name) {
                Some(ObjectName::Root(root)) => root.point == point.id,
                Some(ObjectName::Dead(dead)) => dead == point.id,
                Some(ObjectName::Fence { session, last, .. }) => {
                    last && session == point.name.session
                }
                _ => false,
            }
    })
}

/// Does the damage and looks what comes of it.
fn judge(life: &Life, damage: &Damage) -> Outcome {
    let faults = Faults::none();
    let site = life.copy(&faults);
    for (name, bytes) in &damage.objects {
        match bytes {
            Some(bytes) => site.write(name, bytes.clone()),
            None => site.delete(name),
        }
    }
    if damage.way == Way::Rot {
        faults.rot(Some(&damage.objects[0].0));
    }
    let what = format!("{:?} {}: {}", damage.way, damage.kind, damage.what);
    let opened = site.reopen();
    let repo = match opened {
        Ok(repo) => repo,
        Err(error) => {
            let plain = matches!(damage.kind, "config" | "key slot");
            assert!(plain, "{what}: {error}");
            assert!(
                damage.kind == "config" || Life::opens_otherwise(&site),
                "{what}"
            );
            return Outcome::Told;
        }
    };
    let mut told = false;
    let mut readable = BTreeSet::new();
    for point in &life.points {
        match site.restore(&repo, point.id) {
            Ok(bytes) => {
                assert!(bytes == point.image, "{what}: {} has wrong bytes", point.id);
                readable.insert(point.id);
            }
            Err(error) => {
                told = true;
                assert!(may_suffer(point, damage), "{what}: {}: {error}", point.id);
                let expected = error.is_damage() || matches!(error, Error::PointNotFound { .. });
                assert!(expected, "{what}: {}: {error}", point.id);
            }
        }
    }
    let report = repo
        .verify(site.runtime.handle(), VerifyLevel::Full, &())
        .unwrap_or_else(|error| panic!("{what}: verify: {error}"));
    let is_new = |finding: &&Finding| !life.findings.contains(finding);
    let finds = report.findings.iter().any(|finding| is_new(&finding));
    let lost = readable.len() < life.points.len();
    assert!(!lost || finds, "{what}: lost in silence");
    told |= finds;

    // What is not as it was, or stops the work, must have been told.
    told |= go_on(life, &site, &readable, damage, &what, told);
    if told {
        Outcome::Told
    } else {
        Outcome::Harmless
    }
}

/// A sweep, and the next backup. True when one of them has told of the damage.
fn go_on(
    life: &Life,
    site: &Site,
    readable: &BTreeSet<PointId>,
    damage: &Damage,
    what: &str,
    told: bool,
) -> bool {
    let mut stopped = false;
    let repo = site.reopen().unwrap();
    let next = match life.increment(site, &repo) {
        Ok(next) => Some(next),
        Err(error) => {
            // Only a list that nobody can read keeps backups from being made.
            let list = damage.kind.contains("list");
            assert!(
                list && told && error.is_damage(),
                "{what}: next backup: {error}"
            );
            stopped = true;
            None
        }
    };
    let swept = site.runtime.block_on(repo.sweep(at_once(), &()));
    if let Err(error) = swept {
        assert!(error.is_damage(), "{what}: sweep: {error}");
        assert!(told, "{what}: only the sweep tells: {error}");
        stopped = true;
    }
    let repo = site.reopen().unwrap();
    for point in life
        .points
        .iter()
        .filter(|point| readable.contains(&point.id))
    {
        let bytes = site
            .restore(&repo, point.id)
            .unwrap_or_else(|error| panic!("{what}: after a sweep: {}: {error}", point.id));
        assert!(bytes == point.image, "{what}");
    }
    if let Some((next, image)) = next {
        let bytes = site
            .restore(&repo, next)
            .unwrap_or_else(|error| panic!("{what}: the next point: {error}"));
        assert!(bytes == image, "{what}: the next point has wrong bytes");
        let level = VerifyLevel::Point(next);
        let report = repo.verify(site.runtime.handle(), level, &()).unwrap();
        let own = report
            .findings
            .iter()
            .find(|found| found.point == Some(next));
        assert_eq!(own, None, "{what}");
    }
    stopped
}

/// How often damage was told and harmless, by kind and way.
type Table = BTreeMap<&'static str, BTreeMap<Way, (usize, usize)>>;

/// Judges all, and fails with everything that was not as promised.
fn judge_all(life: &Life, damages: &[Damage]) -> Table {
    const THREADS: usize = 2;
    let judge_one = |damage: &Damage| {
        let judged = std::panic::catch_unwind(AssertUnwindSafe(|| judge(life, damage)));
        judged.map_err(|panic| match panic.downcast_ref::<String>() {
            Some(message) => message.clone(),
            None => damage.what.clone(),
        })
    };
    let judge_share = |first: usize| {
        let own = damages.iter().enumerate().skip(first).step_by(THREADS);
        own.map(|(place, damage)| (place, judge_one(damage)))
            .collect::<Vec<_>>()
    };
    let mut judged: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|first| {
                scope.spawn({
                    let judge_share = &judge_share;
                    move || judge_share(first)
                })
            })
            .collect();
        let shares = threads.into_iter().map(|thread| thread.join().unwrap());
        shares.flatten().collect()
    });
    judged.sort_unstable_by_key(|(place, _)| *place);
    let mut table: Table = BTreeMap::new();
    for (damage, (_, outcome)) in damages.iter().zip(&judged) {
        let row = table.entry(damage.kind).or_default();
        let cell = row.entry(damage.way).or_default();
        match outcome {
            Ok(Outcome::Told) => cell.0 += 1,
            Ok(Outcome::Harmless) => cell.1 += 1,
            Err(_) => {}
        }
    }
    print(&table, damages.len());
    let broken: Vec<_> = judged
        .iter()
        .filter_map(|(_, one)| one.as_ref().err())
        .collect();
    let first = broken.iter().take(40).map(|one| one.as_str());
    assert!(
        broken.is_empty(),
        "{} broken:\n{}",
        broken.len(),
        first.collect::<Vec<_>>().join("\n")
    );
    table
}

fn print(table: &Table, damages: usize) {
    println!("{damages} damages, told + harmless, and no wrong byte:");
    println!(
        "{:24}{}",
        "",
        WAYS.map(|way| format!("{:>12}", format!("{way:?}")))
            .concat()
    );
    for (kind, row) in table {
        let cells = WAYS.map(|way| match row.get(&way) {
            Some((told, harmless)) => format!("{:>12}", format!("{told} + {harmless}")),
            None => format!("{:>12}", "-"),
        });
        println!("{kind:24}{}", cells.concat());
    }
}

#[test]
fn every_damage_of_every_object_is_told_or_harmless() {
    let life = Life::new();
    let damages = damages(&life);
    let table = judge_all(&life, &damages);
    let kinds: Vec<&str> = table.keys().copied().collect();
    assert_eq!(kinds, Life::KINDS, "every kind of object was there");
    // All that holds data, or says where it is, tells of every flip, cut and loss.
    for kind in ["data pack", "node pack", "root"] {
        for way in [Way::Flip, Way::Cut, Way::Delete, Way::Swap, Way::Rot] {
            let (told, harmless) = table[kind][&way];
            assert!(told > 0 && harmless == 0, "{kind}, {way:?}");
        }
    }
}
