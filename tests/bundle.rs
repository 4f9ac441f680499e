//! Is what `learnctr spec` prints a bundle for others too? runc, which did not write it, runs it.
//!
//! Next: the engine's own tests, which run it themselves.

use learnctr::{image, spec};
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;

/// Removes the container whatever becomes of the test.
struct Remove<'a>(&'a Path, &'a str);

impl Drop for Remove<'_> {
    fn drop(&mut self) {
        _ = Command::new("runc").arg("--root").arg(self.0).args(["delete", "--force", self.1]).output();
    }
}

const SAY: &str = r#"read name < /proc/sys/kernel/hostname
while read key value; do case $key in CapEff:|Seccomp:|NoNewPrivs:) echo $key $value;; esac; done < /proc/self/status
echo $name $COLOR $PWD $(ulimit -n)"#;

#[test]
fn runc_runs_what_is_printed() {
    let runc = Command::new("runc").arg("--version").output();
    if !runc.is_ok_and(|output| output.status.success()) {
        return println!("skipped: runc is not installed");
    }
    let here = tempfile::tempdir().unwrap();
    let image = image::ensure(here.path(), None, &mut |_| {}).unwrap();
    let id = format!("learnctr-spec-{}", std::process::id());
    let printed = Command::new(env!("CARGO_BIN_EXE_learnctr"))
        .args(["spec", "--name", &id, "--network", "none", "--cgroup-parent", "/"])
        .args([
            "--cap-add",
            "NET_ADMIN",
            "--cap-drop",
            "MKNOD",
            "-e",
            "COLOR=blue",
            "-w",
            "/usr",
            "--hostname",
            "till",
        ])
        .args([
            "--security-opt",
            "no-new-privileges",
            "--ulimit",
            "nofile=64:64",
            "-m",
            "64m",
            "--tmpfs",
            "/run",
        ])
        .args(["--", "sh", "-c", SAY])
        .output()
        .unwrap();
    assert!(printed.status.success(), "{}", String::from_utf8_lossy(&printed.stderr));
    let mut config: Value = serde_json::from_slice(&printed.stdout).unwrap();
    // The overlay is learnctr's to mount; its lowest layer has a shell.
    config["root"]["path"] = json!(image.layers.first().unwrap().canonicalize().unwrap());
    std::fs::write(here.path().join("config.json"), config.to_string()).unwrap();

    let state = here.path().join("runc");
    let _remove = Remove(&state, &id);
    let mut runc = Command::new("runc");
    let ran =
        runc.arg("--root").arg(&state).args(["run", "--bundle"]).arg(here.path()).arg(&id).output().unwrap();
    let (out, err) = (String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
    assert!(ran.status.success(), "{err}");
    let asked = spec::caps::resolve(&["NET_ADMIN".into()], &["MKNOD".into()]).unwrap();
    let expected = format!("CapEff: {asked:016x}\nNoNewPrivs: 1\nSeccomp: 2\ntill blue /usr 64\n");
    assert_eq!(out, expected, "{err}");
}
