// What is the same thing? What has the same key: it lights up everywhere, and can be chosen.
const lit = (key) => document.querySelectorAll(`[data-same="${CSS.escape(key)}"]`);

function hover(key) {
  for (const node of document.querySelectorAll(".hover")) node.classList.remove("hover");
  if (key) for (const node of lit(key)) node.classList.add("hover");
}

// A choice is a key, or the part of it that a person would write: veth of if:veth.
function light() {
  for (const node of document.querySelectorAll(".chosen")) node.classList.remove("chosen");
  if (!place.sel) return;
  for (const node of document.querySelectorAll("[data-same]")) {
    const key = node.dataset.same;
    if (key === place.sel || key.slice(key.indexOf(":") + 1) === place.sel || key.split(":")[0] === place.sel) node.classList.add("chosen");
  }
}

function choose(key) {
  visit({ ...place, sel: place.sel === key ? null : key });
}

// In the table, which keys and readers reach, each object is a button; the picture shows which one has the focus.
function objects(node) {
  const buttons = [];
  const rows = [...node.querySelectorAll(".picture .row")];
  [...node.querySelectorAll(".facts tr")].forEach((line, number) => {
    if (!line.dataset.same) return;
    const cell = [...line.cells].find((one) => one.textContent.trim());
    if (!cell) return;
    const button = make("button", { type: "button", tabindex: buttons.length ? "-1" : "0" });
    button.append(...cell.childNodes);
    cell.append(button);
    button.addEventListener("focus", () => { hover(line.dataset.same); rows[number]?.classList.add("focused"); });
    button.addEventListener("blur", () => { hover(null); rows[number]?.classList.remove("focused"); });
    buttons.push(button);
  });
  node.addEventListener("keydown", (press) => {
    const at = buttons.indexOf(document.activeElement);
    const step = { ArrowDown: 1, ArrowUp: -1 }[press.key];
    if (at < 0 || !step) return;
    press.preventDefault();
    const next = buttons[Math.min(Math.max(at + step, 0), buttons.length - 1)];
    buttons[at].tabIndex = -1;
    next.tabIndex = 0;
    next.focus();
  });
}

function watchObjects() {
  const keyOf = (event) => event.target.closest?.("[data-same]")?.dataset.same;
  document.addEventListener("pointerover", (event) => hover(keyOf(event)));
  $("drawing").addEventListener("click", (event) => { const key = keyOf(event); if (key) choose(key); });
}

// What is new here (+) or other (~) than in the stage before, or in the one that is compared with, has its sign in the drawing.
const rowsOf = (node) => {
  let label = "";
  return [...node.querySelectorAll(".picture .row")].map((row) => {
    const at = row.parentNode.dataset.box;
    label = row.querySelector(".label")?.textContent || label;
    return { row, at, name: `${at} ${label}`, value: row.querySelector(".value")?.textContent || "" };
  });
};

function signs() {
  const now = shown.drawing;
  const base = place.diff || run.stages[here - 1]?.id;
  if (!base || !now) return;
  const path = `drawing/${base}/${place.view}`;
  learn(path, 0).then((before) => {
    if (shown.drawing !== now || now.piece.signs === base) return;
    now.piece.signs = base;
    for (const sign of now.node.querySelectorAll(".sign")) sign.remove();
    before.node ||= prepare("drawing", before.text);
    const had = new Map();
    const boxes = new Set();
    for (const { at, name, value } of rowsOf(before.node)) {
      boxes.add(at);
      had.set(name, [...had.get(name) || [], value]);
    }
    const lines = now.node.querySelectorAll(".facts tbody tr");
    rowsOf(now.node).forEach(({ row, at, name, value }, number) => {
      const values = had.get(name);
      if (!boxes.has(at) || values?.includes(value)) return;
      const rect = row.querySelector("rect");
      const sign = document.createElementNS("http://www.w3.org/2000/svg", "text");
      const was = values ? `~ before: ${values.join(", ")}` : "+ new here";
      sign.setAttribute("class", values ? "sign changed" : "sign added");
      sign.setAttribute("x", Number(rect.getAttribute("x")) - 1);
      sign.setAttribute("y", Number(rect.getAttribute("y")) + 17);
      sign.append(was[0]);
      const title = document.createElementNS("http://www.w3.org/2000/svg", "title");
      title.append(`${was} (${base})`);
      sign.append(title);
      row.append(sign);
      lines[number]?.lastElementChild.append(make("span", { class: "sign" }, ` ${was}`));
    });
  }).catch(() => {});
}
