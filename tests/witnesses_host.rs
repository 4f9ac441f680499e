//! Do others see the same of what the host has of a container? find(1) looks into the layers of a root, ip(8) and
//! nft(8) at the host's network.
//!
//! Next: `view`, what no witness can say.

mod subject;

use serde_json::Value;
use std::collections::BTreeMap;
use std::process::Command;
use subject::{Subject, alone, subject, taken, witness};

fn shell(script: &str, args: &[&str]) -> bool {
    let status = Command::new("sh").args(["-ec", script, "sh"]).args(args).status();
    status.is_ok_and(|status| status.success())
}

/// A process whose root is an overlay with all that overlay leaves behind.
fn layered(directory: &str) -> Option<Subject> {
    let script = r#"
        cd $0; mkdir -p low/gone low/hidden/below low/usr low/proc base/deep/er top work merged
        echo 1 > low/gone/file; echo 2 > low/hidden/below/x; echo 3 > base/deep/er/file; echo 4 > base/removed
        ln -s /etc base/link; ln -s usr/bin base/bin; ln -s usr/lib base/lib; ln -s usr/lib64 base/lib64
        mount -t overlay -o lowerdir=$0/low:$0/base,upperdir=$0/top,workdir=$0/work overlay merged
        echo 5 >> merged/deep/er/file; rm merged/removed; rm -r merged/hidden; mkdir merged/hidden; rm -r merged/gone
        mount --bind /usr merged/usr; exec chroot merged sleep 60"#;
    subject("layers", &["unshare", "-m", "sh", "-ec", script, directory])
}

#[test]
fn find_sees_the_same_layers() {
    let _alone = alone();
    let directory = tempfile::tempdir().unwrap();
    let Some(subject) = layered(directory.path().to_str().unwrap()) else { return };
    let view = taken(subject.pid);
    let layers = view.outside.layers.value().unwrap();
    assert_eq!(layers.keys().collect::<Vec<_>>(), ["lower 1", "lower 2", "upper"]);
    for (name, layer) in layers {
        let depth = if name == "upper" { "9" } else { "2" };
        let command = ["find", &layer.path, "-mindepth", "1", "-maxdepth", depth, "-printf", "%P\t%y\n"];
        let Some(said) = witness("find", &command) else { continue };
        let said: BTreeMap<&str, &str> = said.lines().map(|line| line.split_once('\t').unwrap()).collect();
        let ours = &layer.contents.value().unwrap().entries;
        let letter = |kind: &str| match kind {
            "opaque directory" => "d",
            "whiteout" => "c",
            "symlink" => "l",
            other => ["d", "f"].into_iter().find(|letter| other.starts_with(letter)).unwrap(),
        };
        let ours: BTreeMap<&str, &str> =
            ours.iter().map(|(path, kind)| (path.as_str(), letter(kind))).collect();
        assert_eq!(ours, said, "{name}");
    }
    let contents = layers["upper"].contents.value().unwrap();
    let below: Vec<(&str, &str)> =
        contents.below.iter().map(|(path, layer)| (path.as_str(), layer.as_str())).collect();
    let (one, two) = ("lower 1", "lower 2");
    let known = [
        ("deep", two),
        ("deep/er", two),
        ("deep/er/file", two),
        ("gone", one),
        ("hidden", one),
        ("removed", two),
    ];
    assert_eq!(below, known);
    let upper = &contents.entries;
    assert_eq!((upper["removed"].as_str(), upper["gone"].as_str()), ("whiteout", "whiteout"));
    assert_eq!((upper["hidden"].as_str(), upper["deep/er/file"].as_str()), ("opaque directory", "file"));
    let order: Vec<_> = ["upper", "lower 1", "lower 2"].map(|name| layers[name].order).into();
    assert_eq!(order, [0, 1, 2]);
}

/// Interfaces that go with this value.
struct Links(Vec<&'static str>);

impl Drop for Links {
    fn drop(&mut self) {
        for name in &self.0 {
            let _ = Command::new("ip").args(["link", "del", name]).output();
        }
    }
}

#[test]
fn ip_sees_the_same_ends_on_the_host() {
    let _alone = alone();
    let alone_in_net = |test| subject(test, &["unshare", "-n", "sleep", "60"]);
    let (Some(ours), Some(other)) = (alone_in_net("ends"), alone_in_net("ends")) else { return };
    // The second pair's inner end has the same index in another namespace; the third has both ends here.
    let _links = Links(vec!["lcwit0", "lcwit1", "lcwit2", "lcwitbr"]);
    let script = "ip link add lcwit0 type veth peer name eth0 netns $1
        ip link add lcwit1 type veth peer name eth0 netns $2
        ip link add lcwit2 type veth peer name lcwit3
        ip addr add 192.0.2.1/30 dev lcwit0; ip link set lcwit0 up";
    if !shell(script, &[&ours.pid.to_string(), &other.pid.to_string()]) {
        return println!("skipped: ends: ip cannot make a veth pair here");
    }
    let bridged = shell("ip link add lcwitbr type bridge && ip link set lcwit0 master lcwitbr", &[]);
    let view = taken(ours.pid);
    let network = &view.outside.host_network;
    let ends = network.ends.value().unwrap();
    assert_eq!(ends.keys().collect::<Vec<_>>(), ["lcwit0"]);
    let end = &ends["lcwit0"];
    let inside = &view.inside.as_ref().unwrap().interfaces.value().unwrap()["eth0"];
    assert_eq!((end.peer, inside.peer), (Some(inside.index), Some(end.index)));
    let Some(said) = witness("ip", &["ip", "-j", "-d", "addr", "show", "dev", "lcwit0"]) else { return };
    let said: Value = serde_json::from_str(&said).unwrap();
    let said = &said[0];
    assert_eq!(said["ifindex"], end.index);
    assert_eq!(said["link_index"].as_u64(), end.peer.map(u64::from));
    assert_eq!(said["link_netnsid"].as_i64(), end.peer_namespace.map(i64::from));
    assert_eq!(said["address"].as_str(), end.mac.as_deref());
    assert_eq!(end.up, said["flags"].as_array().unwrap().contains(&"UP".into()));
    assert!(end.addresses.contains(&"192.0.2.1/30".to_owned()));
    let bridges = network.bridges.value().unwrap();
    match bridged {
        true => assert_eq!(bridges.keys().next().map(String::as_str), said["master"].as_str()),
        false => println!("skipped: bridge: this kernel makes none"),
    }
    assert_eq!(taken(std::process::id() as i32).outside.host_network.ends.get(), Ok(&BTreeMap::new()));
    let forward = std::fs::read_to_string("/proc/sys/net/ipv4/ip_forward").unwrap();
    assert_eq!(network.ip_forward.get(), Ok(&(forward.trim() == "1")));
}

/// In a network namespace of their own, which goes with them.
#[test]
fn nft_sees_the_same_base_chains() {
    let _alone = alone();
    let script = r#"
        nft add table ip web
        nft 'add chain ip web out { type nat hook postrouting priority 100 ; }'
        nft 'add chain ip web pass { type filter hook forward priority -5 ; policy drop ; }'
        nft add chain ip web plain
        nft add table inet both
        nft 'add chain inet both first { type filter hook prerouting priority -300 ; }'
        nft -j list chains; "$0" view --json self"#;
    let program = env!("CARGO_BIN_EXE_learnctr");
    let Some(said) = witness("nft", &["unshare", "-n", "sh", "-ec", script, program]) else { return };
    let mut said = serde_json::Deserializer::from_str(&said).into_iter::<Value>().map(Result::unwrap);
    let (nft, view) = (said.next().unwrap(), said.next().unwrap());
    let word = |one: &Value, key: &str| one[key].as_str().unwrap_or_default().to_owned();
    let nft: BTreeMap<String, _> = nft["nftables"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|one| one.get("chain").filter(|chain| chain.get("hook").is_some()))
        .map(|one| {
            let name = [word(one, "family"), word(one, "table"), word(one, "name")].join(" ");
            (name, (word(one, "hook"), word(one, "type"), one["prio"].as_i64(), word(one, "policy")))
        })
        .collect();
    let chains = view.pointer("/outside/host_network/chains/value").unwrap();
    let ours: BTreeMap<String, _> = chains
        .as_object()
        .unwrap()
        .iter()
        .map(|(name, one)| {
            (
                name.clone(),
                (word(one, "hook"), word(one, "type"), one["priority"].as_i64(), word(one, "policy")),
            )
        })
        .collect();
    assert_eq!(ours.len(), 3);
    assert_eq!(ours, nft);
}
