// In a line with a call, the part that is pointed at lights its counterpart in the other language.
// Where that language needs no such part, the part stands alone.
const parts = {
  socket: [
    ["int lfd", "let lfd"],
    ["AF_INET", "AddressFamily::INET"],
    ["SOCK_STREAM", "SocketType::STREAM"],
    ["SOCK_DGRAM", "SocketType::DGRAM"],
    ["IPPROTO_TCP", "Some(ipproto::TCP)"],
    ["IPPROTO_UDP", "Some(ipproto::UDP)"],
    ["socket", "socket"],
  ],
  inet_pton: [
    ["AF_INET", ""],
    ["inet_pton", "inet_pton"],
  ],
  setsockopt: [
    ["SOL_SOCKET, SO_REUSEADDR", "set_socket_reuseaddr"],
    ["IPPROTO_IP, IP_ADD_MEMBERSHIP", "set_ip_add_membership"],
    ["sizeof(optval)", ""],
    ["&optval", "optval"],
    ["lfd", "&lfd"],
    ["setsockopt", "sockopt::"],
    ["", "let _ ="],
  ],
  bind: [
    ["(struct sockaddr *)&sockaddr", "&sockaddr"],
    ["sizeof(sockaddr)", ""],
    ["== -1", "let Err(no)"],
    ["lfd", "&lfd"],
    ["bind", "bind"],
  ],
  listen: [
    ["== -1", "let Err(no)"],
    ["128", "128"],
    ["lfd", "&lfd"],
    ["listen", "listen"],
  ],
  accept: [
    ["(struct sockaddr *)&claddr, &addrlen", ""],
    ["int cfd", "let cfd"],
    ["lfd", "&lfd"],
    ["accept", "acceptfrom"],
  ],
  read: [
    ["100", ""],
    ["num", "num"],
    ["cfd", "&cfd"],
    ["buff", "&mut buff"],
    ["read", "read"],
  ],
  write: [
    ["!= num", "!= num"],
    ["buff, num", "&buff[..num]"],
    ["cfd", "&cfd"],
    ["write", "write"],
  ],
};

// Where a part stands in a line's element, as a range of its text.
function find(line, text) {
  const at = text ? line.textContent.indexOf(text) : -1;
  if (at < 0) return undefined;
  const range = document.createRange();
  const walker = document.createTreeWalker(line, NodeFilter.SHOW_TEXT);
  let passed = 0;
  let isOpen = false;
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const end = passed + node.length;
    if (!isOpen && at < end) {
      range.setStart(node, at - passed);
      isOpen = true;
    }
    if (isOpen && at + text.length <= end) {
      range.setEnd(node, at + text.length - passed);
      return range;
    }
    passed = end;
  }
  return undefined;
}
const isIn = (range, { clientX: x, clientY: y }) =>
  [...range.getClientRects()].some((box) => x >= box.left && x <= box.right && y >= box.top && y <= box.bottom);

export function pointAtPart(event, program, number, rows) {
  if (!window.Highlight) return;
  CSS.highlights.delete("part");
  const line = number && event.target.closest(".ln.call");
  if (!line) return;
  const [gutter, c, rust] = rows[number];
  const call = gutter.dataset.notes.split(" ")[0].split("-").at(-1);
  for (const pair of parts[call] ?? []) {
    const ranges = [find(c, pair[0]), find(rust, pair[1])];
    const own = ranges[line === c ? 0 : 1];
    if (!own || !isIn(own, event)) continue;
    CSS.highlights.set("part", new Highlight(...ranges.filter(Boolean)));
    return;
  }
}
