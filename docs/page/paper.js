// On paper: the run that is chosen, and not the page's first.
import { byId, all, filled, make, said, words } from "./page.js";
import { source, state, steps } from "./state.js";

function draw() {
  const { run, stage, program, caption } = words;
  const owner = stage.owner[state.program];
  const has = (is) => (is ? stage.flag : stage.no_flag);
  const old = state.old === 2 ? words.first.connection : has(state.old);
  const parts = {
    program: program[state.program].name,
    old: owner.old,
    old_flag: old,
    new: owner.new,
    new_flag: has(state.new),
  };
  const spaced = (text) => words.punctuation.space + text;
  byId("run").querySelector("h2").textContent = filled(run.chosen, {
    ...parts,
    old_flag: spaced(old).trim(),
    new_flag: spaced(has(state.new)).trim(),
  });
  const items = steps().map((step) => {
    const text = caption[state.program]?.[step.key] ?? caption.all[step.key];
    const rows = [];
    const row = (name, ...content) => rows.push(make("dt", "", name), make("dd", "", ...content));
    for (const { line, text } of step.calls) row(filled(run.line, { line }), make("code", "", text));
    for (const { state: name, local, flag } of step.sockets)
      row(
        run.socket,
        `${name === "CLOSED" ? stage.new_socket : name} ${local ?? stage.unbound}${words.punctuation.colon}${has(flag)}`,
      );
    for (const printed of step.printed.filter(Boolean)) row(stage.terminal, make("samp", "", printed));
    for (const line of step.netstat) row("netstat", make("code", "", line));
    return make("li", "", make("p", "", ...said(text)), make("dl", "", ...rows));
  });
  byId("run")
    .querySelector("ol")
    .replaceChildren(...items);
  for (const section of all("#notes > section")) section.classList.toggle("chosen", section.id === source());
}
addEventListener("beforeprint", draw);
matchMedia("print").addEventListener("change", ({ matches }) => matches && draw());
