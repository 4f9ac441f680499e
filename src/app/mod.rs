//! What runs in the default container? A web server built as nginx is: a master, which is process 1, and
//! two workers, its children. The master binds the port, starts the workers and replaces one that dies;
//! the workers answer.
//!
//! It needs nothing but kernel calls, so that it runs in a container that is only half built: no /proc, no
//! interface that is up, no user database. Next: [`start`], what it does to its files, then [`worker`].

pub mod start;
mod worker;

use crate::kernel::{Errno, fork};
use std::ffi::OsString;
use std::io::Write;
use std::net::{Ipv4Addr, TcpListener};
use std::process::ExitCode;
use std::time::{Duration, Instant};

const WORKERS: usize = 2;
/// A worker that dies sooner than this is not replaced before it is over.
const PAUSE: Duration = Duration::from_secs(1);
/// What a worker gets to finish its answer.
const GRACE: Duration = Duration::from_secs(5);

/// One child, and when it was started.
struct Worker {
    pid: u32,
    started: Instant,
}

/// `web [--listen PORT]`, by default 80; where that is refused, the port in the environment's PORT.
pub fn main(mut args: impl Iterator<Item = OsString>) -> ExitCode {
    let mut ports = Vec::new();
    while let Some(arg) = args.next() {
        let port =
            if arg == "--listen" { args.next().and_then(|port| port.to_str()?.parse().ok()) } else { None };
        let Some(port) = port else {
            say(&mut std::io::stderr(), "usage: web [--listen PORT]");
            return ExitCode::from(2);
        };
        ports = vec![port];
    }
    if ports.is_empty() {
        ports.push(80);
    }
    ports.extend(std::env::var("PORT").ok().and_then(|port| port.parse::<u16>().ok()));
    let Some(listener) = ports.into_iter().find_map(listen) else { return ExitCode::FAILURE };
    if let Err(errno) = fork::block_signals() {
        say(&mut std::io::stderr(), &format!("rt_sigprocmask: {errno}"));
        return ExitCode::FAILURE;
    }
    let place = listener.local_addr().map(|address| address.to_string()).unwrap_or_default();
    let pid = std::process::id();
    let line = format!("master process {pid} listens on {place}, with {WORKERS} workers");
    start::leave_traces(&line);
    say(&mut std::io::stdout(), &line);
    fork::set_title("web: master", "web: master process");
    serve(&listener)
}

/// 0.0.0.0 needs no interface that is up.
fn listen(port: u16) -> Option<TcpListener> {
    TcpListener::bind((Ipv4Addr::UNSPECIFIED, port))
        .map_err(|error| {
            let errno = Errno::from(error);
            say(&mut std::io::stderr(), &format!("bind to port {port}: {errno}{}", cause(&errno.name())));
        })
        .ok()
}

fn cause(errno: &str) -> &'static str {
    match errno {
        "EACCES" => {
            ": ports below net.ipv4.ip_unprivileged_port_start need CAP_NET_BIND_SERVICE in the user \
             namespace that owns this network namespace"
        }
        "EADDRINUSE" => {
            ": another process of this network namespace has it; a namespace of its own would not"
        }
        "EPERM" => ": a seccomp filter or an LSM says no",
        _ => "",
    }
}

/// The master's life: keep two workers running until told to stop.
fn serve(listener: &TcpListener) -> ExitCode {
    let mut workers: Vec<Worker> = Vec::new();
    let mut next_start = Instant::now();
    loop {
        while workers.len() < WORKERS && next_start <= Instant::now() {
            match fork::fork(|| worker::run(listener)) {
                Ok(pid) => workers.push(Worker { pid, started: Instant::now() }),
                Err(errno) => {
                    say(&mut std::io::stderr(), &format!("fork: {errno} (pids.max of the cgroup?)"));
                    next_start = Instant::now() + PAUSE;
                }
            }
        }
        let patience =
            (workers.len() < WORKERS).then(|| next_start.saturating_duration_since(Instant::now()));
        match fork::next_signal(patience) {
            Ok(Some(fork::Signal::Stop)) => return stop(workers),
            Ok(_) => {}
            Err(errno) => {
                say(&mut std::io::stderr(), &format!("rt_sigtimedwait: {errno}"));
                return ExitCode::FAILURE;
            }
        }
        // As process 1 it is given every orphan of the namespace too, and must reap it.
        while let Some((pid, status)) = fork::reap() {
            if let Some(dead) = workers.iter().position(|worker| worker.pid == pid) {
                let dead = workers.swap_remove(dead);
                say(
                    &mut std::io::stderr(),
                    &format!("worker process {pid} ended with {status}, starting another"),
                );
                if dead.started.elapsed() < PAUSE {
                    next_start = Instant::now() + PAUSE;
                }
            }
        }
    }
}

/// SIGTERM to each worker; a master that is not process 1 must not leave before them.
fn stop(mut workers: Vec<Worker>) -> ExitCode {
    let end = Instant::now() + GRACE;
    workers.iter().for_each(|worker| fork::terminate(worker.pid));
    while !workers.is_empty() && Instant::now() < end {
        let _ = fork::next_signal(Some(end.saturating_duration_since(Instant::now())));
        while let Some((pid, _)) = fork::reap() {
            workers.retain(|worker| worker.pid != pid);
        }
    }
    ExitCode::SUCCESS
}

/// One line; who reads it may be gone.
fn say(to: &mut dyn Write, line: &str) {
    let _ = writeln!(to, "web: {line}").and_then(|()| to.flush());
}
