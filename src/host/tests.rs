//! Are the parsers right on what machines really say, and quiet on what no machine says?

use super::*;
use proptest::prelude::*;

const HYBRID_MOUNTS: &str = "\
31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime - cgroup cgroup rw,cpu,cpuacct
35 31 0:32 / /sys/fs/cgroup/memory rw shared:9 - cgroup cgroup rw,memory
40 31 0:37 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,xattr,name=systemd
41 31 0:38 / /sys/fs/cgroup/uni\\040fied rw,relatime - cgroup2 cgroup2 rw,nsdelegate,memory_recursiveprot";
const HYBRID_OWN: &str = "9:name=systemd:/init\n4:memory:/a/b\n1:cpu,cpuacct:/\n5:rdma:/\n0::/x (deleted)\n";

#[test]
fn hybrid_has_each_mounted_hierarchy() {
    let found = cgroup::assemble(HYBRID_OWN, HYBRID_MOUNTS);
    assert_eq!(found.mode, Mode::Hybrid);
    assert_eq!(found.hierarchies.len(), 4, "rdma is mounted nowhere: {found:#?}");
    let cpu = found.controller("cpuacct").unwrap();
    assert_eq!((cpu.version, &*cpu.own, cpu.mount.to_str().unwrap()), (1, "/", "/sys/fs/cgroup/cpu,cpuacct"));
    assert_eq!(found.hierarchies[0].name.as_deref(), Some("systemd"));
    assert!(found.hierarchies[0].controllers.is_empty());
    let v2 = found.v2().unwrap();
    assert_eq!((v2.mount.to_str().unwrap(), &*v2.own), ("/sys/fs/cgroup/uni fied", "/x"));
    assert!(v2.nsdelegate);
}

#[test]
fn v2_alone_and_nothing() {
    let mounts = "30 24 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw";
    assert_eq!(cgroup::assemble("0::/user.slice\n", mounts).mode, Mode::V2);
    assert_eq!(cgroup::assemble("0::/user.slice\n", "").mode, Mode::None);
    let memory = "32 31 0:29 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory";
    assert_eq!(cgroup::assemble("0::/user.slice\n", memory).mode, Mode::None);
    assert_eq!(cgroup::assemble("4:memory:/\n0::/user.slice\n", memory).mode, Mode::V1);
    assert_eq!(cgroup::assemble(HYBRID_OWN, mounts).mode, Mode::V2);
}

#[test]
fn a_container_s_part_of_a_hierarchy() {
    let mounts = "32 31 0:29 /docker/ab /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory";
    let found = cgroup::assemble("4:memory:/docker/ab/inner\n", mounts);
    assert_eq!(found.hierarchies[0].own_dir().unwrap().to_str(), Some("/sys/fs/cgroup/memory/inner"));
    let place = found.place("/docker/cd").remove(0);
    assert_eq!(place.path, "/docker/ab/docker/cd");
    assert_eq!(place.dir.to_str(), Some("/sys/fs/cgroup/memory/docker/cd"));
}

#[test]
fn places_stay_below_their_parent() {
    let mut found = cgroup::assemble(HYBRID_OWN, HYBRID_MOUNTS);
    for hierarchy in &mut found.hierarchies {
        hierarchy.parent.path = "/user".into();
        hierarchy.parent.dir = hierarchy.mount.join("user");
        hierarchy.parent.writable = true;
    }
    let of = |name: &str| found.place(name).remove(1);
    assert_eq!(of("learnctr/a").path, "/user/learnctr/a");
    assert_eq!(of("learnctr/a").dir.to_str(), Some("/sys/fs/cgroup/memory/user/learnctr/a"));
    assert!(of("learnctr/a").writable);
    assert_eq!(of("/docker/a").path, "/docker/a");
    assert!(!of("/docker/a").writable, "the mount's root was not delegated");
    assert_eq!(of("/../../docker").dir.to_str(), Some("/sys/fs/cgroup/memory/docker"));
    assert_eq!(of("../../x").dir.to_str(), Some("/sys/fs/cgroup/memory/user/x"));
    for nothing in ["", "/", "..", "a/..", "/./"] {
        assert_eq!(found.place(nothing), [], "{nothing:?}");
    }
}

#[test]
fn ranges_are_by_name_or_number() {
    let text = "ann:100000:65536\n# bob:1:2\nbob:5:5\n1000:300000:10\nann:4294967295:2\nann:7:0\nann:x:1\n";
    let ranges = ids::parse_ranges(text, Some("ann"), 1000);
    let expected = [IdRange { start: 100_000, count: 65_536 }, IdRange { start: 300_000, count: 10 }];
    assert_eq!(ranges, expected);
    assert_eq!(ids::parse_ranges(text, None, 1).len(), 0);
}

#[test]
fn users_and_releases() {
    let passwd = "root:x:0:0:root:/root:/bin/sh\nann:x:1000:1000::/home/ann:/bin/sh\n:x:7:7::/:\nbad\n";
    assert_eq!(identity::find_user(passwd, 1000).unwrap().home.to_str(), Some("/home/ann"));
    assert_eq!(identity::find_user(passwd, 7), None);
    assert_eq!(identity::parse_release("6.1.0-18-cloud-amd64"), (6, 1));
    assert_eq!(identity::parse_release("5.15-rc1"), (5, 15));
    assert_eq!(identity::parse_release("what"), (0, 0));
}

#[test]
fn status_gives_the_five_sets() {
    let text = "Groups:\t4 27 \nCapInh:\t0000000000000001\nCapPrm:\t00000000a80425fb\nCapEff:\tfb\nCapBnd:\tzz\nNoNewPrivs:\t1\nSeccomp:\t2\n";
    let status = identity::parse_status(text);
    assert_eq!(status.groups, [4, 27]);
    assert_eq!((status.caps.permitted, status.caps.effective, status.caps.bounding), (0xa80425fb, 0xfb, 0));
    assert!(status.no_new_privs && status.seccomp_filtered);
}

/// What one looks at is there: compared with what the kernel's own files and std say.
#[test]
fn this_machine() {
    let host = Host::look();
    assert_eq!(host.kernel, std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap().trim());
    assert!(host.release >= (3, 0));
    assert_eq!(host.arch, std::env::consts::ARCH);
    for place in host.cgroup.place("learnctr/test") {
        assert!(place.parent.is_dir(), "{place:?}");
    }
}

proptest! {
    #[test]
    fn no_input_makes_a_parser_panic(text in "(?s).{0,300}", name in "[a-z./\\\\ :é]{0,20}") {
        identity::parse_status(&text);
        identity::parse_id_map(&text);
        identity::find_user(&text, 0);
        identity::parse_release(&text);
        ids::parse_ranges(&text, Some("a"), 0);
        lsm::parse_names(&text);
        cgroup::assemble(&text, &text).place(&name);
    }

    #[test]
    fn no_mount_leads_a_group_out(root in "/[a-z./]{0,12}", own in "[a-z./é]{0,12}", octal in "[0-9]{0,4}", name in "[a-z./]{0,16}") {
        let mounts = format!("1 1 0:1 {root} /sys/fs/cgroup/m\\{octal} rw - cgroup cgroup rw,memory");
        let found = cgroup::assemble(&format!("4:memory:{own}\n"), &mounts);
        prop_assert_eq!(found.hierarchies.len(), 1);
        let hierarchy = &found.hierarchies[0];
        if let Some(dir) = hierarchy.own_dir() {
            prop_assert!(dir.starts_with(&hierarchy.mount));
        }
        for place in found.place(&name) {
            prop_assert!(place.dir.starts_with(&place.parent) && place.dir != place.parent);
            prop_assert!(!place.dir.components().any(|part| part.as_os_str() == ".."));
        }
    }

    #[test]
    fn id_maps_survive(maps in proptest::collection::vec((any::<u32>(), any::<u32>(), any::<u32>()), 0..5)) {
        let text: String = maps.iter().map(|(i, o, c)| format!("{i:>10} {o:>10} {c:>10}\n")).collect();
        let parsed = identity::parse_id_map(&text);
        prop_assert_eq!(parsed.iter().map(|m| (m.inside, m.outside, m.count)).collect::<Vec<_>>(), maps);
    }
}
