//! Is the plan printed whole, in measure, without privilege, and without touching anything?
//!
//! Next: `live_step`, the same plan carried out.

use learnctr::plan::Printed;
use std::process::Command;

fn plan(columns: &str, options: &[&str]) -> (String, bool) {
    let dirs = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_learnctr"));
    command.env("LEARNCTR_DATA", dirs.path().join("data")).env("LEARNCTR_STATE", dirs.path().join("state"));
    let output =
        command.args(["plan", "--name", "planned"]).args(options).env("COLUMNS", columns).output().unwrap();
    let untouched = std::fs::read_dir(dirs.path()).unwrap().next().is_none();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    (String::from_utf8(output.stdout).unwrap(), untouched)
}

#[test]
fn every_step_is_printed_with_its_side_and_reason() {
    let (json, untouched) = plan("80", &["--json", "--network", "none"]);
    assert!(untouched, "a plan makes nothing");
    let printed: Printed = serde_json::from_str(&json).unwrap();
    assert!(printed.stages.len() > 10);
    for columns in ["60", "80", "200"] {
        let (text, untouched) = plan(columns, &["--network", "none"]);
        assert!(untouched, "a plan makes nothing");
        let widest = text.lines().map(|line| line.chars().count()).max().unwrap();
        assert!(widest <= columns.parse().unwrap(), "{columns}: a line of {widest}");
        assert!(!text.contains('\x1b'), "a pipe has no styles");
        let steps =
            text.lines().filter(|line| line.starts_with("  host  ") || line.starts_with("  child ")).count();
        assert_eq!(steps, printed.stages.iter().map(|stage| stage.moves.len()).sum::<usize>());
        // Wrapped or in a second column, each word of each reason is there.
        for stage in &printed.stages {
            assert!(text.contains(&stage.title), "{}", stage.title);
            let last = stage.moves.iter().filter_map(|one| one.why.split(' ').next_back());
            last.for_each(|word| assert!(text.contains(word), "{word:?} of {}", stage.stage));
        }
    }
}

#[test]
fn a_part_of_it_keeps_its_numbers() {
    let (text, _) = plan("80", &["--from", "pivot-root", "--until", "hostname"]);
    let (whole, _) = plan("80", &[]);
    let heads = |text: &str| -> Vec<String> {
        let is_head = |line: &&str| line.get(..4).is_some_and(|n| n.trim().parse::<u32>().is_ok());
        text.lines().filter(is_head).map(str::to_owned).collect()
    };
    assert_eq!(heads(&text).len(), 2, "{text}");
    assert!(heads(&text).iter().all(|head| heads(&whole).contains(head)), "{text}");
}
