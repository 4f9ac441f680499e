//! What is left when building is interrupted? Nothing, or the next command finds and removes it: each of the two
//! processes is killed at each step of the plan and in the midst of it, as root, in a user namespace, with a
//! network, and as an ordinary user.
//!
//! This file is three programs: the test; the conductor that it kills, which waits for a byte after each event;
//! and the child side, since a session executes /proc/self/exe. Next: `live_end`, which ends the command line's.
#![allow(unsafe_code)]

mod sandbox;

use clap::Parser;
use learnctr::engine::journal;
use learnctr::engine::session::{Recording, Session};
use learnctr::kernel::spawn::{CHILD, Stdio3};
use learnctr::plan::Plan;
use learnctr::prepare::{Prepared, Purpose};
use learnctr::spec::Options;
use learnctr::stage::Ways;
use learnctr::trace::Event;
use rustix::process::Signal;
use sandbox::{Place, kill, name, root, soon};
use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Set for the process that conducts.
const CONDUCTOR: &str = "LEARNCTR_TEST_CONDUCTOR";

// SAFETY: the C library calls it before main, after its own and std's arguments are set up; it has no arguments
// that it would read.
#[used]
#[unsafe(link_section = ".init_array")]
static BEFORE_MAIN: extern "C" fn() = before_main;

/// The test harness has threads, and neither of the two processes of a session is to have any at its start.
extern "C" fn before_main() {
    let args: Vec<String> = std::env::args().collect();
    if args.first().is_some_and(|name| name == CHILD) {
        learnctr::engine::child::main(&args);
    }
    if std::env::var_os(CONDUCTOR).is_some() {
        conduct();
        std::process::exit(0);
    }
}

#[derive(Parser)]
struct Asked {
    #[command(flatten)]
    options: Options,
    #[arg(long)]
    one_by_one: bool,
}

/// Walk the plan; say each event, and wait to be told to go on.
fn conduct() {
    let asked = Asked::parse();
    let ways = Ways { one_by_one: asked.one_by_one, ..Ways::default() };
    let prepared = Prepared::new(&asked.options, ways, Purpose::Run { terminal: false }).unwrap();
    let plan = Plan::make(&prepared.ground()).unwrap();
    let mut tell = |event: Event| {
        let (step, pid) = match &event {
            Event::Stepped { stage, planned, outcome, .. } => {
                let outcome = serde_json::to_value(outcome).unwrap();
                (format!("{stage} {:?} {}", planned.side, planned.step), outcome["forked"]["pid"].as_i64())
            }
            Event::Entered { stage, .. } => (format!("{} entered", stage.stage), None),
            Event::Left { stage, .. } => (format!("{stage} left"), None),
            other => (format!("{other:?}"), None),
        };
        println!("{}\t{}", pid.unwrap_or_default(), step.replace('\n', " "));
        let _ = std::io::stdin().read(&mut [0]);
    };
    let mut session =
        Session::new(&plan, &prepared.host, Recording::Steps, Stdio3::Aside, &mut tell).unwrap();
    for number in 0..plan.stages.len() {
        if session.play(number..number + 1).is_err() {
            break;
        }
    }
    let refused = session.finish();
    assert!(refused.is_empty(), "{refused:?}");
}

/// Who is killed, and when.
#[derive(Clone, Copy, Debug, PartialEq)]
enum End {
    /// The conductor, while the session stands still.
    Conductor,
    /// The conductor, this many microseconds after it was told to go on.
    During(u64),
    /// The process that becomes the container.
    Child,
}

/// Those that this test has started: any other child is a container's that has lost its conductor.
static STARTED: Mutex<BTreeSet<i32>> = Mutex::new(BTreeSet::new());

fn started() -> std::sync::MutexGuard<'static, BTreeSet<i32>> {
    STARTED.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// A session that is walked one event at a time.
struct Walk {
    conductor: Child,
    go: ChildStdin,
    events: BufReader<ChildStdout>,
    /// The process that becomes the container.
    pid: Option<i32>,
}

impl Walk {
    fn start(place: &Place, name: &str, options: &[&str]) -> Walk {
        let mut command = Command::new(std::env::current_exe().unwrap());
        let marker = format!("trap exit TERM; echo {name}; sleep 4000 & wait");
        command.args(options).args(["--name", name, "--", "sh", "-c", &marker]).env(CONDUCTOR, "1");
        command.env("LEARNCTR_DATA", place.data()).env("LEARNCTR_STATE", place.state());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        // Held while the child is not yet known.
        let mut known = started();
        let mut conductor = command.spawn().unwrap();
        known.insert(conductor.id() as i32);
        let go = conductor.stdin.take().unwrap();
        let events = BufReader::new(conductor.stdout.take().unwrap());
        Walk { conductor, go, events, pid: None }
    }

    /// The next event, at which the session then stands still.
    fn next(&mut self) -> Option<String> {
        let mut line = String::new();
        let length = self.events.read_line(&mut line).unwrap_or(0);
        let (pid, event) = line.trim_end().split_once('\t').filter(|_| length > 0)?;
        self.pid = pid.parse().ok().filter(|pid| *pid > 0).or(self.pid);
        Some(event.to_owned())
    }

    fn go(&mut self) {
        let _ = self.go.write_all(b".");
    }

    /// Wait for its end; `None` when it hangs.
    fn ended(mut self) -> Option<ExitStatus> {
        let mut status = None;
        soon(60, || {
            status = self.conductor.try_wait().unwrap();
            status.is_some()
        });
        if status.is_none() {
            let _ = self.conductor.kill();
            let _ = self.conductor.wait();
        }
        started().remove(&(self.conductor.id() as i32));
        status
    }
}

/// One interruption, after the event `at`: what is wrong afterwards, if anything is.
fn interrupted(place: &Place, options: &[&str], end: End, at: usize) -> Result<(), String> {
    let name = name();
    let mut walk = Walk::start(place, &name, options);
    let mut last = String::new();
    for number in 0..=at {
        if number > 0 {
            walk.go();
        }
        last = walk.next().ok_or_else(|| format!("{options:?} ended before event {at}, after {last}"))?;
    }
    let told = |what: String| format!("{options:?} {end:?} at {at}: {last}: {what}");
    match end {
        End::Conductor => kill(walk.conductor.id() as i32, Signal::KILL),
        End::During(micros) => {
            walk.go();
            std::thread::sleep(Duration::from_micros(micros));
            kill(walk.conductor.id() as i32, Signal::KILL);
        }
        End::Child => {
            if let Some(pid) = walk.pid {
                kill(pid, Signal::KILL);
            }
            walk.go();
            while walk.next().is_some() {
                walk.go();
            }
        }
    }
    walk.ended().ok_or_else(|| told("it hangs".to_owned()))?;
    // A conductor that could end by itself has taken everything back by itself.
    if matches!(end, End::Conductor | End::During(_)) {
        for left in journal::sweep(&place.state()).iter().filter(|left| left.id == name) {
            if let Some((step, errno)) = left.refused.first() {
                return Err(told(format!("not swept: {step}: {errno}")));
            }
        }
    }
    let mut left = Vec::new();
    soon(10, || {
        left = place.left(&name);
        let known = started().clone();
        let lost = sandbox::children().into_iter().filter(|pid| !known.contains(pid));
        left.extend(lost.map(|pid| format!("child {pid}")));
        left.is_empty()
    });
    if left.is_empty() { Ok(()) } else { Err(told(format!("left:\n    {}", left.join("\n    ")))) }
}

/// An emulated machine does as many as it can in this time, spread over the whole plan.
const ENOUGH: Duration = Duration::from_secs(75);

/// Everything in turn, several at a time, as most of a build is waiting for the kernel.
fn all(place: &Place, jobs: &[(&[&str], End, usize)]) {
    let begin = Instant::now();
    let (next, faults) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    // A step that has no divisor in common with the length visits each job once.
    let shared = |step: &usize| (2..=*step).any(|n| step.is_multiple_of(n) && jobs.len().is_multiple_of(n));
    let stride = (jobs.len() * 5 / 8..).find(|step| !shared(step)).unwrap_or(1);
    let take = || {
        let turn = next.fetch_add(1, Ordering::Relaxed);
        let late = turn >= jobs.len() || begin.elapsed() > ENOUGH;
        if late { None } else { jobs.get(turn * stride % jobs.len()) }
    };
    std::thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| {
                while let Some((options, end, at)) = take() {
                    if let Err(fault) = interrupted(place, options, *end, *at) {
                        println!("{fault}");
                        faults.lock().unwrap().push(fault);
                    }
                }
            });
        }
    });
    let done = (next.into_inner() - 6).min(jobs.len());
    println!("{done} of {} interruptions in {:?}", jobs.len(), begin.elapsed());
    let faults = faults.into_inner().unwrap();
    assert!(faults.is_empty(), "{} of {} left something:\n{}", faults.len(), jobs.len(), faults.join("\n"));
}

/// The events of a whole walk, uninterrupted.
fn whole(place: &Place, options: &[&str]) -> Vec<String> {
    let name = name();
    let mut walk = Walk::start(place, &name, options);
    let next = || walk.next().inspect(|_| walk.go()).map(|event| event.replace(&name, "NAME"));
    let events: Vec<String> = std::iter::from_fn(next).collect();
    assert!(walk.ended().is_some_and(|status| status.success()), "{:?}", events.last());
    events
}

/// The numbers of the events that are of different kinds: of steps in a row that each only write a line to a file
/// of the same group, the first and the last count.
fn telling(events: &[String]) -> Vec<usize> {
    let kind = |at: usize| {
        let event = events.get(at)?;
        Some(event.split_once("write(\"/sys/fs/cgroup").map_or(event.as_str(), |(before, _)| before))
    };
    let changes = |at: &usize| *at == 0 || kind(at - 1) != kind(*at) || kind(at + 1) != kind(*at);
    (0..events.len()).filter(changes).collect()
}

fn prepared() -> Option<Place> {
    rustix::process::set_child_subreaper(Some(rustix::process::getpid())).unwrap();
    sandbox::prepared()
}

/// What containers are built in these tests: the second has steps that the first has not.
fn kinds() -> Vec<&'static [&'static str]> {
    let network: &[&str] = &["--network", "veth"];
    if root() { vec![network, &["--userns", "private", "--one-by-one"]] } else { vec![&[]] }
}

#[test]
fn killed_at_each_step_nothing_is_left() {
    let Some(place) = prepared() else { return };
    let mut jobs = Vec::new();
    let mut known = BTreeSet::new();
    for options in kinds() {
        let events = whole(&place, options);
        for at in telling(&events) {
            // What the other kind has in common with this one need not be killed twice.
            if !known.insert(events[at].clone()) {
                continue;
            }
            jobs.push((options, End::Conductor, at));
            jobs.push((options, End::During(at as u64 * 97 % 1500), at));
            jobs.push((options, End::Child, at));
        }
    }
    all(&place, &jobs);
}

/// Those who begin and those who sweep meet: nobody's journal is taken away while it is being made.
#[test]
fn a_journal_that_is_being_made_is_not_swept() {
    let place = Place::new();
    let state = place.state();
    std::thread::scope(|scope| {
        let sweeper = scope.spawn(|| {
            let until = Instant::now() + Duration::from_secs(2);
            while Instant::now() < until {
                journal::sweep(&state);
            }
        });
        let mut made = 0;
        while !sweeper.is_finished() {
            let Ok(Some(journal)) = journal::Journal::create(&state, &name()) else { continue };
            assert!(journal.path().exists(), "journal {made} is gone");
            assert!(journal.undo().is_empty());
            made += 1;
        }
        println!("{made} journals");
    });
    // Killed before there was anything in it.
    std::fs::write(state.join("empty"), "").unwrap();
    journal::sweep(&state);
    assert_eq!(std::fs::read_dir(&state).unwrap().count(), 0);
}

/// What bears the container's name and was there before is somebody else's: it is refused, and stays.
#[test]
fn what_was_there_before_is_not_taken_away() {
    if !root() {
        return println!("skipped: only root can make groups and interfaces for this");
    }
    let Some(place) = prepared() else { return };
    let refused = |name: &str| {
        let output = place.run(&["run", "--network", "veth", "--name", name, "--", "true"]);
        assert_eq!(output.status.code(), Some(1));
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    // A group with a process in it.
    let id = name();
    let group = sandbox::hierarchies().pop().unwrap().join(format!("learnctr-{id}"));
    std::fs::create_dir(&group).unwrap();
    let mut sleeper = sandbox::Running(Command::new("sleep").arg("4000").spawn().unwrap());
    std::fs::write(group.join("cgroup.procs"), sleeper.0.id().to_string()).unwrap();
    let said = refused(&id);
    assert!(said.contains("EEXIST") && said.contains(group.to_str().unwrap()), "{said}");
    assert!(sleeper.0.try_wait().unwrap().is_none(), "it was killed");
    assert_eq!(place.left(&id), [group.display().to_string()]);
    drop(sleeper);
    assert!(soon(5, || std::fs::remove_dir(&group).is_ok()));
    // A directory.
    let id = name();
    let file = place.data().join("containers").join(&id).join("upper/file");
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(&file, "mine").unwrap();
    assert!(refused(&id).contains("EEXIST"));
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "mine");
}
