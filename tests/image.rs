//! Is the default image complete? ldd(1) says independently what the libraries are, and a chroot(2) into
//! the layers shows that the tools run with nothing else. Needs nothing but what it says when it skips.

use learnctr::image;
use std::collections::BTreeSet;
use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

fn silent(_: &str) {}

fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|me| me.uid() == 0)
}

fn run(command: &mut Command) -> String {
    let output = command.output().expect("it starts");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{command:?}: {text}{}", String::from_utf8_lossy(&output.stderr));
    text
}

/// All layers in one directory, as overlay shows them.
fn merged(image: &image::Image, into: &Path) {
    for layer in &image.layers {
        run(Command::new("cp").arg("-a").arg(format!("{}/.", layer.display())).arg(into));
    }
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).expect("a directory").flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            found.extend(files(&entry.path()));
        }
        found.push(entry.path());
    }
    found
}

#[test]
fn ldd_finds_no_library_that_is_not_in_the_layers() {
    let store = tempfile::tempdir().unwrap();
    let image = image::ensure(store.path(), None, &mut silent).unwrap();
    let root = tempfile::tempdir().unwrap();
    merged(&image, root.path());
    let mut compared = 0;
    for tool in ["sh", "ls", "ps", "ip", "mount", "ss", "grep", "findmnt"] {
        let Ok(output) = Command::new("ldd").arg(format!("/usr/bin/{tool}")).env("LC_ALL", "C").output()
        else {
            return println!("skipped: no ldd on this host");
        };
        for path in
            String::from_utf8_lossy(&output.stdout).split_whitespace().filter(|word| word.starts_with('/'))
        {
            let inside = root.path().join(path.trim_start_matches('/'));
            assert!(inside.exists(), "{tool} needs {path}");
            compared += 1;
        }
    }
    assert!(compared > 20, "only {compared} libraries compared");
}

#[test]
fn the_tools_run_in_the_layers_alone() {
    if !is_root() {
        return println!("skipped: chroot(2) needs root");
    }
    let store = tempfile::tempdir().unwrap();
    let image = image::ensure(store.path(), None, &mut silent).unwrap();
    let root = tempfile::tempdir().unwrap();
    merged(&image, root.path());
    let inside = |script: &str| {
        let mut command = Command::new("unshare");
        command.args(["--mount", "--pid", "--fork", "--net", "--propagation", "private", "sh", "-c"]);
        command.arg("mount -t proc proc \"$0/proc\" && exec chroot \"$0\" /bin/sh -c \"$1\"");
        run(command
            .arg(root.path())
            .arg(script)
            .env_clear()
            .envs(image.env.iter().filter_map(|it| it.split_once('='))))
    };
    assert!(inside("ls /").contains("app\nbin\n"));
    assert_eq!(inside("id"), "uid=0(root) gid=0(root) groups=0(root)\n");
    assert_eq!(inside("whoami"), "root\n");
    assert!(inside("ps -e -o pid,comm; exit 0").contains("1 sh"));
    assert!(inside("ip address").contains("lo:"));
    assert!(inside("cat /etc/os-release").contains("learnctr"));
    // Each one starts: 127 would be the shell's, or the loader's, for what is not there.
    let script = "for dir in /usr/bin /usr/sbin; do for tool in $dir/*; do \
        timeout 2 $tool --version </dev/null >/dev/null 2>/tmp/err; [ $? = 127 ] && { echo $tool; cat /tmp/err; }; done; done; true";
    assert_eq!(inside(script), "");
}

#[test]
fn no_layer_has_set_user_id_bits_and_each_mode_is_plain() {
    let store = tempfile::tempdir().unwrap();
    let image = image::ensure(store.path(), None, &mut silent).unwrap();
    for path in image.layers.iter().flat_map(|layer| files(&fs::canonicalize(layer).unwrap())) {
        let now = fs::symlink_metadata(&path).unwrap();
        let mode = now.permissions().mode();
        assert_eq!(mode & 0o6000, 0, "{path:?}");
        assert!(
            now.is_dir() || now.is_symlink() || [0o644, 0o755].contains(&(mode & 0o7777)),
            "{path:?} {mode:o}"
        );
    }
    let mode = |path: &str| fs::metadata(image.layers[0].join(path)).unwrap().permissions().mode() & 0o7777;
    assert_eq!((mode("tmp"), mode("root"), mode("usr/bin")), (0o1777, 0o700, 0o755));
}

#[test]
fn another_owner_gets_layers_of_their_own() {
    if !is_root() {
        return println!("skipped: chown(2) needs root");
    }
    let store = tempfile::tempdir().unwrap();
    let ours = image::ensure(store.path(), None, &mut silent).unwrap();
    let theirs = image::ensure(store.path(), Some((100_000, 100_001)), &mut silent).unwrap();
    assert_ne!(ours.layers, theirs.layers);
    for path in theirs.layers.iter().flat_map(|layer| files(&fs::canonicalize(layer).unwrap())) {
        let now = fs::symlink_metadata(&path).unwrap();
        assert_eq!((now.uid(), now.gid()), (100_000, 100_001), "{path:?}");
    }
}

#[test]
fn what_is_current_is_not_made_again_and_what_is_broken_is() {
    let store = tempfile::tempdir().unwrap();
    let image = image::ensure(store.path(), None, &mut silent).unwrap();
    assert_eq!(image, image::paths(store.path(), None));
    let mut said = Vec::new();
    image::ensure(store.path(), None, &mut |line| said.push(line.to_owned())).unwrap();
    assert_eq!(said, Vec::<String>::new());
    let directory = store.path().join("image");
    // A build that was killed leaves this, and no manifest.
    fs::create_dir_all(directory.join(".new-base/usr")).unwrap();
    fs::remove_file(directory.join("manifest.json")).unwrap();
    let app = fs::canonicalize(&image.layers[2]).unwrap();
    fs::remove_dir_all(&app).unwrap();
    fs::create_dir(directory.join("base.0000")).unwrap();
    image::ensure(store.path(), None, &mut |line| said.push(line.to_owned())).unwrap();
    assert_eq!(said.iter().filter(|line| line.starts_with("layer ")).count(), 1, "{said:?}");
    assert!(app.join("app/web").exists());
    let names: BTreeSet<_> =
        fs::read_dir(&directory).unwrap().flatten().map(|entry| entry.file_name()).collect();
    assert_eq!(names.len(), 8, "three layers, three links, the lock and the manifest: {names:?}");
    // A source with another time: the manifest is no longer true.
    let manifest = directory.join("manifest.json");
    let mut text: serde_json::Value = serde_json::from_slice(&fs::read(&manifest).unwrap()).unwrap();
    text["sources"][0][2] = 1.into();
    fs::write(&manifest, text.to_string()).unwrap();
    image::ensure(store.path(), None, &mut silent).unwrap();
    let text: serde_json::Value = serde_json::from_slice(&fs::read(&manifest).unwrap()).unwrap();
    assert_ne!(text["sources"][0][2], 1);
    // One who could not read the program has left an image that nobody can use.
    let mut text = text;
    text["refused"] = serde_json::json!([["/proc/self/exe", "No such file or directory"]]);
    fs::write(&manifest, text.to_string()).unwrap();
    image::ensure(store.path(), None, &mut silent).unwrap();
    let text: serde_json::Value = serde_json::from_slice(&fs::read(&manifest).unwrap()).unwrap();
    let refused = text["refused"].as_array().unwrap();
    assert!(refused.iter().all(|tool| tool[0] != "/proc/self/exe"), "{refused:?}");
}

#[test]
fn two_at_once_make_one_image() {
    let store = tempfile::tempdir().unwrap();
    let made: usize = std::thread::scope(|scope| {
        let builders: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    let mut made = 0;
                    let image = image::ensure(store.path(), None, &mut |line| {
                        made += usize::from(line.starts_with("layer "))
                    });
                    assert!(image.unwrap().layers.iter().all(|layer| layer.is_dir()));
                    made
                })
            })
            .collect();
        builders.into_iter().map(|builder| builder.join().unwrap()).sum()
    });
    assert_eq!(made, 3);
}

/// The image as a list: path, kind, mode, size.
fn listing(image: &image::Image) -> BTreeSet<String> {
    let list = |layer: &PathBuf| {
        let top = fs::canonicalize(layer).unwrap();
        let line = |path: PathBuf| {
            let now = fs::symlink_metadata(&path).unwrap();
            let size = if now.is_dir() { 0 } else { now.len() };
            format!("{} {:o} {size}", path.strip_prefix(&top).unwrap().display(), now.permissions().mode())
        };
        files(&top).into_iter().map(line).collect::<Vec<_>>()
    };
    image.layers.iter().flat_map(list).collect()
}

/// A build in a process of its own, which is this test once more.
fn builder(test: &str, store: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", test]).env("IMAGE_TEST_STORE", store).stdout(Stdio::null());
    command
}

/// True in that process, when it has built.
fn built() -> bool {
    let store = std::env::var_os("IMAGE_TEST_STORE");
    store.map(|store| image::ensure(Path::new(&store), None, &mut silent).unwrap()).is_some()
}

#[test]
fn a_build_that_is_killed_leaves_nothing_behind() {
    if built() {
        return;
    }
    let whole = tempfile::tempdir().unwrap();
    let whole = listing(&image::ensure(whole.path(), None, &mut silent).unwrap());
    let mut unfinished = 0;
    for delay in (0..80).step_by(4) {
        let store = tempfile::tempdir().unwrap();
        let mut child =
            builder("a_build_that_is_killed_leaves_nothing_behind", store.path()).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(delay));
        child.kill().unwrap();
        child.wait().unwrap();
        let directory = store.path().join("image");
        unfinished += usize::from(directory.exists() && !directory.join("manifest.json").exists());
        let image = image::ensure(store.path(), None, &mut silent).unwrap();
        assert_eq!(listing(&image), whole);
        assert_eq!(fs::read_dir(&directory).unwrap().count(), 8);
    }
    assert!(unfinished > 0, "none was killed at work");
}

#[test]
fn an_ordinary_user_makes_the_same_image() {
    if built() {
        return;
    }
    if !is_root() {
        return println!("skipped: this one becomes an ordinary user, and the others are run by one");
    }
    let whole = tempfile::tempdir().unwrap();
    let whole = listing(&image::ensure(whole.path(), None, &mut silent).unwrap());
    let store = tempfile::tempdir().unwrap();
    std::os::unix::fs::chown(store.path(), Some(65534), Some(65534)).unwrap();
    match builder("an_ordinary_user_makes_the_same_image", store.path())
        .uid(65534)
        .gid(65534)
        .env("HOME", "/")
        .status()
    {
        Ok(status) => assert!(status.success()),
        Err(error) => {
            return println!("skipped: an ordinary user cannot run {:?}: {error}", std::env::current_exe());
        }
    }
    let image = image::paths(store.path(), None);
    assert_eq!(listing(&image), whole);
    assert_eq!(fs::metadata(image.layers[0].join("bin/sh")).unwrap().uid(), 65534);
}

#[test]
fn a_store_that_cannot_be_made_says_why() {
    let store = tempfile::NamedTempFile::new().unwrap();
    let error = image::ensure(store.path(), None, &mut silent).unwrap_err().to_string();
    assert!(error.contains("mkdir") && error.contains("ENOTDIR"), "{error}");
}

/// The server under the name that it has in the container; killed when dropped.
struct Web(Child, u16);

impl Drop for Web {
    fn drop(&mut self) {
        let _ = Command::new("kill").arg(self.0.id().to_string()).stderr(Stdio::null()).status();
        let end = Instant::now() + Duration::from_secs(6);
        while self.0.try_wait().is_ok_and(|status| status.is_none()) && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(5));
        }
        let _ = self.0.kill();
    }
}

fn web() -> Web {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut command = Command::new(env!("CARGO_BIN_EXE_learnctr"));
    command.arg0("/app/web").args(["--listen", &format!("{port:05}")]).stdout(Stdio::piped());
    command.env_clear().env("FIRST", "1").env("SECOND", "2");
    let mut child = command.spawn().unwrap();
    let mut line = [0; 16];
    child.stdout.as_mut().unwrap().read_exact(&mut line).unwrap();
    Web(child, port)
}

fn ask(port: u16, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    stream.write_all(request).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

fn children(parent: u32) -> BTreeSet<u32> {
    let text = fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")).unwrap();
    text.split_whitespace().map(|pid| pid.parse().unwrap()).collect()
}

fn until(what: &str, mut done: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(5);
    while !done() {
        assert!(Instant::now() < end, "never: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn the_server_is_a_master_with_two_workers_as_nginx() {
    let mut web = web();
    let master = web.0.id();
    until("two workers", || children(master).len() == 2);
    let workers = children(master);
    let title = |pid: u32| {
        fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap().trim_end_matches('\0').to_owned()
    };
    until("titles", || workers.iter().all(|worker| title(*worker) == "web: worker process"));
    assert_eq!(title(master), "web: master process");
    assert_eq!(fs::read_to_string(format!("/proc/{master}/comm")).unwrap(), "web: master\n");
    for pid in workers.iter().chain([&master]) {
        assert_eq!(fs::read_to_string(format!("/proc/{pid}/environ")).unwrap(), "FIRST=1\0SECOND=2\0");
    }
    let answer = ask(web.1, b"GET / HTTP/1.0\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.0 200 OK\r\n"), "{answer}");
    assert!(workers.iter().any(|pid| answer.contains(&format!("<dd>{pid}</dd>"))), "{answer}");
    assert!(answer.contains(fs::read_to_string("/proc/sys/kernel/hostname").unwrap().trim()), "{answer}");
    assert!(ask(web.1, b"\0\xff\r\n\r\n").starts_with("HTTP/1.0 400"));
    assert!(ask(web.1, &[b'x'; 8192]).starts_with("HTTP/1.0 400"));

    let killed = *workers.first().unwrap();
    run(Command::new("kill").arg("-KILL").arg(killed.to_string()));
    until("another worker", || children(master).len() == 2 && !children(master).contains(&killed));
    assert!(ask(web.1, b"GET / HTTP/1.0\r\n\r\n").contains("200 OK"));

    let workers = children(master);
    run(Command::new("kill").arg("-TERM").arg(master.to_string()));
    assert_eq!(web.0.wait().unwrap().code(), Some(0));
    assert!(workers.iter().all(|worker| !Path::new(&format!("/proc/{worker}")).exists()));
}

#[test]
fn a_port_that_is_taken_is_named_with_its_cause() {
    let taken = TcpListener::bind("0.0.0.0:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let mut command = Command::new(env!("CARGO_BIN_EXE_learnctr"));
    let output = command.arg0("web").args(["--listen", &port]).env_remove("PORT").output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1));
    assert!(said.contains("EADDRINUSE") && said.contains("another process"), "{said}");
}

/// With --kill-child, what unshare(1) started ends with it.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// As in a container: process 1, a network namespace whose lo is down, and no /proc that is its own.
#[test]
fn as_process_one_it_binds_port_80_reaps_orphans_and_stops_at_sigterm() {
    if !is_root() {
        return println!("skipped: namespaces without a user namespace need root");
    }
    let link = tempfile::tempdir().unwrap();
    let web = link.path().join("web");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_learnctr"), &web).unwrap();
    let script = format!("mount -t tmpfs none /proc && exec {} --listen 80", web.display());
    let mut command = Command::new("unshare");
    command
        .args(["--pid", "--net", "--mount", "--fork", "--kill-child", "sh", "-c", &script])
        .stdout(Stdio::piped());
    let mut unshare = Killed(command.stderr(Stdio::null()).spawn().unwrap());
    let mut line = [0; 59];
    unshare.0.stdout.as_mut().unwrap().read_exact(&mut line).unwrap();
    assert_eq!(String::from_utf8_lossy(&line), "web: master process 1 listens on 0.0.0.0:80, with 2 workers");
    let master = *children(unshare.0.id()).first().unwrap();
    until("two workers", || children(master).len() == 2);
    run(Command::new("nsenter").arg(format!("--pid=/proc/{master}/ns/pid")).args([
        "sh",
        "-c",
        "(sleep 0.3 & sleep 0.3 &) >/dev/null 2>&1",
    ]));
    until("orphans", || children(master).len() == 4);
    until("orphans reaped", || children(master).len() == 2);
    run(Command::new("kill").arg("-TERM").arg(master.to_string()));
    until("its end", || unshare.0.try_wait().unwrap().is_some());
    assert_eq!(unshare.0.wait().unwrap().code(), Some(0));
}

#[test]
fn a_port_that_is_refused_is_named_with_its_cause_and_port_is_tried() {
    if !is_root() {
        return println!("skipped: a network namespace that belongs to another user needs root");
    }
    let web = |port: &str| {
        let link = tempfile::tempdir().unwrap();
        fs::set_permissions(link.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let name = link.path().join("web");
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_learnctr"), &name).unwrap();
        let mut command = Command::new("timeout");
        command.args(["-s", "TERM", "1", "unshare", "--net", "setpriv", "--reuid=65534", "--clear-groups"]);
        let output = command.arg("--inh-caps=-all").arg(name).env("PORT", port).output().unwrap();
        (
            output.status.code(),
            String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr),
        )
    };
    let (status, said) = web("");
    assert!(said.contains("EACCES") && said.contains("CAP_NET_BIND_SERVICE"), "{said}");
    assert_eq!(status, Some(1));
    let (_, said) = web("8080");
    assert!(said.contains("EACCES") && said.contains("listens on 0.0.0.0:8080"), "{said}");
}
