// Does the exported file show the run, alone and offline? Every fact of every drawing is compared with the trace.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { readFileSync } from "node:fs";
import { axe, browser, events, exported, opened, pointed, recorded, shows, tells, written } from "./lib.mjs";

let chrome, web, address;
before(async () => {
  chrome = await browser();
  web = recorded("web");
  address = exported(web.file, "--keep-names");
});
after(() => chrome?.close());

async function offline(options, where = address) {
  const context = await chrome.newContext(options);
  await context.setOffline(true);
  return opened(context, where);
}

const stages = () => web.events.find((event) => event.event === "started").plan.stages.map((stage) => stage.stage);
const views = (page) => page.$$eval("#views [data-view]", (all) => all.map((one) => one.dataset.view));

/** The panel says what changed between these two. */
const compared = (page, from, to) => page.waitForFunction(
  (said) => document.querySelector("#panel").textContent.replace(/\s+/g, " ").includes(said), `${from} → ${to}`);

/** By stage, all that a pointer can point into. */
function truths(events) {
  const regular = events.find((event) => event.event === "started").regular;
  const left = events.filter((event) => event.event === "left");
  let filter;
  return new Map(left.map((one) => {
    filter = one.filter ?? filter;
    return [one.stage, { ...one.view, regular, filter, stage: one }];
  }));
}

test("it opens without a network, and asks nobody for anything", async () => {
  const page = await offline({});
  await page.waitForSelector("#drawing svg");
  assert.deepEqual(await page.$$eval("#stages [data-stage]", (all) => all.map((one) => one.dataset.stage)), stages());
  assert.match(await page.textContent("#state"), /RECORDED/);
  assert.deepEqual(page.wrong, []);
  await page.context().close();
});

test("every shown fact is the trace's, in the picture and in the table", async () => {
  const page = await offline({});
  await page.waitForSelector("#drawing svg");
  const wrong = [];
  let facts = 0;
  const truth = truths(web.events);
  for (const view of await views(page)) {
    for (const stage of stages()) {
      await shows(page, stage, view);
      const shown = await page.$$eval("#drawing [data-fact]", (all) =>
        all.map((one) => [one.dataset.fact ?? one.getAttribute("data-fact"), one.textContent]));
      for (const [at, text] of shown) {
        facts += 1;
        if (!tells(text, pointed(truth.get(stage), at))) wrong.push([stage, view, at, text, pointed(truth.get(stage), at)]);
      }
    }
  }
  assert.deepEqual(wrong, []);
  assert.ok(facts > 1000, `${facts} facts`);
  await page.context().close();
});

test("keys and address lead to the same places", async () => {
  const page = await offline({});
  await page.waitForSelector("#drawing svg");
  const all = stages();
  const at = async () => [await page.getAttribute("#drawing", "data-stage"), await page.getAttribute("#drawing", "data-view")];
  const is = (stage, view) => page.waitForSelector(`#drawing[data-stage="${stage}"]${view ? `[data-view="${view}"]` : ""}`);
  await page.keyboard.press("Home");
  await is(all[0]);
  await page.keyboard.press("ArrowRight");
  await is(all[1]);
  await page.keyboard.press("End");
  await is(all.at(-1));
  await page.keyboard.press("ArrowLeft");
  await is(all.at(-2));
  const names = await views(page);
  for (const [number, view] of names.slice(0, 9).entries()) {
    await page.keyboard.press(String(number + 1));
    await is(all.at(-2), view);
  }
  assert.match(page.url(), new RegExp(`#/stage/${all.at(-2)}\\?.*view=${names[8] ?? names.at(-1)}`));
  await shows(page, "pivot-root", names[0]);
  await page.goBack();
  assert.notEqual((await at())[0], "pivot-root");
  await page.goto(`${address}#/stage/mounts?view=${names[0]}&diff=clone`);
  await page.reload();
  await is("mounts", names[0]);
  await compared(page, "clone", "mounts");
  assert.deepEqual(page.wrong, []);
  await page.context().close();
});

test("any two stages are compared", async () => {
  const page = await offline({});
  await page.waitForSelector("#drawing svg");
  const [view] = await views(page);
  await shows(page, "exec", view, "&diff=clone");
  await compared(page, "clone", "exec");
  const text = await page.textContent("#panel");
  const left = (stage) => web.events.find((event) => event.event === "left" && event.stage === stage).view;
  assert.notEqual(left("clone").inside.hostname.value, left("exec").inside.hostname.value);
  assert.ok(text.includes(left("exec").inside.hostname.value));
  await page.context().close();
});

test("the table, the workshop and the help are a key away, and Escape leads back", async () => {
  const page = await offline({});
  await page.waitForSelector("#drawing svg");
  assert.equal(await page.isVisible("#drawing svg.picture"), true);
  await page.keyboard.press("t");
  await page.waitForFunction(() => document.querySelector("#drawing svg.picture").getBoundingClientRect().height < 2 || getComputedStyle(document.querySelector("#drawing svg.picture")).display === "none");
  await page.keyboard.press("t");
  await page.keyboard.press("w");
  const size = await page.$eval("#drawing .says", (one) => parseFloat(getComputedStyle(one).fontSize));
  assert.ok(size >= 24, `${size} px`);
  await page.keyboard.press("w");
  await page.keyboard.press("?");
  await page.waitForSelector("dialog[open]");
  await page.keyboard.press("Escape");
  await page.waitForSelector("dialog:not([open])", { state: "attached" });
  await page.context().close();
});

for (const colorScheme of ["light", "dark"]) {
  test(`axe finds nothing in the ${colorScheme} theme`, async () => {
    const page = await offline({ colorScheme, reducedMotion: "reduce" });
    await page.waitForSelector("#drawing svg");
    const found = [];
    for (const view of await views(page)) {
      await shows(page, "exec", view);
      // The file's own policy lets no script in but its own: this one comes by the debugger.
      await page.evaluate(axe);
      const { violations } = await page.evaluate(() => globalThis.axe.run(document));
      found.push(...violations.map((one) => `${view}: ${one.id}: ${one.nodes.slice(0, 3).map((node) => `${node.html} ${node.failureSummary}`).join(" | ")}`));
    }
    assert.deepEqual(found, []);
    await page.context().close();
  });
}

test("nothing moves for those who asked for that", async () => {
  const page = await offline({ reducedMotion: "reduce" });
  await page.waitForSelector("#drawing svg");
  const moving = await page.$$eval("*", (all) => all.filter((one) => {
    const style = getComputedStyle(one);
    return [style.transitionDuration, style.animationDuration].some((time) => time.split(",").some((part) => parseFloat(part) > 0.01));
  }).length);
  assert.equal(moving, 0);
  await page.context().close();
});

test("a hostile name is shown and does nothing", async () => {
  const hostile = "</script><img src=x onerror=window.pwned=1><svg onload=window.pwned=2>";
  const text = JSON.stringify(hostile).slice(1, -1);
  const changed = readFileSync(web.file, "utf8").replaceAll('"web: master"', `"${text}"`).replaceAll('"value":"web"', `"value":"${text}"`);
  const file = written("hostile", changed.trim().split("\n").map((line) => JSON.parse(line)));
  assert.notDeepEqual(events(file), web.events);
  const page = await offline({}, exported(file));
  await page.waitForSelector("#drawing svg");
  for (const view of await views(page)) {
    await shows(page, "exec", view);
  }
  await shows(page, "exec", (await views(page))[0]);
  assert.ok((await page.textContent("#drawing")).includes("onerror=window.pwned=1"));
  assert.equal(await page.evaluate(() => window.pwned), undefined);
  assert.equal(await page.$("#drawing img"), null);
  assert.deepEqual(page.wrong, []);
  await page.context().close();
});

test("names of the host and of home directories are left out unless they are asked for", () => {
  const host = web.events.find((event) => event.event === "left").view.outside.hostname.value;
  const moved = JSON.parse(JSON.stringify(web.events).replaceAll("/var/lib/", "/home/somebody/"));
  const file = written("names", moved.length ? moved : web.events);
  const read = (...options) => readFileSync(new URL(exported(file, ...options)), "utf8");
  const [hidden, kept] = [read(), read("--keep-names")];
  assert.ok(!new RegExp(`[>"' ]${host}[<"' ]`).test(hidden));
  assert.ok(!hidden.includes("/home/somebody") && (!JSON.stringify(moved).includes("somebody") || kept.includes("/home/somebody")));
});
