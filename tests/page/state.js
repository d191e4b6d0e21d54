document.documentElement.classList.add("ready");

// What is shown is one state, and the address holds it.
const byId = (id) => document.getElementById(id);
const all = (selector, root = document) => [...root.querySelectorAll(selector)];
const data = JSON.parse(byId("data").textContent);
const words = data.words;
const { colon, list: comma, stop: fullStop, brackets } = words.punctuation;
const still = matchMedia("(prefers-reduced-motion: reduce)");

// An element with its class, its attributes and what is in it.
function make(tag, name, ...parts) {
  const element = document.createElement(tag);
  if (name) element.className = name;
  element.append(...parts.filter((part) => part !== undefined));
  return element;
}
// A line of words with `code` and **strong** in it.
function said(text) {
  return text.split(/(`[^`]+`|\*\*[^*]+\*\*)/).filter(Boolean).map((part) =>
    part[0] === "`" ? make("code", "", part.slice(1, -1)) :
    part.startsWith("**") ? make("strong", "", part.slice(2, -2)) : part);
}
// The words with what belongs in their braces.
const filled = (text, parts) => text.replace(/\{(\w+)\}/g, (_, name) => parts[name]);
const flagOf = (is) => {
  const flag = make("span", is ? "flag on" : "flag");
  flag.innerHTML = '<svg aria-hidden="true"><use href="#flag"/></svg>';
  flag.append(make("span", "sr", is ? words.stage.flag : words.stage.no_flag));
  return flag;
};

const language = document.querySelector(".language");
const programs = Object.keys(data.runs);
const start = { program: "treuseaddr", old: 0, new: 1, step: 0, line: 0, ask: "" };
const state = { ...start }; // no step: that of the verdict
const views = []; // each part of the page shows the state, and knows what was shown before

const source = () => state.program.replace("-close-listener", "");
const steps = () => {
  const run = data.runs[state.program][state.old];
  return run.before.concat(run.after[state.new]);
};
const isNew = (step) => /^(again|ask|verdict|both|broadcast|unicast)/.test(step.key);
const verdict = () => steps().findIndex((step) => "binds" in step) + 1;

// Where a link leads: a whole state, or a line, or a note on a line. Otherwise nothing.
function read(hash) {
  const line = /^#(treuseaddr2?|ureuseaddr)(?:-(\d+)(?:-\w+)?)?$/.exec(hash);
  if (line) return { program: line[1] === source() ? state.program : line[1], line: Number(line[2] ?? 0) };
  if (!hash.includes("=")) return undefined;
  const wanted = new URLSearchParams(hash.slice(1));
  const number = (name, most) => {
    const value = wanted.has(name) ? Number(wanted.get(name)) : start[name];
    return Number.isInteger(value) && value >= 0 && value <= most ? value : start[name];
  };
  const program = programs.includes(wanted.get("program")) ? wanted.get("program") : start.program;
  return { program, old: number("old", 1), new: number("new", 1), step: number("step", 99), line: number("line", 99), ask: (wanted.get("ask") ?? "").replaceAll(" ", "+") };
}
function address(change = {}) {
  const { ask, line, ...rest } = { ...state, ...change };
  const fields = new URLSearchParams(rest);
  if (line) fields.set("line", line);
  return `#${fields}${ask ? `&ask=${ask}` : ""}`;
}

// Changes the state, shows it, and writes it down: "push" is a step for Back, "replace" none.
function go(change, how = "push") {
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

// Back, Forward, a link within the page, and an address that is typed.
function follow() {
  const wanted = location.hash ? read(location.hash) : start;
  if (!wanted) return;
  stop();
  go(wanted, "");
  if ("line" in wanted && !("step" in wanted)) bringIntoView(true);
}
addEventListener("popstate", follow);

language.addEventListener("click", () => {
  if (location.protocol.startsWith("http")) sessionStorage.language = "chosen";
});
