document.documentElement.classList.add("ready");

// What every part of the page uses.
export const byId = (id) => document.getElementById(id);
export const all = (selector, root = document) => [...root.querySelectorAll(selector)];
export const data = JSON.parse(byId("data").textContent);
export const words = data.words;
export const { colon, list: comma, stop: fullStop, brackets } = words.punctuation;
export const still = matchMedia("(prefers-reduced-motion: reduce)");

// An element with its class and what is in it.
export function make(tag, name, ...parts) {
  const element = document.createElement(tag);
  if (name) element.className = name;
  element.append(...parts.filter((part) => part !== undefined));
  return element;
}
export function button(name, text, act) {
  const element = make("button", name, text);
  element.type = "button";
  element.addEventListener("click", act);
  return element;
}
// A line of words with `code` and **strong** in it.
export function said(text) {
  return text
    .split(/(`[^`]+`|\*\*[^*]+\*\*)/)
    .filter(Boolean)
    .map((part) => {
      if (part[0] === "`") return make("code", "", part.slice(1, -1));
      return part.startsWith("**") ? make("strong", "", part.slice(2, -2)) : part;
    });
}
// The words with what belongs in their braces.
export const filled = (text, parts) => text.replace(/\{(\w+)\}/g, (_, name) => parts[name]);
// A picture of the flag, and what it means, for a reader who hears the page.
export function flagOf(is, tag = "span") {
  const flag = make(tag, is ? "flag on" : "flag");
  flag.innerHTML = '<svg aria-hidden="true"><use href="#flag"/></svg>';
  flag.append(make("span", "sr", is ? words.stage.flag : words.stage.no_flag));
  return flag;
}
