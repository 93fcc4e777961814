//! The bars on a terminal: one for each disk in work, and below them the sum where there are several.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

/// What is drawn of a disk.
const TEMPLATE: &str = "  {msg} {bar:30} {binary_bytes}/{binary_total_bytes} {binary_bytes_per_sec} eta {eta} {prefix}";

/// How often the sum is drawn anew though nothing moves.
const TICK: Duration = Duration::from_millis(500);

/// The bars of all disks in work, of one VM or several.
#[derive(Debug, Default)]
pub(super) struct Board {
    bars: MultiProgress,
    sum: Mutex<Sum>,
}

/// The bar of a disk.
#[derive(Debug)]
pub(super) struct Bar {
    bar: ProgressBar,
    total_bytes: u64,
}

impl Bar {
    /// Writes something behind the bar.
    pub(super) fn say(&self, text: &str) {
        self.bar.set_prefix(text.to_owned());
    }
}

/// What is told of all disks since the last time when none was in work.
#[derive(Debug, Default)]
struct Sum {
    in_work: usize,
    total_bytes: u64,
    done_bytes: u64,
    bar: Option<ProgressBar>,
}

impl Board {
    fn sum(&self) -> MutexGuard<'_, Sum> {
        self.sum.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A disk begins.
    pub(super) fn begin(&self, label: &str, total_bytes: u64) -> Bar {
        let mut sum = self.sum();
        sum.in_work += 1;
        sum.total_bytes += total_bytes;
        let bar = drawn(label.to_owned(), total_bytes);
        let bar = match &sum.bar {
            // The sum stays below.
            Some(below) => self.bars.insert_before(below, bar),
            None => self.bars.add(bar),
        };
        if sum.in_work > 1 && sum.bar.is_none() {
            let below = self.bars.add(drawn(String::new(), sum.total_bytes));
            below.set_position(sum.done_bytes);
            below.enable_steady_tick(TICK);
            sum.bar = Some(below);
        }
        sum.tell();
        Bar { bar, total_bytes }
    }

    /// More of a disk is done.
    pub(super) fn advance(&self, bar: &Bar, more_bytes: u64) {
        bar.bar.inc(more_bytes);
        let mut sum = self.sum();
        sum.done_bytes += more_bytes;
        if let Some(below) = &sum.bar {
            below.inc(more_bytes);
        }
    }

    /// A disk ends, with all of it done or not.
    pub(super) fn end(&self, bar: Bar) {
        let Bar { bar, total_bytes } = bar;
        let missing_bytes = total_bytes.saturating_sub(bar.position());
        bar.finish_and_clear();
        self.bars.remove(&bar);
        let mut sum = self.sum();
        sum.in_work = sum.in_work.saturating_sub(1);
        sum.total_bytes = sum.total_bytes.saturating_sub(missing_bytes);
        if sum.in_work == 0
            && let Some(below) = std::mem::take(&mut *sum).bar
        {
            below.finish_and_clear();
            self.bars.remove(&below);
        }
        sum.tell();
    }

    /// Writes something where the bars are not.
    pub(super) fn beside(&self, write: impl FnOnce()) {
        self.bars.suspend(write);
    }
}

impl Sum {
    fn tell(&self) {
        if let Some(bar) = &self.bar {
            bar.set_length(self.total_bytes);
            bar.set_message(format!("{} disks in work:", self.in_work));
        }
    }
}

fn drawn(label: String, total_bytes: u64) -> ProgressBar {
    let style = ProgressStyle::with_template(TEMPLATE);
    let bar = ProgressBar::new(total_bytes).with_message(label);
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar
}

#[cfg(test)]
mod tests {
    use super::Board;

    #[test]
    fn the_sum_is_there_while_several_disks_are_in_work() {
        let board = Board::default();
        let first = board.begin("Hard disk 1", 100);
        board.advance(&first, 40);
        assert!(board.sum().bar.is_none(), "one disk is its own sum");
        let second = board.begin("Hard disk 2", 50);
        board.advance(&second, 10);
        let shown = |board: &Board| {
            let sum = board.sum();
            let bar = sum.bar.as_ref().map(|bar| (bar.position(), bar.length()));
            bar.map(|(position, length)| (sum.in_work, position, length))
        };
        assert_eq!(shown(&board), Some((2, 50, Some(150))));
        // What a disk that failed has not done will not be done.
        board.end(first);
        assert_eq!(shown(&board), Some((1, 50, Some(90))));
        board.end(second);
        assert_eq!(shown(&board), None);
        let third = board.begin("Hard disk 3", 7);
        assert_eq!(board.sum().total_bytes, 7, "the sum begins anew");
        board.end(third);
    }
}
