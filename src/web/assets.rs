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
        // Small files, each one idea, in the order in which they read: to a browser they are one.
        text: concat!(
            include_str!("../../web/script/1-dom.js"),
            include_str!("../../web/script/2-address.js"),
            include_str!("../../web/script/3-source.js"),
            include_str!("../../web/script/4-stream.js"),
            include_str!("../../web/script/5-paint.js"),
            include_str!("../../web/script/6-objects.js"),
            include_str!("../../web/script/7-scrubber.js"),
            include_str!("../../web/script/8-compare.js"),
            include_str!("../../web/script/9-keys.js"),
            include_str!("../../web/script/a-page.js"),
        ),
    },
];

pub fn find(name: &str) -> Option<&'static Asset> {
    TABLE.iter().find(|asset| asset.name == name)
}
