// The listing: a row lights up, a line is pinned, and its note is shown.
import { all, button, byId, colon, comma, data, filled, make, words } from "./page.js";
import { pointAtPart } from "./parts.js";
import { stop } from "./player.js";
import { go, isNew, read, source, state, steps, views } from "./state.js";

const note = byId("note");
const rows = {}; // by program and line: the gutter, C and Rust
for (const listing of all(".listing")) {
  const of = (rows[listing.dataset.program] = []);
  for (const element of all("[data-n]", listing)) (of[element.dataset.n] ??= []).push(element);
}
const mark = (program, number, name, is) => rows[program][number]?.forEach((part) => part.classList.toggle(name, is));

let lit;
function light(program, number) {
  if (lit) mark(...lit, "lit", false);
  lit = number && [program, number];
  if (lit) mark(...lit, "lit", true);
}

// A link that can be reached by Tab: the pinned line, or the first that has a note.
const links = () => all(".g a", byId(`listing-${source()}`));
function rove() {
  const list = links();
  const chosen = list.find((link) => Number(link.textContent) === state.line) ?? list[0];
  for (const link of list) link.tabIndex = link === chosen ? 0 : -1;
}

// Whether the server whose lines are shown was compiled with the option; the connection alone gets it by hand.
const option = () => (isNew(steps()[state.step - 1]) ? state.new : Number(state.old === 1));
let shown = "";
let pinned = "";
views.push(() => {
  const step = steps()[state.step - 1];
  const program = source();
  const wanted = [state.program, state.end, option(), state.step, state.old, state.new].join();
  if (wanted !== shown) {
    shown = wanted;
    for (const listing of all(".listing")) listing.hidden = listing.dataset.program !== program;
    for (const section of all("#notes > section")) section.classList.toggle("chosen", section.id === program);
    const listing = byId(`listing-${program}`);
    const closes = state.program.endsWith("close-listener");
    listing.classList.toggle("no-reuseaddr", !option());
    listing.classList.toggle("no-close-listener", !closes);
    for (const badge of all(".off", listing)) {
      const isOn = badge.dataset.switch === "reuseaddr" ? Boolean(option()) : closes;
      badge.setAttribute("aria-pressed", isOn);
      badge.setAttribute(
        "aria-label",
        badge.dataset.switch + colon + badge.querySelector(isOn ? ".is-on" : ".is-off").textContent,
      );
    }
    for (const line of all(".now", byId("lines"))) line.classList.remove("now");
    for (const call of step.calls) mark(program, call.line, "now", true);
    // The order of the calls, in the gutter.
    const [first, child] = data.order[state.program][option()];
    rows[program].forEach(([gutter], number) => {
      const chips = gutter.querySelector(".chips");
      const chip = (name) => (line, index) => (line === number ? [make("b", name, String(index + 1))] : []);
      chips?.replaceChildren(...first.flatMap(chip("chip")), ...child.flatMap(chip("chip of-child")));
    });
    byId("old").checked = state.old === 1;
    byId("new").checked = state.new;
    const server = words.stage.owner[state.program][isNew(step) ? "new" : "old"];
    byId("which").textContent = filled(words.note.acting, { program, server, step: state.step });
  }
  const pin = state.line ? `${program}-${state.line}` : "";
  if (pin !== pinned) {
    if (pinned) {
      const at = pinned.lastIndexOf("-");
      mark(pinned.slice(0, at), pinned.slice(at + 1), "pinned", false);
    }
    pinned = pin;
    if (pin) mark(program, state.line, "pinned", true);
    showNote();
  }
  rove();
});

// The notes on the pinned line; a line without a call has none. What repeats the first program is
// said once: its note stands below what is different here.
function showNote() {
  const ids = (state.line && byId(pinned)?.dataset.notes?.split(" ")) || [];
  const articles = ids.map(byId).filter(Boolean);
  const line = rows[source()]?.[state.line]?.find((part) => part.offsetHeight)?.getBoundingClientRect();
  note.hidden = !articles.length;
  byId("lines").classList.toggle("noted", !note.hidden);
  if (note.hidden) return note.replaceChildren();
  // Above its line, where it would cover it from below.
  const isBeside = getComputedStyle(document.querySelector(".inspector")).position === "sticky";
  const isLow = !isBeside && line && line.bottom > innerHeight * 0.58 && line.top < innerHeight;
  const place = document.querySelector(isLow ? ".above" : ".inspector");
  if (note.parentElement !== place) place.append(note);
  if (isLow) place.style.setProperty("--at", `${line.top - place.parentElement.getBoundingClientRect().top - 4}px`);
  const list = links();
  const at = list.findIndex((link) => Number(link.textContent) === state.line);
  const turn = (name, by, sign) => {
    const turn = button(`turn ${name}`, sign, () => {
      go({ line: Number(list[at + by].textContent) }, "replace");
      bringIntoView();
      note.querySelector(`.${name}`)?.focus({ preventScroll: true });
    });
    turn.setAttribute("aria-label", words.note[name]);
    turn.disabled = !list[at + by];
    return turn;
  };
  const close = button("turn close", "✕", unpin);
  close.setAttribute("aria-label", words.note.close);
  const calls = articles.map((article) => article.querySelector("h3").lastChild.textContent.trim()).join(comma);
  const title = make("h3", "", make("b", "", `${state.line}`), ` ${calls}`);
  const likes = articles.map(({ dataset }) => dataset.like && byId(dataset.like)).filter(Boolean);
  const bodies = [...articles, ...likes].map((article) => {
    const body = make("div", "body");
    body.innerHTML = article.innerHTML;
    body.querySelector("h3").remove();
    return body;
  });
  note.replaceChildren(
    make("div", "title", title, turn("previous", -1, "‹"), turn("next", 1, "›"), close),
    ...bodies.filter((body) => body.textContent.trim()),
  );
  note.scrollTop = 0;
  note.setAttribute("aria-label", filled(words.note.line, { line: state.line, calls }));
  for (const wide of all("pre, .wide", note)) if (wide.scrollWidth > wide.clientWidth) wide.tabIndex = 0;
}

// The pinned line or another one, where neither the bar nor the note covers it; in the middle, where a link led there.
export function bringIntoView(toMiddle, number = state.line) {
  const line = rows[source()]?.[number]?.find((part) => part.offsetHeight);
  if (!line) return;
  const box = line.getBoundingClientRect();
  let top = document.querySelector(".bar").offsetHeight + 30;
  const isOver = !note.hidden && note.closest(".above");
  const isBelow = !note.hidden && !isOver && getComputedStyle(note).position === "sticky";
  if (isOver) top += note.offsetHeight;
  const bottom = innerHeight - (isBelow ? note.offsetHeight : 0) - 8;
  const by = toMiddle
    ? box.top - (top + bottom) / 2
    : box.top < top
      ? box.top - top
      : box.bottom > bottom
        ? box.bottom - bottom
        : 0;
  if (by) scrollBy({ top: by, behavior: "instant" });
}

// What was clicked stays where it is, but for a line that is under the bar.
function pin(number) {
  go({ line: number }, state.line && number ? "replace" : "push");
  const line = number && rows[source()][number].find((part) => part.offsetHeight);
  if (line && line.getBoundingClientRect().top < document.querySelector(".bar").getBoundingClientRect().bottom)
    bringIntoView();
}
function unpin() {
  const wasInside = note.contains(document.activeElement);
  const number = state.line;
  go({ line: 0 });
  if (wasInside) rows[source()][number]?.[0].querySelector("a")?.focus({ preventScroll: true });
}
addEventListener("keydown", (event) => {
  if (event.key === "Escape" && state.line) unpin();
});

for (const listing of all(".listing")) {
  const program = listing.dataset.program;
  const numberAt = (event) => Number(event.target.closest("[data-n]")?.dataset.n ?? 0);
  // Not mouseover: that comes also where the page moves below a pointer that rests.
  listing.addEventListener("mousemove", (event) => {
    light(program, numberAt(event));
    pointAtPart(event, program, numberAt(event), rows[program]);
  });
  listing.addEventListener("mouseleave", (event) => {
    light();
    pointAtPart(event);
  });
  listing.addEventListener("focusin", (event) => {
    if (event.target.matches(".g a")) light(program, numberAt(event));
  });
  listing.addEventListener("click", (event) => {
    const badge = event.target.closest(".off");
    if (badge) return turnSwitch(badge.dataset.switch);
    // A drag over the code selects it, and pins nothing.
    if (event.target.closest(".copy") || (event.target.closest(".ln") && String(getSelection()))) return;
    const number = numberAt(event);
    if (!number) return;
    event.preventDefault();
    const hasNote = rows[program][number][0].dataset.notes;
    pin(hasNote ? number : 0);
    if (event.detail === 0 && hasNote) note.focus({ preventScroll: true }); // by Enter
  });
  listing.addEventListener("keydown", (event) => {
    if (!event.target.matches(".g a")) return;
    const list = links();
    const at = list.indexOf(event.target);
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: list.length - 1 }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    if (!list[to]) return;
    for (const link of list) link.tabIndex = link === list[to] ? 0 : -1;
    list[to].focus({ preventScroll: true });
    // A note over its line would cover those before it.
    if (note.closest(".above")) document.querySelector(".inspector").append(note);
    bringIntoView(false, Number(list[to].textContent));
  });
}

// A badge is the switch of the server whose lines are shown.
function turnSwitch(name) {
  stop();
  if (name === "reuseaddr")
    return go(isNew(steps()[state.step - 1]) ? { new: 1 - state.new } : { old: Number(state.old !== 1) });
  go({
    program: state.program === "treuseaddr2" ? "treuseaddr2-close-listener" : "treuseaddr2",
    line: state.line,
    step: state.step,
  });
}
for (const id of ["old", "new"]) {
  byId(id).addEventListener("change", (event) => {
    stop();
    go({ [id]: Number(event.target.checked) });
  });
}

// A link to a line or a note pins it.
addEventListener("click", (event) => {
  const link = event.target.closest?.("a[href^='#']");
  if (!link || link.closest(".listing")) return;
  const wanted = read(link.getAttribute("href"));
  if (!wanted?.line && !wanted?.program) return;
  event.preventDefault();
  stop();
  go(wanted);
  bringIntoView(true);
});

// A column as a whole.
for (const button of all(".copy")) {
  button.addEventListener("click", async () => {
    const text = button.closest(".listing").querySelector(`pre.${button.dataset.column}`).textContent;
    if (navigator.clipboard) {
      await navigator.clipboard.writeText(text);
    } else {
      // a page that came over http
      addEventListener(
        "copy",
        (event) => {
          event.clipboardData.setData("text/plain", text);
          event.preventDefault();
        },
        { once: true },
      );
      document.execCommand("copy");
    }
    button.textContent = words.note.copied;
    setTimeout(() => (button.textContent = words.note.copy), 1500);
  });
}
