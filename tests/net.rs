//! Does the kernel do what the netlink requests ask? ip(8) says independently what came of them. Each test
//! runs in a network namespace of its own, which ends with its thread, and needs root for it.

use learnctr::kernel::call::{self, Returned};
use learnctr::kernel::net::Netlink;
use learnctr::net;
use nix::sched::{CloneFlags, unshare};
use serde_json::Value;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::process::{Child, Command};

/// In a new network namespace; unshare(2) moves the calling thread alone.
fn in_new_namespace(test: fn()) {
    let thread = std::thread::spawn(move || match unshare(CloneFlags::CLONE_NEWNET) {
        Ok(()) => test(),
        Err(errno) => println!("skipped: a new network namespace needs root ({errno})"),
    });
    thread.join().unwrap();
}

fn json(mut command: Command) -> Value {
    let output = command.output().expect("ip(8) starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap_or(Value::Array(Vec::new()))
}

fn ip(args: &[&str]) -> Value {
    let mut command = Command::new("ip");
    command.arg("-j").args(args);
    json(command)
}

/// A process in a namespace of its own, killed when dropped.
struct Other(Child);

impl Other {
    fn start() -> Other {
        let mut command = Command::new("unshare");
        let child = command.args(["--net", "sleep", "60"]).spawn().unwrap();
        let namespace = |pid: &str| std::fs::read_link(format!("/proc/{pid}/ns/net")).unwrap();
        let ours = namespace("thread-self");
        while namespace(&child.id().to_string()) == ours {
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        Other(child)
    }

    fn ip(&self, args: &[&str]) -> Value {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net=/proc/{}/ns/net", self.0.id())).args(["ip", "-j"]).args(args);
        json(command)
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn addresses(link: &Value) -> Vec<String> {
    let list = link[0]["addr_info"].as_array().cloned().unwrap_or_default();
    list.iter()
        .filter(|it| it["scope"] != "link")
        .map(|it| format!("{}/{}", it["local"].as_str().unwrap(), it["prefixlen"]))
        .collect()
}

#[test]
fn a_pair_is_made_moved_named_and_addressed() {
    in_new_namespace(|| {
        let other = Other::start();
        let mut netlink = Netlink::open().unwrap();
        netlink.veth_add("lctest0", "lctest1", Some(1400)).unwrap();
        let link = ip(&["-d", "link", "show", "lctest0"]);
        assert_eq!(
            (&link[0]["linkinfo"]["info_kind"], &link[0]["link"], &link[0]["mtu"]),
            (&"veth".into(), &"lctest1".into(), &1400.into())
        );
        assert_eq!(netlink.index("lctest0").ok(), link[0]["ifindex"].as_u64().map(|index| index as u32));
        assert_eq!(netlink.exists("lctest1"), Ok(true));

        netlink.set_ns("lctest1", other.0.id()).unwrap();
        assert_eq!(netlink.exists("lctest1"), Ok(false));
        netlink.addr_add("lctest0", Ipv4Addr::new(10, 7, 7, 1), 30).unwrap();
        netlink.up("lctest0").unwrap();
        assert_eq!(addresses(&ip(&["addr", "show", "lctest0"])), ["10.7.7.1/30"]);
        assert_eq!(ip(&["addr", "show", "lctest0"])[0]["addr_info"][0]["broadcast"], "10.7.7.3");

        // What the container's side does, in its own namespace, by a thread that joins it.
        let namespace = std::fs::File::open(format!("/proc/{}/ns/net", other.0.id())).unwrap();
        std::thread::spawn(move || {
            nix::sched::setns(namespace, CloneFlags::CLONE_NEWNET).unwrap();
            let mut netlink = Netlink::open().unwrap();
            netlink.up("lo").unwrap();
            netlink.rename("lctest1", "eth0").unwrap();
            netlink.addr_add("eth0", Ipv4Addr::new(10, 7, 7, 2), 30).unwrap();
            netlink.addr_add("eth0", "fd00:7::2".parse::<Ipv6Addr>().unwrap(), 64).unwrap();
            assert_eq!(
                netlink.route_add_default(Ipv4Addr::new(10, 7, 7, 1)).unwrap_err().name(),
                "ENETUNREACH"
            );
            assert_eq!(netlink.said(), Some("Nexthop has invalid gateway"));
            netlink.up("eth0").unwrap();
            netlink.route_add_default(Ipv4Addr::new(10, 7, 7, 1)).unwrap();
        })
        .join()
        .unwrap();
        let eth0 = other.ip(&["addr", "show", "eth0"]);
        assert_eq!(addresses(&eth0), ["10.7.7.2/30", "fd00:7::2/64"]);
        let has = |link: &Value, flag: &str| link[0]["flags"].as_array().unwrap().contains(&flag.into());
        assert!(has(&eth0, "UP") && has(&other.ip(&["link", "show", "lo"]), "UP"));
        let routes = other.ip(&["route", "show", "default"]);
        assert_eq!((&routes[0]["gateway"], &routes[0]["dev"]), (&"10.7.7.1".into(), &"eth0".into()));
        assert_eq!(other.ip(&["route", "get", "10.7.7.1"])[0]["dev"], "eth0");

        netlink.down("lctest0").unwrap();
        assert!(!has(&ip(&["link", "show", "lctest0"]), "UP"));
        netlink.link_del("lctest0").unwrap();
        assert!(ip(&["link"]).as_array().unwrap().iter().all(|link| link["ifname"] == "lo"));
        assert!(other.ip(&["link"]).as_array().unwrap().iter().all(|link| link["ifname"] == "lo"));
    });
}

#[test]
fn each_request_is_written_down_once_with_its_answer() {
    in_new_namespace(|| {
        call::listen();
        let mut netlink = Netlink::open().unwrap();
        netlink.veth_add("lctest2", "lctest3", None).unwrap();
        assert_eq!(netlink.veth_add("lctest2", "lctest3", None).unwrap_err().name(), "EEXIST");
        assert_eq!(netlink.up("nosuch").unwrap_err().name(), "ENODEV");
        let heard = call::heard();
        assert_eq!(
            heard.iter().map(|call| call.name.as_str()).collect::<Vec<_>>(),
            ["socket", "sendto", "sendto", "sendto"]
        );
        assert!(heard[1].args.contains("RTM_NEWLINK") && heard[1].args.contains("lctest3"), "{}", heard[1]);
        assert!(matches!(heard[1].returned, Returned::Ok(sent) if sent > 32));
        assert!(matches!(heard[2].returned, Returned::Refused(errno) if errno.name() == "EEXIST"));
        heard.iter().for_each(|call| println!("{call}"));
    });
}

#[test]
fn the_chosen_network_is_one_that_ip_knows_nothing_of() {
    in_new_namespace(|| {
        let mut netlink = Netlink::open().unwrap();
        netlink.veth_add("lctest4", "lctest5", None).unwrap();
        netlink.addr_add("lctest4", Ipv4Addr::new(192, 168, 7, 1), 24).unwrap();
        netlink.up("lctest4").unwrap();
        for args in
            [["route", "add", "blackhole", "10.0.0.0/8"], ["route", "add", "blackhole", "172.16.0.0/12"]]
        {
            assert!(Command::new("ip").args(args).status().unwrap().success());
        }
        assert!(
            Command::new("ip")
                .args(["route", "add", "blackhole", "192.168.128.0/17", "table", "77"])
                .status()
                .unwrap()
                .success()
        );
        let used = netlink.used_subnets().unwrap();
        for network in
            [([10, 0, 0, 0], 8), ([172, 16, 0, 0], 12), ([192, 168, 7, 1], 24), ([192, 168, 128, 0], 17)]
        {
            assert!(used.contains(&(network.0.into(), network.1)), "{network:?} is not in {used:?}");
        }
        for seed in 0..5000 {
            let subnet = net::choose_subnet(&used, seed).unwrap();
            let [a, b, c, _] = subnet.host.octets();
            assert!((a, b) == (192, 168) && c < 128 && c != 7, "{subnet:?}");
        }
        let names = net::veth_names("lctest4lctest", |name| netlink.exists(name).unwrap_or(true)).unwrap();
        netlink.veth_add(&names.0, &names.1, None).unwrap();
    });
}
