//! False answers to a query of allocated blocks, for tests of a client's checks.

use lab::BlocksLie;
use vmdk::SectorRun;

/// The runs as a lying library tells them. `range` is what was asked for.
pub(super) fn told(
    lie: BlocksLie,
    mut runs: Vec<SectorRun>,
    range: &SectorRun,
    chunk_sectors: u64,
) -> Vec<SectorRun> {
    let run = |start_sector, sectors| SectorRun {
        start_sector,
        sectors,
    };
    let end = range.start_sector + range.sectors;
    match lie {
        BlocksLie::Outside => runs.push(run(end, chunk_sectors)),
        BlocksLie::Before => {
            // At the start of the disk nothing lies before: the sector number wraps round.
            let start = range.start_sector.wrapping_sub(chunk_sectors);
            runs.insert(0, run(start, chunk_sectors));
        }
        BlocksLie::Unordered => {
            if runs.len() < 2 {
                runs = vec![
                    run(range.start_sector, chunk_sectors),
                    run(end.saturating_sub(chunk_sectors), chunk_sectors),
                ];
            }
            runs.reverse();
        }
        BlocksLie::Overlap => {
            let first = runs.first().copied();
            runs.insert(0, first.unwrap_or(run(range.start_sector, chunk_sectors)));
            runs.insert(0, runs[0]);
        }
        BlocksLie::Empty => runs.insert(0, run(range.start_sector, 0)),
        BlocksLie::Missing => {
            runs.drain(..runs.len().min(1));
        }
        BlocksLie::NotWhole => runs.insert(0, run(range.start_sector, chunk_sectors - 1)),
        BlocksLie::TooMany => {
            let chunks = (range.sectors / chunk_sectors) as usize;
            runs = vec![run(range.start_sector, chunk_sectors); chunks + 1];
        }
        _ => {}
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_lie_breaks_a_rule() {
        let range = SectorRun {
            start_sector: 1280,
            sectors: 512,
        };
        let truth = vec![SectorRun {
            start_sector: 1408,
            sectors: 128,
        }];
        let broken = |runs: &[SectorRun]| {
            let mut end = range.start_sector;
            for run in runs {
                let run_end = run.start_sector + run.sectors;
                if run.start_sector < end || run.sectors == 0 || run_end > 1792 {
                    return true;
                }
                if run.sectors % 128 != 0 {
                    return true;
                }
                end = run_end;
            }
            false
        };
        assert!(!broken(&truth));
        for lie in [
            BlocksLie::Outside,
            BlocksLie::Before,
            BlocksLie::Unordered,
            BlocksLie::Overlap,
            BlocksLie::Empty,
            BlocksLie::NotWhole,
            BlocksLie::TooMany,
        ] {
            assert!(broken(&told(lie, truth.clone(), &range, 128)), "{lie:?}");
        }
        assert!(told(BlocksLie::Missing, truth, &range, 128).is_empty());
    }
}
