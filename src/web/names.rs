//! Who recorded it? An exported run is given away: the host's name and the names of home directories in it are replaced,
//! wherever they stand, in every text of the trace.
//!
//! Next: [`super::export`].

use serde_json::Value;
use std::collections::BTreeSet;

/// What the host is called afterwards, and everybody's home directory.
const HOST: &str = "host";
const USER: &str = "user";
/// Where home directories are.
const HOMES: [&str; 3] = ["/var/home/", "/home/", "/Users/"];

/// The names of the host that a line of a trace tells.
pub fn of_host(line: &Value, names: &mut BTreeSet<String>) {
    for view in ["/view", "/regular"] {
        let name = line.pointer(&format!("{view}/outside/hostname/value")).and_then(Value::as_str);
        names.extend(name.filter(|name| !name.is_empty() && *name != "localhost").map(str::to_owned));
    }
}

/// Replace them in every text, the names of fields and things included.
pub fn hide(value: &mut Value, hosts: &BTreeSet<String>) {
    match value {
        Value::String(text) => *text = replaced(text, hosts),
        Value::Array(items) => items.iter_mut().for_each(|item| hide(item, hosts)),
        Value::Object(map) => {
            let taken = std::mem::take(map);
            map.extend(taken.into_iter().map(|(key, mut value)| {
                hide(&mut value, hosts);
                (replaced(&key, hosts), value)
            }));
        }
        _ => {}
    }
}

fn replaced(text: &str, hosts: &BTreeSet<String>) -> String {
    let mut text = HOMES.iter().fold(text.to_owned(), |text, home| without_user(&text, home));
    for host in hosts {
        text = without_host(&text, host);
    }
    text
}

/// `/home/NAME` becomes `/home/user`, wherever in a text it stands.
fn without_user(text: &str, home: &str) -> String {
    let mut parts = text.split(home);
    let mut found = parts.next().unwrap_or_default().to_owned();
    for rest in parts {
        let end =
            rest.find(|c: char| matches!(c, '/' | ':' | ',' | '"' | '\'' | ')' | ']') || c.is_whitespace());
        let (name, rest) = rest.split_at(end.unwrap_or(rest.len()));
        found.push_str(home);
        found.push_str(if name.is_empty() { "" } else { USER });
        found.push_str(rest);
    }
    found
}

/// The host's name where it stands as a word of its own: `vm` is not in `vm.overcommit_memory`.
fn without_host(text: &str, host: &str) -> String {
    let word = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.');
    let mut found = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(host) {
        let (before, from) = rest.split_at(at);
        let after = from.get(host.len()..).unwrap_or_default();
        found.push_str(before);
        let within = found.ends_with(word) || after.starts_with(word);
        found.push_str(if within { host } else { HOST });
        rest = after;
    }
    found.push_str(rest);
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn names_go_and_all_else_stays() {
        let mut line = json!({"view": {"outside": {"hostname": {"value": "vm"}}, "at": {"/home/ann/x": ["vm", "vm.overcommit", "upperdir=/home/ann/u:/home/bob", "/home/"]}}});
        let mut hosts = BTreeSet::new();
        of_host(&line, &mut hosts);
        hide(&mut line, &hosts);
        assert_eq!(
            line,
            json!({"view": {"outside": {"hostname": {"value": "host"}}, "at": {"/home/user/x": ["host", "vm.overcommit", "upperdir=/home/user/u:/home/user", "/home/"]}}})
        );
    }
}
