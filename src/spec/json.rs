//! How is a description read from JSON and printed as JSON? Read with the place of each fault; printed in an
//! order that is always the same, though the types behind it keep sets and maps in none.
//!
//! Next: `bundle`, which reads a whole file.

use super::{Error, caps};
use oci_spec::runtime::Spec;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// A value of the OCI types; an error says where in the JSON the fault is.
pub fn from_value<T: DeserializeOwned>(value: Value, file: &str) -> Result<T, Error> {
    serde_path_to_error::deserialize(&value).map_err(|error| {
        let path = error.path().to_string();
        let found = at(&value, error.path()).map_or("nothing".to_owned(), excerpt);
        let at = if path == "." { file.to_owned() } else { format!("{file}: {path}") };
        Error::new(at, format!("found {found}"), expected(&error.into_inner().to_string()))
    })
}

fn at<'a>(value: &'a Value, path: &serde_path_to_error::Path) -> Option<&'a Value> {
    use serde_path_to_error::Segment;
    path.iter().try_fold(value, |value, segment| match segment {
        Segment::Seq { index } => value.get(*index),
        Segment::Map { key } => value.get(key),
        Segment::Enum { .. } | Segment::Unknown => Some(value),
    })
}

/// A value as it is shown in a message: on one line, and not too long.
pub fn excerpt(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(60) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text,
    }
}

/// serde says `invalid type: string "x", expected u32`; what was found is said already.
fn expected(message: &str) -> String {
    match message.rsplit_once("expected ") {
        Some((_, expected)) => expected.to_owned(),
        None => format!("something else ({message})"),
    }
}

/// The config.json of a description: capabilities by their numbers, maps by their keys, nothing that is not set.
pub fn to_json(spec: &Spec) -> Value {
    let mut json = serde_json::to_value(spec).unwrap_or(Value::Null);
    tidy(&mut json);
    for pointer in [
        "/annotations",
        "/linux/sysctl",
        "/linux/timeOffsets",
        "/linux/resources/unified",
        "/linux/resources/rdma",
    ] {
        if let Some(Value::Object(map)) = json.pointer_mut(pointer) {
            map.sort_keys();
        }
    }
    if let Some(Value::Object(sets)) = json.pointer_mut("/process/capabilities") {
        for set in sets.values_mut().filter_map(Value::as_array_mut) {
            set.sort_by_key(|name| name.as_str().and_then(caps::number));
        }
    }
    json
}

/// What is null, or an empty list or map, says nothing. An empty string may say something.
pub fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty(),
        _ => false,
    }
}

fn tidy(json: &mut Value) {
    match json {
        Value::Object(map) => {
            map.values_mut().for_each(tidy);
            map.retain(|_, value| !is_empty(value));
        }
        Value::Array(list) => list.iter_mut().for_each(tidy),
        _ => {}
    }
}
