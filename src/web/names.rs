//! Who recorded it, and where? An exported run is given away: the host's names and addresses and the names of home
//! directories in it are replaced, wherever they stand, in every text of the trace.
//!
//! Next: [`super::addresses`], then [`super::export`].

use super::addresses::Addresses;
use serde_json::Value;
use std::collections::BTreeSet;

/// What the host is called afterwards, and everybody's home directory.
const HOST: &str = "host";
const USER: &str = "user";
/// Where home directories are.
const HOMES: [&str; 3] = ["/var/home/", "/home/", "/Users/"];

/// What is replaced. The addresses that learnctr made for the container are no secret of the host's: they stay.
#[derive(Default)]
pub struct Names {
    hosts: BTreeSet<String>,
    addresses: Addresses,
}

impl Names {
    /// What of the host a line of a trace tells: each view has its name, and a process of its own has the rest.
    pub fn learn(&mut self, line: &Value) {
        for view in ["/view", "/regular"] {
            let name = line.pointer(&format!("{view}/outside/hostname/value")).and_then(Value::as_str);
            self.hosts
                .extend(name.filter(|name| !name.is_empty() && *name != "localhost").map(str::to_owned));
        }
        let Some(inside) = line.pointer("/regular/inside") else { return };
        for interface in values(inside, "/interfaces/value") {
            interface
                .get("mac")
                .and_then(Value::as_str)
                .into_iter()
                .for_each(|mac| self.addresses.learn_mac(mac));
            texts(interface.get("addresses")).for_each(|address| self.addresses.learn(address));
        }
        let routes = inside.pointer("/routes/value").and_then(Value::as_object);
        routes.into_iter().flat_map(|routes| routes.keys()).for_each(|network| self.addresses.learn(network));
        for route in values(inside, "/routes/value") {
            texts(route.get("via"))
                .chain(texts(route.get("source")))
                .for_each(|one| self.addresses.learn(one));
        }
        for file in values(inside, "/files").filter_map(|file| file.get("value")?.as_str()) {
            for word in file.split_whitespace() {
                self.addresses.learn(word);
                // A short name may be any word of the text; a whole one is a place.
                if word.contains('.') && word.contains(char::is_alphabetic) && !word.contains("localhost") {
                    self.hosts.insert(word.to_owned());
                }
            }
        }
    }

    /// Replace them in every text, the names of fields and things included.
    pub fn hide(&self, value: &mut Value) {
        match value {
            Value::String(text) => *text = self.replaced(text),
            Value::Array(items) => items.iter_mut().for_each(|item| self.hide(item)),
            Value::Object(map) => {
                let taken = std::mem::take(map);
                map.extend(taken.into_iter().map(|(key, mut value)| {
                    self.hide(&mut value);
                    (self.replaced(&key), value)
                }));
            }
            _ => {}
        }
    }

    fn replaced(&self, text: &str) -> String {
        let mut text = HOMES.iter().fold(text.to_owned(), |text, home| without_user(&text, home));
        for host in &self.hosts {
            text = without_host(&text, host);
        }
        self.addresses.replaced(&text)
    }
}

fn values<'a>(below: &'a Value, pointer: &str) -> impl Iterator<Item = &'a Value> {
    below.pointer(pointer).and_then(Value::as_object).into_iter().flat_map(|map| map.values())
}

/// One text, or a list of them.
fn texts(value: Option<&Value>) -> impl Iterator<Item = &str> {
    let many = value.and_then(Value::as_array).into_iter().flatten();
    value.into_iter().chain(many).filter_map(Value::as_str)
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
        let mut names = Names::default();
        names.learn(&line);
        names.hide(&mut line);
        assert_eq!(
            line,
            json!({"view": {"outside": {"hostname": {"value": "host"}}, "at": {"/home/user/x": ["host", "vm.overcommit", "upperdir=/home/user/u:/home/user", "/home/"]}}})
        );
    }

    #[test]
    fn the_hosts_addresses_go_and_the_containers_stay() {
        let line = json!({"regular": {"inside": {
            "interfaces": {"value": {"eth0": {"mac": "02:fc:00:00:00:01", "addresses": ["10.1.2.3/24"]}}},
            "routes": {"value": {"10.1.2.0/24": {"source": "10.1.2.3"}, "default": {"via": "10.1.2.1"}}},
            "files": {"/etc/resolv.conf": {"value": "nameserver 10.9.9.9\nsearch lab.school.test\n"},
                "/etc/hosts": {"value": "127.0.0.1 localhost localhost.localdomain\n10.1.2.3 vm.school.test vm\n"}},
        }}});
        let mut names = Names::default();
        names.learn(&line);
        let mut told = json!({"10.1.2.0/24": ["10.1.2.3:80", "via 10.1.2.1", "nameserver 10.9.9.9", "02:fc:00:00:00:01",
            "10.157.0.2/30 02:fc:00:00:00:02", "search lab.school.test", "localhost.localdomain"]});
        names.hide(&mut told);
        assert_eq!(
            told,
            json!({"198.51.100.0/24": ["198.51.100.3:80", "via 198.51.100.1", "nameserver 203.0.113.9", "00:00:5e:00:53:01",
            "10.157.0.2/30 02:fc:00:00:00:02", "search host", "localhost.localdomain"]})
        );
    }
}
