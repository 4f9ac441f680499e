//! How did it come to this (5.10.2)? The kernel, the engines and what manages many, each with its dates, from
//! web/data/timeline.json; where the chapter names another year, that is said.

use super::{Draw, Drawing};
use crate::web::run::Run;
use crate::web::scene::{Panel, Row, Scene, Side, Tone};
use serde::Deserialize;

pub const DRAWING: Drawing = Drawing {
    id: "timeline",
    title: "How it came to this",
    section: "5.10.2",
    stages: &[],
    draw: Draw::Run(draw),
};

const DATA: &str = include_str!("../../../web/data/timeline.json");

/// One thing that happened.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    /// A day, or a month where sources name different days.
    date: String,
    lane: Lane,
    what: String,
    means: String,
    source: String,
    /// The year that the chapter names, where it names one.
    chapter: Option<String>,
}

#[derive(Clone, Copy, Deserialize, PartialEq)]
#[serde(rename_all = "snake_case")]
enum Lane {
    Kernel,
    Engine,
    Many,
}

impl Entry {
    /// `2023+` is that year and all after it.
    fn agrees(&self, chapter: &str) -> bool {
        let year = self.date.get(..4).unwrap_or_default();
        chapter.strip_suffix('+').map_or(year == chapter, |from| year >= from)
    }

    fn rows(&self) -> Vec<Row> {
        let site = self.source.split('/').nth(2).unwrap_or_default().trim_start_matches("www.");
        let mut rows = vec![
            Row::new(&self.date, &self.what),
            Row::new("", format!("{} ({site})", self.means)).tone(Tone::Off),
        ];
        if let Some(chapter) = &self.chapter {
            rows.push(match self.agrees(chapter) {
                true => Row::new("chapter", format!("{chapter}, too")),
                false => Row::new("chapter", format!("{chapter}: differs")).tone(Tone::Refused),
            });
        }
        rows
    }
}

fn entries() -> Vec<Entry> {
    // That it is right is a test; a page without it is better than none.
    serde_json::from_str(DATA).unwrap_or_default()
}

fn draw(run: &Run, _: usize) -> Option<Scene> {
    let entries = entries();
    let lane = |lane, id, side, title| {
        let of = entries.iter().filter(|entry| entry.lane == lane);
        Panel::new(id, side, title).rows(of.flat_map(Entry::rows))
    };
    let mut kernel = lane(Lane::Kernel, "kernel", Side::Kernel, "The kernel");
    if let Some(begun) = &run.begun {
        kernel.rows.push(Row::new("this run", format!("Linux {}", begun.kernel)));
    }
    let differs =
        entries.iter().filter(|entry| entry.chapter.as_ref().is_some_and(|year| !entry.agrees(year)));
    Some(Scene {
        says: format!(
            "What a container is made of is older than its name: the kernel had most of it before there was Docker. In {} places the chapter names another year than the sources do.",
            differs.count()
        ),
        columns: vec![
            vec![kernel],
            vec![lane(Lane::Engine, "engine", Side::Container, "Engines and standards")],
            vec![lane(Lane::Many, "many", Side::Host, "Many containers")],
        ],
        ..Scene::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_date(date: &str) -> bool {
        let parts: Vec<&str> = date.split('-').collect();
        let within = |part: Option<&&str>, most| {
            part.is_none_or(|text| text.len() == 2 && text.parse().is_ok_and(|n: u8| (1..=most).contains(&n)))
        };
        matches!(parts.len(), 2 | 3)
            && parts[0].parse().is_ok_and(|year: u16| (1970..2100).contains(&year))
            && within(parts.get(1), 12)
            && within(parts.get(2), 31)
    }

    #[test]
    fn the_data_is_in_order_and_each_date_has_its_source() {
        let entries: Vec<Entry> = serde_json::from_str(DATA).unwrap();
        assert!(entries.len() > 10);
        for entry in &entries {
            let what = &entry.what;
            assert!(is_date(&entry.date), "{what}: {}", entry.date);
            assert!(entry.source.starts_with("https://") && !entry.source.contains(' '), "{what}");
            assert!(!what.is_empty() && !entry.means.is_empty() && !entry.means.ends_with('.'), "{what}");
        }
        assert!(entries.is_sorted_by(|a, b| a.date <= b.date));
        for lane in [Lane::Kernel, Lane::Engine, Lane::Many] {
            assert!(entries.iter().any(|entry| entry.lane == lane));
        }
    }

    #[test]
    fn a_year_agrees_with_itself_and_an_open_one_with_all_after() {
        let entry = |date: &str| Entry {
            date: date.into(),
            lane: Lane::Many,
            what: String::new(),
            means: String::new(),
            source: String::new(),
            chapter: None,
        };
        assert!(entry("2015-07-21").agrees("2015"));
        assert!(!entry("2014-06-09").agrees("2015") && !entry("2016-06-09").agrees("2015"));
        assert!(
            entry("2024-01").agrees("2023+")
                && entry("2023-01").agrees("2023+")
                && !entry("2022-10").agrees("2023+")
        );
    }
}
