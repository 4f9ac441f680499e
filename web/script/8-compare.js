// What is different from another stage, any one? Its changes stand where those from the stage before would.
function compare() {
  const at = $("panel").querySelector(".changes");
  if (!at) return;
  const before = run.stages[here - 1]?.id;
  const base = place.diff && place.diff !== stageId() ? place.diff : null;
  at.classList.toggle("compared", !!base);
  const bar = at.querySelector(".compare") || at.insertBefore(make("p", { class: "compare" }), at.firstChild);
  bar.replaceChildren(make("button", { type: "button", "data-do": "d" }, base ? "Compare with another" : "Compare", " ", make("kbd", {}, "d")));
  if (base) {
    const turn = make("button", { type: "button" }, "The other way round");
    turn.onclick = () => visit({ ...place, stage: base, diff: stageId() });
    const end = make("button", { type: "button" }, before ? `Back to ${before}` : "End");
    end.onclick = () => visit({ ...place, diff: null });
    bar.append(" ", turn, " ", end);
  }
  const name = (from, to) => { const small = at.querySelector("h3 small"); if (small) small.textContent = `${from ?? "nothing"} → ${to}`; };
  name(base ?? before, stageId());
  const path = base ? `changes/${stageId()}/${base}` : null;
  if ((at.dataset.path || "") === (path || "") && !archive) return;
  // In a panel of its own it is brought to where it is seen.
  if (path && at.dataset.path !== path) {
    const panel = $("panel");
    // Where the panel is below the drawing the page itself moves there, but not again with each step.
    if (panel.scrollHeight > panel.clientHeight) panel.scrollTop += at.getBoundingClientRect().top - panel.getBoundingClientRect().top - 16;
    else if (compare.base !== base) at.scrollIntoView();
  }
  compare.base = base;
  at.dataset.path = path || "";
  const body = at.querySelector(".told");
  at.plain ||= [...body.childNodes];
  if (!base) return body.replaceChildren(...at.plain);
  const fill = (piece) => {
    if (at.dataset.path !== path) return;
    const told = piece.text && markup(piece.text).querySelector(".told");
    if (told) body.replaceChildren(...told.childNodes);
    else body.replaceChildren(make("p", {}, `There is nothing to compare: of ${stageId()} and ${base}, at least one has no view.`));
  };
  // A file holds what changed in the order in which it happened; then that is what is shown, and said.
  const turned = archive && known(path).text === null && known(`changes/${base}/${stageId()}`);
  if (turned?.text) { name(stageId(), base); fill(turned); }
  else learn(path, run.version).then(fill).catch(() => { at.dataset.path = ""; });
}

function pickBase() {
  if (place.diff) return visit({ ...place, diff: null });
  const list = run.stages.map((stage, number) => {
    const pick = make("button", { type: "button", disabled: number === here || stage.state !== "done" }, make("small", {}, String(number + 1)), make("b", {}, stage.id), make("span", {}, stage.title));
    pick.onclick = () => { $("dialog").close(); visit({ ...place, diff: stage.id }); };
    return make("li", {}, pick);
  });
  open(`Compare ${stageId()} with`, make("ol", { class: "pick" }, ...list));
}

function open(title, ...body) {
  const close = make("button", { type: "button", class: "close" }, "Close ", make("kbd", {}, "Esc"));
  close.onclick = () => $("dialog").close();
  $("dialog").replaceChildren(make("h2", { id: "asks" }, title), ...body, close);
  $("dialog").showModal();
}
