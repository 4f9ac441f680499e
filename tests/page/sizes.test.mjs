// Is everything in sight, on a small window, on a projector, on paper? Places and sizes are compared, not pixels.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { browser, exported, opened, recorded, shows } from "./lib.mjs";

let chrome, address;
before(async () => {
  chrome = await browser();
  address = exported(recorded("sizes").file);
});
after(() => chrome?.close());

async function at(width, height, stage = "exec", view = "anatomy", more = "") {
  const page = await opened(await chrome.newContext({ viewport: { width, height } }), address);
  await page.waitForSelector("#drawing svg.picture");
  await shows(page, stage, view, more);
  return page;
}

/** Those of the elements that are not wholly within the window from left to right. */
const cut = (page, selector) => page.$$eval(selector, (all) => all.filter((one) => {
  const { left, right } = one.getBoundingClientRect();
  return left < 0 || right > document.documentElement.clientWidth;
}).map((one) => one.textContent.slice(0, 40)));

test("at 800 pixels no column of a drawing is cut off", async () => {
  const page = await at(800, 900);
  for (const view of await page.$$eval("#views [data-view]", (all) => all.map((one) => one.dataset.view))) {
    await shows(page, "exec", view);
    assert.deepEqual(await cut(page, "#drawing .box"), [], view);
  }
  await page.context().close();
});

test("tables stand beside each other, not over each other", async () => {
  for (const width of [1000, 1280, 1600]) {
    const page = await at(width, 800);
    await page.keyboard.press("t");
    const places = await page.$$eval(".facts table", (all) => all.map((one) => one.getBoundingClientRect().toJSON()));
    assert.ok(places.length > 2);
    for (const [number, one] of places.entries()) {
      for (const other of places.slice(number + 1)) {
        const apart = one.right <= other.left || other.right <= one.left || one.bottom <= other.top || other.bottom <= one.top;
        assert.ok(apart, `${width}: ${JSON.stringify([one, other])}`);
      }
    }
    await page.context().close();
  }
});

test("what is compared is in sight, also where the panel is below the drawing", async () => {
  for (const width of [1000, 1280, 1600]) {
    const page = await at(width, 800, "exec", "anatomy", "&diff=clone");
    await page.waitForSelector("#panel .compared");
    await page.waitForFunction(() => {
      const { top } = document.querySelector("#panel .compared h3").getBoundingClientRect();
      return top >= 0 && top < innerHeight - document.querySelector("#scrubber").offsetHeight;
    }, null, { timeout: 5000 }).catch(() => assert.fail(`${width}: it is out of sight`));
    await page.context().close();
  }
});

test("in the workshop all words of a drawing are 24 pixels high, and f shows the whole of it", async () => {
  for (const [width, height] of [[1024, 768], [1280, 720], [1920, 1080]]) {
    const page = await at(width, height, "exec", "net");
    await page.keyboard.press("w");
    const sizes = await page.$$eval("#drawing svg.picture text", (all) => all.map((one) =>
      parseFloat(getComputedStyle(one).fontSize) * one.getScreenCTM().a));
    assert.ok(sizes.length > 20 && Math.min(...sizes) >= 23.99, `${width}: ${Math.min(...sizes)}`);
    assert.deepEqual(await cut(page, "#views a, #drawing .says"), [], String(width));
    const rows = await page.$$eval("#views a", (all) => new Set(all.map((one) => one.offsetTop)).size);
    assert.ok(rows <= (width < 1280 ? 2 : 1), `${width}: tabs in ${rows} rows`);
    await page.keyboard.press("f");
    assert.deepEqual(await cut(page, "#drawing .box"), [], String(width));
    await page.keyboard.press("t");
    const words = await page.$$eval("#drawing .facts :is(th, td)", (all) => all.map((one) => parseFloat(getComputedStyle(one).fontSize)));
    assert.ok(words.length > 20 && Math.min(...words) >= 24, `${width}: ${Math.min(...words)}`);
    assert.deepEqual(await cut(page, "#drawing .facts td"), [], String(width));
    await page.context().close();
  }
});

test("a printed sheet names its stage", async () => {
  const page = await at(1280, 800, "pivot-root", "files");
  await page.emulateMedia({ media: "print" });
  const seen = await page.$$eval("#drawing h2, #panel h2", (all) => all.map((one) => one.checkVisibility() && one.innerText));
  assert.ok(seen.length === 2 && seen.every((text) => text.includes("pivot-root")), seen.join(" | "));
  await page.context().close();
});
