// The grid of Pins, and the keys that move in it.

import { view, write } from "./address.js";
import { makeButton } from "./basket.js";
import { at } from "./dom.js";
import { learn, showImage, titleOf } from "./pins.js";

const grid = at("grid");
const links = () => [...grid.querySelectorAll("a")];
const controls = () => [...grid.querySelectorAll("a, button")];

export const firstTile = () => links()[0];
export const hasFocus = () => grid.contains(document.activeElement);

/** Shows Pins; the focus stays at its place where `stay` says so. */
export function fill(pins, stay = false) {
  const place = stay ? controls().indexOf(document.activeElement) : -1;
  learn(pins);
  grid.replaceChildren(...pins.map(tile));
  if (place >= 0) (controls()[place] ?? controls().at(-1))?.focus({ preventScroll: true });
}

export function focusLink(hash) {
  links().find((link) => link.hash === hash)?.focus({ preventScroll: true });
}

function tile({ pin_id, score }) {
  const item = at("pin").content.cloneNode(true);
  const link = item.querySelector("a");
  link.href = write({ pin: pin_id, filter: view.filter });
  link.title = titleOf(pin_id); // the whole of it, where two lines are too short
  link.querySelector(".title").textContent = titleOf(pin_id);
  if (score !== undefined) link.querySelector(".score").textContent = (Math.round(score * 100) / 100 || 0).toFixed(2);
  makeButton(item.querySelector(".add"), pin_id);
  showImage(link.querySelector("img"), pin_id);
  return item;
}

grid.addEventListener("keydown", (event) => {
  const all = links();
  const here = all.indexOf(document.activeElement);
  if (here < 0) return;
  const across = all.filter((link) => link.offsetParent.offsetTop === all[0].offsetParent.offsetTop).length;
  const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -across, ArrowDown: across }[event.key];
  if (!step) return;
  event.preventDefault();
  (all[here + step] ?? (here + step < 0 ? at("words") : all.at(-1))).focus();
});
