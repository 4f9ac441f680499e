//! Does each rule of a config.json refuse what breaks it, at its place, and does nothing panic?
//!
//! Next: tests/bundle.rs.

use super::*;

/// Docker's config.json with `value` at `pointer`; the last part may be new.
fn with(pointer: &str, value: Value) -> Value {
    let mut config: Value = serde_json::from_slice(DOCKER).unwrap();
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    match config.pointer_mut(parent).unwrap() {
        Value::Array(list) => match key.parse::<usize>() {
            Ok(index) if index < list.len() => list[index] = value,
            _ => list.push(value),
        },
        Value::Object(fields) if value.is_null() => _ = fields.remove(key),
        Value::Object(fields) => _ = fields.insert(key.to_owned(), value),
        _ => panic!("nothing at {parent}"),
    }
    config
}

fn parse(config: &Value) -> Result<Vec<Note>, Error> {
    bundle::parse(config.to_string().as_bytes(), "config.json").map(|(_, notes)| notes)
}

#[test]
fn each_fault_is_refused_at_its_place() {
    let line = |inside: u64, outside: u64, size: u64| json!({"containerID": inside, "hostID": outside, "size": size});
    let user = |maps: Value| {
        let mut namespaces =
            json!([{"type": "mount"}, {"type": "user"}, {"type": "uts"}, {"type": "network"}]);
        namespaces.as_array_mut().unwrap().push(json!({"type": "ipc"}));
        json!({"namespaces": namespaces, "uidMappings": maps, "gidMappings": [line(0, 100_000, 65_536)]})
    };
    let twice = json!([line(0, 1000, 10), line(5, 5000, 10)]);
    let cases = [
        ("/ociVersion", json!("2.0.0"), "ociVersion"),
        ("/ociVersion", json!("1.9.0"), "ociVersion"),
        ("/ociVersion", json!(1), "ociVersion"),
        ("/root", Value::Null, "root"),
        ("/root/path", json!(""), "root.path"),
        ("/process", Value::Null, "process"),
        ("/process/args", json!([]), "process.args"),
        ("/process/args", json!("sh"), "process.args"),
        ("/process/args/1", json!("a\0b"), "process.args[1]"),
        ("/process/cwd", json!("srv"), "process.cwd"),
        ("/process/env/0", json!("=x"), "process.env[0]"),
        ("/process/user/uid", json!(-1), "process.user.uid"),
        ("/process/user/uid", json!(4294967296u64), "process.user.uid"),
        ("/process/user/uid", json!("root"), "process.user.uid"),
        ("/process/user/umask", json!(4096), "process.user.umask"),
        ("/process/oomScoreAdj", json!(1001), "process.oomScoreAdj"),
        ("/process/rlimits", json!([{"type": "RLIMIT_CORE", "soft": 2, "hard": 1}]), "process.rlimits[0]"),
        ("/process/rlimits", json!([{"type": "RLIMIT_X", "soft": 0, "hard": 1}]), "process.rlimits[0].type"),
        ("/process/capabilities/permitted", json!([]), "process.capabilities.effective"),
        ("/mounts/0/destination", json!("/a/../.."), "mounts[0].destination"),
        ("/mounts/0/options/0", json!(7), "mounts[0].options[0]"),
        ("/mounts/-", json!({"destination": "/x"}), "mounts[7].type"),
        ("/mounts/-", json!({"destination": "/x", "options": ["bind"]}), "mounts[7].source"),
        ("/mounts/-", json!({"destination": "/x", "type": "tmpfs", "options": ["idmap"]}), "mounts[7]"),
        ("/linux", Value::Null, "linux"),
        ("/linux/namespaces/0", json!({"type": "pid"}), "linux.namespaces[3]"),
        ("/linux/namespaces/0", json!({"type": "moon"}), "linux.namespaces[0].type"),
        ("/linux/namespaces/1", json!({"type": "network", "path": "net"}), "linux.namespaces[1].path"),
        ("/linux/namespaces", json!([{"type": "uts"}]), "linux.namespaces"),
        ("/linux/namespaces", json!([{"type": "mount"}]), "hostname"),
        ("/linux/uidMappings", json!([line(0, 0, 1)]), "linux.uidMappings"),
        ("/linux/namespaces/-", json!({"type": "user"}), "linux.uidMappings"),
        ("/linux", user(json!([line(0, 0, 0)])), "linux.uidMappings[0].size"),
        ("/linux", user(json!([line(0, 4294967295, 1)])), "linux.uidMappings[0]"),
        ("/linux", user(twice), "linux.uidMappings[1]"),
        ("/linux", user(json!([line(1, 1000, 9)])), "process.user.uid"),
        ("/linux/timeOffsets", json!({"boottime": {"secs": 1}}), "linux.timeOffsets"),
        ("/linux/rootfsPropagation", json!("loud"), "linux.rootfsPropagation"),
        ("/linux/maskedPaths/0", json!("proc"), "linux.maskedPaths[0]"),
        ("/linux/sysctl", json!({"vm.swappiness": "1"}), r#"linux.sysctl["vm.swappiness"]"#),
        ("/linux/sysctl", json!({"net/../../x": "1"}), r#"linux.sysctl["net/../../x"]"#),
        ("/linux/sysctl", json!({"kernel.hostname": "x"}), r#"linux.sysctl["kernel.hostname"]"#),
        (
            "/linux/devices",
            json!([{"path": "/dev/x", "type": "c", "major": -1, "minor": 0}]),
            "linux.devices[0]",
        ),
        (
            "/linux/devices",
            json!([{"path": "x", "type": "c", "major": 1, "minor": 0}]),
            "linux.devices[0].path",
        ),
        ("/linux/resources/devices/0/access", json!("rx"), "linux.resources.devices[0].access"),
        ("/linux/resources/memory/swap", json!(1), "linux.resources.memory.swap"),
        ("/linux/resources/memory/limit", json!(1e40), "linux.resources.memory.limit"),
        ("/linux/resources/pids/limit", json!("many"), "linux.resources.pids.limit"),
        ("/linux/cgroupsPath", json!("/.."), "linux.cgroupsPath"),
        ("/linux/resources/unified", json!({"../x": "1"}), "linux.resources.unified"),
        (
            "/linux/resources/hugepageLimits",
            json!([{"pageSize": "../2MB", "limit": 1}]),
            "linux.resources.hugepageLimits[0].pageSize",
        ),
        ("/linux/seccomp/defaultAction", json!("SCMP_ACT_FLY"), "linux.seccomp.defaultAction"),
    ];
    for (pointer, value, at) in cases {
        let error =
            parse(&with(pointer, value.clone())).err().unwrap_or_else(|| panic!("{pointer} = {value}"));
        assert_eq!(error.at, format!("config.json: {at}"), "{pointer} = {value}: {error}");
        assert!(!error.found.is_empty() && !error.expected.is_empty(), "{error}");
    }
    for bytes in [&b""[..], b"{", b"[]", b"null", b"\xff\xfe", b"{}"] {
        assert!(bundle::parse(bytes, "config.json").unwrap_err().at.starts_with("config.json"));
    }
}

#[test]
fn what_is_not_obeyed_is_said_and_what_is_nothing_is_not() {
    let said = [
        ("/hooks", json!({"prestart": [{"path": "/bin/true"}]}), "exec"),
        ("/linux/personality", json!({"domain": "LINUX32"}), "exec"),
        ("/linux/intelRdt", json!({"closID": "a"}), "cgroup"),
        ("/process/scheduler", json!({"policy": "SCHED_IDLE"}), "limits"),
        ("/vm", json!({"kernel": {"path": "/k"}}), "image"),
        ("/linux/colour", json!("blue"), "image"),
        ("/mounts/0/speed", json!(3), "image"),
        ("/process/capabilities/bounding/0", json!("CAP_FLY"), "caps"),
        ("/process/capabilities/ambient", json!(["CAP_CHOWN"]), "caps"),
    ];
    for (pointer, value, stage) in said {
        let notes = parse(&with(pointer, value)).unwrap_or_else(|error| panic!("{pointer}: {error}"));
        assert_eq!(stages(&notes), [stage], "{pointer}: {notes:?}");
    }
    let nothing = [
        ("/process/noNewPrivileges", json!(false)),
        ("/hooks", json!({})),
        ("/linux/seccomp", Value::Null),
        ("/process/user", Value::Null),
    ];
    for (pointer, value) in nothing {
        assert_eq!(parse(&with(pointer, value)).unwrap(), [], "{pointer}");
    }
    let (spec, _) =
        bundle::parse(with("/process/noNewPrivileges", json!(false)).to_string().as_bytes(), "x").unwrap();
    assert_eq!(spec.process().as_ref().unwrap().no_new_privileges(), None);
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
        prop_oneof!["/[a-z./]{0,9}", Just("bind".into()), Just("user".into()), Just("a\0".into())]
            .prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::vec(("[a-zA-Z]{1,9}", inner), 0..4)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

/// Every place in a document.
fn places(value: &Value, path: String, found: &mut Vec<String>) {
    let inner: Vec<(String, &Value)> = match value {
        Value::Object(fields) => fields.iter().map(|(key, value)| (key.clone(), value)).collect(),
        Value::Array(list) => {
            list.iter().enumerate().map(|(index, value)| (index.to_string(), value)).collect()
        }
        _ => Vec::new(),
    };
    for (key, value) in inner {
        let path = format!("{path}/{key}");
        found.push(path.clone());
        places(value, path, found);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(400) })]

    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = bundle::parse(&bytes, "config.json");
    }

    #[test]
    fn a_spoilt_description_is_refused_with_its_place_or_understood(
        spoils in proptest::collection::vec((any::<prop::sample::Index>(), any_json()), 1..4),
        root: bool,
    ) {
        let mut config: Value = serde_json::from_slice(DOCKER).unwrap();
        // The filter is long, and has its own tests: places outside of it are to be hit too.
        config["linux"].as_object_mut().unwrap().remove("seccomp");
        for (index, value) in spoils {
            let mut found = Vec::new();
            places(&config, String::new(), &mut found);
            if let Some(spot) = found.get(index.index(found.len().max(1))).and_then(|path| config.pointer_mut(path)) {
                *spot = value;
            }
        }
        match parse(&config) {
            Err(error) => prop_assert!(error.at.starts_with("config.json"), "{}", error),
            Ok(_) => {
                let dir = tempfile::tempdir().unwrap();
                std::fs::write(dir.path().join("config.json"), config.to_string()).unwrap();
                let asked = options(&["--rootfs", &dir.path().display().to_string()]);
                let host = host(root, if root { cgroup::Mode::Hybrid } else { cgroup::Mode::V2 });
                if let Ok(container) = Container::from_bundle(dir.path(), &asked, &host, "0123456789ab") {
                    let printed = container.to_json().to_string();
                    prop_assert!(bundle::parse(printed.as_bytes(), "config.json").is_ok(), "{}", printed);
                }
            }
        }
    }
}

#[test]
fn a_file_that_is_not_there_or_endless_is_refused() {
    let asked = options(&[]);
    let host = host(true, cgroup::Mode::V2);
    let refused = |dir: &Path| Container::from_bundle(dir, &asked, &host, "a").unwrap_err();
    assert_eq!(refused(Path::new("/no/such/bundle")).at, "--bundle");
    let dir = tempfile::tempdir().unwrap();
    assert!(refused(dir.path()).at.ends_with("config.json"));
    std::os::unix::fs::symlink("/dev/zero", dir.path().join("config.json")).unwrap();
    assert_eq!(refused(dir.path()).found, "more than 16 MiB");
}
