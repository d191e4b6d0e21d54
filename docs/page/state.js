// What is shown is one state, and the address holds it.
import { data } from "./page.js";

export const language = document.querySelector(".language");
export const programs = Object.keys(data.runs);
export const start = { program: "treuseaddr", old: 0, new: 1, step: 0, line: 0, ask: "" };
export const state = { ...start }; // no step: that of the verdict
export const views = []; // each part of the page shows the state, and knows what was shown before

export const source = () => state.program.replace("-close-listener", "");
export const steps = () => {
  const run = data.runs[state.program][state.old];
  return run.before.concat(run.after[state.new]);
};
export const isNew = (step) => /^(again|ask|verdict|both|broadcast|unicast)/.test(step.key);
export const verdict = () => steps().findIndex((step) => "binds" in step) + 1;

// Where a link leads: a whole state, or a line, or a note on a line. Otherwise nothing.
export function read(hash) {
  const line = /^#(treuseaddr2?|ureuseaddr)(?:-(\d+)(?:-\w+)?)?$/.exec(hash);
  if (line) return { program: line[1] === source() ? state.program : line[1], line: Number(line[2] ?? 0) };
  if (!hash.includes("=")) return undefined;
  const wanted = new URLSearchParams(hash.slice(1));
  const number = (name, most) => {
    const value = wanted.has(name) ? Number(wanted.get(name)) : start[name];
    return Number.isInteger(value) && value >= 0 && value <= most ? value : start[name];
  };
  const program = programs.includes(wanted.get("program")) ? wanted.get("program") : start.program;
  return {
    program,
    old: number("old", 1),
    new: number("new", 1),
    step: number("step", 99),
    line: number("line", 99),
    ask: (wanted.get("ask") ?? "").replaceAll(" ", "+"),
  };
}
export function address(change = {}) {
  const { ask, line, ...rest } = { ...state, ...change };
  const fields = new URLSearchParams(rest);
  if (line) fields.set("line", line);
  return `#${fields}${ask ? `&ask=${ask}` : ""}`;
}

// Changes the state, shows it, and writes it down: "push" is a step for Back, "replace" none.
export function go(change, how = "push") {
  const before = { ...state };
  if ("program" in change && change.program !== state.program && !("step" in change)) {
    const wasLast = state.step >= verdict();
    Object.assign(state, change);
    state.step = wasLast ? verdict() : 1;
    if (!("line" in change)) state.line = 0;
  } else {
    const wasVerdict = state.step === verdict();
    Object.assign(state, change);
    if (wasVerdict && !("step" in change)) state.step = verdict();
  }
  state.step = Math.min(state.step || verdict(), steps().length);
  for (const view of views) view(before);
  if (how && address() !== location.hash) history[`${how}State`](null, "", address());
  // The other language shows the same view.
  language.setAttribute("href", language.getAttribute("href").split("#")[0] + location.hash);
}
