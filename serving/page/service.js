// The routes of the service, and the token that it may ask for.

import { at } from "./dom.js";

export const COUNT = 60; // Pins of an answer
export let token = sessionStorage.getItem("token");

export const spaces = () => json("v1/spaces");
export const columns = () => json("v1/columns");
export const start = (space) => json(`v1/start?${new URLSearchParams({ space })}`);
export const search = (space, asked) => json(`v1/search?${new URLSearchParams({ space })}`, { ...asked, k: COUNT });
export const tags = (space, image) => json(`v1/tags?${new URLSearchParams({ space })}`, { image });
export const complete = (space, pins, filter) =>
  json(`v1/complete?${new URLSearchParams({ space })}`, { pins, filter, k: COUNT });
export const related = (space, pin, filter) =>
  json(`v1/pins/${encodeURIComponent(pin)}/related?${new URLSearchParams({ space, filter: JSON.stringify(filter), k: COUNT })}`);
export const imagePath = (pin) => `v1/pins/${encodeURIComponent(pin)}/image`;

export async function ask(path, options = {}) {
  const headers = token ? { Authorization: `Bearer ${token}` } : {};
  if (options.body) headers["Content-Type"] = "application/json";
  const answer = await fetch(path, { ...options, headers });
  if (answer.status === 401) {
    await askToken();
    return ask(path, options);
  }
  if (!answer.ok) throw new Error((await answer.json().catch(() => ({}))).error ?? `The service answers ${answer.status}.`);
  return answer;
}

async function json(path, body) {
  const answer = await ask(path, body && { method: "POST", body: JSON.stringify(body) });
  return answer.json();
}

let asking = null; // one dialog, however many questions wait for it
function askToken() {
  asking ??= new Promise((done) => {
    at("token").showModal();
    at("token").addEventListener("close", () => {
      token = at("secret").value;
      sessionStorage.setItem("token", token);
      at("secret").value = "";
      asking = null;
      done();
    }, { once: true });
  });
  return asking;
}
