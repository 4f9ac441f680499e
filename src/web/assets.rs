//! What else does a page consist of? A style sheet and a script, from a table made at compile time: nothing is ever looked
//! up in a file system.

pub struct Asset {
    pub name: &'static str,
    pub mime: &'static str,
    pub text: &'static str,
}

pub static TABLE: [Asset; 2] = [
    Asset { name: "page.css", mime: "text/css; charset=utf-8", text: include_str!("../../web/page.css") },
    Asset {
        name: "page.js",
        mime: "text/javascript; charset=utf-8",
        text: include_str!("../../web/page.js"),
    },
];

pub fn find(name: &str) -> Option<&'static Asset> {
    TABLE.iter().find(|asset| asset.name == name)
}
