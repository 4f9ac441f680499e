//! What is mounted where? /proc/PID/mountinfo, decoded (proc_pid_mountinfo(5)): mounts by the place where they
//! are, their propagation, and of an overlay its layers.

use super::numbered;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One mount. Its place is its name in the table, `/dev#2` for the second one stacked on /dev.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Mount {
    /// The mount's number, and that of the one that it is mounted on; a new mount namespace gives all new ones.
    pub id: u32,
    pub parent: u32,
    /// The file system's device, major:minor: the same one means the same file system.
    pub device: String,
    /// Which directory of that file system is seen here: not `/` for a bind mount.
    pub root: String,
    pub filesystem: String,
    pub source: String,
    /// Of this mount alone: ro, nosuid, nodev, noexec … (mount(2)).
    pub flags: Vec<String>,
    pub propagation: Propagation,
    /// Of the file system, wherever it is mounted.
    pub options: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overlay: Option<Overlay>,
}

/// Who else gets the mounts made below this one (mount_namespaces(7)).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Propagation {
    /// `shared`, `slave`, `shared,slave`, `private` or `unbindable`.
    pub kind: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer_group: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub master: Option<u32>,
}

/// The layers, topmost first as overlay has them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Overlay {
    pub lower: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upper: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub work: Option<String>,
}

/// Lines that are no mount are left out.
pub fn parse(text: &str) -> BTreeMap<String, Mount> {
    numbered(text.lines().filter_map(parse_line))
}

fn parse_line(line: &str) -> Option<(String, Mount)> {
    let mut words = line.split(' ');
    let id = words.next()?.parse().ok()?;
    let parent = words.next()?.parse().ok()?;
    let device = words.next()?.to_owned();
    let root = unescape(words.next()?);
    let place = unescape(words.next()?);
    let flags = list(words.next()?);
    let propagation = propagation(words.by_ref().take_while(|word| *word != "-"));
    let filesystem = unescape(words.next()?);
    let source = unescape(words.next().unwrap_or(""));
    let options = words.next().unwrap_or("");
    let overlay = (filesystem == "overlay").then(|| overlay(options));
    let options = list(options);
    Some((
        place,
        Mount { id, parent, device, root, filesystem, source, flags, propagation, options, overlay },
    ))
}

fn list(words: &str) -> Vec<String> {
    words.split(',').filter(|word| !word.is_empty()).map(unescape).collect()
}

fn propagation<'a>(tags: impl Iterator<Item = &'a str>) -> Propagation {
    let (mut peer_group, mut master, mut unbindable) = (None, None, false);
    for tag in tags {
        match tag.split_once(':') {
            Some(("shared", number)) => peer_group = number.parse().ok(),
            Some(("master", number)) => master = number.parse().ok(),
            _ => unbindable |= tag == "unbindable",
        }
    }
    let kind = match (peer_group, master, unbindable) {
        (Some(_), Some(_), _) => "shared,slave",
        (Some(_), None, _) => "shared",
        (None, Some(_), _) => "slave",
        (None, None, true) => "unbindable",
        (None, None, false) => "private",
    };
    Propagation { kind: kind.to_owned(), peer_group, master }
}

/// The kernel writes layers as one `lowerdir=A:B`, or since 6.5, when they were given one by one, as
/// `lowerdir+=A,lowerdir+=B`; in names, `,` and `:` and `\` stand behind a backslash.
fn overlay(options: &str) -> Overlay {
    let mut overlay = Overlay::default();
    for option in split_unescaped(options, ',') {
        match option.split_once('=') {
            Some(("lowerdir", layers)) => {
                overlay.lower.extend(split_unescaped(layers, ':').iter().map(|layer| plain(layer)));
                overlay.lower.retain(|layer| !layer.is_empty());
            }
            Some(("lowerdir+" | "datadir+", layer)) => overlay.lower.push(plain(layer)),
            Some(("upperdir", layer)) => overlay.upper = Some(plain(layer)),
            Some(("workdir", layer)) => overlay.work = Some(plain(layer)),
            _ => {}
        }
    }
    overlay
}

fn split_unescaped(text: &str, at: char) -> Vec<&str> {
    let (mut parts, mut start, mut escaped) = (Vec::new(), 0, false);
    for (place, letter) in text.char_indices() {
        if letter == at && !escaped {
            parts.extend(text.get(start..place));
            start = place + letter.len_utf8();
        }
        escaped = letter == '\\' && !escaped;
    }
    parts.extend(text.get(start..));
    parts
}

fn plain(layer: &str) -> String {
    let mut name = String::with_capacity(layer.len());
    let unescaped = unescape(layer);
    let mut letters = unescaped.chars();
    while let Some(letter) = letters.next() {
        let next = if letter == '\\' { letters.next().unwrap_or(letter) } else { letter };
        name.push(next);
    }
    name
}

/// The kernel writes space, tab, newline, backslash and `#` as `\040` and the like.
pub fn unescape(text: &str) -> String {
    if !text.contains('\\') {
        return text.to_owned();
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let digits = tail.get(..3).filter(|_| *first == b'\\');
        let octal = digits.and_then(|digits| std::str::from_utf8(digits).ok());
        match octal.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = tail.get(3..).unwrap_or(&[]);
            }
            None => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    super::text(&bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_overlay_has_its_layers_and_stacked_mounts_are_told_apart() {
        let mounts = parse(
            "1 0 0:50 / / rw - overlay overlay rw,lowerdir=/a\\:b:/c\\040d,upperdir=/u,workdir=/w,xino=off\n\
             2 1 0:51 / /mnt rw,nosuid shared:7 master:3 propagate_from:2 - tmpfs tmp\\011fs rw\n\
             3 2 8:1 /data /mnt ro unbindable - ext4 /dev/sda1 rw\n\
             junk\n4 1 0:9 / /x\n",
        );
        assert_eq!(mounts.len(), 3);
        let overlay = mounts["/"].overlay.as_ref().unwrap();
        assert_eq!(overlay.lower, ["/a:b", "/c d"]);
        assert_eq!(overlay.upper.as_deref(), Some("/u"));
        assert_eq!(mounts["/mnt"].propagation.kind, "shared,slave");
        assert_eq!(mounts["/mnt"].source, "tmp\tfs");
        assert_eq!(
            (mounts["/mnt#2"].root.as_str(), mounts["/mnt#2"].propagation.kind.as_str()),
            ("/data", "unbindable")
        );
    }

    #[test]
    fn layers_given_one_by_one_are_the_same_layers() {
        assert_eq!(overlay("rw,lowerdir+=/a,lowerdir+=/b").lower, ["/a", "/b"]);
    }
}
