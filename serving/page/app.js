// The page: what is shown follows the address (address.js), and what is typed, chosen and dropped changes it.

import { begin, go, view } from "./address.js";
import { showBasket } from "./basket.js";
import { at } from "./dom.js";
import { makeFilters, showFilters } from "./filters.js";
import { addPicture, pictureOf } from "./picture.js";
import { columns, spaces } from "./service.js";
import { showTags } from "./tags.js";
import { firstTile } from "./tiles.js";
import { refuse, say, views } from "./views.js";

const WAIT = 300; // ms between the last key and a search
const [words, space, weight] = ["words", "space", "weight"].map(at);
let asked = "[]"; // the question that is shown: it is not asked again when the basket changes

function follow() {
  if (words.value.trim() !== view.q) words.value = view.q;
  const image = pictureOf(view.picture);
  const name = view.pin ? "related" : view.look && view.basket.length ? "look" : view.q || image ? "found" : "start";
  document.body.dataset.view = name;
  at("picture").hidden = !image;
  if (image) at("picture").querySelector("img").src = image.url;
  words.placeholder = image ? "Add words" : "Words or a picture";
  at("weigh").hidden = !(name === "found" && view.q && image);
  showBasket();
  showFilters(name !== "start");
  showTags(space.value, view.picture, name === "found" && image);

  const { q, pin, picture, filter, basket } = view;
  const question = JSON.stringify([name, space.value, q, pin, picture, weight.value, filter, name === "look" && basket]);
  if (question === asked) return;
  const [before] = JSON.parse(asked);
  asked = question;
  views[name]({ stay: before === name });
}

function search({ typing = false } = {}) {
  clearTimeout(waiting);
  const q = words.value.trim();
  const { picture } = view;
  // One step back leads to what was searched before, not through each letter.
  const replace = typing && view.q !== "" && (q.startsWith(view.q) || view.q.startsWith(q));
  if (!typing) asked = "[]";
  go({ q, picture: view.pin ? "" : picture, pin: "", look: false }, { replace });
}

async function searchLike(file) {
  try {
    go({ picture: await addPicture(file), q: words.value.trim(), pin: "", look: false });
  } catch (error) {
    refusePicture(error.message);
  }
}

function refusePicture(sentence) {
  refuse(sentence);
  asked = "[]"; // what was shown is asked again
}

let waiting;
words.addEventListener("input", () => { clearTimeout(waiting); waiting = setTimeout(search, WAIT, { typing: true }); });
words.addEventListener("keydown", (event) => { if (event.key === "ArrowDown") firstTile()?.focus(); });
at("search").addEventListener("submit", (event) => { event.preventDefault(); search(); });
at("picture").addEventListener("click", () => { go({ picture: "" }); words.focus(); });
for (const input of [at("gallery"), at("camera")]) {
  input.addEventListener("change", () => {
    const [file] = input.files;
    input.value = ""; // so that the same picture can be chosen again
    if (file) searchLike(file);
  });
}
weight.addEventListener("change", follow);
space.addEventListener("change", follow);

addEventListener("paste", (event) => { if (event.clipboardData.files[0]) searchLike(event.clipboardData.files[0]); });
addEventListener("dragover", (event) => { event.preventDefault(); document.body.classList.add("over"); });
addEventListener("dragleave", (event) => { if (!event.relatedTarget) document.body.classList.remove("over"); });
addEventListener("drop", (event) => {
  event.preventDefault();
  document.body.classList.remove("over");
  const [file] = event.dataTransfer.files;
  if (file) searchLike(file);
  else refusePicture("That is no picture.");
});
addEventListener("keydown", (event) => {
  if (event.key === "/" && !(document.activeElement instanceof HTMLInputElement)) { event.preventDefault(); words.focus(); }
});
// Where a step back returns to: how far it was scrolled, and the Pin that was opened.
addEventListener("click", (event) => {
  history.replaceState({ top: scrollY, link: event.target.closest("#grid a")?.hash }, "");
}, true);

try {
  const [known, { columns: filters }] = await Promise.all([spaces(), columns()]);
  space.append(...known.spaces.map(({ name, pins }) => new Option(`${name} · ${pins.toLocaleString("en")} Pins`, name)));
  space.value = known.serving;
  at("spaces").hidden = known.spaces.length < 2;
  makeFilters(filters);
  begin(follow);
} catch (error) {
  say(error.message, "wrong");
}
