//! Does any byte make it panic? What a process can write about itself, and what no kernel would write at all,
//! goes through every parser of a view and through the tables that show it.
//!
//! Next: `view`, where the bytes are the kernel's.

use learnctr::probes::{
    Reading, capabilities, cgroups, entries, host_network, ids, limits, mounts, namespaces, network,
    processes, root, signals, small, status,
};
use learnctr::{diff, terminal, view};
use proptest::prelude::*;
use serde_json::Value;
use std::collections::BTreeMap;

/// Bytes as they come, and lines near to what the kernel writes.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let near = prop::sample::select(vec![
        "22 27 0:21 / /proc rw,relatime shared:5 master:x - proc proc rw\n",
        "1 0 0:50 / / rw - overlay overlay rw,lowerdir=/a\\:b:/c\\040d,upperdir=/u\\",
        "4:cpu,cpuacct:/a:b\n0::/../x\n",
        "Name:\tsh\\n\nUid:\t1\t2\t3\t4\nGid:\t1\nGroups:\t\nCapEff:\tffffffffffffffff\nSigBlk:\tx\n",
        "7 (a) S) (x) S 1 7 9 34817 7 -1 1 2 3 4 5 6 7 8 20 -5 1 0 12345 99",
        "Max open files            1024                 unlimited            files\n",
        "         0     100000      65536\n",
        "net:[4026531833]",
        "monotonic           1         0\n",
        "PATH=/bin\0A=\0=\0\0",
    ]);
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..300),
        (near, prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..8)).prop_map(
            |(line, changes)| {
                let mut line = line.as_bytes().to_vec();
                for (place, byte) in changes {
                    let place = place.index(line.len());
                    line[place] = byte;
                }
                line
            }
        ),
        // The helper's and rtnetlink's records begin with small numbers.
        prop::collection::vec(prop_oneof![Just(0u32), 0..40u32, any::<u32>()], 0..40)
            .prop_map(|numbers| numbers.into_iter().flat_map(u32::to_ne_bytes).collect()),
    ]
}

fn real() -> Value {
    static REAL: std::sync::OnceLock<Value> = std::sync::OnceLock::new();
    let take = || serde_json::to_value(view::take(std::process::id() as i32).unwrap()).unwrap();
    REAL.get_or_init(take).clone()
}

/// What only some words can be: the names of errnos, limits, the kinds of layers.
const CLOSED: [&str; 4] = ["refused", "soft", "hard", "kind"];

/// Put `text` in the place of every text in a view that may be any.
fn poison(value: &mut Value, text: &str, deep: usize) {
    match value {
        Value::String(old) if deep > 3 => *old = text.to_owned(),
        Value::Array(items) => items.iter_mut().for_each(|item| poison(item, text, deep + 1)),
        Value::Object(map) => {
            let open = map.iter_mut().filter(|(key, _)| !CLOSED.contains(&key.as_str()));
            open.for_each(|(_, below)| poison(below, text, deep + 1));
        }
        _ => {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_bytes_make_a_parser_panic(bytes in bytes(), more in bytes()) {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let status = status::Status::parse(&text);
        let _ = (ids::parse(&status), capabilities::parse(&status), signals::parse(&status));
        let _ = (status.numbers::<i32>("NSpid"), status.mask("CapEff"), status::unescape_name(&text));
        let _ = (status::parse_stat(&text), ids::parse_map(&text), limits::parse(&text));
        let _ = (namespaces::parse(&bytes), small::command_line(&bytes), small::environment(&bytes));
        let _ = (small::label(&bytes), small::time_offsets(&text), cgroups::paths(&text));
        let _ = (entries::parse(&bytes), processes::parse_seen(&bytes));
        let mine = mounts::parse(&text);
        let _ = root::find("/".into(), &mine, &mounts::parse(&String::from_utf8_lossy(&more)));
        let interfaces = network::interfaces(&bytes, &more);
        let _ = network::routes(&more, &interfaces);
        let _ = (host_network::parse(&bytes), host_network::select(interfaces, 0));
    }

    #[test]
    fn a_capability_set_decoded_and_encoded_is_the_same(bits in any::<u64>()) {
        prop_assert_eq!(capabilities::bits(&capabilities::names(bits)), Some(bits));
    }

    #[test]
    fn an_escaped_path_is_what_it_was(path in any::<String>()) {
        // What the kernel does in seq_path().
        let escaped: String = path.chars().map(|letter| match letter {
            ' ' => "\\040".into(),
            '\t' => "\\011".into(),
            '\n' => "\\012".into(),
            '\\' => "\\134".into(),
            other => other.to_string(),
        }).collect();
        prop_assert_eq!(mounts::unescape(&escaped), path);
    }

    #[test]
    fn a_process_s_name_is_what_it_was(name in "[a\\\\n\n ]{0,15}") {
        // What the kernel does in proc_task_name().
        let escaped = name.replace('\\', "\\\\").replace('\n', "\\n");
        prop_assert_eq!(status::unescape_name(&escaped), name);
    }

    #[test]
    fn a_reading_comes_back_from_json(value in any::<Option<i32>>()) {
        let answer = value.ok_or(learnctr::kernel::Errno::EACCES);
        let reading: Reading<BTreeMap<String, i32>> =
            Reading::new("/proc/PID/status", answer.map(|number| BTreeMap::from([("a".to_owned(), number)])));
        let text = serde_json::to_string(&reading).unwrap();
        prop_assert_eq!(serde_json::from_str::<Reading<BTreeMap<String, i32>>>(&text).unwrap(), reading);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_text_in_a_view_reaches_the_terminal_or_makes_a_line_too_wide(text in ".*\u{1b}\\].*", width in 40..220usize) {
        let before = real();
        let mut after = before.clone();
        poison(&mut after["outside"], &text, 1);
        poison(&mut after["inside"], &text, 1);
        after["outside"]["environment"]["value"][&text] = Value::from("x");
        let changes = diff::values(&before, &after);
        let told = terminal::diff::render(&changes, width);
        for line in anstream::adapter::strip_str(&told).to_string().lines() {
            prop_assert!(unicode_width::UnicodeWidthStr::width(line) <= width, "{line:?}");
        }
        let view = serde_json::from_value(after).unwrap();
        for table in [told, terminal::diff::summary(&changes), terminal::view::render(&view, width)] {
            // Styles are the only escape sequences: ESC and `[`, never the `]` of the hostile text.
            let mut rest = table.as_str();
            while let Some((_, after)) = rest.split_once('\u{1b}') {
                prop_assert!(after.starts_with('['), "{after:?}");
                rest = after;
            }
            let obeyed = |letter: char| letter.is_control() && !matches!(letter, '\n' | '\u{1b}');
            prop_assert_eq!(table.chars().find(|letter| obeyed(*letter)), None);
        }
    }
}
