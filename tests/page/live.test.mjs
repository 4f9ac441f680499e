// Does the page show a build while it goes on, and lead it? The real `step` behind it, as root or whoever runs this.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createServer } from "node:http";
import { after, before, test } from "node:test";
import { readFileSync, readdirSync } from "node:fs";
import { Session, browser, events, opened, place, pointed, shows, soon, stopAll, tells } from "./lib.mjs";

let chrome;
before(async () => { chrome = await browser(); });
after(async () => { await chrome?.close(); stopAll(); });

/** A build that waits for the page, and where it is shown. */
async function building(name, ...options) {
  const trace = place(`${name}.jsonl`);
  const session = new Session("step", "--web", "--trace", trace, ...options);
  const [, address] = await session.says(/(http:\/\/127\.\S+#token=\w+)/);
  const [, plain] = await session.says(/(http:\/\/127\.\S+\/plain\/\w+\/)/);
  return { session, address, plain, trace };
}

const state = (page) => page.textContent("#state");
const done = (page, stage) => page.waitForSelector(`#stages [data-stage="${stage}"][data-state="done"]`);

/** The web process of a session: the child whose command line is its name. */
function server(session) {
  const children = readFileSync(`/proc/${session.child.pid}/task/${session.child.pid}/children`, "utf8").trim().split(" ");
  return children.map(Number).filter(Boolean).find((pid) => {
    try {
      return readFileSync(`/proc/${pid}/cmdline`, "utf8").startsWith("learnctr: web");
    } catch {
      return false; // It has ended meanwhile.
    }
  });
}

test("a build is led from the page, and what it shows is what the kernel said", async () => {
  const { session, address, trace } = await building("led");
  const page = await opened(await chrome.newContext(), address);
  await done(page, "image");
  assert.match(await state(page), /LIVE/);
  assert.ok(!page.url().includes("token"), "the address bar keeps the token");
  // A plain key never leads the build on.
  for (const key of ["n", "Enter", " ", "ArrowRight", "c"]) await page.keyboard.press(key);
  await page.keyboard.press("Escape");
  await page.waitForTimeout(300);
  assert.equal(await page.getAttribute('#stages [data-stage="clone"]', "data-state"), "waiting");
  await page.keyboard.press("Shift+Enter");
  await done(page, "clone");
  await page.click("#next");
  await done(page, "cgroup");
  const [view] = await page.$$eval("#views [data-view]", (all) => all.map((one) => one.dataset.view));
  await shows(page, "clone", view);
  const left = events(trace).find((event) => event.event === "left" && event.stage === "clone");
  const facts = await page.$$eval("#drawing [data-fact]", (all) => all.map((one) => [one.getAttribute("data-fact"), one.textContent]));
  assert.ok(facts.length > 20);
  for (const [at, text] of facts) assert.ok(tells(text, pointed(left.view, at)), `${at}: ${text}`);
  assert.deepEqual(page.wrong, []);
  const serving = server(session);
  process.kill(serving, "SIGSTOP");
  await soon(async () => /STALE/.test(await state(page)), "STALE");
  process.kill(serving, "SIGCONT");
  await soon(async () => /LIVE/.test(await state(page)), "LIVE again");
  await session.end();
  await page.context().close();
});

test("the kernel is asked once more while the build waits", { skip: process.getuid() !== 0 && "namespaces are entered, which takes root" }, async () => {
  const { session, address, trace } = await building("again");
  const page = await opened(await chrome.newContext(), address);
  await done(page, "image");
  await page.click("#next");
  await done(page, "clone");
  const { pid } = events(trace).find((event) => event.event === "left" && event.stage === "clone");
  execFileSync("nsenter", ["-t", String(pid), "-u", "hostname", "looked-again"]);
  await page.waitForSelector("#look:enabled");
  await page.keyboard.press("Shift+L");
  await page.waitForSelector("#panel .again:has-text('looked-again')");
  await page.waitForSelector("#drawing:has-text('looked-again')");
  assert.match(await page.textContent("#said"), /clone was looked at again: 1 change/);
  await page.click("#look");
  await page.waitForSelector("#panel .again:has-text('looked at again 2 times')");
  assert.equal(events(trace).filter((event) => event.event === "looked").length, 2);
  assert.deepEqual(page.wrong, []);
  await session.end();
  await page.context().close();
});

test("a page that is loaded anew is where it was, also after the end", async () => {
  const { session, address } = await building("reloaded", "--network", "none");
  const page = await opened(await chrome.newContext(), address);
  await done(page, "image");
  await page.click("#rest");
  await soon(async () => /RECORDED/.test(await state(page)), "RECORDED");
  const at = () => page.getAttribute("#drawing", "data-stage");
  await page.waitForSelector('#drawing[data-stage="remove"]');
  await page.reload();
  await page.waitForSelector("#drawing[data-stage]");
  assert.equal(await at(), "remove");
  await session.end();
  await page.context().close();
});

test("when learnctr ends, each tab has the whole run, and says so", async () => {
  const { session, address } = await building("ended", "--network", "none");
  const context = await chrome.newContext();
  const pages = [await opened(context, address), await opened(context, address)];
  await done(pages[0], "image");
  await pages[0].click("#next");
  for (const page of pages) await done(page, "clone");
  assert.equal(await session.end("SIGINT"), 130);
  for (const page of pages) {
    await page.waitForSelector("#self:has-text('learnctr has ended')");
    assert.match(await state(page), /RECORDED/);
    assert.match(await page.textContent("#said"), /stays in this tab/);
    // None of these was ever asked for.
    for (const view of ["security", "lifecycle", "files"]) {
      await shows(page, "image", view);
      await page.waitForSelector("#drawing svg.picture");
    }
    await shows(page, "exec", "net");
    assert.match(await page.textContent("#drawing"), /ended before the stage exec was reached/);
    assert.deepEqual(page.wrong, []);
  }
  await context.close();
});

test("before a stage has run, it says which stage will fill it", async () => {
  const { session, address } = await building("before");
  const page = await opened(await chrome.newContext(), address);
  await done(page, "image");
  const [view] = await page.$$eval("#views [data-view]", (all) => all.map((one) => one.dataset.view));
  await shows(page, "exec", view);
  assert.match(await page.textContent("#drawing"), /has not run yet/);
  await session.end();
  await page.context().close();
});

test("after an error it says the call, the errno, the cause and what to do", async () => {
  const { session, address } = await building("failing", "--network", "none", "--", "/no/such/program");
  const page = await opened(await chrome.newContext(), address);
  await done(page, "image");
  const failed = '#stages [data-state="failed"]';
  while (!(await page.$(failed))) {
    if (await page.isEnabled("#next")) await page.keyboard.press("Shift+Enter");
    await page.waitForTimeout(50);
  }
  const [view] = await page.$$eval("#views [data-view]", (all) => all.map((one) => one.dataset.view));
  await shows(page, await page.getAttribute(failed, "data-stage"), view);
  assert.match(await page.textContent("#panel"), /ENOENT/);
  assert.match(await page.textContent("#panel"), /next/);
  await session.end();
  await page.context().close();
});

test("the process that serves may die: the build goes on and the page comes back", async () => {
  const { session, address } = await building("killed");
  const page = await opened(await chrome.newContext(), address);
  await done(page, "image");
  const first = server(session);
  process.kill(first, "SIGKILL");
  const second = await soon(() => { const pid = server(session); return pid && pid !== first && pid; }, "another process that serves");
  await soon(async () => /LIVE/.test(await state(page)), "LIVE again");
  await page.click("#next");
  await done(page, "clone");
  assert.ok(second);
  await session.end();
  await page.context().close();
});

test("many tabs of a browser have one stream", async () => {
  const { session, address } = await building("tabs");
  const context = await chrome.newContext();
  const pages = [];
  let streams = 0;
  context.on("request", (request) => { if (request.url().endsWith("/api/stream")) streams += 1; });
  for (let tab = 0; tab < 6; tab++) pages.push(await opened(context, address));
  for (const page of pages) await done(page, "image");
  await pages[0].click("#next");
  for (const page of pages) await done(page, "clone");
  assert.equal(streams, 1);
  // Whoever had the stream has gone: another takes it over.
  await pages[0].close();
  await soon(() => streams === 2, "another tab's stream");
  await pages[1].click("#next");
  for (const page of pages.slice(1)) await done(page, "cgroup");
  await session.end();
  await context.close();
});

test("without JavaScript the stages are linked pages with the same drawings", async () => {
  const { session, plain } = await building("plain", "--network", "none");
  const context = await chrome.newContext({ javaScriptEnabled: false });
  const page = await opened(context, plain);
  // It does not change by itself, and it may have come before the first stage was over.
  await soon(async () => await page.$("svg.picture") || (await page.reload(), false), "the first stage's picture");
  const wrong = [];
  for (const stage of ["clone", "image"]) {
    await page.click(`nav a:has-text("${stage}")`);
    assert.match(page.url(), new RegExp(`/${stage}/`));
  }
  await page.waitForSelector("svg.picture");
  assert.deepEqual(wrong, []);
  await session.end();
  await context.close();
});

test("the page is in nobody's frame", async () => {
  const { session, address } = await building("framed");
  const html = `<iframe src="${address}"></iframe>`;
  const outer = createServer((_, answer) => answer.setHeader("content-type", "text/html").end(html));
  await new Promise((ready) => outer.listen(0, "127.0.0.1", ready));
  const page = await (await chrome.newContext()).newPage();
  await page.goto(`http://127.0.0.1:${outer.address().port}/`);
  await page.waitForTimeout(500);
  const inner = page.frames().find((frame) => frame !== page.mainFrame());
  const shown = await inner?.evaluate(() => document.querySelector("#drawing")?.id ?? "").catch(() => "");
  assert.equal(shown ?? "", "");
  outer.close();
  await session.end();
  await page.context().close();
});

test("a hostname that was bound anew to the address gets nothing", async () => {
  const { session, address } = await building("rebound");
  const { hostname, port } = new URL(address);
  const rebinding = await browser(`--host-resolver-rules=MAP evil.test ${hostname}`);
  const page = await (await rebinding.newContext()).newPage();
  const answer = await page.goto(`http://evil.test:${port}/`);
  assert.equal(answer.status(), 421);
  await rebinding.close();
  await session.end();
});

test("what was recorded is served as RECORDED, and without a token nothing is", async () => {
  const trace = place("served.jsonl");
  const done = new Session("step", "--auto", "--trace", trace, "--network", "none");
  assert.equal(await done.over, 0);
  const session = new Session("serve", trace);
  const [, address] = await session.says(/(http:\/\/127\.\S+#token=\w+)/);
  const context = await chrome.newContext();
  const page = await opened(context, address);
  await page.waitForSelector("#drawing svg.picture");
  assert.match(await state(page), /RECORDED/);
  assert.equal(await page.isVisible("#next"), false);
  const stranger = await (await chrome.newContext()).newPage();
  await stranger.goto(address.split("#")[0]);
  await stranger.waitForTimeout(300);
  assert.equal(await stranger.$("#drawing svg.picture"), null);
  await session.end();
  assert.ok(readdirSync(place(".")).length > 0);
  await context.close();
});
