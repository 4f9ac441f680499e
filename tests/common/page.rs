//! How does a test talk to the page? Over a socket, byte by byte as it likes: no library's idea of a request is in
//! between.
//!
//! Next: `tests/web_refusals`, `tests/web_live`.
#![allow(dead_code, reason = "each test file uses a part of it")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

pub const PATIENCE: Duration = Duration::from_secs(15);

/// Where the page is, and what lets one in.
#[derive(Clone)]
pub struct Page {
    pub host: String,
    pub token: String,
    pub read_token: String,
}

/// An answer: its status, its head and its body.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Page {
    /// Out of the lines that say where it is.
    pub fn read(from: &mut impl BufRead) -> Page {
        let mut words = String::new();
        while !words.contains("from another machine") {
            let mut line = String::new();
            assert_ne!(from.read_line(&mut line).unwrap(), 0, "no address was printed: {words}");
            words.push_str(&line);
        }
        let after = |mark: &str| {
            let rest = words.split(mark).nth(1).unwrap_or_else(|| panic!("{mark}: {words}"));
            rest.chars().take_while(|c| !c.is_whitespace() && *c != '/').collect::<String>()
        };
        Page { host: after("http://"), token: after("#token="), read_token: after("/plain/") }
    }

    pub fn address(&self) -> SocketAddr {
        self.host.parse().unwrap()
    }

    pub fn connect(&self) -> TcpStream {
        let client = TcpStream::connect(self.address()).unwrap();
        client.set_read_timeout(Some(PATIENCE)).unwrap();
        client
    }

    /// The request's text, with what is in braces put in.
    pub fn put(&self, request: &str) -> String {
        let short = &self.token[..self.token.len() - 1];
        let port = self.host.split(':').nth(1).unwrap();
        request
            .replace("{HOST}", &self.host)
            .replace("{PORT}", port)
            .replace("{OK}", &format!("Host: {}\r\nAuthorization: Bearer {}\r\n", self.host, self.token))
            .replace("{GO}", &format!("Origin: http://{}\r\nContent-Type: application/json\r\n", self.host))
            .replace("{TOKEN}", &self.token)
            .replace("{READ}", &self.read_token)
            .replace("{SHORT}", short)
    }

    /// Send these bytes, and what comes back until the end.
    pub fn raw(&self, bytes: &[u8]) -> Answer {
        let mut client = self.connect();
        let mut writer = client.try_clone().unwrap();
        let bytes = bytes.to_vec();
        // The answer may come before all is sent.
        let sent = std::thread::spawn(move || drop(writer.write_all(&bytes)));
        let mut answer = Vec::new();
        let end = Instant::now() + PATIENCE;
        let mut room = [0; 4096];
        // An answer that does not end is read for a while only.
        while let Ok(count @ 1..) = client.read(&mut room) {
            answer.extend_from_slice(&room[..count]);
            if Instant::now() > end {
                break;
            }
        }
        drop(client);
        let _ = sent.join();
        parse(&answer)
    }

    pub fn ask(&self, request: &str) -> Answer {
        self.raw(self.put(request).as_bytes())
    }

    /// A piece of the page, with the token.
    pub fn get(&self, path: &str) -> Answer {
        self.ask(&format!("GET {path} HTTP/1.1\r\n{{OK}}\r\n"))
    }

    pub fn go(&self, body: &str) -> Answer {
        let length = body.len();
        self.ask(&format!("POST /api/go HTTP/1.1\r\n{{OK}}{{GO}}Content-Length: {length}\r\n\r\n{body}"))
    }

    /// What the kernel says of the page's process, by the name in /proc/PID/status; and its number.
    pub fn own(&self) -> (i32, serde_json::Map<String, serde_json::Value>) {
        self.own_if_there().unwrap()
    }

    /// The same; none when it ended in the middle of the answer.
    pub fn own_if_there(&self) -> Option<(i32, serde_json::Map<String, serde_json::Value>)> {
        let own: serde_json::Value = serde_json::from_str(&self.get("/api/self").body).ok()?;
        let pairs = own["status"].as_array().unwrap().iter();
        let status = pairs.map(|pair| (pair[0].as_str().unwrap().to_owned(), pair[1].clone())).collect();
        Some((own["pid"].as_i64().unwrap() as i32, status))
    }

    pub fn stream(&self, more: &str) -> Stream {
        let mut client = self.connect();
        let request = self.put(&format!("GET /api/stream HTTP/1.1\r\n{{OK}}{more}\r\n"));
        client.write_all(request.as_bytes()).unwrap();
        let mut stream = Stream { reader: BufReader::new(client), head: String::new() };
        while !stream.head.ends_with("\r\n\r\n") {
            let mut line = String::new();
            if stream.reader.read_line(&mut line).unwrap() == 0 {
                break;
            }
            stream.head.push_str(&line);
        }
        stream
    }
}

fn parse(answer: &[u8]) -> Answer {
    let text = String::from_utf8_lossy(answer);
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    Answer { status, head: head.to_owned(), body: body.to_owned() }
}

/// An answer that does not end.
pub struct Stream {
    pub reader: BufReader<TcpStream>,
    pub head: String,
}

/// One event of it; a heartbeat has no data.
#[derive(Debug)]
pub struct Event {
    pub id: String,
    pub state: String,
    pub data: serde_json::Value,
}

impl Stream {
    pub fn status(&self) -> u16 {
        parse(self.head.as_bytes()).status
    }

    /// The next event or heartbeat; none at the end.
    pub fn next(&mut self) -> Option<Event> {
        let mut event = Event { id: String::new(), state: String::new(), data: serde_json::Value::Null };
        loop {
            let mut line = String::new();
            if self.reader.read_line(&mut line).ok()? == 0 {
                return None;
            }
            match line.trim_end().split_once(": ") {
                Some(("id", id)) => event.id = id.to_owned(),
                Some(("event", state)) => event.state = state.to_owned(),
                Some(("data", data)) => event.data = serde_json::from_str(data).unwrap(),
                _ if line == "\n" => return Some(event),
                _ => {}
            }
        }
    }

    /// Read until an event is like this.
    pub fn until(&mut self, what: &str, is: impl Fn(&Event) -> bool) -> Event {
        let end = Instant::now() + 8 * PATIENCE;
        while Instant::now() < end {
            match self.next() {
                Some(event) if is(&event) => return event,
                Some(_) => {}
                None => panic!("the stream ended before {what}"),
            }
        }
        panic!("{what} never came")
    }
}

/// A program that shows a page, ended when dropped.
pub struct Shown {
    pub child: Child,
    pub page: Page,
}

impl Shown {
    pub fn start(command: &mut Command, input: &[u8]) -> Shown {
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(input).unwrap();
        let mut said = BufReader::new(child.stdout.take().unwrap());
        let page = Page::read(&mut said);
        // A program whose output nobody takes stands still.
        std::thread::spawn(move || std::io::copy(&mut said, &mut std::io::sink()));
        Shown { child, page }
    }

    pub fn signal(&self, signal: &str) {
        let status = Command::new("kill").args([signal, &self.child.id().to_string()]).status().unwrap();
        assert!(status.success());
    }

    /// How it ended; it has to.
    pub fn ended(&mut self) -> std::process::ExitStatus {
        let end = Instant::now() + 8 * PATIENCE;
        while Instant::now() < end {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("it did not end")
    }
}

impl Drop for Shown {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            self.signal("-TERM");
            let _ = self.child.wait();
        }
    }
}

/// One line of /proc/PID/status, as a number.
pub fn status(pid: i32, name: &str) -> Option<u64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    value.split_whitespace().next()?.parse().ok()
}
