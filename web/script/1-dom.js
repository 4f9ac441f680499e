// How does text get onto the page? Through textContent, but for the pieces that the server has rendered and escaped.
"use strict";
const $ = (id) => document.getElementById(id);

// An element; what is undefined or false among its attributes is left out.
function make(tag, attributes, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) {
    if (value !== undefined && value !== false) node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children);
  return node;
}

// The one place where text becomes markup. Nothing in it runs: scripts of a parsed document are dead, and the page's
// policy has no inline ones.
function markup(html) {
  const node = make("div", { class: "piece" });
  node.append(...new DOMParser().parseFromString(html, "text/html").body.childNodes);
  return node;
}

// Tell it once to who listens, and, for a while, to who looks. What stands there to be read is not written over.
function say(text, seen) {
  const said = $("said");
  const left = (say.until || 0) - performance.now();
  clearTimeout(say.later);
  if (left > 0 && !seen) { say.later = setTimeout(() => say(text), left); return; }
  const stood = left > 0 ? said.textContent : "";
  if (!stood.includes(text)) said.textContent = stood ? `${stood} ${text}` : text;
  said.classList.toggle("seen", !!seen);
  clearTimeout(say.timer);
  if (!seen) return;
  say.until = performance.now() + 4000;
  say.timer = setTimeout(() => said.classList.remove("seen"), 4000);
}

const plural = (count, word) => `${count} ${word}${count === 1 ? "" : "s"}`;

function duration(micros) {
  if (micros < 1000) return `${micros} µs`;
  return micros < 1e6 ? `${(micros / 1000).toPrecision(3)} ms` : `${(micros / 1e6).toPrecision(3)} s`;
}

// What a browser keeps for this page alone; a file may not be allowed to keep anything.
const kept = {
  get(name) { try { return localStorage.getItem(name); } catch { return null; } },
  set(name, value) { try { localStorage.setItem(name, value); } catch { /* then it is forgotten */ } },
};
