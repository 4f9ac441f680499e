//! Are the same files found as the loader finds? Programs are built with the ways to say where a library
//! is, and ldd(1) is asked too.

use super::*;
use std::process::Command;

fn sh(directory: &Path, script: &str) -> Option<String> {
    let output = Command::new("sh").args(["-ec", script]).current_dir(directory).output().unwrap();
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

/// As the loader is asked: the paths behind `=>`, made normal.
fn ldd(program: &Path) -> Vec<PathBuf> {
    let script = format!("LC_ALL=C ldd '{}'", program.display());
    let said = sh(Path::new("/"), &script).unwrap_or_default();
    let paths = said.lines().filter_map(|line| line.split("=> ").nth(1)?.split(" (").next());
    paths.map(|path| place(Path::new(path))).collect()
}

#[test]
fn origin_rpath_and_runpath_lead_where_the_loader_goes() {
    let directory = tempfile::tempdir().unwrap();
    let build = "mkdir -p bin lib/deep far
        echo 'int far(void) { return 3; }' > far.c
        echo 'int far(void); int deep(void) { return far(); }' > deep.c
        echo 'int deep(void); int first(void) { return deep(); }' > first.c
        echo 'int first(void); int main(void) { return first(); }' > main.c
        cc -shared -fPIC -o far/libfar.so far.c
        cc -shared -fPIC -o lib/deep/libdeep.so deep.c -Wl,--no-as-needed -Lfar -lfar
        cc -shared -fPIC -o lib/libfirst.so first.c -Llib/deep -ldeep -Wl,--disable-new-dtags,-rpath,'$ORIGIN/deep'
        cc -o bin/by-rpath main.c -Llib -lfirst -Wl,--disable-new-dtags,-rpath,'$ORIGIN/../lib:'\"$PWD/far\" \
            -Wl,--allow-shlib-undefined
        cc -o bin/by-runpath main.c -Llib -lfirst -Wl,--enable-new-dtags,-rpath,'${ORIGIN}/../lib' \
            -Wl,--allow-shlib-undefined
        ln -s by-rpath bin/link";
    if sh(directory.path(), build).is_none() {
        return println!("skipped: no C compiler on this host");
    }
    let mut libraries = Libraries::of_host();
    let program = directory.path().join("bin/link");
    let files = libraries.closure(&program).unwrap();
    let mut found: Vec<_> = files[2..].iter().map(|file| file.place.clone()).collect();
    let mut witness = ldd(&program);
    found.sort();
    witness.sort();
    assert_eq!(found, witness);
    assert!(
        found.iter().any(|path| path.ends_with("far/libfar.so")),
        "inherited from the program: {found:?}"
    );
    assert_eq!(files[0].place.file_name().unwrap(), "by-rpath", "a link's target keeps its path");
    // A DT_RUNPATH is not inherited, so nothing leads to libfar; the loader says the same.
    let program = directory.path().join("bin/by-runpath");
    assert_eq!(libraries.closure(&program), Err(Absent::Library("libfar.so".into())));
    assert!(
        sh(Path::new("/"), &format!("ldd '{}' | grep 'libfar.so => not found'", program.display())).is_some()
    );
}

/// As on NixOS: a loader at a path of its own, which is also where its libraries are.
#[test]
fn a_loader_elsewhere_keeps_its_path() {
    let directory = tempfile::tempdir().unwrap();
    let build = "echo 'int main(void) { return 0; }' > main.c
        cc -o plain main.c
        mkdir store
        cp -L \"$(ldd ./plain | sed -n 's/^[[:space:]]*\\(\\/[^ ]*\\) .*/\\1/p')\" store/ld.so
        cc -o nix main.c -Wl,--dynamic-linker=\"$PWD/store/ld.so\"";
    if sh(directory.path(), build).is_none() {
        return println!("skipped: no C compiler on this host");
    }
    let files = Libraries::of_host().closure(&directory.path().join("nix")).unwrap();
    assert_eq!(files[1].place, directory.path().join("store/ld.so"));
    assert!(files.iter().any(|file| file.place.ends_with("libc.so.6")), "{files:?}");
}

#[test]
fn what_ld_so_conf_led_to_moves_beside_libc() {
    let directory = tempfile::tempdir().unwrap();
    let build = "echo 'int odd(void) { return 0; }' > odd.c; cc -shared -fPIC -o libodd.so odd.c
        echo 'int odd(void); int main(void) { return odd(); }' > main.c; cc -o program main.c -L. -lodd
        mkdir conf.d; pwd > conf.d/odd.conf; echo '# nothing' > conf.d/other.txt
        echo 'include conf.d/*.conf' > ld.so.conf; echo 'include ld.so.conf' >> ld.so.conf";
    if sh(directory.path(), build).is_none() {
        return println!("skipped: no C compiler on this host");
    }
    let mut libraries = Libraries::of_host();
    let program = directory.path().join("program");
    assert_eq!(libraries.closure(&program), Err(Absent::Library("libodd.so".into())));
    read_conf(&directory.path().join("ld.so.conf"), &mut libraries.configured, 0);
    let files = libraries.closure(&program).unwrap();
    let place = |name: &str| {
        files.iter().find(|file| file.place.ends_with(name)).map(|file| file.place.clone()).unwrap()
    };
    assert_eq!(place("libodd.so").parent(), place("libc.so.6").parent());
}

#[test]
fn directories_of_old_lead_into_usr() {
    assert_eq!(place(Path::new("/lib64/ld.so")), Path::new("/usr/lib64/ld.so"));
    assert_eq!(place(Path::new("/bin/../lib/./a")), Path::new("/usr/lib/a"));
    assert_eq!(place(Path::new("/nix/store/x/bin/ls")), Path::new("/nix/store/x/bin/ls"));
    assert_eq!(place(Path::new("/../..")), Path::new("/"));
}
