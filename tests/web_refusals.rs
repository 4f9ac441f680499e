//! What does the page refuse? Each request is a real one, sent over a socket to a real server; the numbers are those
//! of the table of refusals. Those that take a browser are in tests/page, those that take a container in `web_live`.
//!
//! Next: `web_live`.

#[path = "common/page.rs"]
mod page;

use page::{PATIENCE, Shown, status};
use std::io::{Read, Write};
use std::process::Command;
use std::time::{Duration, Instant};

/// The page of a run that has only begun: what it is of is no matter here.
fn served() -> Shown {
    served_by(&mut Command::new(env!("CARGO_BIN_EXE_learnctr")))
}

fn served_by(command: &mut Command) -> Shown {
    let plan = Command::new(env!("CARGO_BIN_EXE_learnctr")).args(["plan", "--json"]).output().unwrap();
    let plan: serde_json::Value = serde_json::from_slice(&plan.stdout).unwrap();
    let line = serde_json::json!({"at": 0, "event": "started", "schema": learnctr::trace::SCHEMA, "learnctr": "test",
        "kernel": "6.1", "time": 0, "plan": plan});
    Shown::start(command.args(["serve", "-"]), line.to_string().as_bytes())
}

/// Number, request, answer. 27 and 29 are what tiny_http 0.12 takes (CVE-2026-66752, -66753), 33 what it aborts at; the tests
/// below are of what else is known of it: heads without limit or time, a thread for each connection, an accept that ends.
/// `{OK}` is the right Host and token, `{GO}` what a POST must have besides. A body is a command wherever one is taken: 409 would
/// say that it was heard.
const REFUSALS: &[(&str, &str, u16)] = &[
    ("1", "GET / HTTP/1.1\r\n\r\n", 400),
    ("2", "GET / HTTP/1.1\r\nHost: {HOST}\r\nHost: {HOST}\r\n\r\n", 400),
    ("2 other", "GET / HTTP/1.1\r\nHost: {HOST}\r\nHost: evil.test\r\n\r\n", 400),
    ("3", "GET / HTTP/1.1\r\nHost: evil.test:{PORT}\r\n\r\n", 421),
    ("4", "GET / HTTP/1.1\r\nHost: localhost:{PORT}\r\n\r\n", 421),
    ("5", "GET / HTTP/1.1\r\nHost: 127.0.0.1:1\r\n\r\n", 421),
    ("6", "GET / HTTP/1.1\r\nHost: file:x\r\n\r\n", 421),
    ("7", "GET http://evil/ HTTP/1.1\r\n{OK}\r\n", 400),
    ("7 own", "GET http://{HOST}/api/run HTTP/1.1\r\n{OK}\r\n", 400),
    ("8", "GET /a#b HTTP/1.1\r\n{OK}\r\n", 400),
    ("9", "GET /api/run HTTP/1.1\r\nHost: {HOST}\r\n\r\n", 401),
    ("9 no path", "GET /api/nothing HTTP/1.1\r\nHost: {HOST}\r\n\r\n", 401),
    ("10", "GET /api/run HTTP/1.1\r\nHost: {HOST}\r\nAuthorization: Bearer {SHORT}\r\n\r\n", 401),
    ("10 empty", "GET /api/run HTTP/1.1\r\nHost: {HOST}\r\nAuthorization: Bearer \r\n\r\n", 401),
    ("10 long", "GET /api/run HTTP/1.1\r\nHost: {HOST}\r\nAuthorization: Bearer {TOKEN}0\r\n\r\n", 401),
    ("10 for reading", "GET /api/run HTTP/1.1\r\nHost: {HOST}\r\nAuthorization: Bearer {READ}\r\n\r\n", 401),
    ("11", "GET /api/run?token={TOKEN} HTTP/1.1\r\nHost: {HOST}\r\n\r\n", 401),
    ("11 cookie", "GET /api/run HTTP/1.1\r\nHost: {HOST}\r\nCookie: token={TOKEN}\r\n\r\n", 401),
    ("12", "GET /api/stream HTTP/1.1\r\nHost: {HOST}\r\n\r\n", 401),
    ("13", "GET /api/run HTTP/1.1\r\n{OK}Origin: http://localhost:3000\r\n\r\n", 403),
    ("14", "GET /api/run HTTP/1.1\r\n{OK}Origin: null\r\n\r\n", 403),
    ("15", "GET /api/run HTTP/1.1\r\n{OK}Origin: http://127.0.0.1:{PORT}\r\n\r\n", 403),
    ("15 two", "GET /api/run HTTP/1.1\r\n{OK}Origin: http://{HOST}\r\nOrigin: http://{HOST}\r\n\r\n", 403),
    ("16", "POST /api/go HTTP/1.1\r\n{OK}Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}", 403),
    ("17", "GET /api/run HTTP/1.1\r\n{OK}Sec-Fetch-Site: same-site\r\n\r\n", 403),
    ("18", "GET / HTTP/1.1\r\n{OK}Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: no-cors\r\n\r\n", 403),
    ("18 asset", "GET /static/page.js HTTP/1.1\r\n{OK}Sec-Fetch-Site: cross-site\r\n\r\n", 403),
    ("18 opened", "GET /api/run HTTP/1.1\r\n{OK}Sec-Fetch-Site: none\r\n\r\n", 403),
    (
        "19",
        "POST /api/go HTTP/1.1\r\n{OK}Origin: http://{HOST}\r\nContent-Type: text/plain\r\nContent-Length: 13\r\n\r\n\
         {\"do\":\"next\"}",
        415,
    ),
    (
        "20",
        "OPTIONS /api/go HTTP/1.1\r\nHost: {HOST}\r\nOrigin: http://evil.test\r\n\
         Access-Control-Request-Method: POST\r\n\r\n",
        403,
    ),
    ("20 own", "OPTIONS /api/go HTTP/1.1\r\n{OK}Origin: http://{HOST}\r\n\r\n", 405),
    ("21", "GET /api/run HTTP/1.1\r\n{OK}Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n", 400),
    ("23", "GET /static/../../etc/passwd HTTP/1.1\r\n{OK}\r\n", 404),
    ("24", "GET /static/%2e%2e%2f%2e%2e%2fetc/passwd HTTP/1.1\r\n{OK}\r\n", 404),
    ("24 api", "GET /api/%2e%2e%2frun HTTP/1.1\r\n{OK}\r\n", 404),
    ("25", "GET /static/page.js%00 HTTP/1.1\r\n{OK}\r\n", 400),
    ("26", "TRACE / HTTP/1.1\r\n{OK}\r\n", 405),
    ("26 connect", "CONNECT evil.test:443 HTTP/1.1\r\n{OK}\r\n", 405),
    (
        "27",
        "POST /api/go HTTP/1.1\r\n{OK}{GO}Content-Length: 13\r\nTransfer-Encoding: chunked\r\n\r\n{\"do\":\"next\"}",
        400,
    ),
    ("28", "POST /api/go HTTP/1.1\r\n{OK}{GO}Transfer-Encoding: nonsense\r\n\r\n{}", 400),
    ("28 chunked", "POST /api/go HTTP/1.1\r\n{OK}{GO}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    ("29", "GET /api/run HTTP/1.1\r\n{OK}X: a\rY: b\r\n\r\n", 400),
    ("30", "GET /api/run HTTP/1.1\nHost: {HOST}\nAuthorization: Bearer {TOKEN}\n\n", 400),
    (
        "31",
        "POST /api/go HTTP/1.1\r\n{OK}{GO}Content-Length: 13\r\nContent-Length: 14\r\n\r\n{\"do\":\"next\"}",
        400,
    ),
    ("31 list", "POST /api/go HTTP/1.1\r\n{OK}{GO}Content-Length: 13, 14\r\n\r\n{\"do\":\"next\"}", 400),
    ("31 signed", "POST /api/go HTTP/1.1\r\n{OK}{GO}Content-Length: +13\r\n\r\n{\"do\":\"next\"}", 400),
    ("32", "GET /api/run HTTP/1.1\r\n{OK}Origin : http://{HOST}\r\n\r\n", 400),
    ("33", "POST /api/go HTTP/1.1\r\n{OK}{GO}Content-Length: 9000000000000000000\r\n\r\n{}", 413),
    ("33 longer", "POST /api/go HTTP/1.1\r\n{OK}{GO}Content-Length: 99999999999999999999999\r\n\r\n{}", 413),
    ("33 get", "GET /api/run HTTP/1.1\r\n{OK}Content-Length: 9000000000000000000\r\n\r\n", 413),
    ("41", "GET /api/stream HTTP/1.1\r\n{OK}TE: identity\r\n\r\n", 400),
    ("41 old", "GET /api/stream HTTP/1.0\r\n{OK}\r\n", 505),
    (
        "43",
        "POST /api/go HTTP/1.1\r\n{OK}{GO}Content-Length: 37\r\n\r\n{\"do\":\"run_lesson_step\",\"id\":\"nosuch\"}",
        400,
    ),
    (
        "43 extra",
        "POST /api/go HTTP/1.1\r\n{OK}{GO}Content-Length: 28\r\n\r\n{\"do\":\"next\",\"args\":[\"sh\"] }",
        400,
    ),
    (
        "43 free",
        "POST /api/go HTTP/1.1\r\n{OK}{GO}Content-Length: 26\r\n\r\n{\"do\":\"exec\",\"path\":\"/sh\"}",
        400,
    ),
    ("method", "POST /api/run HTTP/1.1\r\n{OK}{GO}Content-Length: 2\r\n\r\n{}", 405),
    ("get go", "GET /api/go HTTP/1.1\r\n{OK}\r\n", 405),
    ("plain", "GET /plain/{TOKEN}/ HTTP/1.1\r\nHost: {HOST}\r\n\r\n", 401),
    ("plain none", "GET /plain// HTTP/1.1\r\nHost: {HOST}\r\n\r\n", 401),
    ("long body", "POST /api/go HTTP/1.1\r\n{OK}{GO}Content-Length: 4097\r\n\r\n", 413),
    ("no length", "POST /api/go HTTP/1.1\r\n{OK}{GO}\r\n", 411),
    ("expect", "POST /api/go HTTP/1.1\r\n{OK}{GO}Expect: 100-continue\r\nContent-Length: 2\r\n\r\n{}", 417),
    ("recorded", "POST /api/go HTTP/1.1\r\n{OK}{GO}Content-Length: 13\r\n\r\n{\"do\":\"next\"}", 409),
    // What is not refused, so that none of the above is refused for another reason.
    ("ok", "GET /api/run HTTP/1.1\r\n{OK}\r\n", 200),
    (
        "ok fetched",
        "GET /api/run HTTP/1.1\r\n{OK}Origin: http://{HOST}\r\nSec-Fetch-Site: same-origin\r\n\r\n",
        200,
    ),
    ("ok opened", "GET / HTTP/1.1\r\nHost: {HOST}\r\nSec-Fetch-Site: none\r\n\r\n", 200),
    ("ok asset", "GET /static/page.js HTTP/1.1\r\nHost: {HOST}\r\n\r\n", 200),
    ("ok plain", "GET /plain/{READ}/ HTTP/1.1\r\nHost: {HOST}\r\nSec-Fetch-Site: none\r\n\r\n", 200),
    ("ok head", "HEAD /api/run HTTP/1.1\r\n{OK}\r\n", 200),
];

#[test]
fn every_refusal_of_the_table_and_the_headers_of_every_answer() {
    let shown = served();
    let mut wrong = Vec::new();
    for (name, request, expected) in REFUSALS {
        let answer = shown.page.ask(request);
        if answer.status != *expected {
            wrong.push(format!("{name}: {} for {expected}\n{}", answer.status, answer.body));
        }
        let head = answer.head.to_ascii_lowercase();
        for (header, value) in learnctr::web::gate::answer::HEADERS {
            if !head.contains(&format!("\r\n{}: {}", header, value).to_ascii_lowercase()) {
                wrong.push(format!("{name}: without {header}"));
            }
        }
        if head.contains("access-control")
            || head.contains("set-cookie")
            || answer.head.contains(&shown.page.token)
        {
            wrong.push(format!("{name}: {}", answer.head));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// 34, and the process of 33 lives.
#[test]
fn a_header_of_32_mib_is_refused_and_takes_no_memory() {
    let shown = served();
    let page = &shown.page;
    let (pid, _) = page.own();
    let long = |length| {
        let mut request = page.put("GET /api/run HTTP/1.1\r\n{OK}X: ").into_bytes();
        request.resize(length, b'a');
        request
    };
    // Once, so that what answering it takes is there.
    assert_eq!(page.raw(&long(20 << 10)).status, 431);
    let before = status(pid, "VmHWM").unwrap();
    assert_eq!(page.raw(&long(32 << 20)).status, 431);
    let after = status(pid, "VmHWM").unwrap();
    assert!(after < before + 1024, "{before} kB became {after} kB");
    assert_eq!((page.get("/api/run").status, page.own().0), (200, pid));
}

#[test]
fn the_65th_header_is_one_too_many() {
    let shown = served();
    let request = |more: usize| format!("GET /api/run HTTP/1.1\r\n{{OK}}{}\r\n", "X: a\r\n".repeat(more));
    assert_eq!(shown.page.ask(&request(62)).status, 200);
    assert_eq!(shown.page.ask(&request(63)).status, 431);
    // 16 KiB to the byte, and one more.
    let head = shown.page.put("GET /api/run HTTP/1.1\r\n{OK}X: ");
    let padded = |length: usize| format!("{head}{}\r\n\r\n", "a".repeat(length - head.len() - 4));
    assert_eq!(shown.page.raw(padded(16 * 1024).as_bytes()).status, 200);
    assert_eq!(shown.page.raw(padded(16 * 1024 + 1).as_bytes()).status, 431);
}

#[test]
fn one_byte_a_second_is_closed_within_five_seconds() {
    let shown = served();
    let mut client = shown.page.connect();
    client.set_read_timeout(Some(Duration::from_millis(1000))).unwrap();
    let began = Instant::now();
    let mut answer = Vec::new();
    for byte in b"GET /api/run HTTP/1.1\r\n" {
        let _ = client.write_all(&[*byte]);
        match client.read_to_end(&mut answer) {
            Err(error) if matches!(error.kind(), std::io::ErrorKind::WouldBlock) => {}
            _ => break,
        }
    }
    let took = began.elapsed();
    assert!(answer.starts_with(b"HTTP/1.1 408 "), "{}", String::from_utf8_lossy(&answer));
    assert!((4..7).contains(&took.as_secs()), "{took:?}");
}

/// 37: 500 that only begin.
#[test]
fn half_open_connections_are_bounded_and_pass() {
    let shown = served();
    let (pid, _) = shown.page.own();
    let address = shown.page.address();
    let mut clients = Vec::new();
    for _ in 0..500 {
        // Beyond what waits in the kernel, connect(2) itself waits.
        let Ok(mut client) = std::net::TcpStream::connect_timeout(&address, Duration::from_millis(50)) else {
            break;
        };
        let _ = client.write_all(b"GET / HT");
        clients.push(client);
    }
    assert!(clients.len() >= 100, "{}", clients.len());
    let threads = status(pid, "Threads").unwrap();
    assert!((32..=36).contains(&threads), "{threads} threads for {} connections", clients.len());
    drop(clients);
    assert_eq!(shown.page.get("/api/run").status, 200);
    assert_eq!(shown.page.own().0, pid);
}

/// 38: seven descriptors are its own, so that the 14th connection finds none.
#[test]
fn when_descriptors_are_used_up_it_serves_again_afterwards() {
    let mut command = Command::new("prlimit");
    let shown = served_by(command.args(["--nofile=20:20", env!("CARGO_BIN_EXE_learnctr")]));
    let (pid, _) = shown.page.own();
    for _ in 0..2 {
        let clients: Vec<_> = (0..40).map(|_| shown.page.connect()).collect();
        std::thread::sleep(Duration::from_millis(300));
        assert!(status(pid, "Threads").unwrap() < 20);
        drop(clients);
        assert_eq!(shown.page.get("/api/run").status, 200);
    }
    assert_eq!(shown.page.own().0, pid);
}

/// 39, and what an open stream says.
#[test]
fn a_fifth_stream_is_refused_until_one_ends() {
    let shown = served();
    let id = "1.1.recorded";
    let mut streams: Vec<_> = (0..4).map(|_| shown.page.stream("")).collect();
    for stream in &mut streams {
        assert_eq!(stream.status(), 200, "{}", stream.head);
        let event = stream.until("what was recorded", |event| event.state == "recorded");
        assert!(event.data["stages"].is_array() && event.id == id, "{event:?}");
    }
    assert_eq!(shown.page.stream("").status(), 503);
    streams.truncate(3);
    let end = Instant::now() + PATIENCE;
    let mut again = shown.page.stream(&format!("Last-Event-ID: {id}\r\n"));
    while again.status() == 503 && Instant::now() < end {
        again = shown.page.stream(&format!("Last-Event-ID: {id}\r\n"));
    }
    // What it has is not sent again; a sign of life comes at once and each two seconds.
    let began = Instant::now();
    for _ in 0..2 {
        let event = again.next().unwrap();
        assert_eq!((event.id.as_str(), event.data), ("", serde_json::Value::Null));
    }
    assert!((1500..3500).contains(&(began.elapsed().as_millis())), "{:?}", began.elapsed());
}

/// Clients that ask and then neither read nor close have their time, and no more.
#[test]
fn who_neither_reads_nor_closes_holds_nobody_up() {
    let shown = served();
    let request = shown.page.put("GET /api/run HTTP/1.1\r\n{OK}\r\n");
    let clients: Vec<_> = (0..64)
        .map(|_| {
            let mut client = shown.page.connect();
            client.write_all(request.as_bytes()).unwrap();
            client
        })
        .collect();
    let began = Instant::now();
    assert_eq!(shown.page.get("/api/run").status, 200);
    assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
    drop(clients);
}

/// One connection is one request.
#[test]
fn what_follows_a_request_is_not_another_one() {
    let shown = served();
    let both = "GET /api/run HTTP/1.1\r\n{OK}\r\nGET /api/self HTTP/1.1\r\n{OK}\r\n";
    let answer = shown.page.ask(both);
    assert_eq!(answer.status, 200);
    assert!(!answer.body.contains("HTTP/1.1"), "{}", answer.body);
    let smuggled = "POST /api/go HTTP/1.1\r\n{OK}{GO}Content-Length: 13\r\n\r\n{\"do\":\"next\"}GET /api/run HTTP/1.1\r\n";
    assert_eq!(shown.page.ask(smuggled).status, 409);
}

#[test]
fn a_trace_that_is_none_is_refused_by_its_line_and_nothing_is_served() {
    for (bytes, says) in [
        (&b"\n\n{}"[..], "line 3"),
        (b"\xff\xfe\0", "line 1"),
        (b"", "nothing in it"),
        (b"{\"at\":0,\"event\":\"ended\",\"refused\":[]}\n{\"at\"\n", "line 2"),
        // What was cut while it was written is left out; this one has no beginning either.
        (b"{\"at\":0,\"event\":\"ended\",\"refused\":[]}\n{\"at\"", "first line"),
    ] {
        let mut child = Command::new(env!("CARGO_BIN_EXE_learnctr"))
            .args(["serve", "-"])
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(bytes).unwrap();
        let done = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&done.stderr).into_owned();
        assert_eq!(done.status.code(), Some(1), "{said}");
        assert!(said.contains(says) && done.stdout.is_empty(), "{said}");
    }
}

/// The page's process holds nothing, and says so; `view` says the same of it.
#[test]
fn the_page_s_process_holds_nothing_and_view_says_the_same() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_learnctr"));
    let shown = served_by(command.env("SUDO_UID", "61235").env("SUDO_GID", "61236"));
    let (pid, own) = shown.page.own();
    let word = |name: &str| own[name].as_str().unwrap().to_owned();
    for set in ["CapInh", "CapPrm", "CapEff", "CapAmb"] {
        assert_eq!(word(set), "0000000000000000", "{set}");
    }
    assert_eq!((word("NoNewPrivs"), word("Seccomp")), ("1".to_owned(), "2".to_owned()));
    let root = nix::unistd::geteuid().is_root();
    if root {
        assert_eq!(word("Uid").split_whitespace().collect::<Vec<_>>(), ["61235"; 4]);
        assert_eq!(word("Gid").split_whitespace().collect::<Vec<_>>(), ["61236"; 4]);
        assert_eq!((word("CapBnd"), word("Groups")), ("0000000000000000".to_owned(), String::new()));
    } else {
        let uid = nix::unistd::getuid().to_string();
        assert_eq!(word("Uid").split_whitespace().collect::<Vec<_>>(), [uid.as_str(); 4]);
    }
    let view =
        Command::new(env!("CARGO_BIN_EXE_learnctr")).args(["view", "--json", &pid.to_string()]).output();
    let view: serde_json::Value = serde_json::from_slice(&view.unwrap().stdout).unwrap();
    let said = |pointer: &str| {
        view.pointer(&format!("/outside/{pointer}")).unwrap_or_else(|| panic!("{pointer}: {view:#}")).clone()
    };
    for (set, name) in [("effective", "CapEff"), ("permitted", "CapPrm"), ("bounding", "CapBnd")] {
        assert_eq!(said(&format!("capabilities/value/{set}/hex")), own[name], "{set}");
    }
    assert_eq!(said("no_new_privs/value"), serde_json::json!(true));
    assert_eq!(said("seccomp/value/mode"), serde_json::json!("filter"));
    let uid: u64 = word("Uid").split_whitespace().next().unwrap().parse().unwrap();
    assert_eq!(said("ids/value/uid/effective"), serde_json::json!(uid));
    if root {
        let net = |pid: &str| std::fs::read_link(format!("/proc/{pid}/ns/net")).unwrap();
        assert_ne!(net(&pid.to_string()), net("self"));
        // Listener, channel, memory and status, perhaps a connection; nothing of the one who started it.
        let fds = std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap().flatten();
        let fds: Vec<_> = fds.filter_map(|fd| std::fs::read_link(fd.path()).ok()).collect();
        assert!(fds.len() <= 8 && !fds.iter().any(|fd| fd.to_string_lossy().contains("pipe:")), "{fds:?}");
        let tracing = Command::new("cat").arg(format!("/proc/{pid}/environ")).output().unwrap();
        assert!(tracing.stdout.is_empty(), "an environment is left");
    }
    let arguments = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap();
    assert!(!String::from_utf8_lossy(&arguments).contains(&shown.page.token));
}

/// When the one who shows it is killed, the page goes with it.
#[test]
fn no_page_is_left_behind() {
    let mut shown = served();
    let (pid, _) = shown.page.own();
    shown.signal("-KILL");
    shown.ended();
    let end = Instant::now() + PATIENCE;
    while status(pid, "Threads").is_some() && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(10));
    }
    assert!(std::net::TcpStream::connect(shown.page.address()).is_err());
}
