// The other side: the client or the sender, and the packets on their way to the cards.
import { all, byId, make, words } from "./page.js";
import { isUdp, state, steps } from "./state.js";

const { stage } = words;

export function drawClient() {
  const step = steps()[state.step - 1];
  // netstat's row of the client is the one whose peer has the port.
  const rows = step.netstat.map((row) => row.split(" "));
  const own = isUdp() ? undefined : rows.find((row) => row[4].endsWith(":3459"));
  const address = own ? [make("span", "local", own[3]), make("b", "", own[5])] : [];
  const sent = step.sent ? [make("code", "", step.sent.trim())] : [];
  const packets = step.packets.map(([isServer, text]) =>
    make("span", isServer ? "packet from-server" : "packet", brief(text)),
  );
  byId("client").replaceChildren(
    make("span", "name", isUdp() ? stage.sender : stage.client),
    ...address,
    ...sent,
    make("span", "packets-of", ...packets),
  );
}
// A packet's flags, as tcpdump has them; of a datagram its length.
const brief = (text) => /\[([^\]]+)\]/.exec(text)?.[1] ?? /length \d+/.exec(text)?.[0] ?? text;

// Each packet flies between the strip and the card of the socket that it is for.
export function flyPackets(step) {
  const scene = byId("scene");
  const strip = byId("client").getBoundingClientRect();
  const targets = isUdp()
    ? all(".card", scene).filter((card) => step.printed[card.dataset.key === "new" ? 1 : 0])
    : [
        scene.querySelector('[data-key^="connection"]') ??
          scene.querySelector('[data-key="old"]') ??
          scene.querySelector(".gone"),
      ];
  step.packets.forEach(([isServer, text], index) => {
    for (const card of targets.filter(Boolean)) {
      const [to, from] = [card.getBoundingClientRect(), scene.getBoundingClientRect()];
      const packet = make("span", isServer ? "packet from-server flying" : "packet flying", brief(text));
      packet.setAttribute("aria-hidden", "true");
      scene.append(packet);
      const at = (box) =>
        `translate(${box.x - from.x + Math.min(box.width, 220) / 2}px, ${box.y - from.y + box.height / 2}px)`;
      const way = [{ transform: at(strip) }, { transform: at(to) }];
      if (isServer) way.reverse();
      const flight = packet.animate(way, { duration: 600, delay: index * 220, fill: "both", easing: "ease-in-out" });
      flight.onfinish = flight.oncancel = () => packet.remove();
    }
  });
}
