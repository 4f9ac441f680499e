// What is shown? The run, and of it the place: each part of the page is painted from these two alone.
const BUSY = { busy: "The build goes on …", held: "The terminal has a text or a shell open: leave it there, then the build hears this page again." };
const SHAPES = { done: "✓", waiting: "○", entered: "◐", failed: "✕" };
let run = null;
let place = { stage: LIVE };
let here = 0; // which stage is shown

const stageId = () => run.stages[here]?.id;
const numberOf = (id) => run.stages.findIndex((stage) => stage.id === id);
const isLive = () => !archive && run && !run.over && !["recorded", "over"].includes(builder);

function newRun(next) {
  // A build that is taken back begins anew; until its plan is known, what was is shown.
  if (run && !next.stages.length) return;
  // It counts from the start again when the page's process is a new one: then nothing known is of this run for sure.
  if (run && (next.version < run.version || next.time !== run.time)) answered.clear();
  const first = !run || run.stages.length !== next.stages.length || run.container !== next.container;
  const looked = run && !first && next.stages.find((stage, number) => stage.looks > run.stages[number].looks);
  run = next;
  if (looked) say(`${looked.id} was looked at again: ${looked.news ? plural(looked.news, "change") : "nothing has changed"} since it was done.`, true);
  if (first) {
    paintHead();
    run.stages.length && buildStages();
    buildViews();
    buildBars();
  }
  visit(read(location.hash), { replace: true });
}

// Go to a place; the address says so, and what it cannot say right is healed.
function visit(wanted, { replace } = {}) {
  if (!run?.stages.length) return $("drawing").replaceChildren(make("p", { class: "lock" }, "The run has not begun: its plan is not known yet."));
  const { whole, wrong } = healed(wanted, run);
  const address = written(whole);
  // A browser refuses to write hundreds of addresses in a few seconds: the last is written when one comes to rest.
  if (address !== location.hash) try { history[replace || wrong.length ? "replaceState" : "pushState"](null, "", address); } catch { /* shown all the same */ }
  if (wrong.length) say(`The address was put right: ${wrong.join(", ")}.`, true);
  // Who asks for a drawing sees it, also where the panel alone was shown.
  if (whole.view !== place.view) document.body.classList.remove("panelled");
  place = whole;
  here = place.stage === LIVE ? run.current : Math.max(0, numberOf(place.stage));
  paint();
}

function paint() {
  paintRun();
  paintStages();
  paintViews();
  paintBars();
  const id = stageId();
  put("drawing", `drawing/${id}/${place.view}`);
  put("panel", `panel/${id}`);
  announce();
  ahead();
}

function paintHead() {
  const { container, kernel, time } = run;
  const day = new Date(time * 1000).toLocaleString("en-GB", { dateStyle: "medium", timeStyle: "short" });
  $("run").replaceChildren(...[["container", container], ["kernel", kernel], ["on", day]].flatMap(
    ([name, value]) => [make("span", {}, `${name} `, make("b", {}, value)), " "]));
}

function paintRun() {
  $("build").hidden = !isLive();
  const waiting = builder === "waiting";
  const coming = run.stages[run.current + 1];
  $("waits").replaceChildren(...waiting ? ["The build waits after ", make("b", {}, run.stages[run.current]?.id || "nothing")] : [BUSY[builder] || BUSY.busy]);
  for (const button of $("build").querySelectorAll("button")) button.disabled = !waiting;
  $("next").title = coming ? `Next: ${coming.id}` : "";
  $("live").hidden = !isLive() || place.stage === LIVE;
  showState();
}

function showState() {
  if (!run) return;
  const stale = !archive && performance.now() - heard > STALE;
  const word = stale ? "stale" : isLive() ? "live" : "recorded";
  const shape = { stale: "▲", live: "●", recorded: "■" }[word];
  const state = $("state");
  if (state.dataset.state === word) return;
  state.dataset.state = word;
  state.textContent = `${shape} ${word.toUpperCase()}`;
  state.title = {
    stale: "learnctr was not heard for 5 seconds; what is shown is the last that is known.",
    live: "The build is going on, or waits for you.", recorded: "The run is over; everything of it was recorded.",
  }[word];
  if (stale) say("Stale: learnctr is not heard any more. What this tab has seen stays in it; the rest is gone if learnctr has ended.", true);
}

function buildStages() {
  const items = run.stages.map((stage) => make("li", {}, make("a", { title: stage.title },
    make("span", { class: "shape", "aria-hidden": "true" }), make("b", {}, stage.id), make("span", { class: "size" }), make("small", {}))));
  $("stages").replaceChildren(make("ol", {}, ...items));
}

function paintStages() {
  const links = $("stages").querySelectorAll("a");
  run.stages.forEach((stage, number) => {
    const link = links[number];
    if (!link) return;
    const [shape, name, size, more] = link.children;
    const words = stage.id === place.diff ? "◁ compared with" : run.current === number && isLive() && builder === "waiting" ? "the build waits"
      : stage.state === "done" && stage.micros ? `done · ${duration(stage.micros)}`
      : stage.state === "waiting" && run.over ? "not reached" : stage.state;
    const address = written({ ...place, stage: stage.id });
    if (link.getAttribute("href") !== address) link.href = address;
    if (more.textContent !== words || link.dataset.state !== stage.state || size.dataset.size !== String(stage.changes)) {
      link.className = stage.state;
      Object.assign(link.dataset, { stage: stage.id, state: stage.state });
      shape.textContent = SHAPES[stage.state];
      name.textContent = stage.id;
      size.dataset.size = stage.changes;
      size.replaceChildren(...stage.changes ? [`${stage.changes}`, make("span", { class: "unseen" }, stage.changes === 1 ? " change" : " changes")] : []);
      size.title = plural(stage.changes, "change");
      more.textContent = words;
    }
    mark(link, "aria-current", number === here && "step");
    link.classList.toggle("base", stage.id === place.diff);
    if (number === here && !link.classList.contains("here")) requestAnimationFrame(() => link.scrollIntoView({ block: "nearest", inline: "nearest" }));
    link.classList.toggle("here", number === here);
  });
}

function mark(node, name, value) {
  if (value === false || value === null) node.removeAttribute(name);
  else node.setAttribute(name, value);
}

function buildViews() {
  $("views").replaceChildren(...run.views.map((view, number) => make("a", { title: view.title, "data-view": view.id },
    make("kbd", { "aria-hidden": "true" }, String((number + 1) % 10)), " ", view.id)));
}

function paintViews() {
  for (const link of $("views").children) {
    link.href = written({ ...place, view: link.dataset.view });
    const now = link.dataset.view === place.view;
    if (now && !link.hasAttribute("aria-current")) link.scrollIntoView({ block: "nearest", inline: "nearest" });
    mark(link, "aria-current", now && "page");
  }
}

// The pieces on the page: what is known is shown at once, what is newer when it has come.
const slots = {};
const shown = {};

function put(slot, path) {
  slots[slot] = path;
  const had = known(path);
  if (had) swap(slot, path, had);
  if (had && had.version >= run.version) return;
  learn(path, run.version).then((piece) => {
    if (slots[slot] !== path) return;
    swap(slot, path, piece);
    if (piece.version < run.version) put(slot, path);
  }).catch(() => {
    if (slots[slot] === path && shown[slot]?.path !== path) {
      $(slot).replaceChildren(make("p", { class: "why" }, "This part has not come: learnctr does not answer."));
    }
  });
}

function swap(slot, path, piece) {
  piece.node ||= prepare(slot, piece.text);
  const now = shown[slot];
  const other = now?.piece !== piece || now.of !== piece.node;
  if (other) {
    const same = now?.path === path;
    const live = $(slot).firstElementChild;
    if (slot === "drawing") unsign();
    // A picture turns into the next one where it differs; a panel is another text, read from its start.
    if (slot === "drawing" && live?.className === "piece" && live.firstElementChild?.dataset.view === piece.node.firstElementChild?.dataset.view) turn(live.firstElementChild, piece.node.firstElementChild);
    else $(slot).replaceChildren(piece.node.cloneNode(true));
    if (!same && scrolls[slot]) $(slot).scrollTop = 0;
    shown[slot] = { path, piece, of: piece.node };
  }
  if (slot === "panel") { unfold(); compare(); }
  if (slot === "drawing") {
    const [, stage, view] = path.split("/");
    Object.assign($(slot).dataset, { stage, view });
    if (other) tabulate(piece);
    signs();
  }
  light();
  search.again();
}

// How far each slot is scrolled, so that it need not be asked: that would cost a layout.
const scrolls = {};

// Make what is shown equal to what is wanted, touching only what differs: a step through stages changes few of hundreds of
// objects, and what is not touched is not laid out again.
function turn(live, wanted) {
  const row = live.nodeName === "TR" || live.nodeName === "g" && live.classList.contains("row");
  // A row that stands elsewhere need not be laid out again.
  const moved = row && wanted.getAttribute("transform");
  if (moved && live.getAttribute("transform") !== moved) live.setAttribute("transform", moved);
  if ((row || !live.firstElementChild) && live.isEqualNode(wanted)) return;
  // What has the focus keeps it.
  if (row && !live.contains(document.activeElement)) return live.replaceWith(wanted.cloneNode(true));
  if (live.nodeType !== wanted.nodeType || live.nodeName !== wanted.nodeName) return live.replaceWith(wanted.cloneNode(true));
  if (live.nodeType !== Node.ELEMENT_NODE) { live.data = wanted.data; return; }
  for (const { name } of [...live.attributes]) if (!wanted.hasAttribute(name)) live.removeAttribute(name);
  for (const { name, value } of wanted.attributes) if (live.getAttribute(name) !== value) live.setAttribute(name, value);
  const [had, wants] = [[...live.childNodes], [...wanted.childNodes]];
  wants.forEach((child, number) => had[number] ? turn(had[number], child) : live.append(child.cloneNode(true)));
  for (const child of had.slice(wants.length)) child.remove();
}

function prepare(slot, text) {
  if (text === null) return markup("<p class=why>There is nothing of this in the run.</p>");
  const node = markup(text);
  if (slot === "drawing") {
    objects(node);
    const facts = node.querySelector(".facts");
    if (facts) {
      node.facts = facts.cloneNode(true);
      facts.replaceChildren();
      node.append(facts);
    }
  }
  return node;
}

// The table is as large as the picture, and is not seen: it follows where one stays, so that who scrubs does not wait for it.
function tabulate(piece) {
  const place = $("drawing");
  const fill = () => {
    if (shown.drawing?.piece !== piece) return;
    const facts = place.querySelector(".facts");
    if (facts) turn(facts, piece.node.facts);
    place.removeAttribute("aria-busy");
    signTable();
    light();
    search.again();
  };
  place.setAttribute("aria-busy", "true");
  clearTimeout(tabulate.timer);
  if (document.body.classList.contains("table")) fill();
  else tabulate.timer = setTimeout(fill, 60);
}

// What was opened or closed by hand stays so from stage to stage.
const folds = new Map();
function unfold() {
  for (const fold of $("panel").querySelectorAll("details")) fold.open = folds.get(fold.dataset.fold) ?? fold.open;
}

function watchSlots() {
  $("panel").addEventListener("click", (event) => {
    const fold = event.target.closest("summary")?.parentNode;
    if (fold) folds.set(fold.dataset.fold, !fold.open);
  });
  for (const slot of ["drawing", "panel"]) $(slot).addEventListener("scroll", () => { scrolls[slot] = $(slot).scrollTop; }, { passive: true });
}

// The neighbours are made ready while nothing happens, so that a step to them is a swap.
function ahead() {
  clearTimeout(ahead.timer);
  ahead.timer = setTimeout(() => {
    for (const number of [here + 1, here - 1]) {
      const id = run.stages[number]?.id;
      if (!id) continue;
      // One that is not over yet is asked for when it is looked at.
      for (const [slot, path] of [["drawing", `drawing/${id}/${place.view}`], ["panel", `panel/${id}`]]) {
        learn(path, run.version).then((piece) => { piece.node ||= prepare(slot, piece.text); }).catch(() => {});
      }
    }
  }, 120);
}

// A stage change is said once, however fast one scrubs.
function announce() {
  const stage = run.stages[here];
  const now = `${stage.id} ${stage.state}`;
  if (announce.last === now) return;
  announce.last = now;
  const text = `${stage.id}, stage ${here + 1} of ${run.stages.length}, ${stage.state}: ${stage.title}. ${plural(stage.changes, "change")}.`;
  clearTimeout(announce.timer);
  announce.timer = setTimeout(() => {
    document.title = `${stage.id} · ${run.container} · learnctr`;
    say(text);
  }, 400);
}
