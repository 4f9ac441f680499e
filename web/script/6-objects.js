// What is the same thing? What has the same key: it lights up everywhere, and can be chosen.
const every = (name) => document.getElementsByClassName(name);

function unmark(...names) {
  for (const name of names) for (const node of [...every(name)]) node.classList.remove(name), node.classList.length || node.removeAttribute("class");
}

function hover(key) {
  unmark("hover");
  if (key) for (const node of document.querySelectorAll(`[data-same="${CSS.escape(key)}"]`)) node.classList.add("hover");
}

// A choice is a key, or the part of it that a person would write: veth of if:veth.
function light() {
  unmark("chosen");
  if (!place.sel) return;
  let some = false;
  for (const node of document.querySelectorAll("[data-same]")) {
    const key = node.dataset.same;
    const at = key.indexOf(":");
    if ([key, key.slice(0, at), key.slice(at + 1)].includes(place.sel)) node.classList.add("chosen"), some = true;
  }
  // It may be there in another stage, so it stays in the address.
  if (!some && light.told !== place.sel && shown.drawing?.path === slots.drawing) say(`Nothing in this drawing is “${light.told = place.sel}”.`, true);
}

function choose(key) {
  visit({ ...place, sel: place.sel === key ? null : key });
}

// In the table, which keys and readers reach, each object is a button, and all are one stop; the picture shows which has the focus.
function objects(node) {
  let first = true;
  for (const line of node.querySelectorAll(".facts tr[data-same]")) {
    const cell = [...line.cells].find((one) => one.textContent.trim());
    if (!cell) continue;
    const button = make("button", { type: "button", tabindex: first ? "0" : "-1" });
    first = false;
    button.append(...cell.childNodes);
    cell.append(button);
  }
}

function watchObjects() {
  const keyOf = (event) => event.target.closest?.("[data-same]")?.dataset.same;
  const drawing = $("drawing");
  let over;
  document.addEventListener("pointerover", (event) => { if (over !== keyOf(event)) hover(over = keyOf(event)); });
  drawing.addEventListener("click", (event) => { const key = keyOf(event); if (key) choose(key); });
  drawing.addEventListener("focusin", (event) => {
    const line = event.target.closest("tr[data-same]");
    if (!line) return;
    hover(line.dataset.same);
    drawing.querySelectorAll(".picture .row")[[...drawing.querySelectorAll(".facts tr")].indexOf(line)]?.classList.add("focused");
  });
  drawing.addEventListener("focusout", () => { hover(); unmark("focused"); });
  drawing.addEventListener("keydown", (press) => {
    const buttons = [...drawing.querySelectorAll("tr[data-same] button")];
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

// What is new here (+) or other (~) than in the stage before, or in the one that is compared with, has its sign in the drawing.
function rowsOf(piece) {
  let label = "";
  return piece.rows ||= [...piece.node.querySelectorAll(".picture .row")].map((row) => {
    const at = row.parentNode.dataset.box;
    label = row.querySelector(".label")?.textContent || label;
    return { at, name: `${at} ${label}`, value: row.querySelector(".value")?.textContent || "" };
  });
}

function unsign() {
  for (const sign of [...every("sign")]) sign.remove();
  shown.signs = null;
  shown.told = [];
}

function signs() {
  const now = shown.drawing;
  const base = place.diff || run.stages[here - 1]?.id;
  const path = `drawing/${base}/${place.view}`;
  if (shown.signs === path) return;
  unsign();
  shown.signs = path;
  const before = base && known(path);
  if (before) sign(now.piece, before, base);
  else if (base) learn(path, 0).then((before) => { if (shown.drawing === now && shown.signs === path) sign(now.piece, before, base); }).catch(() => {});
}

function sign(piece, before, base) {
  before.node ||= prepare("drawing", before.text);
  const boxes = new Set(rowsOf(before).map(({ at }) => at));
  const had = new Map();
  for (const { name, value } of rowsOf(before)) had.set(name, [...had.get(name) || [], value]);
  const rows = $("drawing").querySelectorAll(".picture .row");
  rowsOf(piece).forEach(({ at, name, value }, number) => {
    const values = had.get(name);
    if (!boxes.has(at) || values?.includes(value) || !rows[number] || rows[number].classList.contains("off")) return;
    const rect = rows[number].querySelector("rect");
    const text = values ? `~ before: ${values.join(", ")}` : "+ new here";
    const drawn = (tag, attributes, inner) => {
      const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
      for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
      node.append(...inner);
      return node;
    };
    rows[number].append(drawn("text", {
      class: values ? "sign changed" : "sign added", x: rect.getAttribute("x") - 1, y: Number(rect.getAttribute("y")) + 17,
    }, [text[0], drawn("title", {}, [`${text} (${base})`])]));
    shown.told.push([number, text]);
  });
  signTable();
}

function signTable() {
  if ($("drawing").hasAttribute("aria-busy")) return;
  const lines = $("drawing").querySelectorAll(".facts tbody tr");
  for (const [number, text] of shown.told.splice(0)) lines[number]?.lastElementChild.append(make("span", { class: "sign" }, ` ${text}`));
}
