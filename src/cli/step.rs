//! `learnctr step`: build a container and stand still after each stage.

use super::build::{self, Build};
use crate::engine::enter::Visit;
use crate::engine::journal::sweep;
use crate::engine::look;
use crate::engine::oom;
use crate::engine::session::{Failure, Recording, Session};
use crate::kernel::ident;
use crate::kernel::spawn::Stdio3;
use crate::kernel::tty::{self, Heard, Signals};
use crate::plan::Plan;
use crate::prepare::{Prepared, Purpose};
use crate::terminal::prompt::{self, Asked, Paged, Person};
use crate::terminal::show::{Form, Show};
use crate::terminal::{self, inside, report, stage, width};
use crate::trace::{Event, SCHEMA};
use crate::web::feed::Feed;
use crate::web::wire::{Command, State};
use std::cell::RefCell;
use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

/// Build a container, pausing after each stage
///
/// Each stage says what it asks, what is about to be called and why; then what was called and what the kernel says
/// has changed. Then it waits for a key. Without a terminal, or with --auto, it runs through. Whatever
/// happens, everything that was made is taken down at the end.
#[derive(clap::Args)]
#[command(after_help = "\
Exit status: 0 done, 1 a step was refused, 2 usage, 130 Ctrl-C, 129 and 143 SIGHUP and SIGTERM.

Examples:
  learnctr step                              a web server, stage by stage
  learnctr step --from pivot-root            the first pause is there
  learnctr step --until clone -- sh          no further than the namespaces
  learnctr step --skip seccomp               what breaks without it?
  learnctr step --auto --time                where does the time go?
  learnctr step --json | jq -c .event        for programs
  learnctr step --auto --trace web.jsonl     recorded, to be looked at later
  learnctr step --web                        in a browser too; its address is printed")]
pub struct Args {
    #[command(flatten)]
    build: Build,

    /// Do not pause
    #[arg(long, help_heading = "Stages")]
    auto: bool,

    /// Go no further than this stage, then take everything down
    #[arg(long, value_name = "STAGE", help_heading = "Stages", value_parser = build::stage)]
    until: Option<String>,

    /// Pause for the first time after this stage
    #[arg(long, value_name = "STAGE", help_heading = "Stages", value_parser = build::stage)]
    from: Option<String>,

    /// At the end, say where the time went, stage by stage
    #[arg(long)]
    time: bool,

    /// Write each event as one JSON line to standard output, and nothing else; what the command prints goes
    /// to standard error
    #[arg(long)]
    json: bool,

    /// Write the same lines into a file
    #[arg(long, value_name = "FILE")]
    trace: Option<PathBuf>,

    /// Show it as a page in a browser on this machine too, and take commands from there
    ///
    /// The page's address is printed and has a token in it; who has it can go on, back and quit, and nothing else. No
    /// browser is started: its arguments could be read by everybody on this machine, and the token with them. Without
    /// a terminal only the page goes on. After the end the page stays, until q or Ctrl-C.
    #[arg(long)]
    web: bool,
}

/// How a walk through the stages ended.
enum End {
    Done,
    /// A person at the terminal wants no more of it, the page neither.
    Quit,
    Back {
        to: usize,
    },
    Signal(i32),
    Failed(Failure),
    /// Standard output or the trace cannot be written any more.
    Broken,
}

pub fn main(args: Args) -> super::Result {
    let (prepared, mut plan) = args.build.plan(Purpose::Run { terminal: false })?;
    let exec = plan.position("exec").and_then(|exec| plan.stages.get_mut(exec));
    if let (Some(exec), false) = (exec, args.build.options.cmd.is_empty()) {
        exec.notes.push(
            "the command has nothing to read here (its standard input is /dev/null), so that a shell ends at once: the key e gives \
             one inside; `learnctr run` gives the command your terminal"
                .to_owned(),
        );
    }
    let until = args.until.as_deref().map(|id| plan.find(id)).transpose()?;
    let from = args.from.as_deref().map(|id| plan.find(id)).transpose()?.unwrap_or(0);
    let interactive = tty::is_interactive() && !args.auto && !args.json;
    let trace = args.trace.as_ref().map(|path| {
        File::create(path)
            .map_err(|error| format!("{}: {error}; the trace cannot be written", path.display()))
    });
    let form = if args.json { Form::Json } else { Form::Text };
    let show = RefCell::new(Show::new(form, interactive, trace.transpose()?, from));
    let signals = Signals::hold()?;
    let person = if interactive { Some(Person::new(&signals)?) } else { None };
    for leftover in sweep(&prepared.host.dirs.state) {
        let told = match leftover.refused.first() {
            None => "was left by a session that was killed; it is removed now".to_owned(),
            Some((step, errno)) => format!("was left by a session that was killed; {step} = {errno}"),
        };
        super::out::tell!("learnctr: container {} {told}", leftover.id);
    }
    if args.web {
        let feed = Feed::start()?;
        let words = feed.words();
        // With --json standard output is for the events.
        match form {
            Form::Text => show.borrow_mut().say(&words),
            Form::Json => super::out::tell!("{words}"),
        }
        show.borrow_mut().feed = Some(feed);
    }
    let pausing = interactive || (args.web && !args.auto);
    let mut walker =
        Walker { plan: &plan, prepared: &prepared, until, show: &show, signals: &signals, person, pausing };
    let end = walker.walks(from);
    if args.time {
        show.borrow_mut().times();
    }
    if matches!(end, End::Done | End::Failed(Failure::Refused { .. })) {
        walker.rest();
    }
    drop(walker);
    let broken = show.borrow_mut().broken.take();
    match (end, broken) {
        (End::Signal(signal), _) => Ok(ExitCode::from((128 + signal) as u8)),
        (_, Some(error)) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(format!("what happened could not be written: {error}; everything was taken down").into())
        }
        // It was shown as the last event, with its causes.
        (End::Failed(Failure::Refused { .. }), _) if form == Form::Text => Ok(ExitCode::FAILURE),
        (End::Failed(failure), _) => Err(failure.into()),
        (End::Done | End::Quit | End::Broken | End::Back { .. }, _) => Ok(ExitCode::SUCCESS),
    }
}

/// How it goes on after a pause.
enum Go {
    On,
    /// Without a pause.
    Through,
    /// To this stage, forward or back.
    To(usize),
    Done,
    Quit,
    Signal(i32),
}

/// Walks a plan, and again after going back.
struct Walker<'a> {
    plan: &'a Plan,
    prepared: &'a Prepared,
    until: Option<usize>,
    show: &'a RefCell<Show>,
    signals: &'a Signals,
    person: Option<Person<'a>>,
    pausing: bool,
}

impl Walker<'_> {
    fn walks(&mut self, mut from: usize) -> End {
        loop {
            match self.walk(from) {
                Ok(End::Back { to }) => from = to,
                Ok(end) => return end,
                Err(failure) => return End::Failed(failure),
            }
            self.show.borrow_mut().from = from;
        }
    }

    /// One walk; whatever ends it, everything is taken down.
    fn walk(&mut self, from: usize) -> Result<End, Failure> {
        let show = self.show;
        let mut tell = |event| show.borrow_mut().take(event);
        let stdio = self.stdio()?;
        let mut session = Session::new(self.plan, &self.prepared.host, Recording::Views, stdio, &mut tell)?;
        show.borrow_mut().take(self.started());
        let mut end = self.stages(&mut session, from);
        let refused = session.finish();
        // Asked to end while everything was taken down: that is done, and nothing is built again.
        if let (Some(Heard::End(signal)), End::Done | End::Back { .. }) = (self.signals.heard(), &end) {
            end = End::Signal(signal);
        }
        if let Some(person) = &mut self.person {
            person.drain(&mut show.borrow_mut());
        }
        let refused = refused.iter().map(|(step, errno)| format!("{step}: {errno}")).collect();
        show.borrow_mut().take(Event::Ended { refused });
        Ok(end)
    }

    /// At a prompt, what the container prints must not run into it.
    fn stdio(&mut self) -> Result<Stdio3, Failure> {
        let Some(person) = &mut self.person else { return Ok(Stdio3::Aside) };
        let own = |errno| Failure::Own {
            what: "pipe2(O_CLOEXEC)".to_owned(),
            errno,
            next: "`ulimit -n` is how many files may be open".to_owned(),
        };
        let (reader, writer) = std::io::pipe().map_err(|error| own(error.into()))?;
        person.listen(reader).map_err(own)?;
        Ok(Stdio3::Into(OwnedFd::from(writer)))
    }

    fn started(&self) -> Event {
        Event::Started {
            schema: SCHEMA,
            learnctr: env!("CARGO_PKG_VERSION").to_owned(),
            kernel: ident::uname().0,
            time: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()),
            plan: self.plan.printed(),
            regular: look::regular().map(Box::new),
        }
    }

    /// What was recorded stays on the page until somebody says that it is enough.
    fn rest(&mut self) {
        if self.show.borrow().feed.is_none() || self.show.borrow().broken.is_some() {
            return;
        }
        self.show.borrow_mut().state(State::Recorded);
        match &mut self.person {
            Some(person) => {
                let url = self.show.borrow().feed.as_ref().map_or_else(String::new, Feed::url);
                let text = format!(" The page shows what was recorded, until q or Ctrl-C: {url}\n");
                person.rest(&text, self.show);
            }
            None => {
                super::out::tell!(
                    "learnctr: the page shows what was recorded, until SIGINT (Ctrl-C) or SIGTERM"
                );
                while !matches!(prompt::ask_page(self.signals, self.show), Asked::End(_)) {}
            }
        }
    }

    fn stages(&mut self, session: &mut Session, mut from: usize) -> End {
        let plan = self.plan;
        let mut pausing = self.pausing;
        let mut said = false;
        let mut number = 0;
        while number < plan.stages.len() {
            let played = session.play(number..number + 1);
            if let Some(Heard::End(signal)) = self.signals.heard() {
                return End::Signal(signal);
            }
            if self.show.borrow().broken.is_some() {
                return End::Broken;
            }
            if let Err(failure) = played {
                return End::Failed(failure);
            }
            self.exited(session, &mut said);
            if self.until == Some(number) && !pausing {
                return End::Done;
            }
            if pausing && number >= from {
                match self.pause(session, number) {
                    Go::On => {}
                    Go::Through => pausing = false,
                    Go::To(stage) if stage > number => from = stage,
                    Go::To(to) => return End::Back { to },
                    Go::Done => return End::Done,
                    Go::Quit => return End::Quit,
                    Go::Signal(signal) => return End::Signal(signal),
                }
                self.exited(session, &mut said);
            }
            if self.until == Some(number) {
                return End::Done;
            }
            number += 1;
            let over = session.is_running() && session.has_ended();
            if over && number <= plan.position("stop").unwrap_or(0) {
                // Nothing is there that could be frozen or stopped.
                number = plan.position("remove").unwrap_or(plan.stages.len());
            }
        }
        End::Done
    }

    fn exited(&mut self, session: &mut Session, said: &mut bool) {
        if let Some(person) = &mut self.person {
            person.drain(&mut self.show.borrow_mut());
        }
        if session.is_running()
            && !*said
            && let Some(status) = session.status()
        {
            *said = true;
            self.show.borrow_mut().take(Event::Exited { status });
            if let Some(killed) = oom::told(self.plan) {
                super::out::tell!(" {killed}");
            }
        }
    }

    /// Stand still until a key or the page says how it goes on, whichever comes first.
    fn pause(&mut self, session: &mut Session, number: usize) -> Go {
        let show = self.show;
        let Some(planned) = self.plan.stages.get(number) else { return Go::On };
        show.borrow_mut().take(Event::Paused { stage: planned.stage.id.to_owned() });
        show.borrow_mut().state(State::Waiting);
        let go = loop {
            match self.ask(session, number) {
                Asked::Key('n') | Asked::Page(Command::Next {}) => break Go::On,
                Asked::Key('c') | Asked::Page(Command::Continue {}) => break Go::Through,
                Asked::Key('b') | Asked::Page(Command::Back {}) if number > 0 => break Go::To(number - 1),
                Asked::Key('l') | Asked::Page(Command::Look {}) => session.look_again(number, true),
                Asked::Page(Command::Quit {}) => break Go::Done,
                Asked::End(signal) => break Go::Signal(signal),
                Asked::Page(Command::RunLessonStep { id }) => {
                    // This plan may leave it out.
                    if let Some(stage) = self.plan.position(id.0) {
                        break Go::To(stage);
                    }
                }
                // Before the first stage there is none.
                Asked::Page(Command::Back {}) | Asked::Redraw => {}
                Asked::Key(_) => break Go::Quit,
            }
        };
        show.borrow_mut().state(State::Busy);
        go
    }

    /// What is asked for next; what only the terminal shows is shown meanwhile.
    fn ask(&mut self, session: &mut Session, number: usize) -> Asked {
        let (plan, show) = (self.plan, self.show);
        let Some(planned) = plan.stages.get(number) else { return Asked::Key('n') };
        let last = self.until == Some(number);
        let next = match plan.stages.get(number + 1).filter(|_| !last) {
            Some(next) => format!("next: {}, {}", next.stage.id, next.stage.question),
            None => "next: everything is taken down".to_owned(),
        };
        let Some(person) = &mut self.person else { return prompt::ask_page(self.signals, show) };
        // A text that is on the screen is left by q, as in a pager; only then does q take everything down.
        let mut reading = false;
        loop {
            let prompt = if reading { format!("{next} (q leaves this text)") } else { next.clone() };
            let asked = person.ask(&prompt, show);
            if show.borrow().broken.is_some() {
                return Asked::Key('q');
            }
            let Asked::Key(key) = asked else {
                if asked == Asked::Redraw {
                    show.borrow_mut().again();
                    continue;
                }
                return asked;
            };
            let text = match key {
                'q' if reading => {
                    reading = false;
                    show.borrow_mut().again();
                    continue;
                }
                'n' | 'c' | 'q' | 'l' => return asked,
                'b' if number > 0 => return asked,
                'b' => "\n There is no stage before this one.\n".to_owned(),
                'r' => {
                    reading = false;
                    show.borrow_mut().again();
                    continue;
                }
                'a' => {
                    let show = show.borrow();
                    show.last.as_ref().map_or(String::new(), |last| stage::all(&last.steps, width()))
                }
                'd' => {
                    let show = show.borrow();
                    let diff = show.last.as_ref().and_then(|last| last.diff.as_ref());
                    diff.map_or(String::new(), |diff| terminal::diff::render(diff, width()))
                }
                'v' => session.view().map_or(String::new(), |view| terminal::view::render(view, width())),
                'o' => inside::both(visit(session, plan, number), planned.stage, width()),
                'e' => {
                    // The shell has the terminal: what the page asks for meanwhile would come as a surprise after it.
                    show.borrow_mut().state(State::Held);
                    let came = visit(session, plan, number)
                        .and_then(|visit| inside::shell(person, &visit, planned.stage.id));
                    show.borrow_mut().state(State::Waiting);
                    match came {
                        Ok(Some(end)) => return end,
                        // What was done in there is seen at once, here and on the page.
                        Ok(None) => {
                            session.look_again(number, false);
                            continue;
                        }
                        Err(why) => format!(" {why}\n"),
                    }
                }
                'h' => report::why(planned.stage, width()),
                '?' => {
                    report::help(width()) + &show.borrow().feed.as_ref().map_or_else(String::new, Feed::words)
                }
                _ => continue,
            };
            let text = if text.is_empty() { " There is nothing to show.\n".to_owned() } else { text };
            match person.page(&text, show) {
                Paged::Here => reading = true,
                Paged::Left => reading = false,
                Paged::End(end) => return end,
            }
        }
    }
}

/// The container as one can go into it now; or why not.
fn visit<'a>(session: &mut Session, plan: &'a Plan, number: usize) -> Result<Visit<'a>, String> {
    let Some(pid) = session.pid() else {
        return Err(
            "There is no process of the container yet: the first is made by the stage userns or clone."
                .to_owned(),
        );
    };
    if session.has_ended() {
        return Err("The container's first process has ended, and its namespaces with it.".to_owned());
    }
    if plan.stages.get(number).is_some_and(|planned| planned.stage.id == "freeze") {
        return Err(
            "The group is frozen: whoever enters it stands still as well. After thaw it can be entered."
                .to_owned(),
        );
    }
    Ok(Visit { plan, played: number + 1, pid })
}
