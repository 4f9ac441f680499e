//! Is each stage's plan as it was? What is called, by whom and why, for a made-up machine and container: no
//! privilege is needed, and nothing is done.
//!
//! Next: `tests/live_snapshots`, where the kernel is asked.

use clap::Parser;
use learnctr::host::{Cgroups, Hierarchy, Host, cgroup};
use learnctr::plan::{Plan, PrintedStage};
use learnctr::spec::{Container, Options};
use learnctr::stage::{Choices, Ground, Side, Veth, Ways};
use learnctr::stages;
use std::fmt::Write;

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    options: Options,
}

/// Root, on a machine with these control groups.
fn host(mode: cgroup::Mode) -> Host {
    let hierarchy = |controllers: &[&str], version, mount: &str| Hierarchy {
        version,
        mount: mount.into(),
        controllers: controllers.iter().map(|name| (*name).to_owned()).collect(),
        root: "/".to_owned(),
        parent: cgroup::Parent {
            path: "/".to_owned(),
            dir: mount.into(),
            writable: true,
            root: true,
            can_enable: true,
            ..Default::default()
        },
        ..Default::default()
    };
    let hierarchies = match mode {
        cgroup::Mode::V2 => vec![hierarchy(&["cpu", "memory", "pids"], 2, "/sys/fs/cgroup")],
        _ => vec![
            hierarchy(&["memory"], 1, "/sys/fs/cgroup/memory"),
            hierarchy(&["cpu", "cpuacct"], 1, "/sys/fs/cgroup/cpu,cpuacct"),
            hierarchy(&["pids"], 1, "/sys/fs/cgroup/pids"),
            hierarchy(&["devices"], 1, "/sys/fs/cgroup/devices"),
            hierarchy(&["freezer"], 1, "/sys/fs/cgroup/freezer"),
        ],
    };
    let mut host = Host {
        release: (6, 1),
        cgroup: Cgroups { mode, hierarchies },
        resolv_conf: Some("nameserver 192.0.2.53\n".to_owned()),
        ..Default::default()
    };
    host.user_namespace.initial = true;
    host.caps.effective = u64::MAX;
    host.caps.permitted = u64::MAX;
    host.caps.bounding = u64::MAX;
    host.dirs.data = "/var/lib/learnctr".into();
    host
}

/// The default container's plan, and the one that has every stage: a user namespace, a flag at a time.
fn plan(mode: cgroup::Mode, line: &[&str], one_by_one: bool) -> Plan {
    let host = host(mode);
    let options = Line::try_parse_from(["learnctr"].iter().chain(line)).unwrap().options;
    let container = Container::from_options(&options, &host, "0123456789ab").unwrap();
    let veth = Veth {
        outside: "lc0123456789".to_owned(),
        inside: "lc0123456789p".to_owned(),
        host: [10, 11, 12, 13].into(),
        container: [10, 11, 12, 14].into(),
        prefix: 30,
    };
    let filter = learnctr::step::Program(vec![learnctr::kernel::bpf::from_word(0)]);
    let choices = Choices { veth: Some(veth), filter: Some((filter, 0)), terminal: false };
    let ways = Ways { one_by_one, ..Default::default() };
    Plan::make(&Ground::new(&container, &host, ways, choices)).unwrap()
}

fn text(stage: &PrintedStage) -> String {
    let mut text = format!("{}\n", stage.question);
    let _ = writeln!(text, "look: {}", stage.observe.join(" "));
    for note in &stage.notes {
        let _ = writeln!(text, "note: {note}");
    }
    for one in &stage.moves {
        let side = if one.side == Side::Host { "host " } else { "child" };
        let _ = write!(text, "{side} {}\n      {}\n", one.step, one.why);
        if let Some(undo) = &one.undo {
            let _ = writeln!(text, "      undo: {undo}");
        }
    }
    text
}

#[test]
fn each_stage_plans_what_it_planned() {
    let make = |mode| (plan(mode, &[], false), plan(mode, &["--userns=private"], true));
    let (hybrid, v2) = (make(cgroup::Mode::Hybrid), make(cgroup::Mode::V2));
    let printed = |(plain, apart): &(Plan, Plan), id: &str| {
        let at = |plan: &Plan| plan.position(id).map(|at| text(&PrintedStage::from(&plan.stages[at])));
        at(plain).or_else(|| at(apart)).unwrap_or_else(|| panic!("{id} is in neither plan"))
    };
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("../snapshots");
    settings.set_prepend_module_to_snapshot(false);
    for stage in stages::TABLE {
        let (one, two) = (printed(&hybrid, stage.id), printed(&v2, stage.id));
        settings.set_snapshot_suffix(stage.id);
        settings.bind(|| insta::assert_snapshot!("plan", one));
        if one != two {
            settings.set_snapshot_suffix(format!("{}@v2", stage.id));
            settings.bind(|| insta::assert_snapshot!("plan", two));
        }
    }
}
