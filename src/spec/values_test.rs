//! Do the values mean what Docker means by them? Next: tests/spec.rs, the whole description.

use super::*;
use proptest::prelude::*;

fn bytes(text: &str) -> Option<u64> {
    text.parse().ok().map(|Bytes(n)| n)
}

#[test]
fn sizes_are_dockers() {
    let cases = [
        ("0", Some(0)),
        ("64b", Some(64)),
        ("32", Some(32)),
        ("32kb", Some(32 << 10)),
        ("32 kB", Some(32 << 10)),
        ("512m", Some(512 << 20)),
        ("512MiB", Some(512 << 20)),
        ("1.5g", Some(3 << 29)),
        ("1t", Some(1 << 40)),
        ("", None),
        ("m", None),
        ("-1", None),
        ("1.2.3m", None),
        ("5ib", None),
        ("5x", None),
        ("99999999999999999999", None),
        ("9223372036854775808", None),
        ("9999999t", None),
    ];
    for (text, expected) in cases {
        assert_eq!(bytes(text), expected, "{text:?}");
    }
    assert_eq!("-1".parse(), Ok(Swap(-1)));
    assert_eq!("1g".parse(), Ok(Swap(1 << 30)));
}

#[test]
fn cpus_are_microseconds_of_a_period() {
    assert_eq!("1.5".parse(), Ok(Cpus(150_000)));
    assert_eq!("0.01".parse(), Ok(Cpus(1_000)));
    assert_eq!("0".parse(), Ok(Cpus(0)));
    for bad in ["", "-1", "nan", "inf", "1e3", "0.001", "99999999"] {
        assert!(bad.parse::<Cpus>().is_err(), "{bad:?}");
    }
}

#[test]
fn volumes_are_dockers() {
    let volume = |text: &str| text.parse::<Volume>();
    let host = volume("/srv:/www:ro,z,rslave").unwrap();
    assert_eq!(host.source, Source::Host("/srv".into()));
    assert_eq!(host.destination, PathBuf::from("/www"));
    assert!(host.read_only && host.relabel);
    assert_eq!(host.propagation, "rslave");
    assert_eq!(volume("data:/var/lib").unwrap().source, Source::Named("data".into()));
    assert_eq!(volume("/data").unwrap().source, Source::Anonymous);
    assert_eq!(volume("./a:/b").unwrap().source, Source::Host("./a".into()));
    for bad in ["", "a", "a:b", ":/x", "/a:/b:bogus", "/a:/b:ro:rw", "/a:/b/../c", "a b:/c", "/a:/", "/a://."]
    {
        assert!(volume(bad).is_err(), "{bad:?}");
    }
}

#[test]
fn the_other_values() {
    let tmpfs: Tmpfs = "/run:exec,size=64m".parse().unwrap();
    assert_eq!(tmpfs.options, ["nosuid", "nodev", "exec", "size=64m"]);
    assert!("/".parse::<Tmpfs>().is_err());
    let device: Device = "/dev/fuse:rw".parse().unwrap();
    assert_eq!((device.inside, device.access.as_str()), (PathBuf::from("/dev/fuse"), "rw"));
    assert!("/dev/fuse:/dev/x:rwx".parse::<Device>().is_err());
    let ulimit: Ulimit = "nofile=1024:-1".parse().unwrap();
    assert_eq!((ulimit.name.as_str(), ulimit.soft, ulimit.hard), ("RLIMIT_NOFILE", 1024, u64::MAX));
    assert!("nofile=2:1".parse::<Ulimit>().is_err());
    assert!("bogus=1".parse::<Ulimit>().is_err());
    assert_eq!(
        "nginx:0".parse(),
        Ok(UserSpec { user: Id::Name("nginx".into()), group: Some(Id::Number(0)) })
    );
    for bad in ["", ":", "0:", "4294967295", "12ab", "a/b"] {
        assert!(bad.parse::<UserSpec>().is_err(), "{bad:?}");
    }
    assert_eq!("no-new-privileges".parse(), Ok(SecurityOpt::NoNewPrivileges(true)));
    assert_eq!("no-new-privileges:false".parse(), Ok(SecurityOpt::NoNewPrivileges(false)));
    assert_eq!("seccomp=a.json".parse(), Ok(SecurityOpt::SeccompFile("a.json".into())));
    assert!("bogus".parse::<SecurityOpt>().is_err());
}

proptest! {
    #[test]
    fn nothing_that_is_typed_panics(text in ".{0,40}") {
        let _ = (text.parse::<Bytes>(), text.parse::<Swap>(), text.parse::<Cpus>(), text.parse::<Volume>());
        let _ = (text.parse::<Tmpfs>(), text.parse::<Device>(), text.parse::<Ulimit>(), text.parse::<Pair>());
        let _ = (text.parse::<UserSpec>(), text.parse::<SecurityOpt>(), name(&text), hostname(&text), workdir(&text));
    }

    #[test]
    fn a_plain_number_of_bytes_is_itself(n in 0..=i64::MAX as u64) {
        prop_assert_eq!(bytes(&n.to_string()), Some(n));
        prop_assert_eq!(bytes(&format!("{n}b")), Some(n));
    }
}
