//! Who may? One Host, one Origin, one token, and nothing that a browser sends for another site's page.
//!
//! Next: `super::super::routes`, what is there to be asked for.

use super::Door;
use super::answer::Answer;
use super::head::{Head, MOST_BODY};
use crate::web::routes::{self, Needs, Route};

/// A request that may.
pub struct Admitted<'a> {
    pub route: Route<'a>,
    /// How long its body is.
    pub length: usize,
}

/// Hold a head against every rule, framing first: a request that cannot be told from the next is not looked into.
pub fn admit<'a>(head: &'a Head, door: &Door) -> Result<Admitted<'a>, Answer> {
    let refuse = |status, why| Err(Answer::refusal(status, why));
    let length = framing(head)?;
    match head.one("host") {
        None => return refuse(400, "a request has one Host"),
        Some(host) if host != door.host => {
            return refuse(
                421,
                "this is not the host that was asked for; open the address as it was printed",
            );
        }
        Some(_) => {}
    }
    if !["GET", "HEAD", "POST", "OPTIONS"].contains(&head.method.as_str()) {
        return refuse(405, "GET, HEAD and POST are answered");
    }
    let target = head.target.as_str();
    let printable = target.bytes().all(|byte| byte.is_ascii_graphic());
    if !target.starts_with('/') || !printable || target.contains('#') || target.contains("%00") {
        return refuse(400, "a request asks for a path");
    }
    let found = routes::find(target);
    // Who has mistyped an address is told that there is nothing, and not that somebody else's page asked.
    let navigates = found.as_ref().is_none_or(|found| found.is_page);
    match (head.has("sec-fetch-site"), head.one("sec-fetch-site")) {
        (false, _) | (true, Some("same-origin")) => {}
        (true, Some("none")) if navigates => {}
        _ => return refuse(403, "another site's page asked for this"),
    }
    match (head.has("origin"), head.one("origin")) {
        (false, _) if head.method != "POST" => {}
        (true, Some(origin)) if origin == door.origin => {}
        _ => return refuse(403, "another origin's page asked for this"),
    }
    let Some(found) = found else { return refuse(404, "there is nothing of this name") };
    if !found.methods.contains(&head.method.as_str()) {
        return Err(Answer::refusal(405, "not this way").with("Allow", found.methods_named));
    }
    match found.needs {
        Needs::Nothing => {}
        Needs::Token if is_bearer(head, &door.token) => {}
        Needs::ReadToken(given) if is_same(given, &door.read_token) => {}
        Needs::Token | Needs::ReadToken(_) => {
            return Err(Answer::refusal(401, "the token of this run's address is missing or another one")
                .with("WWW-Authenticate", "Bearer"));
        }
    }
    if head.method == "POST" {
        let kind = head.one("content-type").unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim();
        if !kind.eq_ignore_ascii_case("application/json") {
            return refuse(415, "application/json is taken");
        }
        if !head.has("content-length") {
            return refuse(411, "a body says how long it is");
        }
    } else if length > 0 {
        return refuse(400, "there is no body to be taken");
    }
    Ok(Admitted { route: found.route, length })
}

/// One length or none, and nothing else that says where a request ends, or that it becomes something else.
fn framing(head: &Head) -> Result<usize, Answer> {
    for (name, status, why) in [
        ("transfer-encoding", 400, "a body has a Content-Length, and no Transfer-Encoding"),
        ("te", 400, "no transfer coding is used"),
        ("upgrade", 400, "nothing else is spoken here"),
        ("expect", 417, "a body is sent at once"),
    ] {
        if head.has(name) {
            return Err(Answer::refusal(status, why));
        }
    }
    if !head.has("content-length") {
        return Ok(0);
    }
    let length = head.one("content-length").unwrap_or_default();
    if length.is_empty() || !length.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Answer::refusal(400, "a request has one Content-Length, a number"));
    }
    match length.parse::<usize>() {
        Ok(length) if length <= MOST_BODY => Ok(length),
        // Too long for a number is too long.
        _ => Err(Answer::refusal(413, "a body has at most 4 KiB")),
    }
}

fn is_bearer(head: &Head, token: &str) -> bool {
    let given = head.one("authorization").and_then(|value| value.strip_prefix("Bearer "));
    given.is_some_and(|given| is_same(given, token))
}

/// In a time that does not say how much of it was right.
fn is_same(given: &str, token: &str) -> bool {
    let (given, token) = (given.as_bytes(), token.as_bytes());
    let unlike = given.iter().zip(token).fold(0, |unlike, (a, b)| std::hint::black_box(unlike | (a ^ b)));
    unlike == 0 && given.len() == token.len() && !token.is_empty()
}
