//! Which security modules does this kernel run, and what do they call us?
//!
//! Next: [`super::Host`].

use super::read;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// The kernel's security modules (Documentation/admin-guide/LSM).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Lsm {
    /// In the order in which they are asked; only those that leave a trace elsewhere when securityfs is
    /// not mounted.
    pub names: Vec<String>,
    /// How this process is labelled: AppArmor's profile or SELinux's context.
    pub label: Option<String>,
}

/// What each leaves where anyone can see it.
const TRACES: [(&str, &str); 5] = [
    ("apparmor", "/sys/module/apparmor/parameters/enabled"),
    ("selinux", "/sys/fs/selinux/enforce"),
    ("smack", "/proc/self/attr/smack/current"),
    ("yama", "/proc/sys/kernel/yama/ptrace_scope"),
    ("loadpin", "/proc/sys/kernel/loadpin"),
];

impl Lsm {
    pub fn look() -> Lsm {
        let listed = read("/sys/kernel/security/lsm");
        let names = if listed.trim().is_empty() {
            let runs = |file: &str| Path::new(file).exists() && read(file).trim() != "N";
            TRACES.iter().filter(|(_, file)| runs(file)).map(|(name, _)| String::from(*name)).collect()
        } else {
            parse_names(&listed)
        };
        let label = ["/proc/self/attr/apparmor/current", "/proc/self/attr/current"]
            .iter()
            .map(|file| read(file).trim_matches(['\0', '\n', ' ']).to_owned())
            .find(|label| !label.is_empty());
        Lsm { names, label }
    }

    pub fn has(&self, name: &str) -> bool {
        self.names.iter().any(|known| known == name)
    }
}

/// `lockdown,capability,yama`
pub fn parse_names(text: &str) -> Vec<String> {
    text.trim().split(',').map(str::trim).filter(|name| !name.is_empty()).map(String::from).collect()
}
