// A chip for each column of the catalogue that can be filtered, with a panel to choose from:
//   {"category": ["shoes", "hats"], "price": {"min": 10, "max": 50}, "created_at": {"min": "2026-10-01T00:00:00Z"}}

import { go, view } from "./address.js";
import { at, element } from "./dom.js";

const ORDER = ["text", "number", "time"]; // a shopper chooses by category and price before age
let chips = [];

export function makeFilters(columns) {
  const useful = columns.filter(({ values, low, high }) => values.length > 1 || low !== high); // there is a choice
  chips = useful.sort((a, b) => ORDER.indexOf(a.kind) - ORDER.indexOf(b.kind)).map(chip);
  at("filters").prepend(...chips.map(({ node }) => node));
}

export function showFilters(shown) {
  const filtered = Object.keys(view.filter).length > 0;
  at("filters").hidden = !shown || !(chips.length || filtered);
  at("unfilter").hidden = !filtered;
  for (const { update } of chips) update();
}

/** The filter in words: "category shoes or hats, price 10 to 50"; "" where there is none. */
export const inWords = () => Object.entries(view.filter).map(([name, value]) => `${label(name)} ${said(value)}`).join(", ");

const label = (name) => name.replaceAll("_", " ");

function said(value) {
  if (value?.constructor !== Object) return [value].flat().join(" or ");
  const [min, max] = [value.min, value.max].map((limit) => (typeof limit === "string" ? limit.slice(0, 10) : limit));
  if (min == null) return `up to ${max}`;
  return max == null ? `from ${min}` : `${min} to ${max}`;
}

function choose(name, value) {
  const { [name]: _, ...filter } = view.filter;
  go({ filter: value === undefined ? filter : { ...filter, [name]: value } }, { replace: true });
}

function chip(column, number) {
  const { name } = column;
  const inputs = column.kind === "text" ? boxes(column) : limits(column);
  const panel = element("div", { id: `filter-${number}`, className: "panel", popover: "auto", role: "group", ariaLabel: label(name) });
  panel.append(
    element("p", { className: "name" }, label(name)),
    element("div", { className: inputs.kind }, ...inputs.fields),
    element("button", { type: "button", className: "done", popoverTargetElement: panel, popoverTargetAction: "hide" }, "Done"),
  );
  panel.addEventListener("change", () => choose(name, inputs.read()));
  const open = element("button", { type: "button", className: "open", popoverTargetElement: panel });
  const remove = element("button", { type: "button", className: "remove", ariaLabel: `Remove the filter ${label(name)}` });
  remove.onclick = () => { choose(name); open.focus(); };
  const node = element("span", { className: "chip" }, open, remove, panel);
  panel.addEventListener("beforetoggle", () => { // below its chip; on a phone style.css puts it at the bottom
    const { left, bottom } = open.getBoundingClientRect();
    panel.style.setProperty("--left", `${Math.min(left, innerWidth - 384)}px`);
    panel.style.setProperty("--top", `${bottom + scrollY + 8}px`);
  });
  const update = () => {
    const value = view.filter[name];
    node.classList.toggle("on", value !== undefined);
    open.textContent = value === undefined ? label(name) : `${label(name)}: ${said(value)}`;
    inputs.write(value);
  };
  return { node, update };
}

function boxes({ name, values }) {
  const all = values.map((value) => element("input", { type: "checkbox", value }));
  return {
    kind: "boxes",
    fields: all.map((box) => element("label", {}, box, element("span", {}, box.value))),
    read() {
      const rare = [view.filter[name] ?? []].flat().filter((value) => !values.includes(value)); // without a box
      const chosen = all.filter((box) => box.checked).map((box) => box.value).concat(rare);
      return chosen.length ? chosen : undefined;
    },
    write(value) {
      for (const box of all) box.checked = [value].flat().includes(box.value);
    },
  };
}

function limits({ kind, low, high }) {
  const time = kind === "time";
  const make = (name, end) => element("input", {
    type: time ? "date" : "number", step: "any", ariaLabel: name, placeholder: time ? "" : Number(end.toPrecision(4)),
    ...(time && { min: low.slice(0, 10), max: high.slice(0, 10) }),
  });
  const [min, max] = [make("from", low), make("to", high)];
  const read = (input, day) => (time ? `${input.value}T${day}Z` : Number(input.value));
  return {
    kind: "limits",
    fields: [min, "to", max],
    read() {
      const value = { ...(min.value && { min: read(min, "00:00:00") }), ...(max.value && { max: read(max, "23:59:59.999") }) };
      return Object.keys(value).length ? value : undefined;
    },
    write(value) {
      const texts = [value?.min, value?.max].map((limit) => (time ? limit?.slice(0, 10) : limit) ?? "");
      [min.value, max.value] = texts;
    },
  };
}

at("unfilter").addEventListener("click", () => go({ filter: {} }, { replace: true }));
