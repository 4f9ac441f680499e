// Does the exported file show the run, alone and offline? Every fact of every drawing is compared with the trace.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { readFileSync, readdirSync } from "node:fs";
import { axe, browser, events, exported, opened, place, pointed, recorded, run, shows, soon, tells, written } from "./lib.mjs";

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

/** The same run, with names that a careless page would obey. */
function hostile() {
  const text = JSON.stringify("</script><img src=x onerror=window.pwned=1><svg onload=window.pwned=2>").slice(1, -1);
  const changed = readFileSync(web.file, "utf8").replaceAll('"web: master"', `"${text}"`).replaceAll('"value":"web"', `"value":"${text}"`);
  const file = written("hostile", changed.trim().split("\n").map((line) => JSON.parse(line)));
  assert.notDeepEqual(events(file), web.events);
  return file;
}

test("a hostile name does nothing in a picture of its own", async () => {
  const dir = place("pictures");
  run("export", hostile(), "--svg", dir);
  const files = readdirSync(dir).filter((name) => name.startsWith("exec."));
  assert.ok(files.length > 5, `${files}`);
  const context = await chrome.newContext();
  let shown = 0;
  for (const file of files) {
    const page = await opened(context, `file://${dir}/${file}`);
    const picture = await page.evaluate(() => ({
      root: document.documentElement.nodeName, pwned: window.pwned, text: document.documentElement.textContent,
      alive: document.querySelectorAll("script, img, parsererror, svg svg, [onload], [onerror]").length,
    }));
    assert.deepEqual([picture.root, picture.pwned, picture.alive], ["svg", undefined, 0], file);
    if (picture.text.includes("onerror=window.pwned=1")) shown += 1;
    assert.deepEqual(page.wrong, []);
    await page.close();
  }
  assert.ok(shown > 0, "the name is in none of them");
  await context.close();
});

test("a hostile name is shown and does nothing", async () => {
  const page = await offline({}, exported(hostile()));
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

test("an address that is wrong is put right, and what was wrong can be read", async () => {
  const page = await offline({});
  await page.keyboard.press("End");
  await soon(async () => (await page.textContent("#said")).startsWith("remove,"), "the last stage is announced");
  // All that is said from then on, with how long it stood.
  await page.evaluate(() => {
    window.told = [];
    new MutationObserver(() => window.told.push([document.querySelector("#said").textContent, performance.now()]))
      .observe(document.querySelector("#said"), { childList: true, characterData: true, subtree: true });
  });
  await page.evaluate(() => { location.hash = "#/stage/no-such-stage?view=anatomy&sel=nobody:1"; });
  const told = () => page.evaluate(() => window.told);
  const wrong = (text) => text.includes("no stage “no-such-stage”");
  await soon(async () => (await told()).some(([text], number, all) => number > 0 && wrong(all[0][0]) && !wrong(text)), "the stage is announced");
  const all = await told();
  const gone = all.find(([text]) => !wrong(text));
  assert.ok(gone[1] - all[0][1] > 3900, JSON.stringify(all));
  assert.ok(all.some(([text]) => wrong(text) && text.includes("nobody:1")), JSON.stringify(all));
  await page.context().close();
});

test("in the workshop a digit shows its drawing, also where the panel was alone", async () => {
  const page = await offline({});
  await page.waitForSelector("#drawing svg");
  await page.keyboard.press("w");
  await page.keyboard.press("h");
  await page.waitForSelector("#drawing", { state: "hidden" });
  await page.keyboard.press("2");
  await page.waitForSelector("#drawing", { state: "visible" });
  await page.context().close();
});

test("the host's addresses are left out unless they are asked for", () => {
  const { interfaces, files } = web.events[0].regular.inside;
  const all = Object.values(interfaces.value);
  const macs = all.map((one) => one.mac).filter((mac) => mac && !/^[0:]+$/.test(mac));
  const own = all.flatMap((one) => one.addresses).map((address) => address.split("/")[0]);
  const servers = [...files["/etc/resolv.conf"].value.matchAll(/^nameserver (\S+)/gm)].map((found) => found[1]);
  // That of every machine alike says nothing of this one.
  const addresses = [...own, ...servers].filter((address) => !/^(127\.|::1$)/.test(address));
  assert.ok(addresses.length > 0);
  const read = (...options) => readFileSync(new URL(exported(web.file, ...options)), "utf8");
  const [hidden, kept] = [read(), read("--keep-names")];
  const within = (text) => [...macs, ...addresses].filter((one) => new RegExp(`(?<![\\w:.])${one.replaceAll(".", "\\.")}(?![\\w:]|\\.\\d)`).test(text));
  assert.deepEqual(within(hidden), []);
  assert.ok(within(kept).length > 0);
  // The container's are those that learnctr has made: they stay.
  const eth0 = web.events.filter((event) => event.event === "left" && event.view?.inside).at(-3).view.inside.interfaces.value.eth0;
  assert.ok(hidden.includes(eth0.addresses[0]), `${eth0.addresses[0]} is gone`);
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
