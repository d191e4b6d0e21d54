// The flags are there to be touched: a call can reach the flag of a socket that a process holds, and no other.
import { button, byId, make, still, words } from "./page.js";
import { playTo, stop } from "./player.js";
import { openThird } from "./square.js";
import { ended, onEnd } from "./stage.js";
import { go, optionStep, state, steps, verdict } from "./state.js";

const { bubble } = words;
const scene = byId("scene");
const box = byId("bubble");

// Says it under the card; on a narrow screen under the caption.
function say(card, text, ...acts) {
  const close = button("close", "✕", () => (box.hidden = true));
  close.setAttribute("aria-label", words.stage.close);
  box.replaceChildren(make("p", "", text), make("div", "acts", ...acts), close);
  box.hidden = false;
  const [from, to] = [box.parentElement.getBoundingClientRect(), card.getBoundingClientRect()];
  const left = Math.min(to.left - from.left, from.width - box.offsetWidth);
  box.style.setProperty("--left", `${Math.max(0, left)}px`);
  box.style.setProperty("--top", `${to.bottom - from.top + 8}px`);
  box.style.setProperty("--point", `${to.right - from.left - Math.max(0, left) - 26}px`);
}

// Step 4 is the one in which the flag is copied: it is played from the step before.
function toStep4() {
  playTo(4, 700, { step: 3 }, "replace");
  byId("next").focus({ preventScroll: true });
}

function refuse(card) {
  say(card, bubble.record, button("go", bubble.step_4, toStep4));
  if (still.matches) return;
  const shake = [0, -5, 5, -4, 4, -2, 0].map((x) => ({ transform: `translateX(${x}px)` }));
  card.animate(shake, { duration: 420, easing: "ease-in-out" });
}
function ask(card, socket) {
  if (state.program !== "treuseaddr") {
    return say(card, bubble.child, button("go", bubble.show, openThird));
  }
  if (socket.flag) return say(card, bubble.has);
  say(card, bubble.ask, button("go", bubble.set, openThird));
}
// The option of that server: the run in which it is the other way.
function toggle(who) {
  const target = state.step;
  const wasOver = target >= verdict();
  stop();
  const from = { [who]: state[who] ? 0 : 1, step: optionStep(who) };
  if (still.matches) return go(from);
  const of = { ...state, ...from };
  playTo(wasOver ? verdict(of) : Math.min(target, steps(of).length), 1100, from);
}

scene.addEventListener("click", (event) => {
  const flag = event.target.closest("button.flag");
  if (!flag) return;
  const card = flag.closest(".card");
  const { key } = card.dataset;
  const socket = steps()[state.step - 1].sockets.find((socket) => key === socket.id || key === `${socket.id}-record`);
  if (!socket.held.length) refuse(card);
  else if (socket.id === "connection") ask(card, socket);
  else toggle(socket.id === "new" ? "new" : "old");
});
addEventListener("keydown", (event) => {
  if (event.key === "Escape") box.hidden = true;
});
addEventListener("click", (event) => {
  if (!event.target.closest("#bubble, button.flag")) box.hidden = true;
});

// How the old server ends: the run from there on.
onEnd((end) => {
  const old = state.old === 2 ? 0 : state.old;
  const list = steps({ ...state, end, old });
  // From where the choice shows.
  const isHere = { "": "close", waited: "waited" }[end];
  const step = list.findIndex((it) => (isHere ? it.key.startsWith(isHere) : ended(it))) + 1;
  playTo(verdict({ ...state, end, old }), 900, { end, old, step });
});
