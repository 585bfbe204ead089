// The address says what is shown, so that going back works and a view can be sent to others:
//   #q=red+cat     Pins for words
//   #picture=x4t   Pins like a picture that was chosen; the picture itself stays on its device
//   #pin=p1        Pins like a Pin
//   #look=1        what goes with the basket
// and with each of them &filter={"colour":["red"]} and &basket=p1&basket=p2. An empty address is the start.

export let view = read();
let follow;

export function read(hash = location.hash) {
  const said = new URLSearchParams(hash.slice(1));
  return {
    q: (said.get("q") ?? "").trim(),
    picture: said.get("picture") ?? "",
    pin: said.get("pin") ?? "",
    look: said.has("look"),
    filter: readFilter(said.get("filter")),
    basket: [...new Set(said.getAll("basket"))],
  };
}

export function write({ q, picture, pin, look, filter = {}, basket = [] }) {
  const said = new URLSearchParams();
  if (q) said.set("q", q);
  if (picture) said.set("picture", picture);
  if (pin) said.set("pin", pin);
  if (look) said.set("look", 1);
  if (Object.keys(filter).length) said.set("filter", JSON.stringify(filter));
  for (const id of basket) said.append("basket", id);
  return `#${said}`;
}

/** Changes what is shown; `replace`: without a step that "back" would undo. */
export function go(changes, { replace = false } = {}) {
  const before = write(view);
  view = { ...view, ...changes };
  if (replace || write(view) === before) history.replaceState({}, "", write(view));
  else history.pushState({}, "", write(view));
  follow();
}

/** Calls `onChange` now and whenever `view` has changed. */
export function begin(onChange) {
  follow = onChange;
  history.scrollRestoration = "manual"; // what is scrolled comes later than the step back
  history.replaceState({}, "", write(view));
  addEventListener("popstate", ({ state }) => {
    const said = read();
    // An entry with a state was here before: going back to it does not change the basket. Another is a link.
    const basket = state || !said.basket.length ? view.basket : said.basket;
    view = { ...said, basket };
    history.replaceState(state ?? {}, "", write(view));
    follow();
  });
  follow();
}

function readFilter(text) {
  try {
    const filter = JSON.parse(text);
    return filter?.constructor === Object ? filter : {};
  } catch {
    return {};
  }
}
