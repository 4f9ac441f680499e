//! Which device is meant by `--device /dev/fuse`? The numbers of the node on the host, a node inside with the
//! same, and a rule that lets it be opened.
//!
//! Next: `resources`.

use super::Error;
use super::resources::rule;
use super::values::Device;
use oci_spec::runtime::{LinuxDevice, LinuxDeviceCgroup, LinuxDeviceType};
use std::os::unix::fs::{FileTypeExt, MetadataExt};

/// One device, as `linux.devices` and as `linux.resources.devices` have it.
pub struct Node {
    pub oci: LinuxDevice,
    pub rule: LinuxDeviceCgroup,
}

pub fn devices(asked: &[Device]) -> Result<Vec<Node>, Error> {
    asked.iter().map(node).collect()
}

fn node(device: &Device) -> Result<Node, Error> {
    let host = device.host.display();
    let refused = |why: String| Error::new("--device", why, "a device node of the host, such as /dev/fuse");
    let found = std::fs::metadata(&device.host).map_err(|error| refused(format!("{host}: {error}")))?;
    let kind = match found.file_type() {
        kind if kind.is_block_device() => LinuxDeviceType::B,
        kind if kind.is_char_device() => LinuxDeviceType::C,
        _ => return Err(refused(format!("{host} is no device"))),
    };
    let (major, minor) = numbers(found.rdev());
    let mut oci = LinuxDevice::default();
    oci.set_path(device.inside.clone()).set_typ(kind).set_major(major).set_minor(minor);
    oci.set_file_mode(Some(found.mode() & 0o7777)).set_uid(Some(0)).set_gid(Some(0));
    Ok(Node { oci, rule: rule(true, Some((kind, major, minor)), &device.access) })
}

/// makedev(3) backwards: 12 and 20 bits in the kernel, spread over 64 by the C library.
fn numbers(rdev: u64) -> (i64, i64) {
    let (major, minor) =
        ((rdev >> 32 & 0xffff_f000) | (rdev >> 8 & 0xfff), (rdev >> 12 & 0xffff_ff00) | (rdev & 0xff));
    (major as i64, minor as i64)
}

#[cfg(test)]
mod test {
    use super::*;

    #[test]
    fn null_is_1_3_and_a_file_is_no_device() {
        let device = |path: &str| Device { host: path.into(), inside: "/dev/x".into(), access: "r".into() };
        let node = node(&device("/dev/null")).unwrap();
        assert_eq!(node.rule, rule(true, Some((LinuxDeviceType::C, 1, 3)), "r"));
        assert_eq!(node.oci.path().as_os_str(), "/dev/x");
        assert!(devices(&[device("/etc/passwd")]).is_err());
        assert_eq!(numbers(0x1234_5000_0ff0_0012), (0x1234_5000 & 0xffff_f000, 0xff00 & 0xffff_ff00 | 0x12));
    }
}
