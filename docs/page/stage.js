// The stage: sockets as cards in the process that holds them, the kernel's questions, the verdict.
import { all, byId, colon, data, filled, flagOf, make, said, still, words } from "./page.js";
import { stop } from "./player.js";
import { go, source, state, steps, verdict, views } from "./state.js";

const stage = words.stage;

// The zones from left to right: the processes, and the kernel where no process holds a socket.
function zones() {
  const owners = Object.keys(stage.owner[state.program]).filter((owner) => owner !== "new");
  const nobody = state.program === "treuseaddr" ? ["nobody"] : [];
  return [...owners.sort().reverse(), ...nobody, "new"];
}
const ownerName = (owner) => (owner === "nobody" ? stage.nobody : stage.owner[state.program][owner]);
const keyOf = (socket) => (socket.held.length ? socket.id : `${socket.id}-record`);
const zoneOf = (socket) => (socket.held.length ? socket.held.at(-1)[0] : "nobody");
const copiedFrom = { connection: "old", "connection-record": "connection" };

// The sockets that were there and are gone, as they last were.
function gone() {
  const now = new Set(steps()[state.step - 1].sockets.map(keyOf));
  const last = new Map();
  for (const step of steps().slice(0, state.step - 1))
    for (const socket of step.sockets) last.set(keyOf(socket), socket);
  return [...last].filter(([key]) => !now.has(key)).map(([, socket]) => socket);
}

function card(socket) {
  const element = make("div", `card ${socket.state.toLowerCase()}`);
  element.dataset.key = keyOf(socket);
  const head = make("div", "head", make("b", "", socket.state), flagOf(socket.flag));
  const seconds = socket.seconds && make("span", "seconds", filled(stage.seconds, { n: socket.seconds }));
  const peer = socket.peer && make("span", "peer", `⇄ ${socket.peer}`);
  const descriptors = make("div", "held", ...socket.held.slice(-1).map(([, fd]) => make("span", "fd", `fd ${fd}`)));
  element.append(descriptors, head, make("span", "local", socket.local ?? stage.unbound), peer ?? "", seconds ?? "");
  return element;
}

function zone(name, step) {
  const sockets = step.sockets.filter((socket) => zoneOf(socket) === name);
  const isThere = name === "nobody" || step.live.includes(name);
  const wasThere = steps()
    .slice(0, state.step)
    .some((step) => step.live.includes(name) || (name === "new" && "binds" in step));
  const element = make("div", `zone zone-${name}${isThere ? "" : wasThere ? " ended" : " future"}`);
  element.append(
    make(
      "p",
      "name",
      ownerName(name),
      ...(isThere ? [] : [make("span", "end", wasThere ? stage.ended : stage.not_started)]),
    ),
  );
  const left = gone()
    .filter((socket) => zoneOf(socket) === name)
    .map((socket) => {
      const element = card({ ...socket, held: [] });
      element.classList.add("gone");
      element.dataset.key = `gone ${keyOf(socket)}`;
      element.querySelector(".local").textContent = stage.gone;
      element.querySelector(".peer")?.remove();
      return element;
    });
  const cards = make("div", "cards", ...left, ...sockets.map(card));
  // A descriptor of a socket whose card stands with its other holder.
  for (const socket of step.sockets) {
    const own = socket.held.find(([owner]) => owner === name);
    if (own && zoneOf(socket) !== name) cards.append(make("div", "also", `fd ${own[1]} → ${socket.state}`));
  }
  element.append(cards);
  return element;
}

function drawScene(before) {
  const list = steps();
  const step = list[state.step - 1];
  const scene = byId("scene");
  const places = new Map(
    all(".card", scene).map((card) => [
      card.dataset.key,
      [card, card.getBoundingClientRect(), card.querySelector(".flag").getBoundingClientRect()],
    ]),
  );
  scene.className = `scene zones-${zones().length}`;
  scene.replaceChildren(...zones().map((name) => zone(name, step)));
  const isNext = before && before.program === state.program && before.step + 1 === state.step;
  if (!before || before.program !== state.program || still.matches || document.hidden) return;
  for (const card of all(".card", scene)) {
    if (card.classList.contains("gone")) continue;
    const was = places.get(card.dataset.key);
    const now = card.getBoundingClientRect();
    if (was) {
      const [x, y] = [was[1].x - now.x, was[1].y - now.y];
      if (x || y)
        card.animate([{ transform: `translate(${x}px, ${y}px)` }, { transform: "none" }], {
          duration: 500,
          easing: "ease",
        });
      const hadFlag = was[0].querySelector(".flag").classList.contains("on");
      const flag = card.querySelector(".flag");
      if (hadFlag !== flag.classList.contains("on"))
        flag.animate(
          [
            { transform: "translateY(-1.2rem) scale(1.8)", opacity: 0 },
            { transform: "none", opacity: 1 },
          ],
          { duration: 600, easing: "cubic-bezier(.2,1.4,.4,1)" },
        );
      continue;
    }
    card.animate(
      [
        { opacity: 0, transform: "scale(.92)" },
        { opacity: 1, transform: "none" },
      ],
      { duration: 350, easing: "ease-out" },
    );
    const from = isNext && places.get(copiedFrom[card.dataset.key]);
    if (from) flyFlag(card.querySelector(".flag"), from[2]);
  }
}

// The copy of a flag on its way from one card to the other.
function flyFlag(flag, from) {
  const to = flag.getBoundingClientRect();
  const copy = flag.cloneNode(true);
  copy.classList.add("flying");
  copy.setAttribute("aria-hidden", "true");
  const scene = byId("scene").getBoundingClientRect();
  copy.style.cssText = `left:${to.x - scene.x}px;top:${to.y - scene.y}px;width:${to.width}px;height:${to.height}px`;
  byId("scene").append(copy);
  flag.style.opacity = 0;
  const [x, y] = [from.x - to.x, from.y - to.y];
  const flight = copy.animate(
    [
      { transform: `translate(${x}px, ${y}px)` },
      { transform: `translate(${x / 2}px, ${y / 2 - 40}px) scale(1.7)`, offset: 0.5 },
      { transform: "none" },
    ],
    { duration: 1100, delay: 200, fill: "backwards", easing: "ease-in-out" },
  );
  flight.onfinish = flight.oncancel = () => {
    copy.remove();
    flag.style.opacity = "";
  };
}

// The three questions, about each old socket, and the verdict.
function drawQuestions(before) {
  const list = steps();
  const asked = list.findIndex((step) => step.asks);
  const isAsked = state.step - 1 >= asked;
  const { asks } = list[asked];
  const isUdp = state.program === "ureuseaddr";
  const answers = (field, isBad) =>
    asks.map((ask) => {
      const value = ask[field];
      const socket = list[asked].sockets.find((socket) => socket.id === ask.id);
      const name = asks.length > 1 ? socket.state + colon : "";
      if (!isAsked) return make("span", "mark", "\u00a0"); // the answer's room
      if (value === null)
        return make("span", "mark none", `${name}${isUdp && field === "listens" ? stage.ask_udp : stage.not_asked}`);
      // What lets it pass is ticked.
      const passes = value !== isBad;
      const mark = make("span", `mark ${field === "same" ? "" : passes ? "good" : "bad"}`);
      const sign = field === "same" ? "" : passes ? "✓ " : "✗ ";
      mark.append(`${name}`, make("b", "", sign + (value ? stage.yes : stage.no)));
      return mark;
    });
  const items = ["same", "both", "listens"].map((field, index) => {
    const item = make(
      "li",
      isAsked ? "asked" : "",
      make("span", "ask", stage.ask[index]),
      ...answers(field, field === "listens"),
    );
    item.style.setProperty("--at", index);
    return item;
  });
  const end = make("li", "verdict", make("span", "ask", make("code", "", stage.verdict)));
  const final = list[verdict() - 1];
  const isDecided = state.step >= verdict();
  if (isDecided) {
    end.classList.add(final.binds ? "good" : "bad");
    end.append(make("b", "", final.binds ? `✓ ${isUdp ? stage.binds : stage.listens}` : `✗ ${stage.fails}`));
  } else if (!isAsked) {
    end.append(make("span", "mark none", stage.not_yet));
  }
  byId("questions").replaceChildren(...items, end);
  const isFresh = before && before.step !== state.step && list[state.step - 1].asks;
  byId("questions").classList.toggle("fresh", Boolean(isFresh) && !still.matches);
}

// The step's lines in both languages.
function linesOf(step) {
  const numbers = [...new Set(step.calls.map((call) => call.line))];
  const listing = byId(`listing-${source()}`);
  const rows = numbers.map((number) => {
    const [c, rust] = ["c", "rs"].map((column) => {
      const cell = make("code", column);
      cell.innerHTML = listing.querySelector(`pre.${column} [data-n="${number}"]`).innerHTML.trim();
      return cell;
    });
    const link = make("a", "", String(number));
    link.href = `#${source()}-${number}`;
    return make("div", "pair", link, c, rust);
  });
  if (!rows.length) return [make("p", "none", stage.no_lines)];
  const heads = ["c", "rs"].map((column) =>
    make("p", `name ${column}`, listing.querySelector(`.heads .${column}`).firstChild.textContent),
  );
  return [...heads, ...rows];
}
function panel(name, title, ...content) {
  const element = make("div", `panel ${name}`, make("p", "name", title), ...content);
  return element;
}
function terminal(list, at) {
  const lines = list.slice(0, state.step).flatMap((step, index) => {
    const row = (tag, text) =>
      text
        .split("\n")
        .filter(Boolean)
        .map((line) => make(tag, index === state.step - 1 ? "" : "old", line));
    return [...row("kbd", step.typed[at]), ...row("samp", step.printed[at])];
  });
  return make("pre", "", ...lines);
}
function rowOf(row) {
  const name = row.at(-1);
  const state = /^[A-Z]/.test(name) ? [make("b", name, name)] : [];
  const fields = state.length ? row.slice(0, -1) : row;
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
  return make(
    "li",
    isServer ? "from-server" : "from-client",
    make("span", "sr", isServer ? stage.from_server : stage.from_client),
    text,
  );
}
function drawProof() {
  const list = steps();
  const step = list[state.step - 1];
  const isUdp = state.program === "ureuseaddr";
  const terminals = isUdp
    ? [0, 1].map((at) => panel(`terminal t${at}`, stage.terminals[at], terminal(list, at)))
    : [panel("terminal", stage.terminal, terminal(list, 0))];
  const netstat = step.netstat.length ? make("pre", "", ...step.netstat.map(rowOf)) : make("p", "none", stage.no_rows);
  const options = isUdp ? "-una" : "-tna";
  const sent = step.sent
    ? [
        make(
          "p",
          "sent",
          (isUdp ? stage.sender : stage.client) + colon,
          make("code", "", step.sent.trim()),
          step.received ? " ⇄" : " →",
        ),
      ]
    : [];
  const packets = step.packets.length
    ? make("ol", "", ...step.packets.map(packet))
    : make("p", "none", stage.no_packets);
  byId("proof").className = isUdp ? "proof four" : "proof";
  byId("proof").replaceChildren(
    panel("pairs", stage.lines, ...linesOf(step)),
    ...terminals,
    panel("netstat", `netstat ${options} | grep 3459`, netstat),
    panel("packets", stage.packets, ...sent, packets),
  );
}

let shownStage = "";
views.push((before) => {
  const wanted = [state.program, state.old, state.new, state.step].join();
  if (wanted === shownStage) return;
  const isFirst = !shownStage;
  shownStage = wanted;
  const list = steps();
  const step = list[state.step - 1];
  for (const input of all("[name=program]")) input.checked = input.value === state.program;
  const runs = data.runs[state.program];
  for (const cell of all(".square .cell")) {
    const [old, anew] = [Number(cell.dataset.old), Number(cell.dataset.new)];
    const { binds } = runs[old].after[anew].find((step) => "binds" in step);
    const isChosen = old === state.old && anew === state.new;
    cell.className = `cell ${binds ? "good" : "bad"}`;
    cell.setAttribute("aria-checked", isChosen);
    cell.tabIndex = isChosen ? 0 : -1;
    cell.firstChild.textContent = binds ? "✓" : "✗";
    cell.lastChild.textContent = binds ? (state.program === "ureuseaddr" ? stage.binds : stage.listens) : stage.fails;
    const has = (is) => (is ? stage.flag : stage.no_flag);
    const owner = stage.owner[state.program];
    const parts = {
      old: owner.old,
      old_flag: has(old),
      new: owner.new,
      new_flag: has(anew),
      verdict: cell.lastChild.textContent,
    };
    cell.setAttribute("aria-label", filled(stage.cell, parts));
  }
  const captions = words.caption;
  const caption = captions[state.program]?.[step.key] ?? captions.all[step.key];
  byId("caption").replaceChildren(make("span", "", make("b", "", `${state.step}`), make("span", "", ...said(caption))));
  drawScene(isFirst ? undefined : before);
  drawQuestions(isFirst ? undefined : before);
  drawProof();
  byId("scrub").max = list.length;
  byId("scrub").value = state.step;
  byId("scrub").setAttribute("aria-valuetext", filled(stage.count, { step: state.step, count: list.length }));
  byId("scrub").style.setProperty("--done", (state.step - 1) / (list.length - 1));
  byId("count").textContent = byId("bar-step").textContent = `${state.step} / ${list.length}`;
  for (const id of ["back", "bar-back"]) byId(id).disabled = state.step === 1;
  for (const id of ["next", "bar-next"]) byId(id).disabled = state.step === list.length;
});

for (const input of all("[name=program]")) {
  input.addEventListener("change", () => {
    stop();
    go({ program: input.value });
  });
}
const square = document.querySelector(".square");
square.addEventListener("click", (event) => {
  const cell = event.target.closest(".cell");
  if (cell) {
    stop();
    go({ old: Number(cell.dataset.old), new: Number(cell.dataset.new) });
  }
});
square.addEventListener("keydown", (event) => {
  const change = { ArrowUp: { old: 0 }, ArrowDown: { old: 1 }, ArrowLeft: { new: 0 }, ArrowRight: { new: 1 } }[
    event.key
  ];
  if (!change) return;
  event.preventDefault();
  stop();
  go(change);
  square.querySelector('[aria-checked="true"]').focus({ preventScroll: true });
});
