//! Which links can be made? In a network namespace that is thrown away.
//!
//! Next: [`super::security`].

use super::case::Case;
use super::mend::Package;
use super::{Answer, Finding};
use crate::kernel::Errno;
use crate::kernel::attempt::{self, net};

fn in_namespace(case: &Case, attempt: impl FnOnce() -> Result<(), Errno>, says: &str) -> Finding {
    let trial = case.try_inside(|| attempt::unshare(&[attempt::CLONE_NEWNET]).and_then(|()| attempt()));
    Finding::of(trial, says)
}

pub fn loopback(case: &Case) -> Finding {
    in_namespace(case, net::loopback_up, "up")
}

/// Only who rules the host's network too can put one end there.
pub fn veth(case: &Case) -> Finding {
    let finding = in_namespace(case, || net::new_link("veth"), "made");
    if finding.answer == Answer::Yes && !case.host.can_link() {
        let text = "one end would have to be put into the host's network, which asks for CAP_NET_ADMIN there";
        return Finding {
            answer: Answer::Limited,
            says: "inside only: no link to the host".into(),
            ..finding
        }
        .because(text, None);
    }
    finding
}

pub fn bridge(case: &Case) -> Finding {
    in_namespace(case, || net::new_link("bridge"), "made")
}

pub fn nftables(case: &Case) -> Finding {
    let finding = in_namespace(case, net::nf_tables, "nf_tables answers, and nft is there");
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path)
        .chain(["/usr/sbin".into(), "/sbin".into()])
        .any(|dir| dir.is_absolute() && dir.join("nft").is_file());
    if finding.answer == Answer::Yes && !found {
        let install = case.distribution.install(Package::Nft, case.host);
        return Finding {
            answer: Answer::Limited,
            says: "nf_tables answers; nft is not installed".into(),
            ..finding
        }
        .because("the program nft(8) is in no directory of PATH", install);
    }
    finding
}
