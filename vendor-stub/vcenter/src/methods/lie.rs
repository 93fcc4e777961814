//! False pages of changed areas, for tests of a client's checks.

use lab::{Area, ChangedAreas, Lie};

/// How far a lie leaves the truth: one tracking grain.
const STEP_BYTES: u64 = 64 << 10;

/// The page as a lying server tells it.
pub(super) fn told(lie: Lie, mut page: ChangedAreas, capacity_bytes: u64) -> ChangedAreas {
    let page_end = page.start_offset_bytes.saturating_add(page.length_bytes);
    let area = |start_bytes, length_bytes| Area {
        start_bytes,
        length_bytes,
    };
    match lie {
        Lie::StalledPage => {
            page.length_bytes = 0;
            page.areas.clear();
        }
        Lie::WrongStart => {
            page.start_offset_bytes = page.start_offset_bytes.saturating_add(STEP_BYTES);
        }
        Lie::OutOfPage => page.areas.push(area(page_end, STEP_BYTES)),
        Lie::BeyondCapacity => {
            // Page and area both run on, so that only the capacity tells.
            let last = capacity_bytes.max(page.start_offset_bytes);
            page.areas.push(area(last, 2 * STEP_BYTES));
            page.length_bytes = last + 2 * STEP_BYTES - page.start_offset_bytes;
        }
        Lie::EmptyEnd if page.start_offset_bytes > 0 => {
            page.length_bytes = 0;
            page.areas.clear();
        }
        Lie::EmptyEnd => {
            page.length_bytes = (page.length_bytes / 2) & !511;
            let end = page.start_offset_bytes.saturating_add(page.length_bytes);
            page.areas.retain(|area| area.start_bytes < end);
            for area in &mut page.areas {
                area.length_bytes = area.length_bytes.min(end - area.start_bytes);
            }
        }
        Lie::Overlap => {
            let whole = area(page.start_offset_bytes, page.length_bytes.min(STEP_BYTES));
            let twice = page.areas.first().copied().unwrap_or(whole);
            page.areas.extend([twice, twice]);
        }
        Lie::Omit => {
            page.areas.pop();
        }
        // A lie that this server does not know stays untold.
        _ => {}
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    const CAPACITY: u64 = 16 << 20;

    fn page() -> ChangedAreas {
        ChangedAreas {
            start_offset_bytes: 0,
            length_bytes: CAPACITY,
            areas: vec![
                Area {
                    start_bytes: 0,
                    length_bytes: 65536,
                },
                Area {
                    start_bytes: 8 << 20,
                    length_bytes: 65536,
                },
            ],
        }
    }

    #[test]
    fn each_lie_breaks_its_own_rule() {
        let told = |lie| told(lie, page(), CAPACITY);
        assert_eq!(told(Lie::StalledPage).length_bytes, 0);
        assert_ne!(told(Lie::WrongStart).start_offset_bytes, 0);
        let out = told(Lie::OutOfPage);
        assert!(
            out.areas
                .iter()
                .any(|area| area.start_bytes >= out.length_bytes)
        );
        let beyond = told(Lie::BeyondCapacity);
        let end = |area: &Area| area.start_bytes + area.length_bytes;
        assert!(
            beyond
                .areas
                .iter()
                .all(|area| end(area) <= beyond.length_bytes)
        );
        assert!(beyond.areas.iter().any(|area| end(area) > CAPACITY + 65536));
        let short = told(Lie::EmptyEnd);
        assert_eq!(short.length_bytes, CAPACITY / 2);
        assert_eq!(short.areas.len(), 1);
        assert_eq!(told(Lie::Overlap).areas.len(), 4);
        assert_eq!(told(Lie::Omit).areas.len(), 1);
    }
}
