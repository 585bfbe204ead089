// What is known of the Pins that were shown, and their pictures.

import { ask, imagePath, token } from "./service.js";

const known = new Map(); // pin_id -> { title, has_image }

export function learn(pins) {
  for (const { pin_id, title, has_image } of pins) known.set(pin_id, { title, has_image });
}

export const titleOf = (pin) => known.get(pin)?.title || pin;
export const isKnown = (pin) => known.has(pin);

export async function showImage(img, pin) {
  const frame = img.parentElement;
  img.onerror = () => frame.classList.add("none");
  frame.classList.toggle("none", known.get(pin)?.has_image === false);
  if (frame.classList.contains("none")) return;
  if (!token) {
    img.src = imagePath(pin); // the browser keeps it
    return;
  }
  try {
    img.src = URL.createObjectURL(await (await ask(imagePath(pin))).blob());
    img.onload = () => URL.revokeObjectURL(img.src);
  } catch {
    img.onerror();
  }
}
