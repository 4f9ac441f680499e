//! What does a worker do? It takes a connection, reads a request, answers, and closes: HTTP/1.0
//! (RFC 1945). What it says of itself it asks the kernel at that moment.

use crate::kernel::{fork, ident};
use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

/// Longer requests are refused, and slower ones left.
const LONGEST: usize = 8 * 1024;
const TIMEOUT: Duration = Duration::from_secs(5);
/// The page can be changed inside a running container, and the change is served.
const PAGE_FILE: &str = "/app/www/index.html";
const PAGE: &str = include_str!("index.html");
const LONGEST_PAGE: u64 = 64 * 1024;

/// Answer until killed; returns only when nothing can be accepted any more.
pub fn run(listener: &TcpListener) -> i32 {
    fork::set_title("web: worker", "web: worker process");
    for requests in 1u64.. {
        match listener.accept() {
            Ok((mut client, _)) => {
                let _ = answer(&mut client, requests);
            }
            // The client has gone already, or there is no descriptor or memory for it now.
            Err(error) if error.kind() == ErrorKind::InvalidInput => return 1,
            Err(_) => std::thread::sleep(Duration::from_millis(20)),
        }
    }
    0
}

fn answer(client: &mut TcpStream, requests: u64) -> std::io::Result<()> {
    client.set_write_timeout(Some(TIMEOUT))?;
    let request = read_request(client)?;
    let response = respond(&request, || page(requests));
    client.write_all(response.as_bytes())?;
    // What was sent and not read would reset the connection, and the answer be lost on its way.
    client.shutdown(std::net::Shutdown::Write)?;
    client.set_read_timeout(Some(Duration::from_millis(200)))?;
    let _ = client.read(&mut [0; 512]);
    Ok(())
}

/// The request up to its empty line, or what came of it before the time or the room was over.
fn read_request(client: &mut TcpStream) -> std::io::Result<Vec<u8>> {
    let end = Instant::now() + TIMEOUT;
    let mut request = Vec::new();
    let mut chunk = [0; 1024];
    while request.len() < LONGEST && !has_head(&request) {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            break;
        }
        client.set_read_timeout(Some(left))?;
        match client.read(&mut chunk) {
            Ok(0) => break,
            Ok(count) => request.extend_from_slice(chunk.get(..count).unwrap_or_default()),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => break,
            Err(error) => return Err(error),
        }
    }
    Ok(request)
}

fn has_head(request: &[u8]) -> bool {
    request.windows(4).any(|end| end == b"\r\n\r\n") || request.windows(2).any(|end| end == b"\n\n")
}

fn respond(request: &[u8], page: impl FnOnce() -> String) -> String {
    let line = request.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let line = String::from_utf8_lossy(line);
    let mut words = line.split_ascii_whitespace();
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let path = target.split('?').next().unwrap_or_default();
    let (status, kind, body) = match (method, path) {
        _ if !has_head(request) => ("400 Bad Request", "text/plain", "The request has no end.\n".to_owned()),
        ("GET" | "HEAD", "/" | "/index.html") => ("200 OK", "text/html", page()),
        ("GET" | "HEAD", path) if path.starts_with('/') => {
            ("404 Not Found", "text/plain", "There is only one page: /\n".to_owned())
        }
        (method, _) if !method.is_empty() && method.bytes().all(|byte| byte.is_ascii_uppercase()) => {
            ("405 Method Not Allowed", "text/plain", "GET and HEAD are answered.\n".to_owned())
        }
        _ => ("400 Bad Request", "text/plain", "This is no HTTP.\n".to_owned()),
    };
    let length = body.len();
    let body = if method == "HEAD" { "" } else { &body };
    format!(
        "HTTP/1.0 {status}\r\nServer: learnctr\r\nContent-Type: {kind}; charset=utf-8\r\n\
         Content-Length: {length}\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n{body}"
    )
}

fn page(requests: u64) -> String {
    let mut text = String::new();
    let read =
        std::fs::File::open(PAGE_FILE).and_then(|file| file.take(LONGEST_PAGE).read_to_string(&mut text));
    let page = if read.is_ok() { &text } else { PAGE };
    page.replace("{pid}", &std::process::id().to_string())
        .replace("{uid}", &ident::effective_ids().0.to_string())
        .replace("{requests}", &requests.to_string())
        .replace("{hostname}", &escape(&fork::hostname()))
}

/// A hostname may hold any byte: sethostname(2) does not look at it.
fn escape(text: &str) -> String {
    text.chars().fold(String::new(), |mut safe, character| {
        match character {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            other => safe.push(other),
        }
        safe
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_hostname_is_text_and_not_markup() {
        assert_eq!(escape("<b>\"&'"), "&lt;b&gt;&quot;&amp;&#39;");
    }

    #[test]
    fn methods_and_paths() {
        let status = |request: &str| {
            respond(request.as_bytes(), || "page".to_owned()).lines().next().map(str::to_owned)
        };
        assert_eq!(status("GET / HTTP/1.1\r\nHost: x\r\n\r\n").as_deref(), Some("HTTP/1.0 200 OK"));
        assert_eq!(status("GET /?a HTTP/1.0\n\n").as_deref(), Some("HTTP/1.0 200 OK"));
        assert_eq!(status("GET /etc/passwd HTTP/1.0\r\n\r\n").as_deref(), Some("HTTP/1.0 404 Not Found"));
        assert_eq!(status("POST / HTTP/1.0\r\n\r\n").as_deref(), Some("HTTP/1.0 405 Method Not Allowed"));
        assert_eq!(status("GET / HTTP/1.0").as_deref(), Some("HTTP/1.0 400 Bad Request"));
        assert_eq!(status("").as_deref(), Some("HTTP/1.0 400 Bad Request"));
    }

    proptest! {
        #[test]
        fn any_bytes_get_an_answer(request: Vec<u8>) {
            prop_assert!(respond(&request, String::new).starts_with("HTTP/1.0 "));
        }
    }
}
