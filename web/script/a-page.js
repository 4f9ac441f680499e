// Where does it begin? With the token and the first look at the run; then every event leads to a place.
const THEMES = ["system", "light", "dark"];

function paintTheme() {
  const wanted = kept.get("theme") || "system";
  const theme = document.body.classList.contains("workshop") ? "light" : wanted;
  mark(document.documentElement, "data-theme", theme === "system" ? null : theme);
  $("theme").textContent = `Theme: ${wanted}`;
}

// Nothing is shown without the token; this says where it is.
function lock(why) {
  document.body.classList.add("locked");
  $("drawing").replaceChildren(make("div", { class: "lock" },
    make("h2", {}, why === "wrong" ? "This address is an old one" : "This address is not whole"),
    make("p", {}, why === "wrong" ? "The token in it is not the one of the learnctr that answers here."
      : "What a page like this shows is for whoever started it: its address ends in a token, which this tab does not have."),
    make("p", {}, "Open the address that learnctr printed in the terminal, all of it:"),
    make("pre", {}, `${location.origin}/#token=…`),
    make("p", {}, "A link that somebody sent you has no token in it: open your own learnctr first, then the link’s part from #/ on in the same tab.")));
  if (why === "wrong") sessionStorage.removeItem("token");
}

// What the kernel says of the process that serves this page.
async function showSelf() {
  const answer = await ask("self");
  if (!answer.ok) return;
  const self = await answer.json();
  const says = Object.fromEntries(self.status);
  const none = ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"].every((set) => /^0+$/.test(says[set]));
  $("self").textContent = `This page is served by process ${self.pid}: ` + [
    `uid ${says.Uid.split("\t")[1]}`, none ? "no capabilities" : `CapEff ${says.CapEff}`,
    says.NoNewPrivs === "1" && "no_new_privs", says.Seccomp === "2" && "a seccomp filter",
    ...self.steps.filter((step) => step.refused).map((step) => `not ${step.call}: ${step.refused}`),
  ].filter(Boolean).join(", ");
}

async function begin() {
  paintTheme();
  takeToken();
  document.addEventListener("keydown", pressed);
  watchSlots();
  watchObjects();
  watchScrubber();
  const doing = { next: advance, undo: () => order({ do: "back" }), rest: () => order({ do: "continue" }), quit: () => order({ do: "quit" }), look: again, search: search.open, help: "?", workshop: "w", live: "l" };
  for (const [id, what] of Object.entries(doing)) {
    $(id).onclick = typeof what === "function" ? what : () => KEYS.find(([key]) => key === what)[3]({});
  }
  $("theme").onclick = () => {
    kept.set("theme", THEMES[(THEMES.indexOf(kept.get("theme") || "system") + 1) % THEMES.length]);
    paintTheme();
  };
  $("find").oninput = search.again;
  document.addEventListener("click", (event) => {
    if (event.target.closest("[data-do=d]")) { place.diff = null; pickBase(); }
    const skip = event.target.closest("a.skip");
    if (skip) { event.preventDefault(); $("drawing").focus(); }
  });
  window.addEventListener("hashchange", arrived);
  if (archive) return newRun(JSON.parse(known("run").text));
  await enter();
}

function arrived() {
  if (location.hash.startsWith("#token=")) {
    takeToken();
    location.reload();
  } else visit(read(location.hash), { replace: true });
}

async function enter() {
  if (!token()) return lock("none");
  follow();
  try {
    const answer = await ask("run");
    if (answer.status === 401) return lock("wrong");
    const data = await answer.text();
    if (answer.ok && !run) hear({ data });
    showSelf();
  } catch { /* the stream tells when there is an answer */ }
}

begin();
