// What is known of the Pins that were shown, and their pictures.

import { ask, imagePath, token } from "./service.js";

const known = new Map(); // pin_id -> { title, has_image }

export function learn(pins) {
  for (const { pin_id, title, has_image } of pins) known.set(pin_id, { title, has_image });
}

export const titleOf = (pin) => known.get(pin)?.title || pin;
export const isKnown = (pin) => known.has(pin);

export function hideImage(img) {
  img.removeAttribute("src");
  img.dataset.pin = "";
  img.parentElement.classList.remove("none");
}

export async function showImage(img, pin) {
  if (img.dataset.pin === pin) return;
  img.dataset.pin = pin;
  const frame = img.parentElement;
  img.onerror = () => frame.classList.add("none");
  frame.classList.toggle("none", known.get(pin)?.has_image === false);
  if (frame.classList.contains("none")) return;
  if (!token) {
    img.src = imagePath(pin); // the browser keeps it
    return;
  }
  try {
    const image = await (await ask(imagePath(pin))).blob();
    if (img.dataset.pin !== pin) return; // it shows another by now
    img.src = URL.createObjectURL(image);
    img.onload = () => URL.revokeObjectURL(img.src);
  } catch {
    img.onerror();
  }
}
