//! What changed between two views? Each change is named by what changed, not by a line: a probe, and in it the
//! mount, the interface, the variable by its own name.
//!
//! Next: `crate::trace`, which records it, and `crate::terminal::diff`, which shows it.

use crate::view::{Inside, KernelView, Outside};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

/// All that changed from one view to another.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Diff {
    pub changes: Vec<Change>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Change {
    pub sign: Sign,
    /// None for the process's number, which is of neither.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vantage: Option<Vantage>,
    /// The probe's name in the view; empty when a whole vantage came or went.
    pub probe: String,
    /// Where in the probe: `["value", "/proc", "flags"]`.
    pub path: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub before: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub after: Option<Value>,
    /// It changes by itself, as use counters do, or is new with each process, as a pid is.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub volatile: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Sign {
    #[serde(rename = "+")]
    Added,
    #[serde(rename = "-")]
    Removed,
    #[serde(rename = "~")]
    Changed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Vantage {
    Outside,
    Inside,
}

/// A null in a view is a value: only a field that is absent is none.
fn present<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(from).map(Some)
}

/// What changes by itself; `*` is any one name, and all below a place goes with it.
const VOLATILE: [&[&str]; 10] = [
    &["pid"],
    &["outside", "state"],
    &["outside", "session", "value", "start_ticks"],
    &["outside", "signals", "value", "pending"],
    &["outside", "mounts", "value", "*", "id"],
    &["outside", "mounts", "value", "*", "parent"],
    &["outside", "mounts", "value", "*", "propagation", "peer_group"],
    &["outside", "mounts", "value", "*", "propagation", "master"],
    &["outside", "cgroups", "value", "*", "usage"],
    &["inside", "processes", "value", "count"],
];

/// Compare each probe as it is, and only those that differ as JSON: most stages change few.
macro_rules! differing {
    ($found:ident, $vantage:literal, $type:ident, $a:expr, $b:expr, $($probe:ident)*) => {{
        // Without `..`: a probe that is new in the view and forgotten here does not compile.
        let $type { $($probe: _),* } = $a;
        $(if $a.$probe != $b.$probe {
            convert(&[$vantage, stringify!($probe)], Some(&$a.$probe), Some(&$b.$probe), &mut $found);
        })*
    }};
}

/// What turns `a` into `b`.
pub fn diff(a: &KernelView, b: &KernelView) -> Diff {
    let mut found = Vec::new();
    if a.pid != b.pid {
        convert(&["pid"], Some(&a.pid), Some(&b.pid), &mut found);
    }
    differing!(found, "outside", Outside, &a.outside, &b.outside,
        name state executable command_line working_directory session pids processes namespaces time_offsets
        hostname ids uid_map gid_map setgroups root layers mounts cgroups capabilities no_new_privs seccomp lsm_label
        limits oom_score_adj umask signals environment open_files host_network);
    match (&a.inside, &b.inside) {
        (Some(a), Some(b)) => differing!(found, "inside", Inside, a, b,
            hostname ids cgroups processes root devices interfaces routes files),
        (None, None) => {}
        (a, b) => convert(&["inside"], a.as_ref(), b.as_ref(), &mut found),
    }
    Diff { changes: found }
}

fn convert<T: Serialize>(path: &[&str], a: Option<&T>, b: Option<&T>, found: &mut Vec<Change>) {
    // A view is tables, numbers and text: there is nothing in it that JSON lacks.
    let json = |value: Option<&T>| value.and_then(|value| serde_json::to_value(value).ok());
    match (json(a), json(b)) {
        (Some(a), Some(b)) => compare(&mut path.to_vec(), &a, &b, found),
        (None, None) => {}
        (a, b) => found.push(change(path, a.as_ref(), b.as_ref())),
    }
}

/// The same of two views as JSON.
pub fn values(a: &Value, b: &Value) -> Diff {
    let mut changes = Vec::new();
    compare(&mut Vec::new(), a, b, &mut changes);
    Diff { changes }
}

fn compare<'a>(path: &mut Vec<&'a str>, a: &'a Value, b: &'a Value, changes: &mut Vec<Change>) {
    match (a, b) {
        (Value::Object(before), Value::Object(after)) => {
            for (key, value) in before {
                path.push(key);
                match after.get(key) {
                    Some(now) => compare(path, value, now, changes),
                    None => changes.push(change(path, Some(value), None)),
                }
                path.pop();
            }
            for (key, value) in after.iter().filter(|(key, _)| !before.contains_key(*key)) {
                path.push(key);
                changes.push(change(path, None, Some(value)));
                path.pop();
            }
        }
        _ if a == b => {}
        _ => changes.push(change(path, Some(a), Some(b))),
    }
}

fn change(path: &[&str], before: Option<&Value>, after: Option<&Value>) -> Change {
    let volatile = VOLATILE.iter().any(|place| {
        place.len() <= path.len()
            && place.iter().zip(path).all(|(wanted, name)| *wanted == "*" || wanted == name)
    });
    let (vantage, rest) = match path.split_first() {
        Some((&"outside", rest)) => (Some(Vantage::Outside), rest),
        Some((&"inside", rest)) => (Some(Vantage::Inside), rest),
        _ => (None, path),
    };
    let (probe, rest) = rest.split_first().map_or(("", rest), |(probe, rest)| (*probe, rest));
    Change {
        sign: match (before, after) {
            (None, _) => Sign::Added,
            (_, None) => Sign::Removed,
            _ => Sign::Changed,
        },
        vantage,
        probe: probe.to_owned(),
        path: rest.iter().map(|name| (*name).to_owned()).collect(),
        before: before.cloned(),
        after: after.cloned(),
        volatile,
    }
}

/// The view that the diff leads to from `a`; an error when it is no diff of that view.
pub fn apply(a: &KernelView, diff: &Diff) -> Result<KernelView, serde_json::Error> {
    let mut value = serde_json::to_value(a)?;
    apply_values(&mut value, diff);
    serde_json::from_value(value)
}

/// The same of a view as JSON.
pub fn apply_values(value: &mut Value, diff: &Diff) {
    for change in &diff.changes {
        let vantage = change.vantage.map(|vantage| match vantage {
            Vantage::Outside => "outside",
            Vantage::Inside => "inside",
        });
        let probe = (!change.probe.is_empty() || !change.path.is_empty()).then_some(change.probe.as_str());
        let path: Vec<&str> =
            vantage.into_iter().chain(probe).chain(change.path.iter().map(String::as_str)).collect();
        set(value, &path, change.after.as_ref());
    }
}

fn set(value: &mut Value, path: &[&str], after: Option<&Value>) {
    let Some((last, way)) = path.split_last() else {
        *value = after.cloned().unwrap_or(Value::Null);
        return;
    };
    let mut place = value;
    for name in way {
        match place.get_mut(*name) {
            Some(below) => place = below,
            None => return,
        }
    }
    if let Some(map) = place.as_object_mut() {
        match after {
            Some(after) => map.insert((*last).to_owned(), after.clone()),
            None => map.shift_remove(*last),
        };
    }
}

impl Diff {
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// Without what changes by itself.
    pub fn significant(&self) -> Diff {
        Diff { changes: self.changes.iter().filter(|change| !change.volatile).cloned().collect() }
    }
}

impl Change {
    /// The names on the way to what changed, without those that every reading has and those that only hold a
    /// table.
    fn names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.path.iter().map(String::as_str).collect();
        let mut drop = |place: usize, known: &[&str]| {
            if names.get(place).is_some_and(|name| known.contains(name)) {
                names.remove(place);
            }
        };
        let each_is_read = matches!(self.probe.as_str(), "namespaces" | "files" | "host_network");
        drop(usize::from(each_is_read), &["value", "refused", "source"]);
        match self.probe.as_str() {
            "root" | "devices" => drop(0, &["entries"]),
            "processes" => drop(0, &["named", "children"]),
            "open_files" => drop(0, &["files"]),
            // A layer, its contents, the reading of them, its table, the name.
            "layers" => {
                drop(1, &["contents"]);
                drop(1, &["value", "refused", "source"]);
                drop(1, &["entries"]);
            }
            _ => {}
        }
        names
    }

    /// The thing in the probe that changed, by its name: the mount `/proc`. None when the probe is one thing.
    pub fn item(&self) -> Option<&str> {
        self.names().first().copied()
    }

    /// Where in that thing: `["flags"]`; empty when it came or went as a whole.
    pub fn below(&self) -> Vec<&str> {
        self.names().into_iter().skip(1).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn any_view() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            "[a-c/#]{0,3}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map("(outside|inside|pid|value|[a-c/]{1,2})", inner, 0..4)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
        #[test]
        fn a_diff_applied_to_one_view_gives_the_other(a in any_view(), b in any_view()) {
            let text = serde_json::to_string(&values(&a, &b)).unwrap();
            let diff: Diff = serde_json::from_str(&text).unwrap();
            let mut applied = a.clone();
            apply_values(&mut applied, &diff);
            prop_assert_eq!(applied, b);
            prop_assert!(values(&a, &a).is_empty());
        }
    }

    /// Both ways, and where a whole vantage comes or goes.
    #[test]
    fn one_real_view_leads_to_another() {
        let own = std::process::id() as i32;
        let outside = crate::view::take_outside(own).unwrap();
        let mut both = crate::view::take(own).unwrap();
        both.pid += 1;
        for (a, b) in [(&outside, &both), (&both, &outside), (&both, &both)] {
            assert_eq!(&apply(a, &diff(a, b)).unwrap(), b);
        }
        assert!(diff(&both, &both).is_empty());
    }

    #[test]
    fn each_probe_calls_its_things_by_name() {
        for (place, item, below) in [
            ("outside mounts value /proc flags", "/proc", "flags"),
            ("outside umask value", "", ""),
            ("outside namespaces net value id", "net", "id"),
            ("inside files /etc/hosts refused", "/etc/hosts", ""),
            ("outside host_network veths value eth0", "veths", "eth0"),
            ("inside root value entries etc", "etc", ""),
            ("inside devices value entries null", "null", ""),
            ("inside processes value named 1", "1", ""),
            ("outside processes value children 7", "7", ""),
            ("outside open_files value files 0", "0", ""),
            ("outside layers value upper path", "upper", "path"),
            ("outside layers value upper contents value entries etc/hosts", "upper", "etc/hosts"),
            ("outside layers value upper contents refused", "upper", ""),
        ] {
            let place: Vec<&str> = place.split(' ').collect();
            let change = change(&place, None, Some(&json!(1)));
            assert_eq!(change.item().unwrap_or_default(), item, "{place:?}");
            assert_eq!(change.below().join(" "), below, "{place:?}");
        }
    }

    #[test]
    fn a_change_is_named_by_what_it_is_and_counters_are_set_apart() {
        let view = |flags: &str, id: u32| json!({"pid": 1, "outside": {"mounts": {"source": "m", "value": {"/proc": {"flags": [flags], "id": id}}}}});
        let diff = values(&view("rw", 7), &view("ro", 8));
        assert_eq!(diff.changes.len(), 2);
        let significant = diff.significant();
        assert_eq!(significant.changes.len(), 1);
        let change = &significant.changes[0];
        assert_eq!((change.sign, change.vantage), (Sign::Changed, Some(Vantage::Outside)));
        assert_eq!((change.probe.as_str(), change.item()), ("mounts", Some("/proc")));
        assert_eq!(change.before, Some(json!(["rw"])));
        let (none, some) = (json!({"outside": {}}), json!({"outside": {"umask": null}}));
        assert_eq!(values(&none, &some).changes[0].sign, Sign::Added);
        assert_eq!(values(&some, &none).changes[0].sign, Sign::Removed);
    }
}
