// A picture to search with, from the gallery, the camera, the clipboard or another window.

import { element } from "./dom.js";

const SIDE = 1024; // pixels of the longer side that are sent: more than the networks look at
const SMALL = 150_000; // bytes; such a picture is sent as it is
const KINDS = ["image/jpeg", "image/png", "image/webp"];

const chosen = new Map(); // name in the address -> { url, base64 }

export const pictureOf = (name) => chosen.get(name);

/** The name of the picture in the address. Throws a sentence about what is no picture. */
export async function addPicture(file) {
  const image = await createImageBitmap(file).catch(() => {
    throw new Error(`“${file.name}” is no picture that this browser can read; choose a JPEG, PNG or WebP.`);
  });
  const fits = file.size <= SMALL && KINDS.includes(file.type) && Math.max(image.width, image.height) <= SIDE;
  const url = fits ? await dataUrl(file) : scaled(image);
  image.close();
  const name = Math.random().toString(36).slice(2, 8);
  chosen.set(name, { url, base64: url.slice(url.indexOf(",") + 1) });
  return name;
}

/** A large photo becomes a small JPEG, upright: it is sent in a moment, also by a telephone. */
function scaled(image) {
  const scale = Math.min(1, SIDE / Math.max(image.width, image.height));
  const [width, height] = [image.width, image.height].map((side) => Math.max(1, Math.round(side * scale)));
  const canvas = element("canvas", { width, height });
  const pencil = canvas.getContext("2d");
  pencil.fillStyle = "#fff"; // behind what is transparent, as the service does
  pencil.fillRect(0, 0, width, height);
  pencil.imageSmoothingQuality = "high";
  pencil.drawImage(image, 0, 0, width, height);
  return canvas.toDataURL("image/jpeg", 0.92);
}

function dataUrl(file) {
  return new Promise((done, failed) => {
    const reader = new FileReader();
    reader.onload = () => done(reader.result);
    reader.onerror = () => failed(reader.error);
    reader.readAsDataURL(file);
  });
}
