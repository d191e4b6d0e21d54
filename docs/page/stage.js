// The stage: sockets as cards in the process that holds them, the kernel's questions, the verdict.
import { all, button, byId, colon, filled, flagOf, make, said, still, words } from "./page.js";
import { drawClient, flyPackets } from "./client.js";
import { drawProof } from "./proof.js";
import { isGuessing } from "./square.js";
import { asksBy, isPlaying, stop } from "./player.js";
import { binds, go, isUdp, runsOf, state, steps, verdict, views } from "./state.js";

const { stage, guess } = words;

// The zones from left to right: the processes, and the kernel where no process holds a socket.
function zones() {
  const owners = Object.keys(stage.owner[state.program]).filter((owner) => owner !== "new");
  const nobody = state.program === "treuseaddr" ? ["nobody"] : [];
  return [...owners.sort().reverse(), ...nobody, "new"];
}
const ownerName = (owner) => (owner === "nobody" ? stage.nobody : stage.owner[state.program][owner]);
export const keyOf = (socket) => (socket.held.length ? socket.id : `${socket.id}-record`);
const zoneOf = (socket) => (socket.held.length ? socket.held.at(-1)[0] : "nobody");
const copiedFrom = { connection: "old", "connection-record": "connection" };
// A socket that neither listens nor is connected has no state that the kernel shows.
const nameOf = (socket) => (socket.state === "CLOSED" ? stage.new_socket : socket.state);

// The sockets that were there before a step and are gone, as they last were.
function gone(list, step) {
  const now = new Set(list[step - 1].sockets.map(keyOf));
  const last = new Map();
  for (const { sockets } of list.slice(0, step - 1)) for (const socket of sockets) last.set(keyOf(socket), socket);
  return [...last].filter(([key]) => !now.has(key)).map(([, socket]) => socket);
}
// Where an old socket is in the way of the new one.
const blocks = (ask) => ask.both === false || ask.listens === true;

function card(socket, step) {
  const element = make("div", `card ${socket.state.toLowerCase()}`);
  element.dataset.key = keyOf(socket);
  const flag = flagOf(socket.flag, "button");
  flag.type = "button";
  const isHeld = socket.held.length > 0;
  if (isHeld) flag.title = socket.flag ? stage.flag_on : stage.flag_off;
  flag.append(make("span", "sr", `${colon}${nameOf(socket)}`));
  const head = make("div", "head", make("b", socket.state === "CLOSED" ? "words" : "", nameOf(socket)), flag);
  const seconds = socket.seconds && make("span", "seconds", filled(stage.seconds, { n: socket.seconds }));
  const peer = socket.peer && make("span", "peer", `⇄ ${socket.peer}`);
  const descriptors = make("div", "held", ...socket.held.slice(-1).map(([, fd]) => make("span", "fd", `fd ${fd}`)));
  element.append(descriptors, head, make("span", "local", socket.local ?? stage.unbound), peer ?? "", seconds ?? "");
  if (step.binds === false && step.asks?.some((ask) => ask.id === socket.id && blocks(ask))) {
    element.classList.add("blocks");
    element.append(make("span", "tag", stage.in_the_way));
  }
  return element;
}
function ghost(socket) {
  const element = make(
    "div",
    "card gone",
    make("b", "", nameOf(socket)),
    flagOf(socket.flag),
    make("span", "", stage.gone),
  );
  element.dataset.key = `gone ${keyOf(socket)}`;
  return element;
}

// How the old server ends, and when the new one comes: the readers' choice.
function choices(name, legend, list, chosen, ended) {
  const element = make("fieldset", name, make("legend", "", legend));
  for (const [value, text] of list) {
    const input = make("input");
    Object.assign(input, { type: "radio", name, value, checked: value === chosen });
    input.addEventListener("change", () => ended(value));
    element.append(make("label", "", input, make("span", "", text)));
  }
  return element;
}
function ends(act) {
  const { end } = words.first;
  const list = [
    ["", end.interrupt],
    ["client", end.client],
    ["reset", end.reset],
    ["unread", end.unread],
  ];
  return choices("end", words.first.ends, list, state.end === "waited" ? "" : state.end, act);
}
function wait(act) {
  const list = [
    ["", words.first.wait.at_once],
    ["waited", words.first.wait.waited],
  ];
  return choices("wait", words.first.when, list, state.end, act);
}

// Whether the old server of a step has ended; before that there is nothing to choose.
export const ended = ({ live, key }) => !live.includes("old") && !/^(socket|option)/.test(key);

let chooseEnd;
export const onEnd = (act) => (chooseEnd = act);

function zone(name, list) {
  const step = list[state.step - 1];
  const sockets = step.sockets.filter((socket) => zoneOf(socket) === name);
  const isThere = name === "nobody" || step.live.includes(name);
  const wasThere = list.slice(0, state.step).some(({ live }) => live.includes(name));
  const element = make("div", `zone zone-${name}${isThere ? "" : wasThere ? " ended" : " future"}`);
  const fate = isThere ? [] : [make("span", "fate", wasThere ? stage.ended : stage.not_started)];
  element.append(make("p", "name", ownerName(name), ...fate));
  const left = gone(list, state.step).filter((socket) => zoneOf(socket) === name);
  const cards = make("div", "cards", ...left.map(ghost), ...sockets.map((socket) => card(socket, step)));
  // A descriptor of a socket whose card stands with its other holder.
  for (const socket of step.sockets) {
    const own = socket.held.find(([owner]) => owner === name);
    if (own && zoneOf(socket) !== name) cards.append(make("div", "also", `fd ${own[1]} → ${socket.state}`));
  }
  const hasEnded = state.program === "treuseaddr" && ended(step);
  if (name === "old" && hasEnded) cards.append(ends(chooseEnd));
  if (name === "nobody" && hasEnded) {
    if (!sockets.length) cards.append(make("p", "none", stage.nothing_left));
    const isOver =
      ["", "waited"].includes(state.end) && list.slice(0, state.step).some(({ key }) => key.startsWith("close"));
    if (isOver) cards.append(wait(chooseEnd));
  }
  element.append(cards);
  return element;
}

// The room that the program's fullest zone needs, in lines of text, so that no step moves what is below.
const rooms = new Map();
function room() {
  if (rooms.has(state.program)) return rooms.get(state.program);
  let most = 0;
  for (const end of state.program === "treuseaddr" ? ["", "waited", "client", "reset", "unread"] : [""]) {
    for (const old of runsOf({ program: state.program, end }).keys()) {
      const list = steps({ program: state.program, end, old, new: 1 });
      for (const [index, step] of list.entries()) {
        for (const name of zones()) {
          const here = (sockets) => sockets.filter((socket) => zoneOf(socket) === name);
          const full = here(step.sockets).reduce(
            (sum, socket) => sum + 3.5 + (socket.peer ? 1 : 0) + (socket.seconds ? 1 : 0),
            0,
          );
          const also = step.sockets.filter(
            (socket) => zoneOf(socket) !== name && socket.held.some(([owner]) => owner === name),
          );
          const hasEnded = state.program === "treuseaddr" && ended(step);
          const chips = hasEnded ? ({ old: 4.7, nobody: 2.9 }[name] ?? 0) : 0;
          most = Math.max(most, full + 1.9 * (here(gone(list, index + 1)).length + also.length) + chips);
        }
      }
    }
  }
  rooms.set(state.program, most);
  return most;
}

function drawScene(before) {
  const list = steps();
  const scene = byId("scene");
  const places = new Map(
    all(".card", scene).map((card) => {
      const flag = card.querySelector(".flag");
      return [card.dataset.key, [card, card.getBoundingClientRect(), flag.getBoundingClientRect()]];
    }),
  );
  const focused = document.activeElement?.closest("#scene .card")?.dataset.key;
  const chosen = document.activeElement?.closest("#scene fieldset")?.className;
  scene.className = `scene zones-${zones().length} of-${state.program}`;
  scene.style.setProperty("--room", room());
  byId("bubble").hidden = true;
  scene.replaceChildren(...zones().map((name) => zone(name, list)));
  if (focused) scene.querySelector(`.card[data-key="${focused}"] button`)?.focus({ preventScroll: true });
  if (chosen) scene.querySelector(`fieldset.${chosen} :checked`)?.focus({ preventScroll: true });
  const isNext = before && before.program === state.program && before.step + 1 === state.step;
  if (!before || before.program !== state.program || still.matches || document.hidden) return;
  for (const card of all(".card:not(.gone)", scene)) {
    const was = places.get(card.dataset.key);
    const now = card.getBoundingClientRect();
    if (was) {
      const [x, y] = [was[1].x - now.x, was[1].y - now.y];
      if (x || y)
        card.animate([{ transform: `translate(${x}px, ${y}px)` }, { transform: "none" }], {
          duration: 500,
          easing: "ease",
        });
      const flag = card.querySelector(".flag");
      if (was[0].querySelector(".flag").classList.contains("on") !== flag.classList.contains("on")) drop(flag);
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
  if (isNext) flyPackets(list[state.step - 1]);
}
function drop(flag) {
  flag.firstChild.animate(
    [
      { transform: "translateY(-1.2rem) scale(1.8)", opacity: 0 },
      { transform: "none", opacity: 1 },
    ],
    { duration: 600, easing: "cubic-bezier(.2,1.4,.4,1)" },
  );
}

// The copy of a flag on its way from one card to the other.
function flyFlag(flag, from) {
  const to = flag.getBoundingClientRect();
  const copy = flagOf(flag.classList.contains("on"));
  copy.classList.add("flying");
  copy.setAttribute("aria-hidden", "true");
  const scene = byId("scene").getBoundingClientRect();
  copy.style.cssText = `left:${to.x - scene.x}px;top:${to.y - scene.y}px;width:${to.width}px;height:${to.height}px`;
  byId("scene").append(copy);
  flag.firstChild.style.opacity = 0;
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
    flag.firstChild.style.opacity = "";
  };
}

// The three questions, about each old socket, and the verdict.
function drawQuestions(before) {
  const list = steps();
  const final = list[verdict() - 1];
  const isAsked = state.step >= verdict();
  const asks = final.asks ?? [];
  const flagsOf = (id) => final.sockets.find((socket) => socket.id === id);
  const answers = (field, isBad) => {
    if (!isAsked) return [make("span", "mark", "\u00a0")]; // the answer's room
    if (!asks.length) return [make("span", "mark none", field === "same" ? stage.none_there : stage.not_asked)];
    return asks.map((ask) => {
      const name = asks.length > 1 ? nameOf(flagsOf(ask.id)) + colon : "";
      const value = ask[field];
      if (value === null) {
        const why = isUdp() && field === "listens" && ask.both ? stage.ask_udp : stage.not_asked;
        return make("span", "mark none", name + why);
      }
      const fails = field !== "same" && value === isBad;
      const answer = value ? stage.yes : stage.no;
      const mark = make("span", `mark ${field === "same" ? "" : fails ? "bad" : "good"}`, name);
      mark.append(make("b", "", fails ? filled(stage.then_fails, { answer }) : answer));
      if (field === "both" && asks.length === 1) {
        const who = [
          [stage.who_old, flagsOf(ask.id).flag],
          [stage.who_new, flagsOf("new").flag],
        ];
        mark.append(make("span", "who", ...who.flatMap(([name, flag]) => [name, flagOf(flag)])));
      }
      return mark;
    });
  };
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
  end.style.setProperty("--at", 3);
  if (isAsked) {
    end.classList.add(final.binds ? "good" : "bad");
    end.append(make("b", "mark", final.binds ? `✓ ${isUdp() ? stage.binds : stage.listens}` : `✗ ${stage.fails}`));
  } else {
    end.append(make("span", "mark none", stage.not_yet));
  }
  byId("questions").replaceChildren(...items, end);
  byId("questions").classList.toggle("two", asks.length > 1);
  const isFresh = before && before.step < state.step && state.step === verdict();
  byId("questions").classList.toggle("fresh", Boolean(isFresh) && !still.matches);
}

// What the reader may guess before the next step: the words, and the answer.
function question(step = state.step) {
  const next = steps()[step];
  if (!next || !isGuessing()) return undefined;
  if (next.key.startsWith("stop")) return [guess.stop, false];
  if (next.key.startsWith("close")) return [guess.close, false];
  if (next.key.startsWith("exit")) return [guess.exit, next.key === "exit-closed"];
  if (next.key === "unicast") return [guess.unicast, false];
  return "binds" in next ? [(isUdp() ? guess.receive : guess.bind)[state.new], binds()] : undefined;
}
asksBy(question);
let reply; // the step that answers, and whether the reader was right
function drawCaption() {
  const { key } = steps()[state.step - 1];
  const captions = words.caption;
  const text = captions[state.program]?.[key] ?? captions.all[key];
  const asked = isPlaying() ? undefined : question();
  const was =
    reply?.step === state.step
      ? [make("em", reply.isRight ? "right" : "wrong", reply.isRight ? guess.right : guess.wrong), " "]
      : [];
  reply = undefined;
  const line = make("span", "", ...was, ...said(text));
  if (asked) line.append(" ", make("span", "guess", ...said(asked[0])));
  byId("caption").replaceChildren(make("b", "", `${state.step}`), line);
  const answer = (is) => () => {
    stop();
    reply = { step: state.step + 1, isRight: is === asked[1] };
    go({ step: state.step + 1 }, "replace");
  };
  byId("guess").replaceChildren(
    ...(asked ? [button("yes", guess.yes, answer(true)), button("no", guess.no, answer(false))] : []),
  );
}

let shown = "";
views.push((before) => {
  const wanted = [state.program, state.end, state.old, state.new, state.step].join();
  if (wanted === shown) return;
  const last = shown ? before : undefined;
  shown = wanted;
  drawCaption();
  drawClient();
  drawScene(last);
  drawQuestions(last);
  drawProof();
});
