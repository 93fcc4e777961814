//! A run of sectors, and lists of them.

/// Neighbouring sectors of a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SectorRun {
    /// The first sector.
    pub start_sector: u64,
    /// How many sectors.
    pub sectors: u64,
}

impl SectorRun {
    /// The first sector after the run.
    pub fn end_sector(&self) -> u64 {
        self.start_sector.saturating_add(self.sectors)
    }
}

/// Adds a run at the end of a list, joined with the last one if they touch or overlap.
/// The run must not start before the last one does.
pub(crate) fn push(runs: &mut Vec<SectorRun>, run: SectorRun) {
    if run.sectors == 0 {
        return;
    }
    if let Some(last) = runs.last_mut()
        && run.start_sector <= last.end_sector()
    {
        let end_sector = last.end_sector().max(run.end_sector());
        last.sectors = end_sector - last.start_sector;
    } else {
        runs.push(run);
    }
}

/// Sorts runs and joins those that touch or overlap.
pub(crate) fn union(mut runs: Vec<SectorRun>) -> Vec<SectorRun> {
    runs.sort_unstable();
    let mut merged = Vec::with_capacity(runs.len());
    for run in runs {
        push(&mut merged, run);
    }
    merged
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(start_sector: u64, sectors: u64) -> SectorRun {
        SectorRun {
            start_sector,
            sectors,
        }
    }

    #[test]
    fn union_sorts_and_joins_touching_and_overlapping_runs() {
        let runs = vec![run(8, 8), run(30, 1), run(0, 8), run(2, 3), run(31, 0)];
        assert_eq!(union(runs), vec![run(0, 16), run(30, 1)]);
    }
}
