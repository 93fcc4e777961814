//! The monotonic clock as a plain number, which all processes of the machine share, and exact waits.

use std::mem::MaybeUninit;

const NS_A_SECOND: u64 = 1_000_000_000;

/// Sleeps end this late at most; the system's default of 50 µs would be a twentieth of a round trip.
const SLACK_NS: libc::c_ulong = 1_000;

/// Nanoseconds of the monotonic clock.
pub(crate) fn now_ns() -> u64 {
    let mut time = MaybeUninit::<libc::timespec>::zeroed();
    // SAFETY: the place is writable and of the right type; the clock is known to every Linux.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, time.as_mut_ptr()) };
    // SAFETY: all-zero bytes are a valid `timespec` too.
    let time = unsafe { time.assume_init() };
    time.tv_sec.unsigned_abs() * NS_A_SECOND + time.tv_nsec.unsigned_abs()
}

/// Sleeps of this thread shall end when they should.
pub(crate) fn sleep_exactly() {
    set_slack(SLACK_NS);
}

fn set_slack(slack_ns: libc::c_ulong) {
    // SAFETY: a plain system call about this thread alone; 0 stands for the thread's default.
    unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, slack_ns) };
}

/// Sleeps on a thread of the program until a time of [`now_ns`] has come.
pub(crate) fn sleep_until(due_ns: u64) {
    if due_ns <= now_ns() {
        return;
    }
    // SAFETY: a plain system call about this thread alone.
    let slack = unsafe { libc::prctl(libc::PR_GET_TIMERSLACK) };
    sleep_exactly();
    let until = libc::timespec {
        tv_sec: (due_ns / NS_A_SECOND).cast_signed(),
        tv_nsec: (due_ns % NS_A_SECOND).cast_signed(),
    };
    while due_ns > now_ns() {
        // SAFETY: the time is valid during the call; a null rest is allowed.
        unsafe {
            libc::clock_nanosleep(
                libc::CLOCK_MONOTONIC,
                libc::TIMER_ABSTIME,
                &raw const until,
                std::ptr::null_mut(),
            )
        };
    }
    // The thread is the program's: it gets back what it had.
    set_slack(slack.unsigned_abs().into());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sleep_does_not_end_early_and_the_slack_stays_the_programs() {
        // SAFETY: a plain system call about this thread alone.
        let slack = || unsafe { libc::prctl(libc::PR_GET_TIMERSLACK) };
        let before = slack();
        let due_ns = now_ns() + 2_000_000;
        sleep_until(due_ns);
        assert!(now_ns() >= due_ns);
        sleep_until(due_ns);
        assert_eq!(slack(), before);
    }
}
