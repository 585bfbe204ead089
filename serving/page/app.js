// The address says what is shown (#q=red+cat, #pin=p1), so that going back works and a view can be sent to others.
// Only a picture is no address: it stays in `picture` (base64) until it is removed.

const at = (id) => document.getElementById(id);
const [grid, status, about, words, spaces, weight] = ["grid", "status", "about", "words", "space", "weight"].map(at);
const COUNT = 60;
const WAIT = 300; // ms between the last key and a search
let picture = null;
let token = sessionStorage.getItem("token");
let newest = 0; // number of the question asked last: answers to older ones are dropped

async function ask(path, options = {}) {
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

const imagePath = (pin) => `v1/pins/${encodeURIComponent(pin)}/image`;

async function showImage(img, pin, there = true) {
  img.onerror = () => img.parentElement.classList.add("none");
  img.parentElement.classList.toggle("none", !there);
  if (!there) return;
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

function say(text, kind = "") {
  status.textContent = text;
  status.className = kind;
}

function tile({ pin_id, score, title, has_image }) {
  const item = at("pin").content.cloneNode(true);
  const link = item.querySelector("a");
  link.href = `#${new URLSearchParams({ pin: pin_id })}`;
  link.title = title ?? pin_id;
  link.querySelector(".title").textContent = title || pin_id;
  link.querySelector(".score").textContent = (Math.round(score * 100) / 100 || 0).toFixed(2);
  showImage(link.querySelector("img"), pin_id, has_image);
  return item;
}

async function show(question, what) {
  const number = ++newest;
  say("Looking …");
  try {
    const { results, space } = await (await question()).json();
    if (number !== newest) return;
    grid.replaceChildren(...results.map(tile));
    scrollTo(0, 0);
    say(results.length ? `${results.length} Pins ${what}, nearest first, in space ${space}` : `No Pins ${what}`);
  } catch (error) {
    if (number !== newest) return;
    grid.replaceChildren();
    say(error.message, "wrong");
  }
}

const inSpace = () => `space=${encodeURIComponent(spaces.value)}`;

function showRelated(pin) {
  const known = [...grid.querySelectorAll("a")].find((link) => link.hash === location.hash);
  about.querySelector("h2").textContent = known?.title ?? pin;
  about.querySelector(".id").textContent = known && known.title !== pin ? pin : "";
  showImage(about.querySelector("img"), pin, !known?.querySelector(".none"));
  return show(() => ask(`v1/pins/${encodeURIComponent(pin)}/related?k=${COUNT}&${inSpace()}`), "like this one");
}

function showFound(text) {
  const asked = { text, image: picture, image_weight: Number(weight.value), k: COUNT };
  const what = picture ? (text ? `like the picture and “${text}”` : "like the picture") : `for “${text}”`;
  return show(() => ask(`v1/search?${inSpace()}`, { method: "POST", body: JSON.stringify(asked) }), what);
}

function follow() {
  const asked = new URLSearchParams(location.hash.slice(1));
  const [pin, text] = [asked.get("pin"), asked.get("q") ?? ""];
  about.hidden = !pin;
  if (document.activeElement !== words) words.value = text;
  at("weigh").hidden = !(picture && text && !pin);
  at("picture").hidden = !picture;
  if (pin) return showRelated(pin);
  if (text || picture) return showFound(text);
  newest += 1;
  grid.replaceChildren();
  return say("Type words, drop a picture, or both.", "invite");
}

function search() {
  const hash = words.value.trim() ? `#${new URLSearchParams({ q: words.value.trim() })}` : "#";
  if (location.hash === hash || (hash === "#" && !location.hash)) follow();
  else location.hash = hash;
}

function usePicture(file) {
  if (!file?.type.startsWith("image/")) return say("That is no picture.", "wrong");
  const reader = new FileReader();
  reader.onload = () => {
    picture = reader.result.slice(reader.result.indexOf(",") + 1);
    at("picture").querySelector("img").src = reader.result;
    search();
  };
  reader.readAsDataURL(file);
}

function moveInGrid(event) {
  const links = [...grid.querySelectorAll("a")];
  const here = links.indexOf(document.activeElement);
  if (here < 0) return;
  const across = links.filter((link) => link.offsetTop === links[0].offsetTop).length;
  const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -across, ArrowDown: across }[event.key];
  if (!step) return;
  event.preventDefault();
  (links[here + step] ?? (here + step < 0 ? words : links.at(-1))).focus();
}

let typing;
words.addEventListener("input", () => { clearTimeout(typing); typing = setTimeout(search, WAIT); });
words.addEventListener("keydown", (event) => { if (event.key === "ArrowDown") grid.querySelector("a")?.focus(); });
at("search").addEventListener("submit", (event) => { event.preventDefault(); clearTimeout(typing); search(); });
at("picture").addEventListener("click", () => { picture = null; at("file").value = ""; search(); });
at("file").addEventListener("change", (event) => { if (event.target.files[0]) usePicture(event.target.files[0]); });
weight.addEventListener("change", follow);
spaces.addEventListener("change", follow);
addEventListener("hashchange", follow);
addEventListener("paste", (event) => { if (event.clipboardData.files[0]) usePicture(event.clipboardData.files[0]); });
addEventListener("dragover", (event) => { event.preventDefault(); document.body.classList.add("over"); });
addEventListener("dragleave", (event) => { if (!event.relatedTarget) document.body.classList.remove("over"); });
addEventListener("drop", (event) => {
  event.preventDefault();
  document.body.classList.remove("over");
  usePicture(event.dataTransfer.files[0]);
});
grid.addEventListener("keydown", moveInGrid);
addEventListener("keydown", (event) => {
  if (event.key === "/" && !(document.activeElement instanceof HTMLInputElement)) { event.preventDefault(); words.focus(); }
});

try {
  const known = await (await ask("v1/spaces")).json();
  spaces.append(...known.spaces.map(({ name, pins }) => new Option(`${name} · ${pins.toLocaleString("en")} Pins`, name)));
  spaces.value = known.serving;
  follow();
} catch (error) {
  say(error.message, "wrong");
}
