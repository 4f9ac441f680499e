//! How does the builder show itself without ever parsing HTTP, or waiting for one who does? It writes its lines into
//! memory; the page's process, which holds nothing, has them to read. If that one dies it is started again, with
//! the same address, the same tokens and the same memory.
//!
//! Next: `process`, which is started here.

use super::confine;
use super::wire::{Command, Head, Said, State, Told};
use crate::kernel::channel::{Channel, Received};
use crate::kernel::process;
use crate::kernel::{Errno, libc_flags, web};
use std::fs::File;
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

/// The builder's side.
pub struct Feed {
    listener: TcpListener,
    address: SocketAddrV4,
    token: String,
    read_token: String,
    memory: File,
    end: u64,
    head: Head,
    web: Option<Web>,
    next_start: Instant,
    failed_starts: u32,
    became: Option<(u32, u32)>,
}

/// The page's process, as long as it lives.
struct Web {
    pid: i32,
    channel: Channel,
    ended: OwnedFd,
}

/// It is started again no sooner than this after the last time, and not at all after so many that came to nothing.
const BETWEEN_STARTS: Duration = Duration::from_millis(300);
const MOST_FAILED: u32 = 5;
const FIRST_WORD: Duration = Duration::from_secs(5);
const LAST_MOMENTS: Duration = Duration::from_secs(1);
/// Before it is said that a page takes its time, and then at most.
const UNSAID: Duration = Duration::from_millis(300);
const LEAVING: Duration = Duration::from_secs(3);
/// A process that says more than this between two looks does not keep us from the rest.
const MOST_SAID: usize = 64;

impl Feed {
    /// Make the address and the tokens, and start the page; its first word is waited for, so that what makes it
    /// impossible is said before anything is built.
    pub fn start() -> Result<Feed, String> {
        let refused = |what: &str| {
            let what = what.to_owned();
            move |errno: Errno| format!("the page cannot be served: {what} = -1 {errno}")
        };
        let listener = listen()?;
        let address = match listener.local_addr() {
            Ok(std::net::SocketAddr::V4(address)) => address,
            _ => return Err("the page cannot be served: its socket has no address".to_owned()),
        };
        let head = Head { walk: 1, state: State::Busy };
        let memory = web::memory().map_err(refused("memfd_create(\"learnctr-trace\", MFD_CLOEXEC)"))?;
        head.write(&memory).map_err(Errno::from).map_err(refused("pwrite64 of the trace's memory"))?;
        let mut feed = Feed {
            listener,
            address,
            token: token().map_err(refused("getrandom"))?,
            read_token: token().map_err(refused("getrandom"))?,
            memory,
            end: Head::LENGTH,
            head,
            web: None,
            next_start: Instant::now(),
            failed_starts: 0,
            became: confine::ids(),
        };
        feed.spawn().map_err(refused("execve of the page's process"))?;
        feed.first_word()?;
        Ok(feed)
    }

    fn spawn(&mut self) -> Result<(), Errno> {
        self.next_start = Instant::now() + BETWEEN_STARTS;
        let (ours, theirs) = Channel::pair()?;
        // Opened anew, since a copy of our descriptor could be written to.
        let read_only = File::open(format!("/proc/self/fd/{}", self.memory.as_raw_fd()))?;
        let fds: [BorrowedFd; 3] = [theirs.as_fd(), self.listener.as_fd(), read_only.as_fd()];
        let pid = web::spawn(&fds)?;
        let web = Web { pid, channel: ours, ended: process::pidfd(pid)? };
        let hello = Told::Hello {
            token: self.token.clone(),
            read_token: self.read_token.clone(),
            become_ids: self.became,
        };
        let said = web.channel.try_send(&hello);
        self.web = Some(web);
        said
    }

    fn first_word(&mut self) -> Result<(), String> {
        let Some(web) = &self.web else { return Err("the page's process is gone".to_owned()) };
        let _ = process::poll(&[web.channel.raw()], FIRST_WORD.as_millis() as i32);
        let why = match web.channel.try_receive::<Said>() {
            Ok(Received::Message(Said::Ready, _)) => return Ok(()),
            Ok(Received::Message(Said::Refused { step, errno }, _)) => {
                let parts = confine::parts(self.became)?;
                let step = parts.get(step).map_or_else(
                    || "what /proc/self/status says afterwards".to_owned(),
                    |part| part.step.to_string(),
                );
                format!("it must hold nothing before it serves, and {step} = -1 {errno}")
            }
            Ok(_) | Err(Errno(_)) => "its process ended before it said a word".to_owned(),
        };
        Err(format!("the page cannot be served: {why}; `learnctr doctor` says what this machine allows"))
    }

    /// Another line of the trace.
    pub fn line(&mut self, line: &[u8]) {
        let mut whole = line.to_vec();
        if !whole.ends_with(b"\n") {
            whole.push(b'\n');
        }
        // What cannot be written is not shown; it does not stop the build.
        if self.memory.write_all_at(&whole, self.end).is_ok() {
            self.end += whole.len() as u64;
            self.poke();
        }
    }

    /// The walk begins anew: what was told so far is over.
    pub fn restart(&mut self) {
        self.head.walk += 1;
        let anew = self.head.write(&self.memory).and_then(|()| self.memory.set_len(Head::LENGTH));
        if anew.is_ok() {
            self.end = Head::LENGTH;
        }
        self.poke();
    }

    /// What the builder does from now on. Commands of before are not for a pause that begins now.
    pub fn state(&mut self, state: State) {
        if state == State::Waiting {
            // Not for as long as there are any: one that only talks must not hold up the build.
            let _ = (0..MOST_SAID).take_while(|_| self.command().is_some()).count();
        }
        self.head.state = state;
        let _ = self.head.write(&self.memory);
        self.poke();
    }

    /// Something is new. It may be lost when many were not heard yet: then those are heard.
    fn poke(&mut self) {
        if let Some(web) = &self.web {
            let _ = web.channel.try_send(&Told::Look);
        }
    }

    /// What to poll(2) for: it said something, or it is gone.
    pub fn fds(&self) -> [RawFd; 2] {
        self.web.as_ref().map_or([-1, -1], |web| [web.channel.raw(), web.ended.as_raw_fd()])
    }

    /// How long to poll at most, in milliseconds; -1 for as long as one likes.
    pub fn patience(&self) -> i32 {
        match self.web {
            None if self.failed_starts < MOST_FAILED => {
                self.next_start.saturating_duration_since(Instant::now()).as_millis() as i32 + 1
            }
            _ => -1,
        }
    }

    /// The next command, without waiting for one.
    pub fn command(&mut self) -> Option<Command> {
        for _ in 0..MOST_SAID {
            match self.web.as_ref()?.channel.try_receive::<Said>() {
                Ok(Received::Message(Said::Do(command), _)) => return Some(command),
                Ok(Received::Message(Said::Ready, _)) => self.failed_starts = 0,
                // EIO is what was no message of ours: it is not obeyed.
                Ok(Received::Message(Said::Refused { .. }, _)) | Err(Errno::EIO) => {}
                Ok(Received::End) => {
                    self.end_web();
                    return None;
                }
                Err(_) => return None,
            }
        }
        None
    }

    /// Bury the page's process when it has died, and start it again when it is time.
    pub fn tend(&mut self) {
        if let Some(web) = &self.web
            && process::wait(web.pid, false).is_ok_and(|ended| ended.is_some())
        {
            self.web = None;
        }
        if self.web.is_none() && self.patience() >= 0 && Instant::now() >= self.next_start {
            // Until it says that it is ready.
            self.failed_starts += 1;
            if self.spawn().is_err() {
                self.end_web();
            }
            // Its start is no stage's call.
            crate::kernel::call::heard();
        }
    }

    /// It has closed its end, or is not wanted any more.
    fn end_web(&mut self) {
        let Some(Web { pid, channel, ended }) = self.web.take() else { return };
        // Root without CAP_KILL may not signal another user's process: that one ends by itself without its channel, and at
        // the latest with us.
        drop(channel);
        let _ = process::kill(pid, libc_flags::SIGKILL);
        let _ = process::poll(&[ended.as_raw_fd()], LAST_MOMENTS.as_millis() as i32);
        let _ = process::wait(pid, false);
    }

    /// The page's address with its token, in the part of it that no browser sends anywhere.
    pub fn url(&self) -> String {
        format!("http://{}/#token={}", self.address, self.token)
    }

    /// The same as linked pages, for a browser without JavaScript: they can show, and start nothing.
    pub fn plain_url(&self) -> String {
        format!("http://{}/plain/{}/", self.address, self.read_token)
    }

    pub fn address(&self) -> SocketAddrV4 {
        self.address
    }

    pub fn web_pid(&self) -> Option<i32> {
        self.web.as_ref().map(|web| web.pid)
    }

    /// What to tell the person who is to open it.
    pub fn words(&self) -> String {
        format!(
            " the page                  {}\n without JavaScript        {}\n \
             from another machine      ssh -L {address}:{address} THIS-MACHINE, then the same address there\n",
            self.url(),
            self.plain_url(),
            address = self.address
        )
    }
}

impl Drop for Feed {
    /// Pages that are open take what was recorded with them: without one it is over at once, and in any case soon.
    fn drop(&mut self) {
        self.state(State::Over);
        let [_, ended] = self.fds();
        let gone = |patience: Duration| {
            ended < 0
                || process::poll(&[ended], patience.as_millis() as i32).is_ok_and(|ready| ready == [true])
        };
        if !gone(UNSAID) {
            eprintln!(
                "learnctr: an open page takes what was recorded with it; this ends within three seconds"
            );
            gone(LEAVING);
        }
        self.end_web();
    }
}

/// A random port of a random address of this machine's own: no page of elsewhere can guess it, and no other
/// user's can have been there before.
fn listen() -> Result<TcpListener, String> {
    let mut last = Errno::EIO;
    for attempt in 0..16 {
        let mut random = [0u8; 3];
        web::random(&mut random).map_err(|errno| format!("getrandom = -1 {errno}"))?;
        let [x, y, z] = random.map(|byte| byte % 254 + 1);
        // Where the loopback interface has this one address only.
        let address = if attempt < 15 { Ipv4Addr::new(127, x, y, z) } else { Ipv4Addr::LOCALHOST };
        match TcpListener::bind((address, 0)) {
            Ok(listener) => return Ok(listener),
            Err(error) => last = error.into(),
        }
    }
    Err(format!(
        "the page cannot be served: bind(127.x.y.z, port 0) = -1 {last}; `ip addr show lo` says whether the loopback interface \
         is up"
    ))
}

/// 32 random bytes, in hexadecimal.
fn token() -> Result<String, Errno> {
    let mut bytes = [0u8; 32];
    web::random(&mut bytes)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
