// What a reader does with the page, done in Chromium: node checks.mjs PAGE CHROMIUM CHECK
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";
import { chromium } from "playwright-core";

const [path, executablePath, wanted] = process.argv.slice(2);
const url = pathToFileURL(path).href;
const programs = ["treuseaddr", "treuseaddr2", "ureuseaddr"];
const checks = {};

// The page by itself: nothing else is asked for, nothing goes wrong.
checks.opens = async (open) => {
  const page = await open();
  assert.deepEqual(page.requests, [url]);
  assert.ok((await page.title()).includes("SO_REUSEADDR"));
};

checks.point = async (open) => {
  const page = await open();
  await page.hover("#treuseaddr-26 td.r");
  await isLit(page, "treuseaddr-26", "treuseaddr-26-bind");
  await page.hover("#treuseaddr-31 td.c");
  await isLit(page, "treuseaddr-31", "treuseaddr-31-listen");
};

checks.click = async (open) => {
  const page = await open();
  await page.click("#treuseaddr-38 td.t");
  await isLit(page, "treuseaddr-38", "treuseaddr-38-accept");
  await page.click("#treuseaddr-47 a");
  await isLit(page, "treuseaddr-47", "treuseaddr-47-read");
  assert.equal(new URL(page.url()).hash, "#treuseaddr-47");
};

checks.keyboard = async (open) => {
  const page = await open();
  const focused = () => page.evaluate(() => document.activeElement.closest("tr")?.id);
  for (let presses = 0; (await focused()) !== "treuseaddr-1"; presses++) {
    assert.ok(presses < 20, "Tab comes to the first line");
    await page.keyboard.press("Tab");
  }
  for (let presses = 0; (await focused()) !== "treuseaddr-11"; presses++) {
    assert.ok(presses < 11, "ArrowDown comes to the first call");
    await page.keyboard.press("ArrowDown");
  }
  await isLit(page, "treuseaddr-11", "treuseaddr-11-socket");
  await page.keyboard.press("Tab");
  await isLit(page, "treuseaddr-12");
  await page.keyboard.press("ArrowUp");
  await isLit(page, "treuseaddr-11", "treuseaddr-11-socket");
  await page.keyboard.press("Enter");
  await page.waitForFunction(() => document.activeElement.id === "note");
  await page.keyboard.press("Escape");
  assert.ok(await page.isHidden("#note"));
  assert.equal(await focused(), "treuseaddr-11");
};

checks.every_line = async (open) => {
  const page = await open();
  for (const program of programs) {
    await page.check(`#show-${program}`);
    for (const row of await page.locator(`.of-${program} tbody tr`).all()) {
      const [id, articles] = await row.evaluate((row) => [row.id, row.dataset.articles]);
      const link = row.locator("th a");
      if ((await link.count()) === 0) continue; // a blank line
      await link.focus();
      await isLit(page, id, articles);
    }
  }
};

checks.links = async (open) => {
  const page = await open("#treuseaddr2-55");
  await isLit(page, "treuseaddr2-55", "treuseaddr2-55-read");
  assert.ok(await page.isChecked("#show-treuseaddr2"));
  await page.click('#note a[href="#treuseaddr-47-read"]');
  assert.ok(await page.isChecked("#show-treuseaddr"));
  await inView(page, "#treuseaddr-47-read");
  await page.goBack();
  await isLit(page, "treuseaddr2-55", "treuseaddr2-55-read");
  for (const href of await page.locator("a").evaluateAll((links) => links.map((link) => link.getAttribute("href")))) {
    if (href.startsWith("#")) assert.equal(await page.locator(`[id="${href.slice(1)}"]`).count(), 1, href);
  }
};

checks.switches = async (open) => {
  const page = await open();
  for await (const { program, reuseaddr, closeListener } of choices(page)) {
    const shown = (selector) => page.locator(selector).filter({ visible: true }).count();
    assert.equal(await shown(".listing"), 1);
    assert.equal(await shown(`.listing.of-${program}`), 1);
    assert.equal(await shown("#close-listener"), program === "treuseaddr2" ? 1 : 0);
    assert.equal(await shown(`#${program}-24 .t code`), reuseaddr ? 1 : 0);
    assert.equal(await shown(`#${program}-11 .t code`), 1);
    if (program === "treuseaddr2") assert.equal(await shown("#treuseaddr2-51 .t code"), closeListener ? 1 : 0);
    // Each process numbers its calls from 1, without a gap.
    for (const child of [":not(.child)", ".child"]) {
      const numbers = await page.locator(`.listing .t .call${child} b`).filter({ visible: true }).allTextContents();
      const sorted = numbers.map(Number).sort((a, b) => a - b);
      assert.deepEqual(sorted, sorted.map((_, index) => index + 1));
    }
  }
};

// The last step of each run, against the table of outcomes.
checks.steps = async (open) => {
  const page = await open();
  const table = await page.locator("#experiment .wide tbody tr").evaluateAll((rows) =>
    rows.map((row) => [...row.cells].map((cell) => cell.textContent)));
  const word = (reuseaddr) => (reuseaddr ? "reuseaddr" : "no option");
  for await (const { program, reuseaddr, closeListener } of choices(page)) {
    for (const again of [false, true]) {
      await page.setChecked("#again", again);
      await page.click("#steps li:first-child button");
      assert.ok(await page.isDisabled("#back"));
      let steps = 1;
      for (; await page.isEnabled("#next"); steps++) await page.click("#next");
      assert.equal(steps, await page.locator("#steps li").count());
      const said = (await page.locator("#stage :is(.server, .second)").allInnerTexts()).join("\n");
      const rows = await page.locator("#stage .netstat pre").innerText();
      const inUse = said.includes("bind: : Address already in use");
      const combination = `${program} ${word(reuseaddr)} ${word(again)}`;
      if (program === "ureuseaddr") {
        assert.equal(inUse, !(reuseaddr && again), combination);
        assert.equal(rows.split("\n").length, inUse ? 1 : 2, combination);
        assert.equal(said.split(": broadcast\n").length - 1, inUse ? 0 : 2, combination);
      } else {
        const row = table.find(([old, anew]) => old === word(reuseaddr) && anew === word(again));
        const outcome = row[program === "treuseaddr" ? 2 : closeListener ? 4 : 3];
        assert.equal(outcome, inUse ? "Address already in use" : "listens", combination);
        assert.equal(rows.includes("LISTEN"), !inUse || (program === "treuseaddr2" && !closeListener), combination);
      }
      const features = [reuseaddr && "reuseaddr", closeListener && program === "treuseaddr2" && "close-listener"];
      const command = `$ cargo run --bin ${program} --features ${features.filter(Boolean)}`;
      assert.ok(`${said}\n`.includes(`${command.replace(/ --features $/, "")}\n`), said);
    }
  }
  await page.focus("#steps [aria-current]");
  await page.keyboard.press("ArrowLeft");
  assert.equal(await page.locator("#steps [aria-current]").innerText(), "5");
};

checks.table = async (open) => {
  const page = await open();
  const why = () => page.locator("#why").innerText();
  const cell = (row, column) => page.locator(`#bindtable-restart tbody tr:nth-child(${row}) td:nth-child(${column})`);
  await cell(9, 5).hover();
  assert.match(await why(), /^TIME_WAIT · both: ✓\. both have SO_REUSEADDR.*inet_bind_conflict/);
  await cell(3, 5).click();
  assert.match(await why(), /^LISTEN · both: ✗ EADDRINUSE\. .*in state LISTEN/);
  await page.keyboard.press("ArrowLeft");
  assert.match(await why(), /^LISTEN · B: ✗ EADDRINUSE\. /);
  await page.keyboard.press("ArrowDown");
  assert.match(await why(), /^LISTEN and ESTABLISHED · B: /);
  const rows = () => page.locator(".bindtable tbody tr").filter({ visible: true }).count();
  await page.fill("#words", "udp multicast");
  const some = await rows();
  assert.ok(some > 0);
  assert.equal(await page.innerText("#count"), `${some} rows`);
  await page.fill("#words", "no such row");
  assert.equal(await rows(), 0);
  await page.fill("#words", "");
  assert.ok((await rows()) > some);
  // Each cell names a rule of the list.
  const rules = await page.locator(".bindtable > ol > li").count();
  const numbers = await page.locator("[data-rule]").evaluateAll((cells) => cells.map((cell) => +cell.dataset.rule));
  assert.ok(numbers.length > 1000 && numbers.every((number) => number >= 1 && number <= rules));
  assert.equal(new Set(numbers).size, rules);
};

checks.without_script = async (open) => {
  const page = await open("#treuseaddr2-55", { javaScriptEnabled: false });
  await inView(page, "#treuseaddr2-55");
  await page.goto(url);
  await page.check("#show-treuseaddr2");
  await page.check("#reuseaddr");
  const shown = (selector) => page.locator(selector).filter({ visible: true }).count();
  assert.equal(await shown("#treuseaddr2-24 .t code"), 1);
  assert.equal(await shown(".run"), 1);
  assert.equal(await shown(".run > li"), 4);
  assert.equal(await shown("article"), await page.locator(".of-treuseaddr2 article").count());
};

checks.narrow = async (open) => {
  for (const width of [320, 390, 768]) {
    const page = await open("#treuseaddr-26", { viewport: { width, height: 800 } });
    const sizes = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
    assert.ok(sizes[0] <= sizes[1], `${sizes}`);
    const boxes = await Promise.all(["td.c", "td.r", "td.t"].map((cell) => page.locator(`#treuseaddr-26 ${cell}`).boundingBox()));
    for (const [above, below] of [[boxes[0], boxes[1]], [boxes[1], boxes[2]]]) {
      assert.equal(above.x, below.x);
      assert.ok(above.y + above.height <= below.y + 0.5);
    }
  }
};

checks.wide = async (open) => {
  const page = await open("#treuseaddr-26", { viewport: { width: 1600, height: 900 } });
  const boxes = await Promise.all(["td.c", "td.r", "td.t"].map((cell) => page.locator(`#treuseaddr-26 ${cell}`).boundingBox()));
  assert.ok(boxes[0].x < boxes[1].x && boxes[1].x < boxes[2].x);
  assert.ok(boxes.every((box) => box.y === boxes[0].y));
};

checks.print = async (open) => {
  const page = await open("#treuseaddr-26");
  await page.setViewportSize({ width: 720, height: 1000 }); // a sheet of A4, upright
  await page.emulateMedia({ media: "print" });
  for (const hidden of ["nav", "#note", "#stepper", "#stage"]) assert.ok(await page.isHidden(hidden), hidden);
  assert.equal(await page.locator(".run > li").filter({ visible: true }).count(), 6);
  const cut = await page.locator("pre").filter({ visible: true }).evaluateAll((blocks) =>
    blocks.filter((block) => block.scrollWidth > block.clientWidth).map((block) => block.textContent));
  assert.deepEqual(cut, []);
  assert.ok((await page.pdf({ format: "A4" })).length > 10_000);
};

checks.contrast_and_labels = async (open) => {
  const axe = createRequire(import.meta.url).resolve("axe-core/axe.min.js");
  const paper = new Set();
  for (const colorScheme of ["light", "dark"]) {
    for (const width of [390, 1440]) {
      const page = await open("", { colorScheme, viewport: { width, height: 900 } });
      paper.add(await page.evaluate(() => getComputedStyle(document.body).backgroundColor));
      await page.addScriptTag({ path: axe });
      for (const program of programs) {
        await page.check(`#show-${program}`);
        await page.locator(`#${program}-26 th a`).focus();
        await page.click("#next");
        // The frame in which the page measures what is new, and the one after it.
        await page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));
        const { violations } = await page.evaluate(() => axe.run());
        const found = violations.flatMap(({ id, nodes }) => nodes.map((node) => `${id}: ${node.html}: ${node.failureSummary}`));
        assert.deepEqual(found, [], `${colorScheme}, ${width} wide`);
      }
    }
  }
  assert.equal(paper.size, 2);
};

// Each program with each set of switches.
async function* choices(page) {
  for (const program of programs) {
    await page.check(`#show-${program}`);
    for (const reuseaddr of [false, true]) {
      await page.setChecked("#reuseaddr", reuseaddr);
      for (const closeListener of program === "treuseaddr2" ? [false, true] : [false]) {
        if (program === "treuseaddr2") await page.setChecked("#close-listener", closeListener);
        yield { program, reuseaddr, closeListener };
      }
    }
  }
}

async function inView(page, selector) {
  await page.waitForFunction((selector) => {
    const { top, bottom } = document.querySelector(selector).getBoundingClientRect();
    return top !== bottom && top >= 0 && top < innerHeight;
  }, selector);
}

// One line is lit, in view, and what stands below is what the page says of it.
async function isLit(page, id, article) {
  await page.waitForFunction((id) => document.querySelector(".lit")?.id === id, id);
  assert.equal(await page.locator(".lit").count(), 1);
  await inView(page, `[id="${id}"]`);
  const colour = await page.locator(`[id="${id}"]`).evaluate((row) => getComputedStyle(row).backgroundColor);
  assert.notEqual(colour, "rgba(0, 0, 0, 0)");
  const text = await page.locator("#note").textContent();
  const said = article ? await page.locator(`[id="${article}"]`).textContent() : "no call";
  assert.ok(text.includes(said), `${text}\nand not\n${said}`);
  assert.ok(await page.locator("#note").isVisible());
}

const check = checks[wanted];
assert.ok(check, `one of ${Object.keys(checks)}`);
setTimeout(() => assert.fail("it takes longer than two minutes"), 120_000).unref();
const args = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync"];
const browser = await chromium.launch({ executablePath, args });
const troubles = [];
try {
  await check(async (hash = "", options = {}) => {
    const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options });
    context.setDefaultTimeout(20_000);
    const page = await context.newPage();
    page.requests = [];
    page.on("request", (request) => page.requests.push(request.url().split("#")[0]));
    page.on("requestfailed", (request) => troubles.push(`request failed: ${request.url()}`));
    page.on("console", (message) => troubles.push(`console: ${message.text()}`));
    page.on("pageerror", (error) => troubles.push(`error: ${error.message}`));
    context.on("close", () => troubles.push(...page.requests.filter((request) => request !== url)));
    await page.goto(url + hash);
    return page;
  });
  for (const context of browser.contexts()) await context.close();
  assert.deepEqual(troubles, []);
} finally {
  await browser.close();
}
