// The basket: Pins that were put aside to see what goes with them. It is part of the address.

import { go, view } from "./address.js";
import { at, element } from "./dom.js";
import { showImage, titleOf } from "./pins.js";

const MOST = 20; // Pins

const has = (pin) => view.basket.includes(pin);
const set = (basket) => go({ basket, look: view.look && basket.length > 0 }, { replace: true });
const remove = (pin) => set(view.basket.filter((one) => one !== pin));

/** A button with the class `add` and this puts the Pin into the basket, or takes it out. */
export function makeButton(button, pin) {
  button.dataset.pin = pin;
  button.onclick = () => (has(pin) ? remove(pin) : set([...view.basket, pin]));
  mark(button);
}

export function showBasket() {
  const { basket } = view;
  at("basket").hidden = !basket.length;
  document.body.classList.toggle("with-basket", basket.length > 0);
  at("count").textContent = basket.length ? `${basket.length} in the basket` : "";
  document.querySelectorAll("button.add").forEach(mark);
  const shown = new Map([...at("chosen").children].map((item) => [item.dataset.pin, item]));
  at("chosen").replaceChildren(...basket.map((pin) => shown.get(pin) ?? thumbnail(pin)));
  if (basket.length > shown.size) at("chosen").scrollLeft = at("chosen").scrollWidth; // to the newest
  for (const item of at("chosen").children) {
    const button = item.querySelector("button");
    button.title = titleOf(item.dataset.pin);
    button.ariaLabel = `Take ${button.title} out of the basket`;
  }
}

function mark(button) {
  const { pin } = button.dataset;
  const full = view.basket.length >= MOST && !has(pin);
  button.classList.toggle("in", has(pin));
  button.disabled = full;
  button.ariaLabel = has(pin) ? `Take ${titleOf(pin)} out of the basket` : `Put ${titleOf(pin)} into the basket`;
  button.title = full ? `The basket is full: it holds ${MOST} Pins` : button.ariaLabel;
}

function thumbnail(pin) {
  const img = element("img", { alt: "" });
  const item = element("li", {}, element("button", { type: "button", className: "thumb", onclick: () => remove(pin) }, img));
  item.dataset.pin = pin;
  showImage(img, pin);
  return item;
}

at("clear").addEventListener("click", () => set([]));
