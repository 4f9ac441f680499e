//! Who comes in? Anyone on this machine can connect, the container too, and any page that a browser here has open.
//! So this stands in front: it counts, it takes the time, it reads a request's head, and only one that it has
//! understood in full, and that may, is answered.
//!
//! Next: `head` (the bytes), `rules` (who may), `answer` (what every answer says), then `super::routes`.

pub mod answer;
mod head;
pub mod rules;

use super::board::Board;
use super::process::Own;
use super::wire::Command;
use super::{routes, stream};
use answer::{Answer, Paced};
use std::io::Read;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// What requests are held against, and what they may reach.
pub struct Door {
    /// `127.x.y.z:PORT`, the only Host.
    pub host: String,
    /// `http://127.x.y.z:PORT`, the only Origin.
    pub origin: String,
    pub token: String,
    pub read_token: String,
    pub board: Arc<Board>,
    pub own: Own,
    pub ask: Box<dyn Fn(Command) -> bool + Send + Sync>,
}

pub const CONNECTIONS: usize = 32;
pub const STREAMS: usize = 4;
/// Within five seconds it is closed too.
const HEAD_TIME: Duration = Duration::from_millis(4_800);
const BODY_TIME: Duration = HEAD_TIME;
const ANSWER_TIME: Duration = Duration::from_secs(10);
/// A drawing of many objects, rendered, in a build without optimization.
const STACK: usize = 512 * 1024;

/// So many at a time.
#[derive(Clone)]
pub struct Slots {
    free: Arc<(Mutex<usize>, Condvar)>,
}

/// One of them, free again when dropped.
pub struct Slot(Slots);

impl Slots {
    pub fn new(many: usize) -> Slots {
        Slots { free: Arc::new((Mutex::new(many), Condvar::new())) }
    }

    fn wait(&self) -> Slot {
        let (count, freed) = &*self.free;
        let mut free = count.lock().unwrap_or_else(PoisonError::into_inner);
        while *free == 0 {
            free = freed.wait(free).unwrap_or_else(PoisonError::into_inner);
        }
        *free -= 1;
        Slot(self.clone())
    }

    /// One if there is one.
    pub fn take(&self) -> Option<Slot> {
        let mut free = self.free.0.lock().unwrap_or_else(PoisonError::into_inner);
        *free = free.checked_sub(1)?;
        Some(Slot(self.clone()))
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let (count, freed) = &*self.0.free;
        *count.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        freed.notify_one();
    }
}

/// Accept for as long as this process lives: what makes accept(2) fail, descriptors that are used up above all,
/// passes. Who is one too many waits in the kernel, not in a thread.
pub fn open(listener: &TcpListener, door: &Arc<Door>) {
    let (connections, streams) = (Slots::new(CONNECTIONS), Slots::new(STREAMS));
    loop {
        let slot = connections.wait();
        let Ok((client, _)) = listener.accept() else {
            drop(slot);
            std::thread::sleep(Duration::from_millis(20));
            continue;
        };
        let (door, streams) = (Arc::clone(door), streams.clone());
        let serve = move || {
            serve(&client, &door, &streams);
            drop(slot);
        };
        // Refused for want of memory: this client is let go, and the next may fare better.
        let _ = std::thread::Builder::new().stack_size(STACK).spawn(serve);
    }
}

/// One connection is one request: what comes after it is not read as another one.
fn serve(client: &TcpStream, door: &Door, streams: &Slots) {
    let _ = client.set_nodelay(true);
    let mut reader = Timed { client, until: Instant::now() + HEAD_TIME };
    let mut bare = false;
    let answer = match head::read(&mut reader) {
        Ok((head, rest)) => {
            bare = head.method == "HEAD";
            reader.until = Instant::now() + BODY_TIME;
            match rules::admit(&head, door).and_then(|admitted| {
                let body = head::body(&mut reader, rest, admitted.length)?;
                Ok((admitted.route, body))
            }) {
                Ok((routes::Route::Stream, _)) => match streams.take() {
                    Some(_slot) => return stream::serve(client, door, head.one("last-event-id")),
                    None => {
                        Answer::refusal(503, "four streams are open already; close another page of this run")
                    }
                },
                Ok((route, body)) => routes::answer(route, &body, door),
                Err(answer) => answer,
            }
        }
        Err(Some(answer)) => answer,
        // Gone before it said anything.
        Err(None) => return,
    };
    let paced = Paced { client, until: Instant::now() + ANSWER_TIME };
    if answer.write(paced, bare).is_ok() {
        leave(client);
    }
}

/// What the other side still sends is taken and forgotten for a moment: a connection closed before would be reset,
/// and the answer be lost on its way.
fn leave(client: &TcpStream) {
    const MOST: usize = 64 << 20;
    let _ = client.shutdown(Shutdown::Write);
    let mut reader = Timed { client, until: Instant::now() + Duration::from_secs(2) };
    let mut room = [0; 4096];
    let mut taken = 0;
    while let Ok(count @ 1..) = reader.read(&mut room) {
        taken += count;
        if taken > MOST {
            break;
        }
    }
}

/// Reads until a moment, however little comes at a time.
pub struct Timed<'a> {
    client: &'a TcpStream,
    until: Instant,
}

impl Read for Timed<'_> {
    fn read(&mut self, room: &mut [u8]) -> std::io::Result<usize> {
        let left = self.until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(std::io::ErrorKind::TimedOut.into());
        }
        self.client.set_read_timeout(Some(left))?;
        self.client.read_at_once(room)
    }
}

/// read(2) again after a signal.
trait ReadAtOnce {
    fn read_at_once(&self, room: &mut [u8]) -> std::io::Result<usize>;
}

impl ReadAtOnce for TcpStream {
    fn read_at_once(&self, room: &mut [u8]) -> std::io::Result<usize> {
        let mut client = self;
        client.read(room)
    }
}
