// The question to the kernel: a cell of the bind table. Every question that the form can ask was asked.
import { brackets, byId, colon, data, filled, flagOf, fullStop, make, words } from "./page.js";
import { address, go, state, views } from "./state.js";

const form = byId("question");
const table = data.ask;
const keys = Object.keys(table.cells).map((key) => key.split("/"));
const order = Object.keys(words.answer.state);
const field = (name) => form.elements[name];
// By the address of B, the answers for the A that is chosen.
const rows = () => table.cells[["proto", "a", "state"].map((name) => field(name).value).join("/")] ?? {};

function fill(select, values, name) {
  const was = select.value;
  const list = [...new Set(values)];
  if (name) list.sort((a, b) => order.indexOf(a) - order.indexOf(b));
  select.replaceChildren(
    ...list.map((value) => {
      const option = make("option", "", name ? (words.answer.state[value] ?? value) : value.replaceAll("+", " +"));
      option.value = value;
      return option;
    }),
  );
  select.value = list.includes(was) ? was : list[0];
}
// The addresses that go with what is chosen before them.
function offer() {
  const proto = field("proto").value;
  const of = keys.filter((key) => key[0] === proto);
  fill(
    field("state"),
    of.map((key) => key[2]),
    true,
  );
  const inState = of.filter((key) => key[2] === field("state").value);
  fill(
    field("a"),
    inState.map((key) => key[1]),
  );
  fill(field("b"), Object.keys(rows()));
}
const optionNames = ["", "+reuseaddr", "+reuseport", "+reuseaddr+reuseport"];
const bits = (name) => field(`${name}1`).checked + 2 * field(`${name}2`).checked;
function cellName() {
  const value = (name) => field(name).value;
  const a = value("a") + optionNames[bits("a")];
  const b = value("b") + optionNames[bits("b")] + (value("user") === "1" ? "+other-user" : "");
  return `${value("proto")}/${a}/${value("state")}/${b}`;
}
// Sets the form to a cell's name; false if there is no such cell.
function choose(name) {
  const [proto, a, at, b] = name.split("/");
  if (!b) return false;
  const part = (text) => /^(.*?)(\+reuseaddr)?(\+reuseport)?(\+other-user)?$/.exec(text);
  const [, aAddress, a1, a2] = part(a);
  const [, bAddress, b1, b2, other] = part(b);
  for (const radio of field("proto")) radio.checked = radio.value === proto;
  field("state").value = "";
  offer();
  field("state").value = at;
  offer();
  field("a").value = aAddress;
  offer();
  field("b").value = bAddress;
  for (const [name, is] of Object.entries({ a1, a2, b1, b2 })) field(name).checked = Boolean(is);
  field("user").value = other ? "1" : "0";
  return cellName() === name;
}

// The sign of SO_REUSEPORT.
function fork(is) {
  const sign = make("span", is ? "fork on" : "fork");
  sign.innerHTML = '<svg aria-hidden="true"><use href="#fork"/></svg>';
  return sign;
}
// The kernel's three questions, with its answers to this one.
function drawAsked(isGood, answers) {
  const last = answers.findLastIndex((answer) => answer !== null);
  const items = words.answer.questions.map((text, index) => {
    const value = answers[index];
    const fails = index === last && !isGood;
    const answer = value ? words.stage.yes : words.stage.no;
    const said = value === null ? words.stage.not_asked : fails ? filled(words.stage.then_fails, { answer }) : answer;
    const mark = value === null ? "none" : fails ? "bad" : index === last ? "good" : "";
    const flags = ["a", "b"].flatMap((who) => [who.toUpperCase(), flagOf(bits(who) & 1), fork(bits(who) & 2)]);
    const who = index === 1 && value !== null ? [make("span", "who", ...flags)] : [];
    return make("li", "asked", make("span", "ask", text), make("span", `mark ${mark}`, make("b", "", said), ...who));
  });
  byId("asked").replaceChildren(...items);
}

function answer(unknown) {
  const name = cellName();
  const [proto] = name.split("/");
  const row = rows()[field("b").value];
  const at = bits("a") * 4 + bits("b") + (field("user").value === "1" ? 16 : 0);
  const [verdict, rule, deliveries] = table.outcomes[row.codePointAt(at) - 48];
  const isGood = verdict === "ok";
  const [call, errno] = verdict.split(" ");
  const sentence = isGood ? words.answer[`yes_${proto}`] : filled(words.answer[`no_${call}`], { errno });
  const [condition, kernel, answers] = table.rules[rule];
  drawAsked(isGood, answers);
  for (const who of ["a", "b"]) byId(`socket-${who}`).classList.toggle("has-flag", Boolean(bits(who) & 1));
  byId("socket-a").classList.toggle("blocks", !isGood);
  const got = Object.entries(deliveries ?? {}).map(([to, who]) =>
    make("li", "", make("code", "", to), ` → ${words.answer[who] ?? who}`),
  );
  const link = make("a", "", words.answer.link);
  link.href = address({ ask: name });
  const all = make("a", "", words.answer.table);
  all.href = data.document;
  // "stackoverflow.com/q/14388706, of BSD": who says it, and of what.
  const elsewhere = (table.elsewhere[name] ?? []).map(([where, what]) => {
    const [who, of] = where.split(", of ");
    const says = what === "ok" ? words.answer.yes_udp : what;
    return make("p", "elsewhere", make("b", "", (of ?? who) + colon), says, of ? brackets.join(who) : "");
  });
  byId("answer").className = `answer ${isGood ? "good" : "bad"}`;
  byId("answer").replaceChildren(
    ...(unknown ? [make("p", "unknown", filled(words.answer.unknown, { cell: unknown }))] : []),
    make("p", "sentence", make("b", "", isGood ? "✓ " : "✗ "), sentence),
    make("p", "because", condition[0].toUpperCase() + condition.slice(1) + fullStop),
    make("p", "kernel", make("code", "", kernel)),
    ...(got.length ? [make("p", "who", words.answer.who), make("ul", "", ...got)] : []),
    ...elsewhere,
    make("p", "explain", words.answer.explain + colon, make("code", "", `cargo run -p bindtable -- explain ${name}`)),
    make("p", "more", link, " · ", all),
  );
}

const firstQuestion = "tcp/127.0.0.1/time-wait/127.0.0.1+reuseaddr";
let asked;
views.push(() => {
  const wanted = state.ask || firstQuestion;
  if (asked === wanted) return;
  asked = wanted;
  const isKnown = choose(wanted);
  if (!isKnown) choose(firstQuestion);
  answer(isKnown ? "" : wanted);
});
form.addEventListener("change", () => {
  offer();
  asked = cellName();
  answer("");
  go({ ask: asked });
});
form.addEventListener("submit", (event) => event.preventDefault());
// The questions that people ask are one stop of Tab; the arrow keys go from one to the next.
const presets = [...document.querySelectorAll(".presets a")];
presets.forEach((link, at) => {
  link.tabIndex = at ? -1 : 0;
  link.addEventListener("click", (event) => {
    event.preventDefault();
    go({ ask: link.hash.slice("#ask=".length) });
  });
  link.addEventListener("keydown", (event) => {
    const to = presets[at + ({ ArrowLeft: -1, ArrowRight: 1 }[event.key] ?? presets.length)];
    if (!to) return;
    for (const other of presets) other.tabIndex = other === to ? 0 : -1;
    to.focus();
  });
});
