//! What does the server do to its files when it starts? As images of nginx do: it writes into one of its image and
//! removes another. Neither changes the image: overlay copies the one up, and marks the other as gone.

use std::fs::{self, OpenOptions};
use std::io::{Read, Write};
use std::path::Path;

const LOG: (&str, &str) =
    ("var/log/web.log", "web: this line is the image's; what follows is the container's\n");
const FIRST: (&str, &str) = ("app/first-start", "The server removes this file when it starts.\n");

/// What the image has for it: path inside, text.
pub const FILES: [(&str, &str); 2] = [LOG, FIRST];

/// A line more in the log, and one file less. The root may be read-only, another's, or not yet the image:
/// nothing depends on this, and what is not the image's own is left alone.
pub fn leave_traces(line: &str) {
    if is_images(LOG) {
        let log = OpenOptions::new().append(true).open(inside(LOG));
        let _ = log.and_then(|mut log| writeln!(log, "web: {line}"));
    }
    if is_images(FIRST) {
        let _ = fs::remove_file(inside(FIRST));
    }
}

fn inside((path, _): (&str, &str)) -> impl AsRef<Path> {
    Path::new("/").join(path)
}

/// It begins as the image has it: without pivot_root, `/` is the host's, and a file of that name its own.
fn is_images(file: (&str, &str)) -> bool {
    let mut begin = String::new();
    let regular = fs::symlink_metadata(inside(file)).is_ok_and(|about| about.is_file());
    let opened = regular.then(|| fs::File::open(inside(file)).ok()).flatten();
    opened.is_some_and(|found| {
        found.take(file.1.len() as u64).read_to_string(&mut begin).is_ok() && begin == file.1
    })
}
