//! What do the `--security-opt`s say together? The last of each kind wins.
//!
//! Next: `seccomp`, Docker's profile.

use super::options::Options;
use super::values::SecurityOpt;
use super::{Error, Note, caps, seccomp};
use crate::host::Host;
use oci_spec::runtime::LinuxSeccomp;
use std::path::PathBuf;

#[derive(Default)]
pub struct Security {
    pub no_new_privileges: bool,
    pub apparmor: Option<String>,
    pub systempaths_unconfined: bool,
    seccomp: Profile,
}

#[derive(Default)]
enum Profile {
    #[default]
    Docker,
    File(PathBuf),
    Unconfined,
}

impl Security {
    pub fn of(options: &Options, notes: &mut Vec<Note>) -> Security {
        let mut security = Security::default();
        for asked in &options.privileges.security_opt {
            match asked {
                SecurityOpt::NoNewPrivileges(on) => security.no_new_privileges = *on,
                SecurityOpt::SeccompDefault => security.seccomp = Profile::Docker,
                SecurityOpt::SeccompFile(path) => security.seccomp = Profile::File(path.clone()),
                SecurityOpt::SeccompUnconfined => security.seccomp = Profile::Unconfined,
                SecurityOpt::Apparmor(profile) => security.apparmor = Some(profile.clone()),
                SecurityOpt::SystempathsUnconfined => security.systempaths_unconfined = true,
                SecurityOpt::Label(label) if label == "disable" => {}
                SecurityOpt::Label(label) => notes.push(Note::new(
                    "exec",
                    format!(
                        "label={label}: learnctr makes no SELinux label; only a bundle's selinuxLabel is used"
                    ),
                )),
            }
        }
        security
    }

    /// Whether the filter is Docker's own, for a processor that seccomp knows.
    pub fn is_docker(&self) -> bool {
        matches!(self.seccomp, Profile::Docker) && seccomp::native_arch().is_some()
    }

    /// The filter, as the description has it; Docker's depends on the capabilities, the kernel and the processor.
    pub fn seccomp(&self, capabilities: u64, host: &Host) -> Result<Option<LinuxSeccomp>, Error> {
        let bounding = caps::set(capabilities);
        let arch = seccomp::native_arch();
        let at = |error: seccomp::Error| {
            Error::new("--security-opt seccomp", error.to_string(), "unconfined, builtin or a profile's file")
        };
        match (&self.seccomp, arch) {
            (Profile::Unconfined, _) => Ok(None),
            (_, None) => Err(Error::new(
                "--security-opt seccomp",
                format!("seccomp does not know the processor {}", host.arch),
                "unconfined, on this machine",
            )),
            (Profile::Docker, Some(arch)) => {
                seccomp::docker_default(&bounding, host.release, arch).map(Some).map_err(at)
            }
            (Profile::File(path), Some(arch)) => {
                let asked = seccomp::For { caps: &bounding, kernel: host.release, arch };
                seccomp::load_file(path, asked).map(Some).map_err(at)
            }
        }
    }
}
