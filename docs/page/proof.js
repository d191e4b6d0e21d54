// What the stage shows, as it was recorded: the lines, the terminals, netstat's rows, the packets.
import { byId, colon, make, words } from "./page.js";
import { isUdp, source, state, steps } from "./state.js";

const { stage } = words;

// The step's lines in both languages. What is not compiled is shown, too.
function linesOf(step) {
  const numbers = [...new Set(step.calls.map((call) => call.line))];
  const isLeftOut = /^(option|again)-without$/.test(step.key);
  const listing = byId(`listing-${source()}`);
  const row = (number, isOff) => {
    const [c, rust] = ["c", "rs"].map((column) => {
      const cell = make("code", column);
      cell.innerHTML = listing.querySelector(`pre.${column} [data-n="${number}"]`).innerHTML.trim();
      return cell;
    });
    const link = make("a", "", String(number));
    link.href = `#${source()}-${number}`;
    link.tabIndex = -1; // the listing has it, too
    const pair = make("div", isOff ? "pair off-line" : "pair", link, c, rust);
    if (isOff) c.append(make("span", "not-compiled", stage.not_compiled));
    return pair;
  };
  const rows = [...numbers.map((number) => row(number)), ...(isLeftOut ? [row(24, true)] : [])];
  if (!rows.length) return [make("p", "none", stage.no_lines)];
  const heads = ["c", "rs"].map((column) =>
    make("p", `name ${column}`, listing.querySelector(`.heads .${column}`).firstChild.textContent),
  );
  return [...heads, ...rows];
}
function panel(name, title, ...content) {
  return make("div", `panel ${name}`, make("p", "name", title), ...content);
}
// A line is wrapped at its spaces, and not in `--features`.
const whole = (line) => line.split(" ").flatMap((word, index) => [index ? " " : "", make("span", "whole", word)]);
function terminal(list, at) {
  const lines = list.slice(0, state.step).flatMap((step, index) => {
    const row = (tag, text) =>
      text
        .split("\n")
        .filter(Boolean)
        .map((line) => make(tag, index === state.step - 1 ? "" : "old", ...whole(line)));
    return [...row("kbd", step.typed[at]), ...row("samp", step.printed[at])];
  });
  return make("pre", "", ...lines);
}
function rowOf(row) {
  const fields = row.split(" ");
  const state = fields[5] ? [make("b", fields[5], fields[5])] : [];
  return make(
    "samp",
    "",
    make("span", "proto", fields[0]),
    make("span", "queue", `${fields[1]} ${fields[2]}`),
    make("span", "", fields[3]),
    make("span", "", fields[4]),
    ...state,
  );
}
function packet([isServer, text]) {
  const from = make("span", "sr", isServer ? stage.from_server : stage.from_client);
  return make("li", isServer ? "from-server" : "from-client", from, text);
}
export function drawProof() {
  const list = steps();
  const step = list[state.step - 1];
  const terminals = isUdp()
    ? [0, 1].map((at) => panel(`terminal t${at}`, stage.terminals[at], terminal(list, at)))
    : [panel("terminal", stage.terminal, terminal(list, 0))];
  byId("terminals").replaceChildren(...terminals);
  for (const shown of byId("terminals").querySelectorAll("pre")) shown.scrollTop = shown.scrollHeight;
  const netstat = step.netstat.length ? make("pre", "", ...step.netstat.map(rowOf)) : make("p", "none", stage.no_rows);
  const who = (isUdp() ? stage.sender : stage.client) + colon;
  const sent = step.sent
    ? [make("p", "sent", who, make("code", "", step.sent.trim()), step.received ? " ⇄" : " →")]
    : [];
  const packets = step.packets.length
    ? make("ol", "", ...step.packets.map(packet))
    : make("p", "none", stage.no_packets);
  byId("proof").replaceChildren(
    panel("pairs", stage.lines, ...linesOf(step)),
    panel("netstat", `netstat ${isUdp() ? "-una" : "-tna"} | grep 3459`, netstat),
    panel("packets", stage.packets, ...sent, packets),
  );
}
