// Which key does what? One table: the handler and the help read it.
const search = {
  hits: [], at: 0,
  again() {
    unmark("hit", "found");
    const text = $("finder").hidden ? "" : $("find").value.trim().toLowerCase();
    search.hits = text ? [...document.querySelectorAll("#drawing .row, #drawing tr, #panel li, #panel p, #panel code")]
      .filter((node) => node.textContent.toLowerCase().includes(text))
      .filter((node, number, all) => !all.some((other) => other !== node && node.contains(other))) : [];
    for (const hit of search.hits) hit.classList.add("hit");
    // The table says what the picture says: it is counted where it is seen.
    search.hits = search.hits.filter((node) => node.closest(".facts") ? document.body.classList.contains("table") : !document.body.classList.contains("table") || !node.closest(".picture"));
    $("found").textContent = text ? search.hits.length ? plural(search.hits.length, "place") : "not here" : "";
    search.at = -1;
  },
  next(step = 1) {
    if (!search.hits.length) return;
    search.hits[search.at]?.classList.remove("found");
    search.at = (search.at + step + search.hits.length) % search.hits.length;
    const hit = search.hits[search.at];
    hit.classList.add("found");
    for (let fold = hit.closest("details"); fold; fold = fold.parentElement.closest("details")) fold.open = true;
    hit.scrollIntoView({ block: "nearest" });
    $("found").textContent = `${search.at + 1} of ${plural(search.hits.length, "place")}`;
  },
  open() { $("finder").hidden = false; $("find").focus(); $("find").select(); },
  close() { $("finder").hidden = true; search.again(); },
};

function toggle(name, to) {
  const on = document.body.classList.toggle(name, to);
  $("workshop").setAttribute("aria-pressed", document.body.classList.contains("workshop"));
  paintTheme();
  return on;
}

function why() {
  const body = document.body.classList;
  if (body.contains("workshop") || body.contains("focus")) body.toggle("panelled");
  $("panel").scrollTop = 0;
  $("panel").focus({ preventScroll: body.contains("workshop") });
}

function focusOne() {
  const panel = $("panel").contains(document.activeElement);
  if (toggle("focus")) document.body.classList.toggle("panelled", panel);
  else document.body.classList.remove("panelled");
}

async function copyAddress() {
  try { await navigator.clipboard.writeText(location.href); say("The address is copied.", true); } catch { say(location.href, true); }
}

// The page can ask for no more than these words; the builder checks them again.
async function order(what) {
  if (!isLive() || order.asked) return;
  if (builder !== "waiting") {
    say(BUSY[builder] || BUSY.busy, true);
    say.until = 0; // It may not be so any more when the next thing is said.
    return;
  }
  order.asked = true;
  try {
    const answer = await ask("go", { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(what) });
    if (!answer.ok) say(`The build stays where it is: ${await answer.text()}`, true);
    else visit({ ...place, stage: LIVE });
  } catch { say("The build stays where it is: learnctr does not answer.", true); }
  order.asked = false;
}
const advance = () => order({ do: "next" });
const again = () => order({ do: "look" });

function escape() {
  const body = document.body.classList;
  if (!$("finder").hidden) search.close();
  else if (body.contains("focus")) { toggle("focus", false); body.remove("panelled"); }
  else if (place.sel) visit({ ...place, sel: null });
  else if (place.diff) visit({ ...place, diff: null });
  else if (body.contains("workshop")) { toggle("workshop", false); body.remove("panelled"); }
  else if (document.activeElement !== document.body) document.activeElement.blur();
}

const KEYS = [
  ["ArrowLeft", "←", "the stage before", (press) => go(here - 1, { replace: press.repeat })],
  ["ArrowRight", "→", "the next stage", (press) => go(here + 1, { replace: press.repeat })],
  ["Home", "Home", "the first stage", () => go(0)],
  ["End", "End", "the last stage", () => go(run.stages.length - 1)],
  [" ", "Space", "play, pause", () => play(!scrubber.playing)],
  ["1", "1 – 9", "a drawing, by its place (0: the tenth)", null],
  ["h", "h", "why this stage is there", why],
  ["d", "d", "compare with another stage", pickBase],
  ["f", "f", "the drawing alone, or the panel if one is in it; in the workshop, all of the drawing", focusOne],
  ["/", "/", "find in drawing and panel", search.open],
  ["n", "n", "the next place found", () => search.next()],
  ["t", "t", "the table in place of the picture", () => { toggle("table"); search.again(); }],
  ["w", "w", "workshop: large, light, one panel (h changes it)", () => { toggle("workshop"); document.body.classList.remove("panelled"); }],
  ["y", "y", "copy the address", copyAddress],
  ["l", "l", "back to where the build is", () => { play(false); visit({ ...place, stage: LIVE }); }],
  ["Escape", "Esc", "leave, one thing at a time", escape],
  ["?", "?", "these keys", () => open("Keys", helpTable())],
  ["L", "Shift L", "look again: the kernel is asked once more, where the build stands", again],
  ["Shift+Enter", "Shift Enter", "the build goes on, by one stage", advance],
];

function helpTable() {
  return make("table", { class: "help" }, make("tbody", {}, ...KEYS.map(([, shown, does]) =>
    make("tr", {}, make("th", { scope: "row" }, make("kbd", {}, shown)), make("td", {}, does)))));
}

function pressed(press) {
  const from = press.target;
  if (press.ctrlKey || press.altKey || press.metaKey || press.isComposing || !run || $("dialog").open) return;
  if (from.id === "find") {
    if (press.key === "Enter") search.next(press.shiftKey ? -1 : 1);
    if (press.key === "Escape") search.close();
    return;
  }
  if (from.isContentEditable || from.matches?.("input:not([type=range]), textarea, select")) return;
  if (press.key === "Enter" && !press.shiftKey) {
    if (search.hits.length && from === document.body) search.next();
    return;
  }
  // A button that has the focus is pressed by Space.
  if (press.key === " " && from.matches?.("button, summary")) return;
  const name = press.key === "Enter" ? "Shift+Enter" : press.key;
  if (name === "Shift+Enter" && press.repeat) return;
  const view = /^\d$/.test(name) && run.views[(Number(name) + 9) % 10];
  const found = KEYS.find(([key]) => key === name);
  if (!view && !found?.[3]) return;
  press.preventDefault();
  if (view) visit({ ...place, view: view.id });
  else found[3](press);
}
