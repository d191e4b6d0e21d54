// The page as a whole: its parts, and the state that the address asks for.
import "./stage.js";
import "./touch.js";
import { bringIntoView } from "./listing.js";
import "./ask.js";
import "./paper.js";
import { byId } from "./page.js";
import { stop } from "./player.js";
import { go, language, read, start } from "./state.js";

// Back, Forward, a link within the page, and an address that is typed.
function follow() {
  const wanted = location.hash ? read(location.hash) : start;
  if (!wanted) return;
  stop();
  go(wanted, "");
  if ("line" in wanted && !("step" in wanted)) bringIntoView(true);
}
addEventListener("popstate", follow);

language.addEventListener("click", () => {
  if (location.protocol.startsWith("http")) sessionStorage.language = "chosen";
});

// Everything is there: show what the address asks for.
{
  const wanted = location.hash ? read(location.hash) : undefined;
  go(wanted ?? start, "");
  const isLine = wanted && wanted.line;
  addEventListener("load", () => {
    if (isLine) bringIntoView(true);
    else if (wanted?.ask && !location.hash.includes("step=")) byId("ask").scrollIntoView();
  });
}

// What to do now is long, and stands open for readers without JavaScript.
const inUse = byId("in-use").querySelector("details");
inUse.open = location.hash === "#in-use";
addEventListener("click", (event) => {
  if (event.target.closest?.('a[href="#in-use"]')) inUse.open = true;
});
