//! How does a page hear of news at once? By one answer that does not end (text/event-stream): the run's summary each
//! time it changed, and every two seconds a sign of life.
//!
//! ```text
//! id: 1.57.waiting
//! event: waiting            busy, waiting (a command is heard), held (by the terminal), recorded or over (it ends now)
//! data: {"version":57,…}    what /api/run says
//! ```
//!
//! Who was away says with Last-Event-ID what it has; nothing that is old is sent again.

use super::gate::Door;
use super::gate::answer::{HEADERS, Paced};
use crate::kernel::{process, web};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

const HEARTBEAT: Duration = Duration::from_secs(2);
/// A reader that does not take an event within this is let go.
const PATIENCE: Duration = Duration::from_secs(5);

pub fn serve(client: &TcpStream, door: &Door, last: Option<&str>) {
    // It ends with the connection, whoever ends it.
    let _ = talk(client, door, last);
}

fn talk(client: &TcpStream, door: &Door, last: Option<&str>) -> std::io::Result<()> {
    let _ = web::small_send_buffer(client);
    client.set_nonblocking(false)?;
    let mut bell = door.board.bell()?;
    let say = |text: &str| Paced { client, until: Instant::now() + PATIENCE }.write_all(text.as_bytes());
    let mut head =
        String::from("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: text/event-stream\r\n");
    for (name, value) in HEADERS {
        head.extend([name, ": ", value, "\r\n"]);
    }
    say(&(head + "\r\n"))?;
    let mut sent = last.unwrap_or_default().to_owned();
    loop {
        let (id, event) = {
            let shown = door.board.look();
            let id = shown.id();
            let event = (id != sent).then(|| {
                let (state, data) = (shown.state.name(), shown.site.summary());
                format!("id: {id}\nevent: {state}\ndata: {data}\n\n")
            });
            (id, event)
        };
        match event {
            Some(event) => say(&event)?,
            None => say(":\n\n")?,
        }
        sent = id;
        let ready = process::poll(&[client.as_raw_fd(), bell.as_raw_fd()], HEARTBEAT.as_millis() as i32)
            .unwrap_or_default();
        if ready.first() == Some(&true) {
            // Gone; or it says what nobody asked for.
            return Ok(());
        }
        // However often it rang.
        while matches!(bell.read(&mut [0; 64]), Ok(1..)) {}
    }
}
