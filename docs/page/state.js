// What is shown is one state, and the address holds it.
import { data } from "./page.js";

export const language = document.querySelector(".language");
export const programs = data.programs;
export const start = { program: "treuseaddr", end: "", old: 0, new: 1, step: 0, line: 0, ask: "" };
export const state = { ...start }; // no step: that of the verdict
export const views = []; // each part of the page shows the state, and knows what was shown before

export const source = () => state.program.replace("-close-listener", "");
export const isUdp = () => state.program === "ureuseaddr";
export const runsOf = ({ program, end } = state) => data.runs[end ? `${program}/${end}` : program];

// A step is stored as what it changes of the step before.
const nothing = { typed: ["", ""], printed: ["", ""], calls: [], packets: [], sent: "", received: "" };
const unfolded = new Map();
export function steps(of = state) {
  const name = [of.program, of.end, of.old, of.new].join("/");
  if (!unfolded.has(name)) {
    const { before, after } = runsOf(of)[of.old];
    let last = { live: [], sockets: [], netstat: [] };
    const list = [...before, ...after[of.new]].map((number) => {
      const { live, sockets, netstat } = last;
      return (last = { ...nothing, live, sockets, netstat, ...data.steps[number] });
    });
    unfolded.set(name, list);
  }
  return unfolded.get(name);
}
export const isNew = (step) => /^(again|verdict|both|broadcast|unicast|end)/.test(step.key);
export const verdict = (of = state) => steps(of).findIndex((step) => "binds" in step) + 1;
export const binds = (of) => steps(of)[verdict(of) - 1].binds;
// The step in which a server's socket gets the option, or does not.
export const optionStep = (who) => (who === "old" ? 2 : runsOf()[state.old].before.length + 1);

// Where a link leads: a whole state, or a line, or a note on a line. Otherwise nothing.
export function read(hash) {
  const line = /^#(treuseaddr2?|ureuseaddr)(?:-(\d+)(?:-\w+)?)?$/.exec(hash);
  if (line) return { program: line[1] === source() ? state.program : line[1], end: "", line: Number(line[2] ?? 0) };
  if (!hash.includes("=")) return undefined;
  const wanted = new URLSearchParams(hash.slice(1));
  const number = (name, most) => {
    const value = wanted.has(name) ? Number(wanted.get(name)) : start[name];
    return Number.isInteger(value) && value >= 0 && value <= most ? value : start[name];
  };
  const program = programs.includes(wanted.get("program")) ? wanted.get("program") : start.program;
  const end = data.runs[`${program}/${wanted.get("end")}`] ? wanted.get("end") : "";
  return {
    program,
    end,
    old: number("old", runsOf({ program, end }).length - 1),
    new: number("new", 1),
    step: number("step", 99),
    line: number("line", 99),
    ask: (wanted.get("ask") ?? "").replaceAll(" ", "+"),
  };
}
export function address(change = {}) {
  const { ask, line, end, ...rest } = { ...state, ...change };
  const fields = new URLSearchParams(rest);
  if (end) fields.set("end", end);
  if (line) fields.set("line", line);
  return `#${fields}${ask ? `&ask=${ask}` : ""}`;
}

// Changes the state, shows it, and writes it down: "push" is a step for Back, "replace" none.
export function go(change, how = "push") {
  const before = { ...state };
  const wasVerdict = state.step >= verdict();
  Object.assign(state, change);
  if ("program" in change && change.program !== before.program) {
    if (!("end" in change)) state.end = "";
    if (!("line" in change)) state.line = 0;
    if (!("step" in change)) state.step = wasVerdict ? 0 : 1;
  } else if (wasVerdict && !("step" in change) && address() !== address(before)) {
    const isSame = ["program", "end", "old", "new"].every((name) => state[name] === before[name]);
    if (!isSame) state.step = 0;
  }
  if (state.old >= runsOf().length) state.old = 0;
  state.step = Math.min(state.step || verdict(), steps().length);
  for (const view of views) view(before);
  if (how && address() !== location.hash) history[`${how}State`](null, "", address());
  // The other language shows the same view.
  language.setAttribute("href", language.getAttribute("href").split("#")[0] + location.hash);
}
