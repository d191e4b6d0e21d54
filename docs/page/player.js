import { byId } from "./page.js";
import { go, state, steps } from "./state.js";

// Playing: a step every two seconds; what asks or moves has a little longer.
let timer;
export function stop() {
  clearTimeout(timer);
  timer = undefined;
  byId("play").setAttribute("aria-pressed", "false");
}
function play() {
  const last = steps().length;
  if (state.step === last) go({ step: 1 }, "replace");
  byId("play").setAttribute("aria-pressed", "true");
  const tick = () => {
    if (state.step >= steps().length) return stop();
    go({ step: state.step + 1 }, "replace");
    timer = setTimeout(tick, /^(accept|stop|ask)/.test(steps()[state.step - 1].key) ? 3200 : 2100);
  };
  timer = setTimeout(tick, 1400);
}
byId("play").addEventListener("click", () => (timer ? stop() : play()));
for (const [id, by] of [
  ["back", -1],
  ["next", 1],
  ["bar-back", -1],
  ["bar-next", 1],
]) {
  byId(id).addEventListener("click", () => {
    stop();
    go({ step: state.step + by });
  });
}
byId("scrub").addEventListener("input", () => {
  stop();
  go({ step: Number(byId("scrub").value) }, "replace");
});
