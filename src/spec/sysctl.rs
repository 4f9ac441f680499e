//! How is a kernel parameter named? With dots, or as its file below /proc/sys (sysctl(8)): what the first of the
//! two separators is in a name, the other one is a letter.
//!
//! Next: `crate::stages::limits`, which writes it.

/// `net/ipv4/conf/eth0.100/forwarding` is `net.ipv4.conf.eth0/100.forwarding`.
pub fn dotted(name: &str) -> String {
    if is_path(name) { exchanged(name) } else { name.to_owned() }
}

/// Its file below /proc/sys.
pub fn path(name: &str) -> String {
    if is_path(name) { name.to_owned() } else { exchanged(name) }
}

fn is_path(name: &str) -> bool {
    name.find(['.', '/']).is_some_and(|at| name.as_bytes().get(at) == Some(&b'/'))
}

fn exchanged(name: &str) -> String {
    let other = |letter| match letter {
        '.' => '/',
        '/' => '.',
        other => other,
    };
    name.chars().map(other).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interface_may_have_a_dot_in_its_name() {
        let (dots, file) = ("net.ipv4.conf.eth0/100.forwarding", "net/ipv4/conf/eth0.100/forwarding");
        assert_eq!((path(dots), path(file)), (file.to_owned(), file.to_owned()));
        assert_eq!((dotted(dots), dotted(file)), (dots.to_owned(), dots.to_owned()));
        assert_eq!(path("kernel.shm_rmid_forced"), "kernel/shm_rmid_forced");
        assert_eq!((path(""), dotted("x")), (String::new(), "x".to_owned()));
    }
}
