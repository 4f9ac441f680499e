//! Is what the lessons show true? Every console block in lessons/ is run, and what it shows is compared.
//!
//! In a block, `[..]` stands for what differs from machine to machine and `...` for lines left out; a block marked
//! `console,ignore` is not run (one that needs a terminal, say), `? 1` gives an exit status that is not 0.
//! `TRYCMD=overwrite` writes what is really shown.

use std::path::{Path, PathBuf};
use std::time::Duration;

fn file(path: &str) -> String {
    std::fs::read_to_string(path).unwrap_or_default().trim().to_owned()
}

#[test]
fn every_console_block_shows_what_happens() {
    let built = env!("CARGO_BIN_EXE_learnctr");
    let cases = trycmd::TestCases::new();
    cases.register_bin("learnctr", PathBuf::from(built));
    let path = std::env::var("PATH").unwrap_or_default();
    // What is not registered is not run.
    for name in ["sh", "uname", "readlink", "mountpoint"] {
        let places = path.split(':').map(|folder| Path::new(folder).join(name));
        cases.register_bin(name, places.into_iter().find(|file| file.exists()).unwrap());
    }
    // The reader's are in /var/lib and /run; these must not be mixed with them.
    let tmp = Path::new(env!("CARGO_TARGET_TMPDIR")).join("lessons");
    // Whoever reads types sudo, in a shell's script too; whoever tests is root already.
    let sudo = tmp.join("bin/sudo");
    std::fs::create_dir_all(tmp.join("bin")).unwrap();
    let _ = std::fs::remove_file(&sudo);
    std::os::unix::fs::symlink("/usr/bin/env", &sudo).unwrap();
    let folders =
        [sudo.parent(), Path::new(built).parent()].map(|folder| folder.unwrap().display().to_string());
    cases.register_bin("sudo", sudo);
    cases
        .env("PATH", format!("{}:{path}", folders.join(":")))
        .env("LEARNCTR_DATA", tmp.join("data").display().to_string())
        .env("LEARNCTR_STATE", tmp.join("state").display().to_string())
        .env("COLUMNS", "80")
        .env("NO_COLOR", "1")
        .env("LC_ALL", "C.UTF-8");
    cases.insert_var("[KERNEL]", file("/proc/sys/kernel/osrelease")).unwrap();
    cases.insert_var("[HOST]", file("/proc/sys/kernel/hostname")).unwrap();
    cases.timeout(Duration::from_secs(30)).case("lessons/*.md").run();
}
