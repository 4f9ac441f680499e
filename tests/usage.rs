//! What is said to who asks for what cannot be? To those who speak as to Docker, and to those whose options contradict
//! the machine: exit status 2, what to do in its place, and nothing made.
//!
//! Next: `plan_text`, what is said where all is well.

use std::process::{Command, Output};

/// A learnctr that has nothing yet; and whether it has made something.
fn learnctr(args: &[&str]) -> (Output, bool) {
    let dirs = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_learnctr"));
    command.env("LEARNCTR_DATA", dirs.path().join("data")).env("LEARNCTR_STATE", dirs.path().join("state"));
    let output = command.args(args).env("COLUMNS", "80").output().unwrap();
    (output, std::fs::read_dir(dirs.path()).unwrap().next().is_some())
}

fn refused(args: &[&str]) -> String {
    let (output, made) = learnctr(args);
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{args:?}: {errors}");
    assert!(!made || args[0] != "plan", "{args:?}");
    errors
}

#[test]
fn who_speaks_as_to_docker_is_answered() {
    for (args, answer) in [
        (&["run", "alpine"][..], "learnctr run -- sh"),
        (&["run", "-it", "alpine", "sh"], "--rootfs DIR"),
        (&["step", "nginx:latest"], "takes no image's name"),
        (&["run", "-p", "80:80"], "--network host"),
        (&["run", "--publish=80:80"], "--network host"),
        (&["run", "-d"], "in the foreground"),
        (&["run", "--rm", "--", "true"], "goes with it"),
        (&["run", "--network", "bridge"], "veth"),
        (&["run", "--mount", "type=bind"], "--volume SOURCE:PATH"),
        (&["exec", "web", "sh"], "key e"),
        (&["ps"], "none to be listed"),
        (&["pull", "alpine"], "--rootfs DIR"),
    ] {
        let errors = refused(args);
        assert!(errors.contains(answer), "{args:?}: {errors}");
        assert!(!errors.contains("as a value"), "{args:?}: {errors}");
    }
    // What is no word of Docker's has clap's own answer.
    assert!(!refused(&["run", "--nonsense"]).contains("learnctr: "));
}

#[test]
fn faults_of_the_command_line_are_told_from_failures() {
    for args in [
        &["plan", "--memory", "1m"][..],
        &["plan", "--memory", "zz"],
        &["plan", "--memory-swap", "1m"],
        &["plan", "--cpus", "8000"],
        &["plan", "--hostname", "a", "--uts", "host"],
        &["plan", "--cap-add", "FLY"],
        &["plan", "--sysctl", "kernel.panic=1"],
        &["plan", "--until", "nope"],
        &["plan", "--until", "veth", "--network", "host"],
        &["plan", "--from", "exec", "--until", "image"],
        &["plan", "--skip", "exec"],
        &["plan", "--skip", "clone-uts"],
        &["plan", "-u", "nosuchuser"],
        &["plan", "-v", "/no/such/place:/x"],
        &["plan", "--tmpfs", "/"],
        &["plan", "--env-file", "/dev/zero"],
        &["plan", "--security-opt", "seccomp=/dev/zero"],
        &["decode", "caps", "zz"],
        &["decode", "mount", "MS_NOTHING"],
    ] {
        refused(args);
    }
    let errors = refused(&["plan", "--cpus", "8000"]);
    assert!(errors.contains("--cpus") && errors.contains("0.01 to "), "{errors}");
    use std::os::unix::ffi::OsStrExt;
    let mut command = Command::new(env!("CARGO_BIN_EXE_learnctr"));
    let output = command.args(["plan", "--"]).arg(std::ffi::OsStr::from_bytes(b"a\xffb")).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("invalid UTF-8"));
}

#[test]
fn a_file_without_an_end_is_not_read_to_the_end() {
    for (args, most) in [
        (&["export", "/dev/zero", "-o", "-"][..], "256 MiB"),
        (&["serve", "/dev/zero"], "256 MiB"),
        (&["diff", "/dev/zero", "self"], "64 MiB"),
    ] {
        let (output, _) = learnctr(args);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && said.contains(most), "{args:?}: {said}");
    }
}

#[test]
fn a_user_by_name_has_a_number_before_there_is_an_image() {
    let (output, made) = learnctr(&["spec", "--userns", "host", "-u", "nobody", "--group-add", "tty"]);
    let (output, made) = match output.status.success() {
        true => (output, made),
        // An ordinary user has a user namespace, and perhaps no such id in it.
        false => return println!("skipped: {}", String::from_utf8_lossy(&output.stderr)),
    };
    let config: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let user = &config["process"]["user"];
    assert_eq!(user["uid"], 65_534, "{user}");
    assert_eq!(user["gid"], 65_534, "{user}");
    assert!(user["additionalGids"].as_array().unwrap().contains(&5.into()), "{user}");
    assert!(!made, "a description makes nothing");
    assert_eq!(config["annotations"]["org.learnctr.user"], "nobody");
    // A number without a name is in no group, though groups without members are there.
    let (output, _) = learnctr(&["spec", "--userns", "host", "-u", "12:13"]);
    let config: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(config["process"]["user"]["additionalGids"], serde_json::json!([13]));
}

#[test]
fn what_leaving_out_the_new_root_means_is_said() {
    let (output, _) = learnctr(&["plan", "--skip", "pivot-root", "--", "true"]);
    let text = String::from_utf8_lossy(&output.stdout).split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(text.contains("the command runs in this machine's own tree"), "{text}");
}

#[test]
fn ones_own_filters_can_be_asked_for() {
    let (output, _) = learnctr(&["decode", "seccomp", "self"]);
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!errors.contains("trace itself"), "{errors}");
    if !output.status.success() {
        return println!("skipped: {errors}");
    }
    assert!(String::from_utf8_lossy(&output.stdout).contains("rocess "));
}

#[test]
fn each_command_says_what_it_does_wherever_commands_are_listed() {
    for args in [&["-h"][..], &["--help"], &["help"], &[]] {
        let (output, _) = learnctr(args);
        let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        let (_, list) = text.split_once("Commands:\n").unwrap_or_else(|| panic!("{args:?}: {text}"));
        let commands: Vec<_> = list.lines().take_while(|line| !line.is_empty()).collect();
        assert!(commands.len() > 10, "{text}");
        assert!(commands.iter().all(|line| line.split_whitespace().count() > 2), "{args:?}: {text}");
        assert!(text.contains("Examples:"), "{text}");
    }
    let papers = tempfile::tempdir().unwrap();
    let (output, _) = learnctr(&["generate", papers.path().to_str().unwrap()]);
    assert!(output.status.success(), "{output:?}");
    let names = std::fs::read_dir(papers.path()).unwrap().map(|entry| entry.unwrap().file_name());
    let names: Vec<_> = names.map(|name| name.into_string().unwrap()).collect();
    assert!(names.iter().any(|name| name == "learnctr-run.1"), "{names:?}");
    let page = std::fs::read_to_string(papers.path().join("learnctr-run.1")).unwrap();
    assert!(page.contains("\n.SH EXAMPLES\n.nf\n  learnctr run "), "lines of a shell stay lines");
    assert!(
        !names.iter().any(|name| name.contains("help")),
        "`help view` says what `view --help` says: {names:?}"
    );
}
