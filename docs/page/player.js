// Playing: a step every two seconds; where a flag is copied, a little longer. Play waits at a question; a run that
// is played as the answer to one asks no other.
import { byId, still, words, filled } from "./page.js";
import { go, state, steps, verdict, views } from "./state.js";

let timer;
let asks = () => undefined; // what the reader may guess in a step, if anything
export const asksBy = (question) => (asks = question);
export const isPlaying = () => timer !== undefined;
export function stop() {
  clearTimeout(timer);
  timer = undefined;
  byId("play").setAttribute("aria-pressed", "false");
  byId("caption").setAttribute("aria-live", "polite");
}
// To that step, from the state that is shown or from another one; `pace` is the time of a step.
export function playTo(last, pace, from, how = "push") {
  stop();
  const isShort = (from?.step ?? state.step) >= last;
  const isStill = still.matches && pace;
  const tick = () => {
    const step = state.step + 1;
    const halts = step >= last || (!pace && asks(step));
    if (halts) stop();
    // Only the verdict is read aloud.
    else byId("caption").setAttribute("aria-live", step === verdict() ? "polite" : "off");
    go({ step }, "replace");
    if (!halts) timer = setTimeout(tick, pace ?? (/^(accept|stop)/.test(steps()[step - 1].key) ? 3200 : 2100));
  };
  if (!isShort && !isStill) {
    byId("play").setAttribute("aria-pressed", "true");
    timer = setTimeout(tick, pace ?? 1400);
  }
  if (from) go(isStill && !isShort ? { ...from, step: last } : from, how);
}
function play() {
  playTo(steps().length, undefined, state.step >= verdict() ? { step: 1 } : undefined, "replace");
}
function turn(by) {
  stop();
  const step = state.step + by;
  if (step >= 1 && step <= steps().length) go({ step }, "replace");
}

byId("play").addEventListener("click", () => (timer ? stop() : play()));
for (const [id, by] of [
  ["back", -1],
  ["next", 1],
  ["bar-back", -1],
  ["bar-next", 1],
]) {
  byId(id).addEventListener("click", () => turn(by));
}
byId("scrub").addEventListener("input", () => {
  stop();
  go({ step: Number(byId("scrub").value) }, "replace");
});
// The arrow keys, wherever nothing else needs them.
addEventListener("keydown", (event) => {
  const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  if (!by || event.altKey || event.ctrlKey || event.metaKey || event.shiftKey) return;
  if (event.target.closest?.("input, select, textarea, [role=radiogroup], .presets, [tabindex='0']:is(pre, .wide)"))
    return;
  event.preventDefault();
  turn(by);
});

views.push(() => {
  const count = steps().length;
  byId("scrub").max = count;
  byId("scrub").value = state.step;
  byId("scrub").setAttribute("aria-valuetext", filled(words.stage.count, { step: state.step, count }));
  byId("scrub").style.setProperty("--done", (state.step - 1) / (count - 1));
  byId("count").textContent = byId("bar-step").textContent = `${state.step} / ${count}`;
  for (const id of ["back", "bar-back"]) byId(id).disabled = state.step === 1;
  for (const id of ["next", "bar-next"]) byId(id).disabled = state.step === count;
});
