// The square: who has the option, and what comes of it. A reader who comes without a link sees one
// field, and turns the others over.
import { all, button, byId, filled, still, words } from "./page.js";
import { playTo, stop } from "./player.js";
import { binds, go, isUdp, optionStep, programs, runsOf, state, steps, verdict, views } from "./state.js";

const { stage, first } = words;
const square = document.querySelector(".square");
const cells = all(".cell", square);
let isAllShown = location.hash.includes("=");
let hasThird = false; // the row of the connection
// The reader's own case: the new server has the option. Where a child keeps the listener, the old one has it, too.
const own = (program) => ({ program, old: program === "treuseaddr2" ? 1 : 0, new: 1 });
// How long the three questions take to answer one after the other.
const ANSWERS = 2600;

export const isGuessing = () => !isAllShown;
const keyOf = ({ program, old, new: anew }) => [program, old, anew].join();
const turned = new Set(programs.map((program) => keyOf(own(program))));
const isOpen = (of) => isAllShown || Boolean(of.end) || of.old === 2 || turned.has(keyOf(of));
export function showAll() {
  isAllShown = true;
  draw();
}

// A field that is open shows its end; another one is played from where its run leaves the one that is shown.
export function choose(old, anew) {
  stop();
  const of = { ...state, old, new: anew };
  if (isOpen(of)) return go({ old, new: anew });
  const step = old === state.old ? optionStep("new") : 2;
  playTo(verdict(of), 1300, { old, new: anew, step });
}

// The option set on the connection alone: the row, and its run from there.
export function openThird() {
  const card = byId("scene").getBoundingClientRect().top;
  hasThird = true;
  const of = { program: "treuseaddr", end: "", old: 2, new: 1 };
  const step = steps(of).findIndex(({ key }) => key === "connection") + 1;
  playTo(verdict(of), 1500, { ...of, step });
  // What was clicked stays under the pointer.
  scrollBy({ top: byId("scene").getBoundingClientRect().top - card, behavior: "instant" });
}

function draw() {
  const isShown = ({ dataset }) => Number(dataset.old) < 2 || (runsOf().length > 2 && (hasThird || state.old === 2));
  square.classList.toggle("three", isShown({ dataset: { old: 2 } }));
  for (const cell of cells) {
    cell.hidden = !isShown(cell);
    if (cell.hidden) continue;
    const of = { ...state, old: Number(cell.dataset.old), new: Number(cell.dataset.new) };
    const isChosen = of.old === state.old && of.new === state.new;
    const isGood = binds(of);
    const open = isOpen(of);
    cell.className = `cell ${open ? (isGood ? "good" : "bad") : "hidden"}`;
    cell.setAttribute("aria-checked", isChosen);
    cell.tabIndex = isChosen ? 0 : -1;
    cell.firstChild.textContent = open ? (isGood ? "✓" : "✗") : isChosen ? "…" : "?";
    cell.lastChild.textContent = open ? (isGood ? (isUdp() ? stage.binds : stage.listens) : stage.fails) : "";
    const has = (is) => (is ? stage.flag : stage.no_flag);
    const owner = stage.owner[state.program];
    const parts = {
      old: owner.old,
      old_flag: of.old === 2 ? ` ${first.connection}` : has(of.old),
      new: owner.new,
      new_flag: has(of.new),
      verdict: open ? cell.lastChild.textContent : first.hidden,
    };
    cell.setAttribute("aria-label", filled(stage.cell, parts));
  }
  square.querySelector(".row-2").hidden = !square.classList.contains("three");
  const isDone = cells.every((cell) => cell.hidden || !cell.classList.contains("hidden"));
  const text = state.end ? first.turned.ended : (isDone ? first.turned : first.turn)[state.program];
  const more = isDone ? [] : [" ", button("link", first.all, showAll)];
  byId("turn").replaceChildren(text, ...more);
}

views.push((before) => {
  draw();
  const key = keyOf(state);
  if (state.step < verdict() || isOpen(state)) return;
  const isFresh = before.step !== state.step && state.step === verdict() && !still.matches;
  setTimeout(
    () => {
      turned.add(key);
      draw();
      square.querySelector('[aria-checked="true"]').classList.add("turning");
    },
    isFresh ? ANSWERS : 0,
  );
});

for (const input of all("[name=program]")) {
  input.addEventListener("change", () => {
    stop();
    // To the reader's own case, where the others are not turned over.
    go(isAllShown ? { program: input.value } : own(input.value));
  });
}
views.push(() => {
  for (const input of all("[name=program]")) input.checked = input.value === state.program;
});
square.addEventListener("click", (event) => {
  const cell = event.target.closest(".cell");
  if (cell) choose(Number(cell.dataset.old), Number(cell.dataset.new));
});
square.addEventListener("keydown", (event) => {
  const last = square.classList.contains("three") ? 2 : 1;
  const { old, new: anew } = state;
  const [toOld, toNew] =
    {
      ArrowUp: [Math.max(0, old - 1), anew],
      ArrowDown: [Math.min(last, old + 1), anew],
      ArrowLeft: [old, 0],
      ArrowRight: [old, 1],
    }[event.key] ?? [];
  if (toOld === undefined) return;
  event.preventDefault();
  if (toOld === old && toNew === anew) return;
  choose(toOld, toNew);
  square.querySelector('[aria-checked="true"]').focus({ preventScroll: true });
});
