// The catalogue's words that fit the picture: chips that search for them, or filter by them.

import { view, write } from "./address.js";
import { at, element } from "./dom.js";
import { tags } from "./service.js";

const known = new Map(); // space and picture -> what the service answers; the picture does not change
let shown = "";
let chips = [];

/** Shows the words of the picture that is searched with; without one, none. */
export async function showTags(space, name, picture) {
  for (const { link, tag } of chips) link.href = hash(tag); // the filter may have changed
  const key = picture ? `${space} ${name}` : "";
  if (key === shown) return;
  shown = key;
  at("tags").hidden = !key;
  at("tags").replaceChildren();
  chips = [];
  if (!key) return;
  if (!known.has(key)) known.set(key, tags(space, picture.base64));
  const answer = await known.get(key).catch(() => known.delete(key)); // the search says what is wrong with a picture
  if (shown === key && answer.tags) fill(answer);
}

function fill({ tags, why }) {
  chips = tags.map((tag) => ({ tag, link: element("a", { href: hash(tag), title: title(tag) }, tag.tag) }));
  const said = element("li", { className: "muted" }, why ?? "Looks like");
  at("tags").replaceChildren(said, ...chips.map(({ link }) => element("li", {}, link)));
}

/** A word is searched for; a value of a column filters what is like the picture. */
const hash = ({ tag, column }) => {
  const { picture, filter } = view;
  return column ? write({ picture, filter: { ...filter, [column]: [tag] } }) : write({ q: tag, filter });
};

const title = ({ tag, column, score }) =>
  `${column ? `Only ${column} ${tag}` : `Search for ${tag}`}; it fits with a probability of ${Math.round(100 * score)} %`;
