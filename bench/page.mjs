// How large is the page, and how fast? bench/page.sh PROGRAM drives it in Debian's chromium and prints a Markdown table.
// Sizes are what gzip -9 makes of them; times are of this machine, and the table says how many were taken.
import { readFileSync } from "node:fs";
import { gzipSync } from "node:zlib";
import { Session, browser, events, exported, opened, place, recorded, shows, soon, written } from "../tests/page/lib.mjs";

const rows = [];
const row = (what, value, most, unit) => {
  rows.push(`| ${what} | ${value.toFixed(unit === "kB" ? 1 : 2)} ${unit} | ${most} ${unit} | ${value <= most ? "yes" : "**no**"} |`);
};
const kB = (text) => gzipSync(text, { level: 9 }).length / 1000;
const at = (times, part) => times.toSorted((a, b) => a - b)[Math.min(times.length - 1, Math.floor(times.length * part))];

const chrome = await browser();
const web = recorded("bench");

// First view: everything that is fetched until the drawing is there.
{
  const session = new Session("serve", web.file);
  const [, address] = await session.says(/(http:\/\/127\.\S+#token=\w+)/);
  const context = await chrome.newContext();
  const bodies = [];
  const page = await context.newPage();
  page.on("response", (answer) => { if (!answer.url().endsWith("/stream")) bodies.push(answer.body().then((body) => [answer.url(), body]).catch(() => null)); });
  await page.goto(address);
  await page.waitForSelector("#drawing svg.picture");
  const all = (await Promise.all(bodies)).filter(Boolean);
  row("first view, compressed", all.reduce((sum, [, body]) => sum + kB(body), 0), 45, "kB");
  row("its scripts", all.filter(([url]) => url.endsWith(".js")).reduce((sum, [, body]) => sum + kB(body), 0), 25, "kB");
  await context.close();
  // Cold: a browser that has never seen it, from the address to the drawing on the screen.
  const cold = [];
  for (let round = 0; round < 15; round++) {
    const fresh = await chrome.newContext();
    const tab = await fresh.newPage();
    await tab.addInitScript(() => {
      const look = () => document.querySelector("#drawing svg.picture") ? requestAnimationFrame(() => { window.shownAt = performance.now(); }) : requestAnimationFrame(look);
      requestAnimationFrame(look);
    });
    await tab.goto(address);
    cold.push(await soon(() => tab.evaluate(() => window.shownAt), "the drawing"));
    await fresh.close();
  }
  row(`the page cold on loopback, median of ${cold.length}`, at(cold, 0.5), 300, "ms");
  const children = readFileSync(`/proc/${session.child.pid}/task/${session.child.pid}/children`, "utf8").trim().split(" ");
  const peak = children.map((pid) => readFileSync(`/proc/${pid}/status`, "utf8")).map((status) => Number(/VmHWM:\s+(\d+)/.exec(status)[1]));
  row("the web process, peak resident", Math.max(...peak) / 1024, 10, "MiB");
  await session.end();
}

// One file.
const file = new URL(exported(web.file));
row("a recorded run exported, compressed", kB(readFileSync(file)), 100, "kB");

// A scrub step with 500 objects drawn: so many mounts in every view.
{
  const many = web.events.map((event) => {
    if (!event.view?.outside?.mounts?.value) return event;
    const copy = structuredClone(event);
    const sample = Object.values(copy.view.outside.mounts.value)[0];
    const children = copy.view.outside.processes.value?.children;
    for (let n = 0; n < 500; n++) copy.view.outside.mounts.value[`/many/${n}`] = { ...sample, id: 10_000 + n };
    if (children) for (let n = 0; n < 500; n++) children[String(900_000 + n)] = { name: `many ${n}` };
    return copy;
  });
  const page = await opened(await chrome.newContext(), exported(written("many", many)));
  await page.waitForSelector("#drawing svg.picture");
  const views = await page.$$eval("#views [data-view]", (all) => all.map((one) => one.dataset.view));
  let largest = 0, steps = [];
  for (const view of views) {
    await shows(page, "mounts", view);
    const found = await page.evaluate(async () => {
      const times = [];
      for (let round = 0; round < 20; round++) {
        const key = round % 8 < 4 ? "ArrowRight" : "ArrowLeft";
        const began = performance.now();
        document.body.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
        document.querySelector("#drawing").getBoundingClientRect();
        times.push(performance.now() - began);
        await new Promise((next) => requestAnimationFrame(() => setTimeout(next)));
      }
      return { times, objects: document.querySelectorAll("#drawing svg.picture *").length };
    });
    largest = Math.max(largest, found.objects);
    steps.push(...found.times);
  }
  row(`a scrub step, script and layout, 95th of ${steps.length} (up to ${largest} elements drawn)`, at(steps, 0.95), 16, "ms");
  await page.context().close();
}

// From the end of a stage to its paint: the time from the request less what the stage itself took.
{
  const late = [];
  for (let round = 0; round < 3; round++) {
    const trace = place(`paint-${round}.jsonl`);
    const session = new Session("step", "--web", "--trace", trace);
    const [, address] = await session.says(/(http:\/\/127\.\S+#token=\w+)/);
    const page = await opened(await chrome.newContext(), address);
    await page.waitForSelector('#stages [data-stage="image"][data-state="done"]');
    const painted = new Map();
    for (;;) {
      const next = await page.evaluate(() => document.querySelector('#stages [data-state="waiting"]')?.dataset.stage);
      if (!next || next === "stop") break;
      await soon(() => page.isEnabled("#next"), "the build waits");
      painted.set(next, await page.evaluate(async (stage) => {
        const began = performance.now();
        document.querySelector("#next").click();
        const there = () => document.querySelector(`#stages [data-stage="${stage}"]`).dataset.state === "done" && document.querySelector("#drawing").dataset.stage === stage;
        while (!there()) await new Promise((next) => requestAnimationFrame(next));
        return performance.now() - began;
      }, next));
    }
    const entered = new Map(), took = new Map();
    for (const event of events(trace)) {
      if (event.event === "entered") entered.set(event.stage.stage, event.at);
      if (event.event === "left") took.set(event.stage, (event.at - entered.get(event.stage)) / 1000);
    }
    for (const [stage, time] of painted) late.push(time - (took.get(stage) ?? 0));
    await session.end();
    await page.context().close();
  }
  row(`stage to paint, 95th of ${late.length}`, at(late, 0.95), 100, "ms");
}

await chrome.close();
console.log(["| measured | here | at most | held |", "|---|---|---|---|", ...rows].join("\n"));
process.exit(0);
