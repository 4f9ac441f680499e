//! What does every answer say besides what was asked for? What a browser may do with it: run only this page's own
//! script, show it in no frame, tell nobody where it came from, keep nothing.
//!
//! tiny_http writes it; nothing is read by tiny_http.

use std::borrow::Cow;
use std::io::{Cursor, ErrorKind, Write};
use std::net::TcpStream;
use std::time::Instant;
use tiny_http::{HTTPVersion, Header, Response, StatusCode};

/// On each answer, errors too.
pub const HEADERS: [(&str, &str); 8] = [
    (
        "Content-Security-Policy",
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
         frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    ),
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Cache-Control", "no-store"),
    ("Server", "learnctr"),
    ("Vary", "Origin, Sec-Fetch-Site"),
];

/// An answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    mime: &'static str,
    body: Cow<'static, [u8]>,
    more: Option<(&'static str, &'static str)>,
}

impl Answer {
    pub fn new(status: u16, mime: &'static str, body: impl Into<Cow<'static, [u8]>>) -> Answer {
        Answer { status, mime, body: body.into(), more: None }
    }

    /// No, and why, for the person who looks.
    pub fn refusal(status: u16, why: &str) -> Answer {
        Answer::new(status, "text/plain; charset=utf-8", format!("{why}\n").into_bytes())
    }

    pub fn with(self, name: &'static str, value: &'static str) -> Answer {
        Answer { more: Some((name, value)), ..self }
    }

    /// Write it; `bare` is without its body, for HEAD.
    pub fn write(self, mut to: impl Write, bare: bool) -> std::io::Result<()> {
        let all = HEADERS.into_iter().chain([("Content-Type", self.mime)]).chain(self.more);
        let headers = all.filter_map(|(name, value)| Header::from_bytes(name, value).ok()).collect();
        let length = self.body.len();
        let mut bytes = Vec::with_capacity(length + 1024);
        Response::new(StatusCode(self.status), headers, Cursor::new(self.body), Some(length), None)
            .with_chunked_threshold(usize::MAX)
            .raw_print(&mut bytes, HTTPVersion(1, 1), &[], bare, None)?;
        // tiny_http keeps this header to itself; without it a browser would use the connection once more.
        let line = bytes.iter().position(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        bytes.splice(line..line, *b"Connection: close\r\n");
        to.write_all(&bytes)?;
        to.flush()
    }
}

/// Writes until a moment, however little is taken at a time.
pub struct Paced<'a> {
    pub client: &'a TcpStream,
    pub until: Instant,
}

impl Write for Paced<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let left = self.until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(ErrorKind::TimedOut.into());
        }
        self.client.set_write_timeout(Some(left))?;
        let mut client = self.client;
        client.write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_has_every_header_once_and_its_length() {
        let mut bytes = Vec::new();
        Answer::refusal(405, "no").with("Allow", "GET").write(&mut bytes, false).unwrap();
        let text = String::from_utf8(bytes).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert_eq!(body, "no\n");
        assert!(head.starts_with("HTTP/1.1 405 Method Not Allowed\r\nConnection: close\r\n"), "{head}");
        for name in ["Content-Length: 3", "Allow: GET", "Content-Type: text/plain; charset=utf-8"] {
            assert!(head.lines().any(|line| line == name), "{name}: {head}");
        }
        for (name, value) in HEADERS {
            assert_eq!(head.matches(&format!("\r\n{name}: {value}")).count(), 1, "{name}: {head}");
        }
        assert!(!head.contains("Access-Control") && !head.contains("Transfer-Encoding"), "{head}");
    }

    #[test]
    fn head_has_the_length_and_not_the_body() {
        let mut bytes = Vec::new();
        Answer::new(200, "text/plain", &b"long"[..]).write(&mut bytes, true).unwrap();
        let text = String::from_utf8(bytes).unwrap();
        assert!(text.contains("Content-Length: 4\r\n") && text.ends_with("\r\n\r\n"), "{text}");
    }
}
