//! What does the page's process do? It takes what it was handed, gives up everything else, says so, and serves;
//! whatever the builder tells is read from memory.
//!
//! Next: `gate`, where requests come in.

use super::board::Board;
use super::confine::{self, Part};
use super::gate::{self, Door};
use super::tail::Tail;
use super::wire::{Said, State, Told};
use crate::kernel::channel::{Channel, Received};
use crate::kernel::{Errno, fork, process, web};
use serde::Serialize;
use std::fs::File;
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// The page of itself: what confined it, and what the kernel says of it at that moment.
pub struct Own {
    status: File,
    parts: Vec<Part>,
}

#[derive(Serialize)]
struct OwnFacts {
    pid: i32,
    /// /proc/PID/status, as far as it is about privilege (proc_pid_status(5)).
    status: Vec<(String, String)>,
    steps: Vec<OwnStep>,
}

#[derive(Serialize)]
struct OwnStep {
    call: String,
    why: &'static str,
    refused: Option<Errno>,
}

/// So often it is looked whether all have gone.
const ROUND: Duration = Duration::from_millis(10);

/// What of the status is told.
const TOLD: [&str; 14] = [
    "Name",
    "Uid",
    "Gid",
    "Groups",
    "VmRSS",
    "Threads",
    "CapInh",
    "CapPrm",
    "CapEff",
    "CapBnd",
    "CapAmb",
    "NoNewPrivs",
    "Seccomp",
    "Seccomp_filters",
];

impl Own {
    fn status(&self) -> std::io::Result<String> {
        // Procfs makes the text anew at each read from the beginning.
        let mut room = [0; 8192];
        let count = self.status.read_at(&mut room, 0)?;
        Ok(String::from_utf8_lossy(room.get(..count).unwrap_or_default()).into_owned())
    }

    /// As JSON.
    pub fn facts(&self) -> String {
        let status = self.status().unwrap_or_default();
        let told = status.lines().filter_map(|line| line.split_once(':'));
        let told = told.filter(|(name, _)| TOLD.contains(name));
        let facts = OwnFacts {
            pid: process::pid(),
            status: told.map(|(name, value)| (name.to_owned(), value.trim().to_owned())).collect(),
            steps: self
                .parts
                .iter()
                .map(|part| OwnStep { call: part.step.to_string(), why: part.why, refused: part.refused })
                .collect(),
        };
        serde_json::to_string(&facts).unwrap_or_default()
    }
}

/// The page's process's whole life; `args` holds the numbers of its descriptors.
pub fn main(args: &[String]) -> ! {
    web::one_heap();
    fork::set_title("learnctr-web", web::WEB);
    let fds: Vec<i32> = args.iter().skip(1).filter_map(|number| number.parse().ok()).collect();
    let handed = || {
        let [channel, listener, memory] = fds.as_slice().try_into().ok()?;
        web::close_others(&fds).ok()?;
        let taken = |fd| web::inherited(fd).ok();
        Some((Channel::inherited(channel).ok()?, taken(listener)?, taken(memory)?))
    };
    let Some((channel, listener, memory)) = handed() else {
        eprintln!("learnctr: this name is for learnctr's own use: it needs what `step --web` hands over");
        process::exit_now(2);
    };
    serve(channel, listener, memory)
}

fn serve(channel: Channel, listener: OwnedFd, memory: OwnedFd) -> ! {
    // What is asked of the kernel by name or by address is asked now.
    let status = File::open("/proc/self/status");
    let listener = TcpListener::from(listener);
    let Ok(std::net::SocketAddr::V4(address)) = listener.local_addr() else { process::exit_now(1) };
    let hello = channel.receive::<Told>();
    let (Ok(status), Ok(Received::Message(Told::Hello { token, read_token, become_ids }, _))) =
        (status, hello)
    else {
        process::exit_now(1);
    };
    let Ok(mut parts) = confine::parts(become_ids) else { process::exit_now(1) };
    let many = parts.len();
    let channel = match confine::confine(channel, &mut parts) {
        Ok(channel) => channel,
        Err((channel, step, errno)) => refuse(&channel, step, errno),
    };
    let own = Own { status, parts };
    // Not what was asked for counts, but what the kernel says.
    if !own.status().is_ok_and(|status| confine::holds_nothing(&status, become_ids)) {
        refuse(&channel, many, Errno::EPERM);
    }
    let board = Arc::new(Board::default());
    let channel = Arc::new(channel);
    let back = Mutex::new(Arc::clone(&channel));
    let door = Arc::new(Door {
        host: address.to_string(),
        origin: format!("http://{address}"),
        token,
        read_token,
        board: Arc::clone(&board),
        own,
        // Not waiting: a builder that does not listen is no reason for a request to hang.
        ask: Box::new(move |command| {
            let back = back.lock().unwrap_or_else(PoisonError::into_inner);
            back.try_send(&Said::Do(command)).is_ok()
        }),
    });
    let mut tail = Tail::new(File::from(memory));
    read(&mut tail, &board);
    let _ = channel.try_send(&Said::Ready);
    if std::thread::Builder::new().spawn(move || gate::open(&listener, &door)).is_err() {
        process::exit_now(1);
    }
    loop {
        match channel.receive::<Told>() {
            Ok(Received::Message(..)) => {
                // One look is for all that were told meanwhile.
                while matches!(channel.try_receive::<Told>(), Ok(Received::Message(..))) {}
                read(&mut tail, &board);
                // Those who listen take what they want with them, and go; the builder ends who stays for longer.
                while board.look().state == State::Over {
                    if board.ring() == 0 {
                        process::exit_now(0);
                    }
                    std::thread::sleep(ROUND);
                }
            }
            // The builder is gone: so is the page.
            Ok(Received::End) | Err(_) => process::exit_now(0),
        }
    }
}

fn read(tail: &mut Tail, board: &Board) {
    while let Ok(news) = tail.look() {
        let more = news.more;
        board.take(news);
        if !more {
            break;
        }
    }
}

fn refuse(channel: &Channel, step: usize, errno: Errno) -> ! {
    let _ = channel.try_send(&Said::Refused { step, errno });
    process::exit_now(1)
}
