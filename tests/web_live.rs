//! Does the page drive a real build, survive what is done to it, and stay closed to the container? `step --web` as root,
//! without a terminal and with one; the kernel is the real one.
//!
//! Next: `build/suites`.

#[path = "common/page.rs"]
mod page;

use learnctr::kernel::pty;
use nix::sched::{CloneFlags, setns};
use page::{PATIENCE, Page, Shown, status};
use std::fs::File;
use std::io::{BufReader, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Where one test's container is, and its name.
struct Place {
    dirs: tempfile::TempDir,
    name: String,
}

impl Place {
    fn new(name: &str) -> Place {
        Place { dirs: tempfile::tempdir().unwrap(), name: format!("lw{}{name}", std::process::id()) }
    }

    fn dir(&self, name: &str) -> PathBuf {
        self.dirs.path().join(name)
    }

    /// Where build/test.sh says so, one image is shared: to make one takes an emulated machine longer than all else.
    fn data(&self) -> PathBuf {
        std::env::var_os("LEARNCTR_TEST_DATA").map_or_else(|| self.dir("data"), PathBuf::from)
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.env("LEARNCTR_DATA", self.data()).env("LEARNCTR_STATE", self.dir("state"));
        command.env("TERM", "xterm").env_remove("NO_COLOR").env_remove("COLUMNS");
        command
    }

    /// `step --web`, which only the page drives.
    fn step(&self, options: &[&str]) -> Shown {
        let mut command = self.command(env!("CARGO_BIN_EXE_learnctr"));
        Shown::start(command.args(["step", "--web", "--name", &self.name]).args(options), b"")
    }

    fn nothing_left(&self) {
        let state = std::fs::read_dir(self.dir("state")).map_or(0, Iterator::count);
        assert_eq!((state, self.data().join("containers").join(&self.name).exists()), (0, false));
        let mounts = std::fs::read_to_string("/proc/mounts").unwrap();
        assert!(!mounts.contains(&self.name), "{mounts}");
    }
}

fn paused(page: &Page) -> Option<String> {
    let run: serde_json::Value = serde_json::from_str(&page.get("/api/run").body).unwrap();
    let number = run["paused"].as_u64()? as usize;
    Some(run["stages"][number]["id"].as_str().unwrap().to_owned())
}

/// Wait until the build stands still after this stage, and hears commands.
fn stands_at(page: &Page, stage: &str) {
    let end = Instant::now() + 8 * PATIENCE;
    while Instant::now() < end {
        let event = page.stream("").next();
        if event.is_some_and(|event| event.state == "waiting") && paused(page).as_deref() == Some(stage) {
            return;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    panic!("it never stood still after {stage}, but after {:?}", paused(page));
}

/// A stage of this plan: an ordinary user's has one more, userns.
fn stage(page: &Page, number: usize) -> String {
    let run: serde_json::Value = serde_json::from_str(&page.get("/api/run").body).unwrap();
    run["stages"][number]["id"].as_str().unwrap().to_owned()
}

/// Whether a whole container can be built here; where not, the test says so.
fn overlaid() -> bool {
    let can = nix::unistd::geteuid().is_root() || learnctr::host::Host::look().at_least(5, 11);
    if !can {
        println!("skipped: overlay in a user namespace needs Linux 5.11");
    }
    can
}

fn is_root() -> bool {
    let root = nix::unistd::geteuid().is_root();
    if !root {
        println!("skipped: namespaces are entered, which takes root");
    }
    root
}

#[test]
fn the_page_goes_on_back_and_quits_and_what_was_recorded_stays() {
    if !overlaid() {
        return;
    }
    let place = Place::new("go");
    let trace = place.dir("trace.jsonl");
    let mut shown = place.step(&["--trace", trace.to_str().unwrap()]);
    let page = shown.page.clone();
    stands_at(&page, "image");
    assert_eq!(page.go(r#"{"do":"next"}"#).status, 202);
    stands_at(&page, &stage(&page, 1));
    assert_eq!(page.go(r#"{"do":"run_lesson_step","id":"pivot-root"}"#).status, 202);
    stands_at(&page, "pivot-root");
    assert_eq!(page.get("/api/drawing/pivot-root/anatomy").status, 200);
    let pivot = (0..).find(|number| stage(&page, *number) == "pivot-root").unwrap();
    let before = stage(&page, pivot - 1);
    // Back is built anew, up to the stage before.
    assert_eq!(page.go(r#"{"do":"back"}"#).status, 202);
    stands_at(&page, &before);
    assert_eq!(page.go(r#"{"do":"run_lesson_step","id":"clone"}"#).status, 202);
    stands_at(&page, "clone");
    assert_eq!(page.go(r#"{"do":"quit"}"#).status, 202);
    page.stream("").until("what was recorded", |event| event.state == "recorded");
    assert_eq!(page.go(r#"{"do":"next"}"#).status, 409);
    place.nothing_left();
    // The page was told the same lines as the file, of the last walk alone.
    let lines = std::fs::read_to_string(&trace).unwrap().lines().count();
    let id = page.stream("").next().unwrap().id;
    assert!(id.ends_with(&format!(".{lines}.recorded")), "{id}");
    shown.signal("-TERM");
    assert_eq!(shown.ended().code(), Some(0));
}

/// 46: the build goes on, and the page comes back where it was.
#[test]
fn a_page_that_is_killed_comes_back_and_the_build_goes_on() {
    if !overlaid() {
        return;
    }
    let place = Place::new("kill");
    let shown = place.step(&[]);
    let page = &shown.page;
    stands_at(page, "image");
    let (first, _) = page.own();
    let before = page.stream("").next().unwrap().id;
    for _ in 0..3 {
        let (pid, _) = page.own();
        Command::new("kill").args(["-KILL", &pid.to_string()]).status().unwrap();
        let end = Instant::now() + PATIENCE;
        let mut now = pid;
        // Its socket stays, so that a request that comes meanwhile waits.
        while now == pid && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(20));
            now = page.own_if_there().map_or(pid, |own| own.0);
        }
        assert_ne!(now, pid);
    }
    assert_ne!(page.own().0, first);
    // One that was here before has missed nothing.
    let mut stream = page.stream(&format!("Last-Event-ID: {before}\r\n"));
    assert_eq!(stream.next().unwrap().id, "");
    assert_eq!(page.go(r#"{"do":"next"}"#).status, 202);
    stands_at(page, &stage(page, 1));
    assert_eq!(page.go(r#"{"do":"continue"}"#).status, 202);
    stream.until("the end", |event| event.state == "recorded" && event.data["over"] == true);
    place.nothing_left();
}

/// What a request from this process's network namespace gets: an answer's status, or none when there is no way.
fn asked_in(pid: i64, page: &Page) -> Option<u16> {
    let (page, namespace) = (page.clone(), File::open(format!("/proc/{pid}/ns/net")).unwrap());
    let inside = std::thread::spawn(move || {
        setns(namespace, CloneFlags::CLONE_NEWNET).unwrap();
        let mut client = TcpStream::connect_timeout(&page.address(), Duration::from_secs(1)).ok()?;
        let request = page.put("GET /api/run HTTP/1.1\r\nHost: {HOST}\r\n\r\n");
        client.write_all(request.as_bytes()).ok()?;
        let mut answer = String::new();
        client.read_to_string(&mut answer).ok()?;
        answer.split(' ').nth(1)?.parse().ok()
    });
    inside.join().unwrap()
}

/// 42: at every stage, in each network mode.
#[test]
fn the_container_gets_no_piece_of_the_page() {
    if !is_root() {
        return;
    }
    for mode in ["none", "veth", "host"] {
        let place = Place::new(mode);
        let shown = place.step(&["--network", mode]);
        let page = &shown.page;
        let mut stream = page.stream("");
        let mut asked = Vec::new();
        loop {
            let event = stream
                .until("a pause or the end", |event| ["waiting", "recorded"].contains(&event.state.as_str()));
            if event.state == "recorded" {
                break;
            }
            let Some(stage) = paused(page) else { continue };
            if asked.last().is_some_and(|(last, _)| *last == stage) {
                continue;
            }
            // The process that becomes the container; before there is one, there is nobody to ask.
            let pid = trace_pid(page, &stage);
            let got = pid.and_then(|pid| asked_in(pid, page));
            assert!([None, Some(401)].contains(&got), "{mode} at {stage}: {got:?}");
            asked.push((stage, got));
            assert_eq!(page.go(r#"{"do":"next"}"#).status, 202);
        }
        assert!(asked.len() > 10, "{asked:?}");
        let reached = asked.iter().filter(|(_, got)| got.is_some()).count();
        match mode {
            // In the host's own network the page is there, and closed.
            "host" => assert!(reached > 5, "{asked:?}"),
            _ => assert_eq!(reached, 0, "{asked:?}"),
        }
    }
}

/// The container's process, as the host numbers it, out of the drawing that names it.
fn trace_pid(page: &Page, stage: &str) -> Option<i64> {
    let drawing = page.get(&format!("/api/drawing/{stage}/anatomy")).body;
    let after = drawing.split("the host counts it as ").nth(1)?;
    after.chars().take_while(char::is_ascii_digit).collect::<String>().parse().ok()
}

/// 40: who does not read is let go within ten seconds, and the others hear all.
#[test]
fn a_reader_that_stalls_is_let_go_and_the_others_hear_all() {
    if !overlaid() {
        return;
    }
    let place = Place::new("stall");
    let shown = place.step(&[]);
    let page = &shown.page;
    stands_at(page, "image");
    let stalled: Vec<TcpStream> = (0..3)
        .map(|_| {
            let socket =
                rustix::net::socket(rustix::net::AddressFamily::INET, rustix::net::SocketType::STREAM, None);
            let socket = socket.unwrap();
            rustix::net::sockopt::set_socket_recv_buffer_size(&socket, 2048).unwrap();
            rustix::net::connect(&socket, &page.address()).unwrap();
            let mut client = TcpStream::from(socket);
            client.write_all(page.put("GET /api/stream HTTP/1.1\r\n{OK}\r\n").as_bytes()).unwrap();
            // It begins well, so that it has one of the four.
            let mut begin = [0; 12];
            client.read_exact(&mut begin).unwrap();
            assert_eq!(&begin, b"HTTP/1.1 200");
            client
        })
        .collect();
    let mut reads = page.stream("");
    assert_eq!(reads.next().unwrap().state, "waiting");
    assert_eq!(page.stream("").status(), 503);
    // Each stage is built several times, so that there is enough to be told.
    for _ in 0..6 {
        assert_eq!(page.go(r#"{"do":"run_lesson_step","id":"caps"}"#).status, 202);
        reads.until("caps", |event| event.state == "waiting" && paused(page).as_deref() == Some("caps"));
        assert_eq!(page.go(r#"{"do":"run_lesson_step","id":"image"}"#).status, 202);
        reads.until("image", |event| event.state == "waiting" && paused(page).as_deref() == Some("image"));
    }
    let began = Instant::now();
    while page.stream("").status() == 503 {
        assert!(began.elapsed() < Duration::from_secs(10), "the slots of those who stall are not free");
        std::thread::sleep(Duration::from_millis(100));
        assert!(reads.next().is_some());
    }
    drop(stalled);
    assert_eq!(page.go(r#"{"do":"quit"}"#).status, 202);
    reads.until("the end", |event| event.state == "recorded");
}

/// A build at a terminal, which a page shows too.
struct Both {
    child: Child,
    keys: File,
    said: JoinHandle<String>,
    page: Page,
}

impl Both {
    fn at(place: &Place, options: &[&str]) -> Both {
        let (master, terminal) = pty::pair().unwrap();
        let end = || Stdio::from(terminal.try_clone().unwrap());
        let mut command = place.command("setsid");
        let step =
            ["--ctty", "--wait", env!("CARGO_BIN_EXE_learnctr"), "step", "--web", "--name", &place.name];
        // A pager that is left by a line.
        command.args(step).args(options).env("PAGER", "head -n1 /dev/tty");
        let child = command.stdin(end()).stdout(end()).stderr(end()).spawn().unwrap();
        let keys = File::from(master);
        let mut said = BufReader::new(keys.try_clone().unwrap());
        let page = Page::read(&mut said);
        // What it says has to be taken, else it waits.
        let said = std::thread::spawn(move || {
            let mut all = Vec::new();
            let _ = said.read_to_end(&mut all);
            String::from_utf8_lossy(&all).into_owned()
        });
        Both { child, keys, said, page }
    }

    fn key(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
    }

    /// All that it said, once it has ended well.
    fn ended(mut self) -> String {
        assert!(self.child.wait().unwrap().success());
        drop(self.keys);
        self.said.join().unwrap()
    }
}

/// Keys and the page move the same build.
#[test]
fn the_terminal_and_the_page_take_turns() {
    if !overlaid() {
        return;
    }
    let place = Place::new("both");
    let mut both = Both::at(&place, &[]);
    let page = both.page.clone();
    stands_at(&page, "image");
    both.key("n");
    stands_at(&page, &stage(&page, 1));
    assert_eq!(page.go(r#"{"do":"run_lesson_step","id":"pivot-root"}"#).status, 202);
    stands_at(&page, "pivot-root");
    both.key("c");
    page.stream("").until("the end", |event| event.state == "recorded");
    // The page stays until somebody says q.
    assert_eq!(page.get("/api/run").status, 200);
    let (pid, _) = page.own();
    both.key("q");
    assert!(both.ended().contains("until q or Ctrl-C"));
    assert!(status(pid, "Threads").is_none(), "the page's process is left");
    place.nothing_left();
}

/// What a shell inside has done is seen on the page and in the trace, at once and when it is asked for; a page that is not
/// heard is told why.
#[test]
fn what_a_shell_did_is_seen_and_a_terminal_in_use_is_told() {
    if !overlaid() {
        return;
    }
    let place = Place::new("again");
    let trace = place.dir("trace.jsonl");
    let mut both = Both::at(&place, &["--trace", trace.to_str().unwrap()]);
    let page = both.page.clone();
    stands_at(&page, "image");
    assert_eq!(page.go(r#"{"do":"run_lesson_step","id":"pivot-root"}"#).status, 202);
    stands_at(&page, "pivot-root");
    let panel = || page.get("/api/panel/pivot-root").body;
    let before = panel();
    assert!(!before.contains("Looked at again"), "{before}");
    let mut stream = page.stream("");
    for (keys, leave) in [("v", "\n"), ("e", "hostname renamed; exit\n")] {
        both.key(keys);
        stream.until("held", |event| event.state == "held");
        let refused = page.go(r#"{"do":"next"}"#);
        assert_eq!(refused.status, 409);
        assert!(refused.body.contains("terminal"), "{}", refused.body);
        both.key(leave);
        stream.until("heard again", |event| event.state == "waiting");
    }
    let after = stream.until("a look", |event| event.data["stages"].to_string().contains("\"looks\":1"));
    assert!(after.data["stages"].to_string().contains("\"news\":1"), "{}", after.data);
    assert!(panel().contains("Looked at again") && panel().contains("renamed"), "{}", panel());
    assert!(page.get("/api/drawing/pivot-root/anatomy").body.contains("renamed"));
    // What the stage itself changed is still what is told of it.
    let own = |panel: &str| {
        panel.split("What changed").nth(1).unwrap().split("</section>").next().unwrap().to_owned()
    };
    assert_eq!(own(&panel()), own(&before));
    assert_eq!(page.go(r#"{"do":"look"}"#).status, 202);
    stream.until("the page's look", |event| event.data["stages"].to_string().contains("\"looks\":2"));
    both.key("l");
    stream.until("the terminal's look", |event| event.data["stages"].to_string().contains("\"looks\":3"));
    both.key("q");
    let said = both.ended();
    assert!(
        said.contains("looked again") && said.contains("nothing has changed that a view shows"),
        "{said}"
    );
    let lines = std::fs::read(&trace).unwrap();
    let looked = learnctr::trace::read(lines.as_slice()).unwrap();
    let looked = looked.iter().filter(|record| matches!(record.event, learnctr::trace::Event::Looked { .. }));
    assert_eq!(looked.count(), 3);
    place.nothing_left();
}

/// A token is in no argument list, no environment and no file that is left.
#[test]
fn the_token_is_printed_and_nowhere_else() {
    let place = Place::new("token");
    let shown = place.step(&["--until", "image"]);
    stands_at(&shown.page, "image");
    for process in std::fs::read_dir("/proc").unwrap().flatten() {
        for file in ["cmdline", "environ"] {
            let text = std::fs::read(process.path().join(file)).unwrap_or_default();
            let text = String::from_utf8_lossy(&text).into_owned();
            assert!(!text.contains(&shown.page.token), "{}/{file}", process.path().display());
        }
    }
}
