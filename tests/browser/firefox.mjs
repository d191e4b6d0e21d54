// The same page in Firefox, a smaller set: node firefox.mjs PAGE FIREFOX CHECK
import assert from "node:assert/strict";
import puppeteer from "puppeteer-core";
import { address, binds, executable, lines, programs, run, url } from "./open.mjs";

const checks = {};

checks.opens = async (open) => {
  const page = await open(address({ program: "treuseaddr", old: 0, new: 1 }));
  assert.match(await page.title(), /SO_REUSEADDR/);
  for (const program of programs) {
    await page.click(`.programs label:has([value="${program}"])`);
    for (const old of [0, 1]) {
      for (const anew of [0, 1]) {
        await page.click(`.cell[data-old="${old}"][data-new="${anew}"]`);
        await page.waitForSelector(`.cell[data-old="${old}"][data-new="${anew}"][aria-checked="true"]`);
        assert.match(await text(page, ".verdict"), binds(program, old, anew) ? /✓/ : /✗ EADDRINUSE/);
      }
    }
  }
  assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth));
};

checks.steps = async (open) => {
  const page = await open(address({ program: "treuseaddr", old: 1, new: 1, step: 3 }));
  await page.click("#next");
  assert.equal(await text(page, "#count"), "4 / 9");
  const flags = await page.$$eval("#scene .card:not(.gone) .flag", (flags) =>
    flags.map((flag) => flag.classList.contains("on")),
  );
  assert.deepEqual(flags, [true, true]);
  await page.keyboard.press("ArrowLeft");
  assert.equal(await text(page, "#count"), "3 / 9");
};

checks.pins = async (open) => {
  const page = await open(address({ program: "treuseaddr", old: 1, new: 1 }));
  await page.$eval('#listing-treuseaddr pre.c [data-n="26"]', (line) => line.scrollIntoView({ block: "center" }));
  await page.click('#listing-treuseaddr pre.c [data-n="26"]');
  await page.waitForSelector("#note:not([hidden])");
  assert.equal(await text(page, "#note .title h3"), "26 bind");
  const tops = await page.evaluate(() =>
    ["#listing-treuseaddr pre.c .pinned", "#note"].map(
      (part) => document.querySelector(part).getBoundingClientRect().top,
    ),
  );
  assert.ok(tops[0] < tops[1]);
  await page.keyboard.press("Escape");
  await page.waitForSelector("#note[hidden]");
  // Rust stands beside its C, on the same lines.
  const uneven = await page.$$eval(
    "#listing-treuseaddr pre.c .ln",
    (lines) =>
      lines.filter((line) => {
        const rust = document.querySelector(`#listing-treuseaddr pre.rs [data-n="${line.dataset.n}"]`);
        return Math.abs(rust.getBoundingClientRect().top - line.getBoundingClientRect().top) > 0.5;
      }).length,
  );
  assert.equal(uneven, 0);
};

// The TIME_WAIT's flag refuses, and the fields are turned over.
checks.touches = async (open) => {
  const page = await open();
  const { bubble } = await page.$eval("#data", (data) => JSON.parse(data.textContent).words);
  await page.click(".zone-nobody button.flag");
  assert.ok((await text(page, "#bubble")).includes(bubble.record));
  await page.click('.cell[data-old="0"][data-new="0"]');
  await page.waitForFunction(() => document.querySelector('.cell[data-old="0"][data-new="0"] b').textContent === "✗");
};

// What is dragged over in one column is selected in that column alone.
checks.drags = async (open) => {
  const page = await open(address({ program: "treuseaddr", old: 1, new: 1 }));
  const box = (number) =>
    page.$eval(`#listing-treuseaddr pre.c [data-n="${number}"]`, (line) => line.getBoundingClientRect().toJSON());
  await page.$eval('#listing-treuseaddr pre.c [data-n="20"]', (line) => line.scrollIntoView({ block: "center" }));
  const [from, to] = [await box(11), await box(29)];
  await page.mouse.move(from.left + 3, from.top + 9);
  await page.mouse.down();
  await page.mouse.move(to.right - 8, to.top + 9, { steps: 8 });
  await page.mouse.up();
  // Here the end of the last line may be selected with it.
  assert.equal((await page.evaluate(() => String(getSelection()))).replace(/\n$/, ""), lines("treuseaddr.c", 11, 29));
};

checks.links = async (open) => {
  const page = await open(
    address({
      program: "treuseaddr2",
      old: 1,
      new: 1,
      step: 9,
      line: 67,
      ask: "udp/127.0.0.1+reuseaddr/bound/127.0.0.1+reuseaddr",
    })
      .replaceAll("%2F", "/")
      .replaceAll("%2B", "+"),
  );
  assert.equal(await text(page, "#count"), "9 / 10");
  assert.equal(await text(page, "#note .title h3"), "67 write");
  const { answer } = await page.$eval("#data", (data) => JSON.parse(data.textContent).words);
  assert.equal(await text(page, "#answer .sentence"), `✓ ${answer.yes_udp}`);
};

const text = (page, selector) => page.$eval(selector, (part) => part.innerText.trim());

await run(checks, async (check) => {
  // The size of the window itself: Firefox 140 does not know all that an emulated viewport asks for.
  const browser = await puppeteer.launch({
    browser: "firefox",
    executablePath: executable,
    headless: true,
    timeout: 200_000,
    defaultViewport: null,
    args: ["--width=1280", "--height=900"],
  });
  const troubles = [];
  try {
    await check(async (hash = "") => {
      const page = await browser.newPage();
      page.setDefaultTimeout(60_000);
      page.on("request", (request) => {
        if (request.url().split("#")[0] !== url && !request.url().startsWith("data:")) troubles.push(request.url());
      });
      page.on("console", (message) => troubles.push(`console: ${message.text()}`));
      page.on("pageerror", (error) => troubles.push(`error: ${error.message}`));
      await page.goto(url + hash);
      return page;
    });
    assert.deepEqual(troubles, []);
  } finally {
    await browser.close();
  }
});
