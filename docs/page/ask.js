// The question to the kernel: a cell of the bind table.
import { brackets, byId, colon, data, filled, fullStop, make, words } from "./page.js";
import { address, go, state, views } from "./state.js";

const form = byId("question");
const table = data.ask;
const keys = Object.keys(table.cells).map((key) => key.split("/"));
const order = Object.keys(words.answer.state);
const field = (name) => form.elements[name];

function fill(select, values, name) {
  const was = select.value;
  const list = [...new Set(values)];
  if (name) list.sort((a, b) => order.indexOf(a) - order.indexOf(b));
  select.replaceChildren(
    ...list.map((value) => {
      const option = make("option", "", name ? (words.answer.state[value] ?? value) : value);
      option.value = value;
      return option;
    }),
  );
  select.value = list.includes(was) ? was : list[0];
}
// Only what was measured can be chosen: the addresses that go with what is chosen before them.
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
  fill(
    field("b"),
    inState.filter((key) => key[1] === field("a").value).map((key) => key[3]),
  );
}
const optionNames = ["", "+reuseaddr", "+reuseport", "+reuseaddr+reuseport"];
const bits = (name) => field(`${name}1`).checked + 2 * field(`${name}2`).checked;
function cellName() {
  const value = (name) => field(name).value;
  return `${value("proto")}/${value("a")}${optionNames[bits("a")]}/${value("state")}/${value("b")}${optionNames[bits("b")]}${value("user") === "1" ? "+other-user" : ""}`;
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

function answer() {
  const name = cellName();
  const [proto] = name.split("/");
  const row = table.cells[[proto, field("a").value, field("state").value, field("b").value].join("/")] ?? "";
  const at = bits("a") * 4 + bits("b") + (field("user").value === "1" ? 16 : 0);
  const outcome = table.outcomes[(row.codePointAt(at) ?? 0) - 48];
  const command = `cargo run -p bindtable -- explain ${name}`;
  const explain = make("p", "explain", words.answer.explain + colon, make("code", "", command));
  const link = make("a", "", words.answer.link);
  link.href = address({ ask: name });
  const all = make("a", "", words.answer.table);
  all.href = data.document;
  const end = make("p", "more", link, " · ", all);
  if (!outcome) {
    byId("answer").className = "answer unknown";
    byId("answer").replaceChildren(
      make("p", "sentence", words.answer.unknown),
      make("p", "explain", make("code", "", command)),
      end,
    );
    return;
  }
  const [verdict, rule, deliveries] = outcome;
  const isGood = verdict === "ok";
  const [call, errno] = verdict.split(" ");
  const sentence = isGood ? words.answer[`yes_${proto}`] : filled(words.answer[`no_${call}`] ?? verdict, { errno });
  const [condition, kernel] = table.rules[rule];
  const got = Object.entries(deliveries ?? {}).map(([to, who]) =>
    make("li", "", make("code", "", to), ` → ${words.answer[who] ?? who}`),
  );
  byId("answer").className = `answer ${isGood ? "good" : "bad"}`;
  byId("answer").replaceChildren(
    make("p", "sentence", make("b", "", isGood ? "✓ " : "✗ "), sentence),
    make("p", "because", condition[0].toUpperCase() + condition.slice(1) + fullStop),
    make("p", "kernel", make("code", "", kernel)),
    ...(got.length ? [make("p", "who", words.answer.who), make("ul", "", ...got)] : []),
    ...(table.elsewhere[name] ?? []).map(([where, what]) => {
      // "stackoverflow.com/q/14388706, of BSD": who says it, and of what.
      const [who, of] = where.split(", of ");
      const says = what === "ok" ? words.answer.yes_udp : what;
      return make("p", "elsewhere", make("b", "", (of ?? who) + colon), says, of ? brackets.join(who) : "");
    }),
    explain,
    end,
  );
}

const firstQuestion = "tcp/127.0.0.1/time-wait/127.0.0.1+reuseaddr";
let asked;
views.push(() => {
  const wanted = state.ask || firstQuestion;
  if (asked === wanted) return;
  if (!choose(wanted)) choose(firstQuestion);
  asked = cellName();
  answer();
});
form.addEventListener("change", () => {
  offer();
  asked = cellName();
  answer();
  go({ ask: asked });
});
form.addEventListener("submit", (event) => event.preventDefault());
