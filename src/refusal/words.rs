//! How does a cause name what it is about here? `{path}` and the like in a pitfall's text are put in.
//!
//! Next: `crate::stages::pitfalls`, the texts.

use super::Scene;
use crate::step::{At, Step};

impl Scene<'_> {
    /// A pitfall's text with what is in braces put in.
    pub fn say(&self, text: &str) -> String {
        let mut said = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            said.push_str(before);
            let Some((name, after)) = after.split_once('}') else {
                said.push('{');
                rest = after;
                continue;
            };
            said.push_str(&self.word(name));
            rest = after;
        }
        said + rest
    }

    fn word(&self, name: &str) -> String {
        let shown = |path: Option<std::path::PathBuf>| path.map(|path| path.display().to_string());
        let word =
            match name {
                "call" => Some(self.call_name()),
                "errno" => Some(self.errno.name()),
                "path" => self.at_path().map(|at| match at {
                    At::Host(path) => path.display().to_string(),
                    At::Root(path) => format!("{} inside", path.display()),
                    At::Proc(path) => format!("/proc/{} inside", path.display()),
                }),
                "source" => shown(self.source()),
                "group" => shown(self.group()),
                "above" => shown(self.group().and_then(|group| Some(group.parent()?.to_owned()))),
                "nearest" => shown(self.nearest()),
                "full" => shown(self.full_of_processes()),
                "upper" => shown(self.upper()),
                "upperfs" => self.upper().and_then(|upper| self.fstype(&upper)),
                "obstacle" => {
                    let all: Vec<String> = self.obstacles().map(|obstacle| obstacle.to_string()).collect();
                    Some(all.join("; ")).filter(|all| !all.is_empty())
                }
                "fstype" => self.asked_mount().map(|(kind, _)| kind.to_owned()),
                "options" => self.asked_mount().map(|(_, data)| data.to_owned()),
                "controller" => self.controller(),
                "file" => self.group_file().map(|(file, _)| file),
                "text" => self.group_file().map(|(_, text)| text.to_owned()),
                "cap" => self.missing_cap(),
                "kernel" => Some(self.host.kernel.clone()),
                "label" => self.host.lsm.label.clone(),
                "limit" => self.namespace_limit(self.namespace_flags()).map(|(name, _)| name),
                "id" => self.unmapped_id().map(|id| id.to_string()),
                "user" => Some(self.host.user.clone().unwrap_or_else(|| self.host.uid.to_string())),
                "sudo" => Some(if self.host.uid == 0 { String::new() } else { "sudo ".to_owned() }),
                "range" => Some(crate::doctor::mend::give_range(self.host)),
                "data" => Some(self.host.dirs.data.display().to_string()),
                "covered" => self.covered_proc().map(|all| {
                    all.iter().take(3).map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ")
                }),
                "command" => self.command().and_then(|command| command.args.first().cloned()),
                "search" => Some(self.search_path().to_owned()),
                "program" => shown(self.program().and_then(|found| found.path().map(ToOwned::to_owned))),
                "interpreter" => {
                    shown(self.program().and_then(|found| found.interpreter().map(ToOwned::to_owned)))
                }
                "resource" => match self.step() {
                    Step::Prlimit { resource, .. } => Some(resource.clone()),
                    _ => None,
                },
                "ulimit" => match self.step() {
                    Step::Prlimit { resource, .. } => self.host.limits.get(resource).map(|limit| {
                        limit.hard.map_or_else(|| "unlimited".to_owned(), |hard| hard.to_string())
                    }),
                    _ => None,
                },
                "score" => Some(self.host.oom_score_adj.to_string()),
                _ => None,
            };
        word.unwrap_or_else(|| "what the call names".to_owned())
    }
}
