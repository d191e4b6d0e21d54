"use strict";
const byId = (id) => document.getElementById(id);
const all = (selector, root = document) => [...root.querySelectorAll(selector)];
const note = byId("note");

// What can be scrolled can be reached by Tab.
const sized = new ResizeObserver((entries) => {
  for (const { target } of entries) {
    if (target.scrollWidth > target.clientWidth) target.tabIndex = 0;
    else target.removeAttribute("tabindex");
  }
});
const watch = (root) => all("pre, .wide, .bindtable details > div", root).forEach((element) => sized.observe(element));
watch(document);

// A line lights up, and what is said of it is shown.
let lit;
function light(row) {
  if (!row || row === lit) return;
  lit?.classList.remove("lit");
  lit = row;
  row.classList.add("lit");
  const articles = (row.dataset.articles ?? "").split(" ").filter(Boolean).map(byId);
  const [program, number] = row.id.split("-");
  if (!articles.length) {
    const heading = document.createElement("h3");
    heading.textContent = `${program}, line ${number}: no call`;
    note.replaceChildren(heading);
  } else {
    note.replaceChildren(...articles.map((article) => {
      const copy = document.createElement("div");
      copy.innerHTML = article.innerHTML;
      return copy;
    }));
  }
  const close = document.createElement("button");
  close.type = "button";
  close.textContent = "✕";
  close.setAttribute("aria-label", "close");
  close.addEventListener("click", dim);
  note.prepend(close);
  watch(note);
  note.scrollTop = 0;
  note.hidden = false;
}

// The note is closed; from within it, back to the line.
function dim() {
  if (note.contains(document.activeElement)) lit?.querySelector("a")?.focus();
  lit?.classList.remove("lit");
  lit = undefined;
  note.hidden = true;
}
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && !note.hidden) dim();
});

for (const table of all(".listing")) {
  // Not mouseover: that comes also where the page moves below a pointer that rests.
  table.addEventListener("mousemove", (event) => light(event.target.closest("tbody tr")));
  table.addEventListener("focusin", (event) => light(event.target.closest("tbody tr")));
  table.addEventListener("click", (event) => {
    const row = event.target.closest("tbody tr");
    if (row && !event.target.closest("a")) row.querySelector("a")?.focus({ preventScroll: true });
    if (row && event.detail === 0) setTimeout(() => note.focus()); // by Enter; following the link takes the focus
  });
  table.addEventListener("keydown", (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!step) return;
    const links = all("tbody a", table);
    links[links.indexOf(document.activeElement) + step]?.focus();
    event.preventDefault();
  });
}

// A link into a program shows that program.
function follow() {
  const target = byId(decodeURIComponent(location.hash.slice(1)));
  const owner = target?.closest("[class*='of-']");
  const name = owner && [...owner.classList].find((name) => name.startsWith("of-")).slice(3);
  if (name && !byId(`show-${name}`).checked) {
    byId(`show-${name}`).checked = true;
    refresh();
    target.scrollIntoView();
  }
  if (target?.matches("tr")) {
    light(target);
    target.scrollIntoView({ block: "center" });
  }
}
addEventListener("hashchange", follow);
addEventListener("load", follow); // the browser has gone to the line by then, but not to the middle

// The experiment, one step at a time: what has happened so far, and netstat's rows now.
let at = 0;
function visibleSteps() {
  const run = all(".run").find((run) => getComputedStyle(run).display !== "none");
  const again = byId("again").checked ? "again-without" : "again-with";
  return [...run.children].filter((step) => !step.classList.contains(again));
}
function gather(steps, kind) {
  const panes = steps.map((step) => step.querySelector(`.${kind}`));
  const pane = panes.find(Boolean).cloneNode(true);
  const into = pane.querySelector("pre, ul");
  into.replaceChildren(...panes.slice(0, at + 1).flatMap((pane, index) =>
    all("pre > *, ul > *", pane ?? into.cloneNode()).map((line) => {
      const copy = line.cloneNode(true);
      copy.classList.toggle("old", index < at);
      return copy;
    })));
  return pane;
}
function show(step) {
  const steps = visibleSteps();
  at = Math.max(0, Math.min(step, steps.length - 1));
  const [what, netstat] = [".what", ".netstat"].map((part) => steps[at].querySelector(part).cloneNode(true));
  const kinds = ["server", "second", "client", "packets"].filter((kind) => steps.some((step) => step.querySelector(`.${kind}`)));
  byId("stage").replaceChildren(what, ...kinds.map((kind) => gather(steps, kind)), netstat);
  watch(byId("stage"));
  byId("steps").replaceChildren(...steps.map((_, index) => {
    const item = document.createElement("li");
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = index + 1;
    button.setAttribute("aria-label", `step ${index + 1} of ${steps.length}`);
    if (index === at) button.setAttribute("aria-current", "step");
    button.addEventListener("click", () => choose(index));
    item.append(button);
    return item;
  }));
  byId("back").disabled = at === 0;
  byId("next").disabled = at === steps.length - 1;
}
function choose(step) {
  show(step);
  byId("steps").children[at].firstChild.focus();
}
byId("back").addEventListener("click", () => show(at - 1));
byId("next").addEventListener("click", () => show(at + 1));
byId("stepper").addEventListener("keydown", (event) => {
  const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  if (!step) return;
  choose(at + step);
});
byId("stepper").hidden = byId("stage").hidden = false;

// The table: a cell, its row and its column light up, and the rule that decides it is shown.
const grid = document.querySelector(".bindtable");
function explain(cell) {
  if (!cell?.dataset.rule) return;
  const row = cell.parentElement;
  const table = row.closest("table");
  const rule = all("ol > li", grid)[cell.dataset.rule - 1];
  const column = table.tHead.rows[0].cells[cell.cellIndex];
  for (const other of all(".lit", grid)) other.classList.remove("lit");
  for (const part of [cell, row.cells[0], column, rule]) part.classList.add("lit");
  const head = document.createElement("b");
  head.textContent = `${row.cells[0].textContent} · ${column.textContent}: ${cell.textContent}. `;
  byId("why").replaceChildren(head, ...rule.cloneNode(true).childNodes);
  byId("why").hidden = false;
}
grid.addEventListener("mousemove", (event) => explain(event.target.closest("td")));
grid.addEventListener("focusin", (event) => explain(event.target.closest("td")));
grid.addEventListener("click", (event) => event.target.closest("td")?.focus());
grid.addEventListener("keydown", (event) => {
  const cell = event.target.closest("td");
  const [down, right] = { ArrowDown: [1, 0], ArrowUp: [-1, 0], ArrowRight: [0, 1], ArrowLeft: [0, -1] }[event.key] ?? [];
  if (!cell || down === undefined) return;
  const rows = all("tr", cell.closest("tbody")).filter((row) => !row.hidden);
  const next = rows[rows.indexOf(cell.parentElement) + down]?.cells[cell.cellIndex + right];
  if (next?.matches("td")) next.focus();
  event.preventDefault();
});
for (const table of all("table", grid)) {
  all("td", table).forEach((cell, index) => (cell.tabIndex = index ? -1 : 0)); // one stop of Tab for each table
}
byId("filter").hidden = false;
byId("words").addEventListener("input", () => {
  const words = byId("words").value.toLowerCase().split(/\s+/).filter(Boolean);
  let count = 0;
  for (const part of all("details", grid)) {
    const about = all("summary, p, thead", part).map((element) => element.textContent).join(" ");
    let some = 0;
    for (const row of all("tbody tr", part)) {
      const text = `${about} ${row.textContent}`.toLowerCase();
      row.hidden = !words.every((word) => text.includes(word));
      some += !row.hidden;
    }
    count += some;
    part.hidden = !some;
    if (words.length && some) part.open = true;
  }
  byId("count").textContent = words.length ? `${count} rows` : "";
});

// What is chosen: another program begins its experiment anew, and the note goes with its line.
function refresh(event) {
  if (event?.target.id === "reuseaddr") byId("again").checked = event.target.checked;
  if (lit && !lit.checkVisibility()) dim();
  show(event?.target.name === "program" ? 0 : at);
}
for (const input of all("input")) input.addEventListener("change", refresh);
refresh();
follow();
