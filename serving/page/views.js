// The views of the page: each is a heading, a question to the service, and the Pins that it answers with.

import { view, write } from "./address.js";
import { makeButton } from "./basket.js";
import { at, element } from "./dom.js";
import { inWords } from "./filters.js";
import { pictureOf } from "./picture.js";
import { hideImage, isKnown, learn, showImage, titleOf } from "./pins.js";
import { complete, related, search, start } from "./service.js";
import { fill, focusLink, hasFocus } from "./tiles.js";

const space = () => at("space").value;
let newest = 0; // number of the question asked last: answers to older ones are dropped

export const views = {
  start() {
    head({ title: "What are you looking for?", note: "Describe it, show a picture of it, or begin with one of these." });
    const missing = view.picture && "A picture stays on the device where it was chosen; choose it here again. ";
    return show(() => start(space()), ({ pins, queries }) => {
      at("queries").replaceChildren(...queries.slice(0, 12).map((q) => element("li", {}, element("a", { href: write({ q }) }, q))));
      return missing + (pins.length ? "From the catalogue" : "");
    });
  },

  found() {
    const [{ q, filter }, image] = [view, pictureOf(view.picture)];
    const asked = { text: q, image: image?.base64, image_weight: Number(at("weight").value), filter };
    const what = image ? (q ? `like the picture and “${q}”` : "like the picture") : `for “${q}”`;
    head({ tab: q || "Like the picture" });
    return show(() => search(space(), asked), ({ results }) => count(results, what));
  },

  related() {
    const { pin, filter } = view;
    headOf(pin);
    return show(() => related(space(), pin, filter), (answer) => {
      learn([answer.pin]);
      headOf(pin);
      return count(answer.results, "like this one");
    });
  },

  look({ stay }) {
    const { basket, filter } = view;
    head({ above: "Your basket", title: "Complete the look" });
    return show(() => complete(space(), basket, filter), ({ results, missing }) => {
      const without = missing.length ? `; this space does not have ${missing.join(", ")}` : "";
      return count(results, "to go with your basket", "best first") + without;
    }, stay);
  },
};

export function say(text, kind = "") {
  at("status").textContent = text;
  at("status").className = kind;
}

/** A sentence about what cannot be searched for, without Pins of what was asked before. */
export function refuse(sentence) {
  newest++;
  at("grid").ariaBusy = "false";
  head({});
  fill([]);
  say(sentence, "wrong");
}

/** Shows the Pins of an answer and what `says` makes of it. `stay`: where it is scrolled to, and the focus. */
async function show(question, says, stay = false) {
  const number = ++newest;
  say("Looking …", "busy");
  at("grid").ariaBusy = "true";
  const [answer, error] = await question().then((given) => [given, null], (failed) => [{}, failed]);
  if (number !== newest) return;
  at("grid").ariaBusy = "false";
  const lost = hasFocus() || document.activeElement === document.body; // with what had the focus
  fill(answer.results ?? answer.pins ?? [], stay);
  if (error) head({});
  say(error?.message ?? says(answer), error ? "wrong" : at("grid").children.length ? "" : "none");
  if (stay) return;
  scrollTo(0, history.state?.top ?? 0);
  if (history.state?.link) focusLink(history.state.link);
  else if (lost) at(at("about").hidden ? "status" : "heading").focus({ preventScroll: true });
}

/** A Pin that comes by a link has its place until the service has said what it is. */
function headOf(pin) {
  const title = isKnown(pin) ? titleOf(pin) : "";
  head({ above: "Related to", title, note: title === pin ? "" : pin, pin });
}

function head({ above = "", title = "", note = "", pin = "", tab = title }) {
  document.title = tab ? `${tab} · pinclip` : "pinclip";
  at("about").hidden = !(title || pin);
  at("above").textContent = above;
  at("heading").textContent = title;
  at("note").textContent = note;
  at("of-pin").hidden = at("add").hidden = !pin;
  if (!pin) return;
  makeButton(at("add"), pin);
  (title ? showImage : hideImage)(at("of-pin").querySelector("img"), pin);
}

function count({ length }, what, order = "nearest first") {
  const pins = length ? `${length} Pin${length === 1 ? "" : "s"}` : "No Pins";
  const filtered = inWords() && `, with ${inWords()}`;
  return `${pins} ${what}${filtered}${length > 1 ? `, ${order}` : ""}`;
}
