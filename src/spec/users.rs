//! Who is `nobody`? Users and groups given by name are those of the container: its own /etc/passwd and
//! /etc/group say their numbers, and where home is, read without leaving its root.
//!
//! Next: `crate::stages::caps`, which becomes that user.

use super::{Container, Error, Id};
use crate::kernel::fs;
use crate::kernel::libc_flags as o;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// More than any /etc/passwd that people keep.
const LONGEST: u64 = 1 << 20;

/// Put in the numbers, and HOME where nobody asked for another.
pub fn look_up(container: &mut Container) -> Result<(), Error> {
    let passwd = read(container, "/etc/passwd");
    let group = read(container, "/etc/group");
    let asked = container.user.take();
    let names = std::mem::take(&mut container.groups);
    let Some(process) = container.spec.process_mut() else { return Ok(()) };
    let mut user = process.user().clone();
    if let Some(asked) = &asked {
        user.set_uid(number(&asked.user, &passwd, "--user", "/etc/passwd")?);
        let own = entry(&passwd, user.uid()).and_then(|entry| entry.get(3)?.parse().ok());
        user.set_gid(match &asked.group {
            Some(id) => number(id, &group, "--user", "/etc/group")?,
            None => own.unwrap_or(0),
        });
        // The groups that list this user, as login gives them; none of root's. A number may have no name, and a
        // group no members: the two are not to be taken for each other.
        let name = entry(&passwd, user.uid()).and_then(|entry| entry.first().copied()).unwrap_or_default();
        let lists = |entry: &Vec<&str>| {
            !name.is_empty() && entry.get(3).is_some_and(|all| all.split(',').any(|member| member == name))
        };
        let member = entries(&group).filter(lists).filter_map(|entry| entry.get(2)?.parse().ok());
        let keeps = user.additional_gids().is_some();
        let gids: Vec<u32> = std::iter::once(user.gid()).chain(member).collect();
        user.set_additional_gids(keeps.then_some(gids));
    }
    if !names.is_empty() {
        let mut gids = user.additional_gids().clone().unwrap_or_default();
        for id in &names {
            gids.push(number(id, &group, "--group-add", "/etc/group")?);
        }
        user.set_additional_gids(Some(gids));
    }
    let mut env = process.env().clone().unwrap_or_default();
    if !env.iter().any(|variable| variable.starts_with("HOME=")) {
        let home = entry(&passwd, user.uid()).and_then(|entry| entry.get(5).copied());
        let home = home.filter(|home| home.starts_with('/'));
        env.push(format!("HOME={}", home.unwrap_or("/")));
        process.set_env(Some(env));
    }
    process.set_user(user);
    Ok(())
}

/// The fields of each line of passwd(5) or group(5).
fn entries(text: &str) -> impl Iterator<Item = Vec<&str>> {
    text.lines().map(|line| line.split(':').collect())
}

fn entry(text: &str, number: u32) -> Option<Vec<&str>> {
    entries(text).find(|entry| entry.get(2).and_then(|n| n.parse().ok()) == Some(number))
}

/// A name's number; in both files it is the third field.
fn number(id: &Id, text: &str, option: &str, file: &str) -> Result<u32, Error> {
    match id {
        Id::Number(number) => Ok(*number),
        Id::Name(name) => entries(text)
            .find(|entry| entry.first() == Some(&name.as_str()))
            .and_then(|entry| entry.get(2)?.parse().ok())
            .ok_or_else(|| {
                let known: Vec<&str> =
                    entries(text).filter_map(|entry| entry.first().copied()).take(8).collect();
                let expected = format!("a number, or a name in the container's {file}: {}", known.join(", "));
                Error::new(option, format!("{name:?}"), expected)
            }),
    }
}

/// A small file of the container's, as its layers show it; nothing where it has none.
fn read(container: &Container, path: &str) -> String {
    let root = container.spec.root().as_ref().map(|root| root.path().clone());
    let roots: Vec<PathBuf> = match &container.layers {
        Some(layers) => layers.lower.clone(),
        None => root.into_iter().collect(),
    };
    let open = |root: &PathBuf| {
        let root = fs::open(root, o::O_PATH | o::O_DIRECTORY).ok()?;
        // A pipe in the image must not make us wait.
        fs::open_in(&root, Path::new(path), o::O_RDONLY | o::O_NONBLOCK, 0).ok()
    };
    let mut text = Vec::new();
    let unmade = container.image.is_some() && !roots.iter().any(|root| root.exists());
    if let (true, Some(text)) = (unmade, crate::image::text(path)) {
        return text.to_owned();
    }
    if let Some(found) = roots.iter().find_map(open) {
        let file = File::from(found.fd);
        if file.metadata().is_ok_and(|about| about.is_file()) {
            let _ = file.take(LONGEST).read_to_end(&mut text);
        }
    }
    String::from_utf8_lossy(&text).into_owned()
}
