//! The processes, and who kills them.

use std::fmt::Display;
use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::ground::VMS;
use super::told::Told;
use super::worker::Role;
use super::{ROLE, SEED, STORE};
use crate::repo::tests::killed::Dice;

const SIGKILL: i32 = 9;
const WRITERS: u64 = 4;
/// A blow comes after fewer words than this, so that a slow store or machine gets as much done between two,
const BLOW_WORDS: u64 = 12;
/// or when nobody has said so much for so long.
const BLOW_AFTER: Duration = Duration::from_secs(5);
/// A reader is spared so often out of a number of blows: it is to meet many sweeps.
const READER_SPARED: (u64, u64) = (3, 4);
/// Longest time that a process stands still: longer than a sweep looks at it.
const PAUSE_MS: u64 = 3_000;

/// What is heard of a process.
enum Heard {
    Line(String),
    Ended { place: usize, life: u64 },
}

struct Process {
    child: Child,
    /// Tells its word from that of the one before it in its place.
    life: u64,
    resumes: Option<Instant>,
    listener: Option<JoinHandle<()>>,
}

pub(super) struct Herd {
    address: String,
    roles: Vec<Role>,
    processes: Vec<Process>,
    lives: u64,
    kills: u64,
    pauses: u64,
    sender: Sender<Heard>,
    heard: Receiver<Heard>,
}

impl Display for Herd {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} kills, {} pauses", self.kills, self.pauses)
    }
}

impl Drop for Herd {
    fn drop(&mut self) {
        self.kill_all();
    }
}

impl Herd {
    pub(super) fn new(address: &str) -> Self {
        let mut roles: Vec<Role> = (0..WRITERS)
            .map(|writer| Role::Writer(writer.min(VMS - 1)))
            .collect();
        roles.extend([Role::Sweeper, Role::Sweeper, Role::Keeper]);
        roles.extend([Role::Pinned, Role::Pinned, Role::Unpinned]);
        let (sender, heard) = channel();
        Self {
            address: address.to_owned(),
            roles,
            processes: Vec::new(),
            lives: 0,
            kills: 0,
            pauses: 0,
            sender,
            heard,
        }
    }

    /// Lets all of them work for so long, strikes now and then, and kills them all at the end.
    pub(super) fn run(&mut self, lasts: Duration, dice: &mut Dice, told: &mut Told) {
        for place in 0..self.roles.len() {
            let process = self.start(place, dice);
            self.processes.push(process);
        }
        let end = Instant::now() + lasts;
        let mut blow = Instant::now() + BLOW_AFTER;
        let mut words = dice.throw(BLOW_WORDS);
        while Instant::now() < end {
            let resumes = self.processes.iter().filter_map(|process| process.resumes);
            let next = resumes.chain([blow, end]).min().unwrap_or(end);
            let left = next.saturating_duration_since(Instant::now());
            match self.heard.recv_timeout(left) {
                Ok(heard) => {
                    self.hear(heard, told);
                    words = words.saturating_sub(1);
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => unreachable!("the herd has a sender"),
            }
            self.resume_who_must();
            if words == 0 || Instant::now() >= blow {
                self.strike(dice);
                blow = Instant::now() + BLOW_AFTER;
                words = dice.throw(BLOW_WORDS);
            }
        }
        let killed = self.kill_all();
        assert!(killed, "a process ended by itself: {told}");
        while let Ok(heard) = self.heard.try_recv() {
            self.hear(heard, told);
        }
    }

    fn start(&mut self, place: usize, dice: &mut Dice) -> Process {
        self.lives += 1;
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["repo::tests::fleet::works_until_it_is_killed", "--exact"])
            .args(["--ignored", "--nocapture"])
            .env(STORE, &self.address)
            .env(ROLE, self.roles[place].to_string())
            .env(SEED, dice.throw(u64::MAX).max(1).to_string())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        let (sender, life) = (self.sender.clone(), self.lives);
        let listener = std::thread::spawn(move || {
            for line in out.lines().map_while(Result::ok) {
                if let Some(words) = line.strip_prefix("@ ") {
                    let _ = sender.send(Heard::Line(words.to_owned()));
                }
            }
            let _ = sender.send(Heard::Ended { place, life });
        });
        Process {
            child,
            life,
            resumes: None,
            listener: Some(listener),
        }
    }

    fn hear(&self, heard: Heard, told: &mut Told) {
        match heard {
            Heard::Line(line) => told.hear(&line),
            Heard::Ended { place, life } => {
                let lives = self.processes.get(place).map(|process| process.life);
                let role = self.roles[place];
                assert!(lives != Some(life), "a {role} ended by itself: {told}");
            }
        }
    }

    fn strike(&mut self, dice: &mut Dice) {
        let place = dice.throw(self.processes.len() as u64) as usize;
        if self.roles[place].reads() && dice.throw(READER_SPARED.1) < READER_SPARED.0 {
            return;
        }
        let process = &mut self.processes[place];
        if dice.throw(3) == 0 && self.roles[place].may_pause() {
            signal(&process.child, "STOP");
            let pause = Duration::from_millis(dice.throw(PAUSE_MS));
            process.resumes = Some(Instant::now() + pause);
            self.pauses += 1;
        } else {
            let killed = kill(process);
            assert!(killed, "a {} ended by itself", self.roles[place]);
            self.kills += 1;
            self.processes[place] = self.start(place, dice);
        }
    }

    fn resume_who_must(&mut self) {
        for process in &mut self.processes {
            if process
                .resumes
                .is_some_and(|resumes| resumes <= Instant::now())
            {
                process.resumes = None;
                signal(&process.child, "CONT");
            }
        }
    }

    /// Tells whether all of them were alive.
    fn kill_all(&mut self) -> bool {
        let mut alive = true;
        for process in &mut self.processes {
            // Of one that has ended already its status tells.
            let _ = process.child.kill();
        }
        for mut process in self.processes.drain(..) {
            alive &= kill(&mut process);
            self.kills += 1;
        }
        alive
    }
}

/// Kills it and waits until all that it said was heard. Tells whether it had not ended before.
fn kill(process: &mut Process) -> bool {
    let _ = process.child.kill();
    let status = process.child.wait().unwrap();
    if let Some(listener) = process.listener.take() {
        listener.join().unwrap();
    }
    status.signal() == Some(SIGKILL)
}

fn signal(child: &Child, name: &str) {
    let order = format!("kill -{name} {}", child.id());
    let status = Command::new("sh").args(["-c", &order]).status().unwrap();
    assert!(status.success(), "{order}");
}
