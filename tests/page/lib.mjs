// What do the page's tests stand on? The real program, real runs, and a real browser (Debian's chromium, without a
// window). Nothing here may wait for a time to pass where it can wait for a thing to be so.
import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";

// The modules are kept out of the source tree: NODE_MODULES says where.
const require = createRequire(join(process.env.NODE_MODULES ?? ".", "x.js"));
const { chromium } = require("playwright-core");
export const axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");

export const learnctr = process.env.LEARNCTR;
if (!learnctr) throw new Error("LEARNCTR is the program to test");

const home = mkdtempSync(join(tmpdir(), "learnctr-page-"));
export const environment = { ...process.env, LEARNCTR_DATA: join(home, "data"), LEARNCTR_STATE: join(home, "state"), NO_COLOR: "1" };
process.on("exit", () => rmSync(home, { recursive: true, force: true }));
export const place = (name) => join(home, name);

/** Run learnctr to its end; what it printed. */
export function run(...args) {
  const done = spawnSync(learnctr, args, { env: environment, encoding: "utf8", maxBuffer: 1 << 28, timeout: 120_000 });
  if (done.status !== 0) throw new Error(`learnctr ${args.join(" ")}: ${done.status} ${done.signal} ${done.stderr}`);
  return done.stdout;
}

/** A recorded run: its file, and its events. */
export function recorded(name, ...options) {
  const file = place(`${name}.jsonl`);
  run("step", "--auto", "--trace", file, ...options);
  return { file, events: events(file) };
}

export const events = (file) => readFileSync(file, "utf8").trim().split("\n").map((line) => JSON.parse(line));

/** The same events as another trace. */
export function written(name, events) {
  const file = place(`${name}.jsonl`);
  writeFileSync(file, events.map((event) => `${JSON.stringify(event)}\n`).join(""));
  return file;
}

/** That run as one file; its address. */
export function exported(trace, ...options) {
  const file = `${trace}.html`;
  run("export", trace, "-o", file, ...options);
  return `file://${file}`;
}

/** Chromium; `args` are its own. */
export function browser(...args) {
  const sandbox = process.getuid() === 0 ? ["--no-sandbox"] : [];
  return chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: [...sandbox, "--disable-gpu", ...args] });
}

/** A page that writes down whatever should not be: errors, and requests to elsewhere. */
export async function opened(context, address) {
  const page = await context.newPage();
  page.wrong = [];
  page.on("pageerror", (error) => page.wrong.push(`error: ${error}`));
  page.on("console", (said) => said.type() === "error" && page.wrong.push(`console: ${said.text()}`));
  const own = new URL(address);
  page.on("request", (request) => {
    const url = new URL(request.url());
    if (url.protocol !== "data:" && (url.protocol !== own.protocol || url.host !== own.host)) page.wrong.push(`request: ${url}`);
  });
  await page.goto(address);
  return page;
}

/** Show a place of the page, and wait until it is there. */
export async function shows(page, stage, view, more = "") {
  await page.evaluate((hash) => { location.hash = hash; }, `#/stage/${stage}?view=${view}${more}`);
  await page.waitForSelector(`#drawing[data-stage="${stage}"][data-view="${view}"]:not([aria-busy])`);
}

/** What a JSON pointer points to (RFC 6901). */
export function pointed(value, pointer) {
  return pointer.split("/").slice(1).map((part) => part.replaceAll("~1", "/").replaceAll("~0", "~"))
    .reduce((below, part) => below?.[part], value);
}

/** Whether a text has in it what the kernel said. */
export function tells(text, fact) {
  if (Array.isArray(fact)) return fact.every((one) => tells(text, one));
  if (typeof fact === "boolean") return text.includes(fact ? "yes" : "no");
  if (typeof fact === "number") return text.split(/[^0-9-]/).includes(String(fact));
  return typeof fact === "string" && squeezed(text).includes(squeezed(fact));
}

// A picture's lines are broken where there is room: white space is not compared.
const squeezed = (text) => text.replace(/\\u\{[0-9a-f]+\}|\\[tnr]|\s+/g, "");

const sessions = new Set();

/** What a failed test has left running. */
export function stopAll() {
  for (const child of sessions) child.kill("SIGTERM");
}

/** A session that goes on while a page looks at it. */
export class Session {
  constructor(...args) {
    this.said = "";
    this.child = spawn(learnctr, args, { env: environment, stdio: ["ignore", "pipe", "pipe"] });
    for (const stream of [this.child.stdout, this.child.stderr]) stream.on("data", (data) => { this.said += data; });
    sessions.add(this.child);
    this.over = new Promise((resolve) => this.child.on("exit", (code, signal) => {
      sessions.delete(this.child);
      resolve(code ?? signal);
    }));
  }

  /** The first part of what it printed that is so. */
  async says(pattern, seconds = 30) {
    const until = Date.now() + seconds * 1000;
    while (Date.now() < until) {
      const found = this.said.match(pattern);
      if (found) return found;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    throw new Error(`never said ${pattern}: ${this.said}`);
  }

  async end(signal = "SIGTERM") {
    this.child.kill(signal);
    return this.over;
  }
}

/** Wait until something is so. */
export async function soon(ask, what, seconds = 20) {
  const until = Date.now() + seconds * 1000;
  while (Date.now() < until) {
    const answer = await ask();
    if (answer) return answer;
    await new Promise((resolve) => setTimeout(resolve, 30));
  }
  throw new Error(`never so: ${what}`);
}
