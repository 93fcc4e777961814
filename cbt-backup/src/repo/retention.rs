//! Retention: which points of a VM are kept, and why. It decides; nothing is touched here.

use std::collections::BTreeSet;

use jiff::tz::TimeZone;
use jiff::{Span, Timestamp, Zoned};

use super::error::Error;
use super::id::VmKey;
use super::point::PointSummary;
use super::root::PointKind;
use super::tag::Tag;

/// What is to be kept of each VM. A point is kept when any rule keeps it.
#[derive(Clone, Debug, Default)]
pub struct RetentionPolicy {
    /// So many of the newest points.
    pub last: u32,
    /// The newest point of each of so many hours, counting hours that have one.
    pub hourly: u32,
    /// The same of days.
    pub daily: u32,
    /// The same of ISO weeks.
    pub weekly: u32,
    /// The same of months.
    pub monthly: u32,
    /// The same of years.
    pub yearly: u32,
    /// All points younger than this.
    pub within: Option<Span>,
    /// All points that have one of these tags.
    pub tags: BTreeSet<Tag>,
}

impl RetentionPolicy {
    /// True when no rule keeps anything.
    pub fn is_empty(&self) -> bool {
        let counts = [
            self.last,
            self.hourly,
            self.daily,
            self.weekly,
            self.monthly,
            self.yearly,
        ];
        counts.iter().all(|count| *count == 0) && self.within.is_none() && self.tags.is_empty()
    }
}

/// What is decided of one point.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Verdict {
    /// The point.
    pub point: PointSummary,
    /// Each rule that keeps it; none: it goes.
    pub kept_by: Vec<String>,
}

impl Verdict {
    /// True when the point stays.
    pub fn is_kept(&self) -> bool {
        !self.kept_by.is_empty()
    }
}

/// Decides about every point, VM by VM, oldest first. Days and weeks are those of `zone`. The newest
/// point of a VM and its newest complete one always stay. A partial point stays while no complete one
/// is newer; it is none of those that rules count. One that was found wrong counts as not complete. Where
/// the newest complete one leaves disks out, the newest ones that have them stay, too.
///
/// # Errors
/// `OutOfRange` for a time or a span no calendar has.
pub fn plan(
    points: &[PointSummary],
    policy: &RetentionPolicy,
    zone: &TimeZone,
    now: Timestamp,
) -> Result<Vec<Verdict>, Error> {
    let since = match policy.within {
        Some(within) => Some(before(now, within, zone)?),
        None => None,
    };
    let mut vms: Vec<&VmKey> = points.iter().map(|point| &point.vm).collect();
    vms.sort_unstable();
    vms.dedup();
    let mut verdicts = Vec::with_capacity(points.len());
    for vm in vms {
        let of_vm = points.iter().filter(|point| point.vm == *vm).cloned();
        verdicts.extend(plan_vm(of_vm.collect(), policy, zone, since)?);
    }
    Ok(verdicts)
}

/// The moment that lies `span` before `now`.
///
/// # Errors
/// `OutOfRange` when no calendar has it.
pub fn before(now: Timestamp, span: Span, zone: &TimeZone) -> Result<Timestamp, Error> {
    let then = now.to_zoned(zone.clone()).checked_sub(span);
    then.map(|then| then.timestamp())
        .map_err(|_| Error::OutOfRange {
            what: "span of time",
            value: u64::try_from(now.as_millisecond()).unwrap_or(0),
        })
}

fn plan_vm(
    mut points: Vec<PointSummary>,
    policy: &RetentionPolicy,
    zone: &TimeZone,
    since: Option<Timestamp>,
) -> Result<Vec<Verdict>, Error> {
    points.sort_by_key(|point| std::cmp::Reverse((point.snapshot_time_ms, point.id)));
    let partial = |point: &PointSummary| point.kind == PointKind::Partial;
    let complete = points
        .iter()
        .find(|point| point.is_sound() && !partial(point));
    let complete = complete.map(|point| (point.snapshot_time_ms, point.id));
    let (partial, points): (Vec<_>, Vec<_>) = points.into_iter().partition(partial);
    let unfinished = partial.into_iter().map(|point| Verdict {
        kept_by: (complete < Some((point.snapshot_time_ms, point.id)))
            .then(|| "unfinished".to_owned())
            .into_iter()
            .collect(),
        point,
    });
    let unfinished: Vec<Verdict> = unfinished.collect();
    let mut newest_first = Vec::with_capacity(points.len());
    for point in points {
        let time = Timestamp::from_millisecond(point.snapshot_time_ms);
        let time = time.map_err(|_| Error::OutOfRange {
            what: "time of a snapshot in milliseconds",
            value: point.snapshot_time_ms.unsigned_abs(),
        })?;
        newest_first.push((time.to_zoned(zone.clone()), point));
    }
    let mut kept_by = vec![Vec::new(); newest_first.len()];
    if let Some(first) = kept_by.first_mut() {
        first.push("newest".to_owned());
    }
    if let Some(place) = newest_first.iter().position(|(_, point)| point.is_sound()) {
        kept_by[place].push("newest complete".to_owned());
    }
    for (place, disks) in of_disks_left_out(&newest_first) {
        kept_by[place].push(format!("newest of {disks}"));
    }
    let last = kept_by.iter_mut().take(policy.last as usize);
    last.for_each(|reasons| reasons.push("last".to_owned()));
    let rules: [(&str, u32, &str); 5] = [
        ("hourly", policy.hourly, "%Y-%m-%d %H:00 %:z"),
        ("daily", policy.daily, "%Y-%m-%d"),
        ("weekly", policy.weekly, "%G-W%V"),
        ("monthly", policy.monthly, "%Y-%m"),
        ("yearly", policy.yearly, "%Y"),
    ];
    for (rule, periods, form) in rules {
        for (place, period) in of_periods(&newest_first, periods, form) {
            kept_by[place].push(format!("{rule} {period}"));
        }
    }
    for ((time, _), reasons) in newest_first.iter().zip(&mut kept_by) {
        if since.is_some_and(|since| time.timestamp() >= since) {
            reasons.push("within".to_owned());
        }
    }
    for ((_, point), reasons) in newest_first.iter().zip(&mut kept_by) {
        let tags = policy.tags.intersection(&point.tags);
        reasons.extend(tags.map(|tag| format!("tag {tag}")));
    }
    let verdicts = newest_first.into_iter().zip(kept_by);
    let verdicts = verdicts.map(|((_, point), kept_by)| Verdict { point, kept_by });
    let mut verdicts: Vec<_> = verdicts.chain(unfinished).collect();
    verdicts.sort_by_key(|verdict| (verdict.point.snapshot_time_ms, verdict.point.id));
    Ok(verdicts)
}

/// Where the newest sound point leaves disks out that the VM still had: the places of the newest points that have them, sound
/// in all or not, with the labels of those disks.
fn of_disks_left_out(newest_first: &[(Zoned, PointSummary)]) -> Vec<(usize, String)> {
    let points = || newest_first.iter().map(|(_, point)| point);
    let Some(newest) = points().find(|point| point.is_sound()) else {
        return Vec::new();
    };
    let mut known = BTreeSet::new();
    let mut chosen = Vec::new();
    for (place, point) in points().enumerate().filter(|(_, point)| !point.found_wrong) {
        let wanted = point.whole_disks.iter();
        let wanted = wanted.filter(|(_, label)| newest.leaves_out(label));
        let new = wanted.filter(|(key, _)| known.insert(*key));
        let labels: Vec<&str> = new.map(|(_, label)| label.as_str()).collect();
        if !labels.is_empty() {
            chosen.push((place, labels.join(", ")));
        }
    }
    chosen
}

/// One place for each of the newest `periods` periods that have a point: that of the newest complete
/// point in it, or of the newest.
fn of_periods(
    newest_first: &[(Zoned, PointSummary)],
    periods: u32,
    form: &str,
) -> Vec<(usize, String)> {
    let period = |place: usize| newest_first[place].0.strftime(form).to_string();
    let mut chosen: Vec<(usize, String)> = Vec::new();
    for place in 0..newest_first.len() {
        let here = period(place);
        let full = chosen.len() == periods as usize;
        match chosen.last_mut() {
            Some((best, last)) if *last == here => {
                if !newest_first[*best].1.is_sound() && newest_first[place].1.is_sound() {
                    *best = place;
                }
            }
            _ if full => break,
            _ => chosen.push((place, here)),
        }
    }
    chosen
}

#[cfg(test)]
mod tests {
    use jiff::ToSpan;

    use super::*;
    use crate::repo::{Consistency, PointId, PointKind};

    fn point(time: &str, complete: bool) -> PointSummary {
        let time: Timestamp = time.parse().unwrap();
        PointSummary {
            id: PointId::generate(),
            vm: "0123456789abcdef".parse().unwrap(),
            vm_name: "db01".to_owned(),
            vcenter: String::new(),
            kind: PointKind::Full,
            consistency: Consistency::Crash,
            snapshot_time: time.to_string(),
            snapshot_time_ms: time.as_millisecond(),
            disks: 1,
            whole_disks: vec![(2000, "Hard disk 1".to_owned())],
            left_out: Vec::new(),
            capacity_bytes: 0,
            put_bytes: 0,
            stored_bytes: 0,
            complete,
            damaged: false,
            found_wrong: false,
            origin: None,
            tags: BTreeSet::new(),
        }
    }

    #[test]
    fn a_disk_that_newer_points_leave_out_keeps_its_newest_point() {
        let of = |time, complete, disks: &[i32], left_out: &[i32]| PointSummary {
            whole_disks: disks
                .iter()
                .map(|key| (*key, format!("disk {key}")))
                .collect(),
            left_out: left_out
                .iter()
                .map(|key| format!("disk {key} is left out, as asked for"))
                .collect(),
            ..point(time, complete)
        };
        let points = [
            // 2003 has left the VM since, and 2002 is in no complete point.
            of("2026-01-01T00:00:00Z", true, &[2000, 2001, 2003], &[]),
            of("2026-01-02T00:00:00Z", false, &[2000, 2002], &[]),
            of("2026-01-03T00:00:00Z", true, &[2000, 2001], &[2002]),
            of("2026-01-04T00:00:00Z", true, &[2001], &[2000, 2002]),
            of("2026-01-05T00:00:00Z", true, &[2001], &[2000, 2002]),
        ];
        assert_eq!(
            kept(&points, &RetentionPolicy::default(), &TimeZone::UTC),
            [
                "2026-01-02T00:00: newest of disk 2002",
                "2026-01-03T00:00: newest of disk 2000",
                "2026-01-05T00:00: newest, newest complete"
            ]
        );
    }

    #[test]
    fn a_point_that_was_found_wrong_is_none_that_a_sound_one_goes_for() {
        let sound = point("2026-03-30T01:00:00Z", true);
        let wrong = PointSummary {
            found_wrong: true,
            ..point("2026-03-30T02:00:00Z", true)
        };
        let policy = RetentionPolicy {
            daily: 7,
            ..RetentionPolicy::default()
        };
        let reasons = kept(&[sound, wrong], &policy, &TimeZone::UTC);
        let sound = reasons.iter().find(|line| line.contains("01:00"));
        let sound = sound.expect("the sound point stays");
        assert!(
            sound.contains("newest complete") && sound.contains("daily"),
            "{sound}"
        );
    }

    fn kept(points: &[PointSummary], policy: &RetentionPolicy, zone: &TimeZone) -> Vec<String> {
        let now: Timestamp = "2026-03-31T12:00:00Z".parse().unwrap();
        let verdicts = plan(points, policy, zone, now).unwrap();
        assert_eq!(verdicts.len(), points.len());
        verdicts
            .iter()
            .filter(|verdict| verdict.is_kept())
            .map(|verdict| {
                let time = &verdict.point.snapshot_time;
                format!("{}: {}", &time[..16], verdict.kept_by.join(", "))
            })
            .collect()
    }

    #[test]
    fn each_period_keeps_its_newest_complete_point() {
        let points = [
            point("2025-12-31T23:00:00Z", true),
            point("2026-03-29T10:00:00Z", true),
            point("2026-03-29T20:00:00Z", false),
            point("2026-03-30T10:00:00Z", true),
            point("2026-03-31T10:00:00Z", false),
        ];
        let policy = RetentionPolicy {
            daily: 3,
            yearly: 2,
            ..RetentionPolicy::default()
        };
        assert_eq!(
            kept(&points, &policy, &TimeZone::UTC),
            [
                "2025-12-31T23:00: yearly 2025",
                "2026-03-29T10:00: daily 2026-03-29",
                "2026-03-30T10:00: newest complete, daily 2026-03-30, yearly 2026",
                "2026-03-31T10:00: newest, daily 2026-03-31",
            ]
        );
        // In a zone east of Greenwich the first of them is of the next year.
        let east = TimeZone::fixed(jiff::tz::offset(2));
        let yearly = RetentionPolicy {
            yearly: 2,
            ..RetentionPolicy::default()
        };
        assert_eq!(kept(&points, &yearly, &east).len(), 2);
    }

    #[test]
    fn the_newest_points_stay_whatever_the_policy_says() {
        let points = [
            point("2026-01-01T00:00:00Z", true),
            point("2026-01-02T00:00:00Z", true),
            point("2026-01-03T00:00:00Z", false),
        ];
        assert_eq!(
            kept(&points, &RetentionPolicy::default(), &TimeZone::UTC),
            [
                "2026-01-02T00:00: newest complete",
                "2026-01-03T00:00: newest"
            ]
        );
        assert!(RetentionPolicy::default().is_empty());
    }

    #[test]
    fn weeks_are_those_of_iso_and_spans_are_counted_by_the_calendar() {
        // A Sunday and the Monday after it.
        let points = [
            point("2026-03-28T00:00:00Z", true),
            point("2026-03-29T00:00:00Z", true),
            point("2026-03-30T00:00:00Z", true),
        ];
        let weekly = RetentionPolicy {
            weekly: 9,
            ..RetentionPolicy::default()
        };
        assert_eq!(
            kept(&points, &weekly, &TimeZone::UTC),
            [
                "2026-03-29T00:00: weekly 2026-W13",
                "2026-03-30T00:00: newest, newest complete, weekly 2026-W14"
            ]
        );
        let within = RetentionPolicy {
            within: Some(3.days()),
            ..RetentionPolicy::default()
        };
        assert_eq!(
            kept(&points, &within, &TimeZone::UTC),
            [
                "2026-03-29T00:00: within",
                "2026-03-30T00:00: newest, newest complete, within"
            ]
        );
    }

    #[test]
    fn tagged_points_stay_and_are_counted_like_others() {
        let tags = |tags: &[&str]| tags.iter().map(|tag| tag.parse().unwrap()).collect();
        let tagged = |time: &str, words: &[&str]| PointSummary {
            tags: tags(words),
            ..point(time, true)
        };
        let mut unfinished = tagged("2026-01-01T00:00:00Z", &["gold"]);
        unfinished.kind = PointKind::Partial;
        let points = [
            unfinished,
            tagged("2026-01-02T00:00:00Z", &["gold", "audit", "other"]),
            tagged("2026-01-03T00:00:00Z", &["Gold"]),
            PointSummary {
                complete: false,
                ..tagged("2026-01-04T00:00:00Z", &["audit"])
            },
            tagged("2026-01-05T00:00:00Z", &["gold"]),
            tagged("2026-01-06T00:00:00Z", &[]),
        ];
        let policy = RetentionPolicy {
            last: 2,
            tags: tags(&["gold", "audit"]),
            ..RetentionPolicy::default()
        };
        assert!(!policy.is_empty());
        assert_eq!(
            kept(&points, &policy, &TimeZone::UTC),
            [
                "2026-01-02T00:00: tag audit, tag gold",
                "2026-01-04T00:00: tag audit",
                "2026-01-05T00:00: last, tag gold",
                "2026-01-06T00:00: newest, newest complete, last",
            ]
        );
    }

    #[test]
    fn every_vm_has_its_own_plan() {
        let mut other = point("2020-01-01T00:00:00Z", true);
        other.vm = "ffffffffffffffff".parse().unwrap();
        let points = [point("2026-01-01T00:00:00Z", true), other];
        let policy = RetentionPolicy {
            last: 1,
            ..RetentionPolicy::default()
        };
        assert_eq!(kept(&points, &policy, &TimeZone::UTC).len(), 2);
    }
}
