//! How does a diff look? Under each probe what came, went and changed, a row for each thing by its name; and
//! all of it in one line.

use super::text::{Row, Tone, block, clean, join_lines, list};
use super::view::{inside, layers, outside};
use crate::diff::{Change, Diff, Sign, Vantage};
use serde::de::DeserializeOwned;
use serde_json::Value;

/// A longer list is cut in a row.
const MOST: usize = 24;
/// Things that went are told one by one as long as they are so few.
const FEW: usize = 3;

/// What changed in one probe, in words.
pub struct Told {
    pub name: String,
    pub rows: Vec<Row>,
}

/// The significant changes under the name of their probe.
pub fn told(diff: &Diff) -> Vec<Told> {
    let told = |probe: Probe| Told { rows: rows(&probe), name: probe.name };
    by_probe(diff).into_iter().map(told).collect()
}

/// The same, `width` columns wide, with styles.
pub fn render(diff: &Diff, width: usize) -> String {
    let mut lines = Vec::new();
    for probe in told(diff) {
        lines.extend(block(&probe.name, &probe.rows, width.max(16)));
    }
    lines.pop();
    join_lines(lines)
}

/// `namespaces ~5, mounts +23 ~1, inside interfaces +1`; empty when nothing significant changed.
pub fn summary(diff: &Diff) -> String {
    let part = |probe: Probe| {
        if probe.items.iter().all(|item| item.name.is_none()) {
            return format!("{} ~", probe.name);
        }
        let count = |sign| probe.items.iter().filter(|item| item.sign == sign).count();
        let counts = [Sign::Added, Sign::Removed, Sign::Changed].map(|sign| (letter(sign), count(sign)));
        let told =
            counts.iter().filter(|(_, count)| *count > 0).map(|(letter, count)| format!("{letter}{count}"));
        format!("{} {}", probe.name, list(told, " ", 3))
    };
    by_probe(diff).into_iter().map(part).collect::<Vec<_>>().join(", ")
}

/// The changes of one probe, by the things in it that changed.
struct Probe<'a> {
    name: String,
    items: Vec<Item<'a>>,
}

struct Item<'a> {
    /// None for a probe that is one thing.
    name: Option<&'a str>,
    sign: Sign,
    changes: Vec<&'a Change>,
}

/// From which layer a name of upper was is read in the view, beside the name that came; and where a thing was read
/// is no part of the thing.
fn is_aside(change: &Change) -> bool {
    change.probe == "layers" && change.path.iter().any(|name| name == "below")
        || change.path.last().is_some_and(|name| name == "source")
            && !matches!(change.probe.as_str(), "mounts" | "routes")
}

/// Outside first, each probe in the order of the view; what changes by itself is left out.
fn by_probe(diff: &Diff) -> Vec<Probe<'_>> {
    let mut probes: Vec<Probe> = Vec::new();
    for change in diff.changes.iter().filter(|change| !change.volatile && !is_aside(change)) {
        let plain = clean(&change.probe.replace('_', " "));
        let name = match change.vantage {
            Some(Vantage::Inside) => format!("inside {plain}").trim_end().to_owned(),
            _ => plain,
        };
        let place = probes.iter().position(|probe| probe.name == name).unwrap_or_else(|| {
            probes.push(Probe { name, items: Vec::new() });
            probes.len() - 1
        });
        let Some(probe) = probes.get_mut(place) else { continue };
        let item = change.item();
        match probe.items.iter_mut().find(|known| known.name == item) {
            Some(known) => {
                known.sign = Sign::Changed;
                known.changes.push(change);
            }
            None => {
                let whole = change.below().is_empty();
                let sign = if whole { change.sign } else { Sign::Changed };
                probe.items.push(Item { name: item, sign, changes: vec![change] });
            }
        }
    }
    probes
}

fn letter(sign: Sign) -> char {
    match sign {
        Sign::Added => '+',
        Sign::Removed => '-',
        Sign::Changed => '~',
    }
}

fn tone(sign: Sign) -> Tone {
    match sign {
        Sign::Added => Tone::Added,
        Sign::Removed => Tone::Removed,
        Sign::Changed => Tone::Changed,
    }
}

/// A row for each thing; of many that went, or of the entries of a directory, one row for all their names.
fn rows(probe: &Probe) -> Vec<Row> {
    let mut found = Vec::new();
    for sign in [Sign::Removed, Sign::Changed, Sign::Added] {
        let items: Vec<&Item> = probe.items.iter().filter(|item| item.sign == sign).collect();
        let are_entries = matches!(probe.name.as_str(), "inside root" | "inside devices");
        let folded = match sign {
            Sign::Removed => items.len() > FEW,
            Sign::Added => are_entries && items.len() > FEW,
            Sign::Changed => false,
        };
        if folded {
            let names = list(items.iter().filter_map(|item| item.name), "  ", 2 * MOST);
            found.push(Row::new(tone(sign), format!("{} {}", letter(sign), items.len()), names));
            continue;
        }
        for item in items {
            let label = format!("{} {}", letter(sign), item.name.unwrap_or(""));
            let told: Vec<String> = item.changes.iter().map(|change| tell(change)).collect();
            found.push(Row::new(tone(sign), label.trim_end(), told.join("; ")));
        }
    }
    found
}

/// What changed in a thing: `flags +nosuid +nodev`, `id 4026531835 → 4026532183`.
fn tell(change: &Change) -> String {
    let field = match (change.probe.as_str(), change.below().join(" ")) {
        ("namespaces", _) => String::new(),
        (_, field) => field,
    };
    let what = match (&change.before, &change.after) {
        (Some(Value::Array(before)), Some(Value::Array(after))) => lists(change, before, after),
        (Some(before), Some(after)) => format!("{} → {}", short(change, before), short(change, after)),
        (Some(gone), None) if field.is_empty() => short(change, gone),
        (Some(gone), None) => format!("−{}", short(change, gone)),
        (None, Some(new)) if field.is_empty() => short(change, new),
        (None, Some(new)) => format!("+{}", short(change, new)),
        (None, None) => String::new(),
    };
    format!("{field} {what}").trim().to_owned()
}

/// Of a set what went and what came; of a sequence, as a command line is, the whole of both.
fn lists(change: &Change, before: &[Value], after: &[Value]) -> String {
    let told = |items: &[Value], sign: &str| {
        list(items.iter().map(|item| format!("{sign}{}", short(change, item))), " ", MOST)
    };
    if matches!(change.probe.as_str(), "command_line" | "pids" | "uid_map" | "gid_map") {
        return format!("{} → {}", told(before, ""), told(after, ""));
    }
    let without = |these: &[Value], those: &[Value]| -> Vec<Value> {
        these.iter().filter(|item| !those.contains(item)).cloned().collect()
    };
    let (went, came) = (without(before, after), without(after, before));
    match (went.is_empty(), came.is_empty()) {
        (true, true) => "in another order".to_owned(),
        (false, true) if after.is_empty() => format!("{} → none", told(before, "")),
        _ => format!("{} {}", told(&went, "−"), told(&came, "+")).trim().to_owned(),
    }
}

/// A value in the words of the view, or as few words as name it.
fn short(change: &Change, value: &Value) -> String {
    let typed = match change.probe.as_str() {
        "mounts" => words(value, outside::mount),
        "limits" => words(value, outside::limit),
        "uid_map" | "gid_map" => words(value, outside::range),
        "interfaces" => words(value, inside::interface),
        "layers" => words(value, layers::layer),
        "host_network" => words(value, inside::interface).or_else(|| words(value, layers::chain)),
        "routes" => words(value, inside::route),
        "namespaces" => value.as_bool().map(|host| (if host { "the host's" } else { "its own" }).to_owned()),
        _ => None,
    };
    typed.unwrap_or_else(|| plain(value))
}

fn words<T: DeserializeOwned>(value: &Value, say: impl FnOnce(&T) -> String) -> Option<String> {
    if !value.is_object() {
        return None;
    }
    T::deserialize(value).ok().map(|value| say(&value))
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.chars().take(200).collect(),
        Value::Array(items) => list(items.iter().map(plain), " ", MOST),
        Value::Object(map) => match (map.get("value"), map.get("refused"), map.get("pid"), map.get("name")) {
            (Some(inner), ..) | (_, Some(inner), ..) => plain(inner),
            (.., Some(pid), Some(name)) => format!("{}({})", plain(name), plain(pid)),
            _ => list(map.iter().map(|(name, value)| format!("{name} {}", plain(value))), ", ", MOST),
        },
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diff::values;
    use serde_json::json;

    #[test]
    fn one_line_counts_things_and_not_fields() {
        let mount = |flags: &str| json!({"flags": [flags], "filesystem": "proc"});
        let before = json!({"outside": {"name": {"value": "a"}, "mounts": {"value": {"/a": mount("rw"), "/b": mount("rw")}}}});
        let after = json!({"outside": {"name": {"value": "b"}, "mounts": {"value": {"/a": mount("ro"), "/c": mount("rw")}}}});
        let diff = values(&before, &after);
        assert_eq!(summary(&diff), "name ~, mounts +1 -1 ~1");
        assert_eq!(summary(&values(&after, &after)), "");
        let text = anstream::adapter::strip_str(&render(&diff, 80)).to_string();
        assert!(text.contains("~ /a  flags −rw +ro"), "{text}");
    }
}
