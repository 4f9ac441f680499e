//! What was asked, and is it really HTTP? The bytes are looked at before any parser sees them: two readers that
//! take line ends or lengths differently are how a request is smuggled past one of them.
//!
//! Next: `rules`.

use super::answer::Answer;
use std::io::{ErrorKind, Read};

pub const MOST_BYTES: usize = 16 * 1024;
pub const MOST_HEADERS: usize = 64;
pub const MOST_BODY: usize = 4 * 1024;

/// A request's head, understood.
#[derive(Debug)]
pub struct Head {
    pub method: String,
    pub target: String,
    headers: Vec<(String, String)>,
}

impl Head {
    /// Every value of this header.
    fn all<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a str> {
        self.headers
            .iter()
            .filter(move |(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    pub fn has(&self, name: &str) -> bool {
        self.all(name).next().is_some()
    }

    /// Its only value; none when it is not there, or more than once.
    pub fn one(&self, name: &str) -> Option<&str> {
        let mut all = self.all(name);
        all.next().filter(|_| all.next().is_none())
    }
}

fn malformed(what: &'static str) -> Answer {
    Answer::refusal(400, what)
}

/// Read a head, and what came of the body with it. `None` when the other side said nothing, or has gone.
pub fn read(from: &mut impl Read) -> Result<(Head, Vec<u8>), Option<Answer>> {
    let mut bytes = Vec::with_capacity(1024);
    let mut room = [0; 1024];
    let mut looked = 0;
    loop {
        let count = match from.read(&mut room) {
            Ok(0) => return Err(None),
            Ok(count) => count,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) if is_time_out(&error) => {
                return Err(Some(Answer::refusal(408, "the whole head must be here within five seconds")));
            }
            Err(_) => return Err(None),
        };
        bytes.extend_from_slice(room.get(..count).unwrap_or_default());
        let (end, ok) = ends(&bytes, looked);
        if let Some(end) = end.filter(|end| *end <= MOST_BYTES) {
            let rest = bytes.split_off(end);
            return parse(&bytes).map(|head| (head, rest)).map_err(Some);
        }
        if !ok {
            return Err(Some(malformed("every line ends with CR LF, and neither is anywhere else")));
        }
        if bytes.len() >= MOST_BYTES {
            return Err(Some(Answer::refusal(431, "a head has at most 16 KiB")));
        }
        looked = bytes.len().saturating_sub(3);
    }
}

pub fn is_time_out(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}

/// Where the head ends, if it does; and whether each CR that was looked at is followed by LF, each LF preceded by
/// CR, and there is no NUL.
fn ends(bytes: &[u8], from: usize) -> (Option<usize>, bool) {
    for at in from..bytes.len() {
        let before = at.checked_sub(1).and_then(|before| bytes.get(before));
        match bytes.get(at) {
            Some(b'\n') if before != Some(&b'\r') => return (None, false),
            Some(b'\n') if bytes.get(..=at).is_some_and(|head| head.ends_with(b"\r\n\r\n")) => {
                return (Some(at + 1), true);
            }
            Some(b'\r') if bytes.get(at + 1).is_some_and(|next| *next != b'\n') => return (None, false),
            Some(0) => return (None, false),
            _ => {}
        }
    }
    (None, true)
}

/// Strictly, of a whole head.
fn parse(bytes: &[u8]) -> Result<Head, Answer> {
    // httparse passes over empty lines before a request.
    if !bytes.first().is_some_and(u8::is_ascii_uppercase) {
        return Err(malformed("a request begins with its method"));
    }
    let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
    let mut request = httparse::Request::new(&mut headers);
    match request.parse(bytes) {
        Ok(httparse::Status::Complete(length)) if length == bytes.len() => {}
        Err(httparse::Error::TooManyHeaders) => {
            return Err(Answer::refusal(431, "a head has at most 64 headers"));
        }
        Ok(_) | Err(_) => return Err(malformed("this is no HTTP/1.1")),
    }
    if request.version != Some(1) {
        return Err(Answer::refusal(505, "HTTP/1.1 is spoken here"));
    }
    let text = |value: &[u8]| String::from_utf8(value.to_vec()).ok();
    let headers = request.headers.iter().map(|header| Some((header.name.to_owned(), text(header.value)?)));
    Ok(Head {
        method: request.method.unwrap_or_default().to_owned(),
        target: request.path.unwrap_or_default().to_owned(),
        headers: headers.collect::<Option<_>>().ok_or_else(|| malformed("a header's value is no UTF-8"))?,
    })
}

/// The body, as long as was declared; `rest` is what came with the head.
pub fn body(from: &mut impl Read, mut rest: Vec<u8>, length: usize) -> Result<Vec<u8>, Answer> {
    let mut room = [0; 1024];
    while rest.len() < length {
        match from.read(&mut room) {
            Ok(0) => return Err(malformed("the body is shorter than was said")),
            Ok(count) => rest.extend_from_slice(room.get(..count).unwrap_or_default()),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if is_time_out(&error) => {
                return Err(Answer::refusal(408, "the whole body must be here within five seconds"));
            }
            Err(_) => return Err(malformed("the body cannot be read")),
        }
    }
    rest.truncate(length);
    Ok(rest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn status(request: &[u8]) -> u16 {
        match read(&mut &request[..]) {
            Ok(_) => 200,
            Err(Some(answer)) => answer.status,
            Err(None) => 0,
        }
    }

    #[test]
    fn what_two_readers_could_take_differently_is_refused() {
        let whole = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
        assert_eq!(status(whole.as_bytes()), 200);
        for (wrong, code) in [
            ("GET / HTTP/1.1\nHost: a\n\n", 400),
            ("GET / HTTP/1.1\r\nHost: a\n\r\n", 400),
            ("GET / HTTP/1.1\r\nHost: a\rX: b\r\n\r\n", 400),
            ("GET / HTTP/1.1\r\nHost: a\r\r\n\r\n", 400),
            ("GET / HTTP/1.1\r\nHost : a\r\n\r\n", 400),
            ("GET / HTTP/1.1\r\nHost: a\r\n b\r\n\r\n", 400),
            ("GET / HTTP/1.1\r\nHost: a\0\r\n\r\n", 400),
            ("GET / HTTP/1.1\r\nHost: \x01\r\n\r\n", 400),
            ("GET  / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
            ("\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
            (" GET / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
            ("GET /\r\n\r\n", 400),
            ("GET / HTTP/2.0\r\n\r\n", 400),
            ("GET / HTTP/1.0\r\nHost: a\r\n\r\n", 505),
            ("\x16\x03\x01\x02\0", 400),
        ] {
            assert_eq!(status(wrong.as_bytes()), code, "{wrong:?}");
        }
    }

    #[test]
    fn a_head_that_comes_byte_by_byte_is_the_same() {
        struct Bytes<'a>(&'a [u8]);
        impl Read for Bytes<'_> {
            fn read(&mut self, room: &mut [u8]) -> std::io::Result<usize> {
                let Some((first, rest)) = self.0.split_first() else { return Ok(0) };
                (room[0], self.0) = (*first, rest);
                Ok(1)
            }
        }
        let head = read(&mut Bytes(b"POST /api/go HTTP/1.1\r\nHost: a\r\nX: 1\r\nx: 2\r\n\r\n")).unwrap().0;
        assert_eq!((head.method.as_str(), head.target.as_str()), ("POST", "/api/go"));
        assert_eq!((head.one("host"), head.one("X"), head.has("Y")), (Some("a"), None, false));
        assert!(read(&mut Bytes(b"GET / HTTP/1.1\r\nA: \rb\r\n\r\n")).unwrap_err().is_some());
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_request_or_refused(bytes: Vec<u8>) {
            prop_assert!([0, 200, 400, 431, 505].contains(&status(&bytes)));
        }

        /// What comes through has one line end, and no header that hides another.
        #[test]
        fn nothing_gets_through_with_a_lone_line_end(
            value in "[ -~\\r\\n\\t]{0,40}", name in "[A-Za-z: \\-\\r\\n]{1,12}"
        ) {
            let request = format!("GET / HTTP/1.1\r\n{name}: {value}\r\n\r\n");
            if let Ok((head, _)) = read(&mut request.as_bytes()) {
                prop_assert!(head.headers.iter().all(|(_, value)| !value.contains(['\r', '\n'])));
            }
        }
    }
}
