//! What is there to be asked for?
//!
//! | path | what | who |
//! |---|---|---|
//! | `/` | the page, without anything of the run | anyone here |
//! | `/static/NAME` | its style and script, from a table made at compile time | anyone here |
//! | `/plain/READTOKEN/…` | whole pages without a script | who has the address for reading |
//! | `/api/self` | what the kernel says of the page's process | who has the token |
//! | `/api/stream` | the run's summary whenever it changes | who has the token |
//! | `/api/go` | POST: one of six commands | who has the token |
//! | `/api/…` | a piece of the page (`super::site`) | who has the token |
//!
//! Next: `stream`.

use super::assets;
use super::gate::Door;
use super::gate::answer::Answer;
use super::site::Kind;
use super::wire::{Command, State};

/// What a path leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route<'a> {
    Shell,
    Asset(&'a str),
    Plain(&'a str),
    Own,
    Stream,
    Go,
    Piece(&'a str),
}

/// What one must have for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs<'a> {
    Nothing,
    Token,
    ReadToken(&'a str),
}

/// A path that is there.
#[derive(Debug, PartialEq)]
pub struct Found<'a> {
    pub route: Route<'a>,
    pub needs: Needs<'a>,
    pub methods: &'static [&'static str],
    pub methods_named: &'static str,
    /// A person may open it by its address.
    pub is_page: bool,
}

/// Nothing is decoded and nothing is looked up in a file system: a path is one of these, byte by byte, or it is none.
pub fn find(target: &str) -> Option<Found<'_>> {
    let page = |route, needs| Found { is_page: true, ..asked(route, needs) };
    let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
    if let Some(piece) = path.strip_prefix("/api/") {
        // Whatever follows, a token comes first.
        let route = match piece {
            "self" => Route::Own,
            "stream" => Route::Stream,
            "go" => Route::Go,
            piece => Route::Piece(piece),
        };
        return Some(match route {
            Route::Go => Found { methods: &["POST"], methods_named: "POST", ..asked(route, Needs::Token) },
            Route::Stream => Found { methods: &["GET"], methods_named: "GET", ..asked(route, Needs::Token) },
            _ => asked(route, Needs::Token),
        });
    }
    if query.is_some() {
        return None;
    }
    if let Some(rest) = path.strip_prefix("/plain/") {
        let (token, rest) = rest.split_once('/').unwrap_or((rest, ""));
        return Some(page(Route::Plain(rest), Needs::ReadToken(token)));
    }
    match path.strip_prefix("/static/") {
        Some(name) => assets::find(name).map(|_| asked(Route::Asset(name), Needs::Nothing)),
        None => (path == "/").then(|| page(Route::Shell, Needs::Nothing)),
    }
}

fn asked<'a>(route: Route<'a>, needs: Needs<'a>) -> Found<'a> {
    Found { route, needs, methods: &["GET", "HEAD"], methods_named: "GET, HEAD", is_page: false }
}

const HTML: &str = "text/html; charset=utf-8";
const JSON: &str = "application/json";

/// The answer to a request that may.
pub fn answer(route: Route, body: &[u8], door: &Door) -> Answer {
    let missing = || Answer::refusal(404, "there is nothing of this name");
    match route {
        Route::Shell => Answer::new(200, HTML, door.board.look().site.shell().into_bytes()),
        Route::Asset(name) => assets::find(name)
            .map_or_else(missing, |asset| Answer::new(200, asset.mime, asset.text.as_bytes())),
        Route::Plain(path) => {
            let page = door.board.look().site.plain(path);
            page.map_or_else(missing, |page| Answer::new(200, HTML, page.into_bytes()))
        }
        Route::Own => Answer::new(200, JSON, door.own.facts().into_bytes()),
        Route::Piece(path) => {
            let piece = door.board.look().site.get(path);
            piece.map_or_else(missing, |piece| {
                let mime = match piece.kind {
                    Kind::Html => HTML,
                    Kind::Json => JSON,
                };
                Answer::new(200, mime, piece.body.into_bytes())
            })
        }
        Route::Go => go(body, door),
        // It is no answer that ends: the gate hands it over before.
        Route::Stream => missing(),
    }
}

fn go(body: &[u8], door: &Door) -> Answer {
    let Some(command) = Command::parse(body) else {
        return Answer::refusal(
            400,
            "this is none of the commands: next, continue, back, quit, look, or run_lesson_step with a stage's id",
        );
    };
    match door.board.look().state {
        State::Waiting => {}
        State::Busy => return Answer::refusal(409, "the build does not stand still now"),
        State::Held => {
            let why = "the terminal has a text or a shell open: leave it there, then the build hears this page again";
            return Answer::refusal(409, why);
        }
        State::Recorded | State::Over => {
            return Answer::refusal(409, "this run is over: nothing of it can be advanced");
        }
    }
    match (door.ask)(command) {
        true => Answer::new(202, JSON, &b"{}"[..]),
        false => Answer::refusal(503, "the builder cannot be told now"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_there_byte_by_byte_or_not_at_all() {
        for path in [
            "/static/../../etc/passwd",
            "/static/%2e%2e%2fetc/passwd",
            "/static//etc/passwd",
            "/static/",
            "//",
            "/..",
            "/index.html",
            "/static/page.css?x",
            "/?token=a",
            "/API/run",
            "/plain",
        ] {
            assert_eq!(find(path), None, "{path}");
        }
        assert_eq!(find("/").map(|found| found.route), Some(Route::Shell));
        assert_eq!(find("/static/page.css").map(|found| found.needs), Some(Needs::Nothing));
        let plain = find("/plain/abc/caps/anatomy").unwrap();
        assert_eq!((plain.route, plain.needs), (Route::Plain("caps/anatomy"), Needs::ReadToken("abc")));
        for path in
            ["/api/", "/api/run", "/api/../x", "/api/run?token=a", "/api/go", "/api/stream", "/api/self"]
        {
            assert_eq!(find(path).map(|found| found.needs), Some(Needs::Token), "{path}");
        }
    }
}
