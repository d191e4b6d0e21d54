// Playing: a step every two seconds; where a flag is copied, a little longer.
import { byId, still, words, filled } from "./page.js";
import { go, state, steps, verdict, views } from "./state.js";

let timer;
export function stop() {
  clearTimeout(timer);
  timer = undefined;
  byId("play").setAttribute("aria-pressed", "false");
  byId("caption").setAttribute("aria-live", "polite");
}
// From the state that is shown to that step; `pace` is the time of a step.
export function playTo(last, pace) {
  stop();
  if (state.step >= last) return;
  if (still.matches && pace) return go({ step: last }, "replace");
  byId("play").setAttribute("aria-pressed", "true");
  const tick = () => {
    const step = state.step + 1;
    // Only the verdict is read aloud.
    byId("caption").setAttribute("aria-live", step === verdict() ? "polite" : "off");
    go({ step }, "replace");
    if (step >= last) return stop();
    timer = setTimeout(tick, pace ?? (/^(accept|stop)/.test(steps()[step - 1].key) ? 3200 : 2100));
  };
  timer = setTimeout(tick, pace ?? 1400);
}
function play() {
  if (state.step >= verdict()) go({ step: 1 }, "replace");
  playTo(steps().length);
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
