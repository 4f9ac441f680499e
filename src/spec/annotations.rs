//! How does what OCI has no field for travel in a config.json? As annotations `org.learnctr.*`, which other
//! runtimes do not read, and which `bundle` turns back into the same container.
//!
//! Next: `bundle`.

use super::options::Network;
use super::values::is_name;
use super::{Container, Error, Id, UserSpec};
use clap::ValueEnum;
use oci_spec::runtime::Spec;
use std::collections::HashMap;
use std::path::PathBuf;

const PREFIX: &str = "org.learnctr.";
pub const VOLUMES: &str = "annotations[\"org.learnctr.volumes\"]";

/// What the annotations of a config.json say.
#[derive(Debug, Default, PartialEq)]
pub struct Ours {
    /// The id when it was printed: names made of it are made anew.
    pub id: Option<String>,
    pub network: Option<Network>,
    pub init: bool,
    pub user: Option<UserSpec>,
    pub groups: Vec<Id>,
    /// The layers of an overlay, the uppermost first; empty for `root.path` as it is.
    pub lower: Vec<PathBuf>,
    /// The layers are the default image's: `self` or `UID:GID`.
    pub image: Option<Option<(u32, u32)>>,
    pub volumes: Vec<PathBuf>,
}

/// The description with what is beside it written in.
pub fn annotated(container: &Container) -> Spec {
    let mut all: HashMap<String, String> = container.spec.annotations().clone().unwrap_or_default();
    let mut say = |key: &str, value: String| {
        if !value.is_empty() {
            all.insert(format!("{PREFIX}{key}"), value);
        }
    };
    let paths = |paths: &[PathBuf]| list(paths.iter().map(|path| path.to_string_lossy().into_owned()));
    say("id", container.id.clone());
    say(
        "network",
        container.network.to_possible_value().map(|v| v.get_name().to_owned()).unwrap_or_default(),
    );
    say("init", if container.init { "true".to_owned() } else { String::new() });
    if let Some(UserSpec { user, group }) = &container.user {
        let group = group.as_ref().map(|group| format!(":{}", text(group))).unwrap_or_default();
        say("user", text(user) + &group);
    }
    say("groups", list(container.groups.iter().map(text)));
    if let Some(layers) = &container.layers {
        say("lower", paths(&layers.lower));
    }
    if let Some(store) = &container.image {
        say("image", store.owner.map_or("self".to_owned(), |(uid, gid)| format!("{uid}:{gid}")));
    }
    say("volumes", paths(&container.volumes));
    let mut spec = container.described();
    // A directory of the caller's is a root for other runtimes too; the image's layers are one only when merged.
    if let (None, Some([rootfs]), Some(root)) =
        (&container.image, container.layers.as_ref().map(|layers| layers.lower.as_slice()), spec.root_mut())
    {
        root.set_path(rootfs.clone());
    }
    spec.set_annotations(Some(all));
    spec
}

/// Read them back.
pub fn read(spec: &Spec) -> Result<Ours, Error> {
    let none = HashMap::new();
    let all = spec.annotations().as_ref().unwrap_or(&none);
    let get = |key: &str| all.get(&format!("{PREFIX}{key}")).map(String::as_str);
    let refused = |key: &str, expected: &str| {
        let found = format!("{:?}", get(key).unwrap_or_default());
        Error::new(format!("annotations[\"{PREFIX}{key}\"]"), found, expected)
    };
    let strings = |key: &str| match get(key) {
        Some(text) => {
            serde_json::from_str::<Vec<String>>(text).map_err(|_| refused(key, "a JSON list of strings"))
        }
        None => Ok(Vec::new()),
    };
    let paths = |key: &str| {
        let paths: Vec<PathBuf> = strings(key)?.into_iter().map(PathBuf::from).collect();
        match paths.iter().all(|path| path.is_absolute()) {
            true => Ok(paths),
            false => Err(refused(key, "absolute paths")),
        }
    };
    let owner = |text: &str| {
        let (uid, gid) = text.split_once(':')?;
        Some((uid.parse().ok()?, gid.parse().ok()?))
    };
    // It is part of paths.
    if get("id").is_some_and(|id| !is_name(id)) {
        return Err(refused("id", "a container's name"));
    }
    Ok(Ours {
        id: get("id").map(str::to_owned),
        network: get("network")
            .map(|text| Network::from_str(text, false).map_err(|_| refused("network", "none, host or veth")))
            .transpose()?,
        init: get("init") == Some("true"),
        user: get("user")
            .map(|text| text.parse().map_err(|_| refused("user", "USER[:GROUP]")))
            .transpose()?,
        groups: strings("groups")?
            .iter()
            .map(|group| group.parse().map_err(|_| refused("groups", "groups")))
            .collect::<Result<_, _>>()?,
        lower: paths("lower")?,
        image: match get("image") {
            None => None,
            Some("self") => Some(None),
            Some(text) => Some(Some(owner(text).ok_or_else(|| refused("image", "self or UID:GID"))?)),
        },
        volumes: paths("volumes")?,
    })
}

fn text(id: &Id) -> String {
    match id {
        Id::Number(number) => number.to_string(),
        Id::Name(name) => name.clone(),
    }
}

fn list(texts: impl Iterator<Item = String>) -> String {
    let all: Vec<String> = texts.collect();
    if all.is_empty() { String::new() } else { serde_json::json!(all).to_string() }
}
