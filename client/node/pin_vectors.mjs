// Reads Pin vectors from Redis without any package: what another language has to do, in one page.
//   node pin_vectors.mjs localhost 6379 pin-1 pin-2      prints {"space": …, "vectors": {"pin-1": [...], "pin-2": null}}
import net from "node:net";

const [host, port, ...pinIds] = process.argv.slice(2);

const number = (value) => { const four = Buffer.alloc(4); four.writeUInt32LE(value); return four; };
const text = (value) => [number(Buffer.byteLength(value)), Buffer.from(value)];

// One join key of text: its name and its value, then Feast's project.
const entityKey = (pinId) =>
  Buffer.concat([number(1), number(2), ...text("pin_id"), number(2), ...text(pinId), Buffer.from("pinclip")]);

function murmur3(data) {
  const rotate = (x, by) => (x << by) | (x >>> (32 - by));
  const mixed = (block) => Math.imul(rotate(Math.imul(block, 0xcc9e2d51), 15), 0x1b873593);
  let state = 0, at = 0;
  for (; at + 4 <= data.length; at += 4) state = Math.imul(rotate(state ^ mixed(data.readInt32LE(at)), 13), 5) + 0xe6546b64;
  let tail = 0;
  for (let i = data.length - 1; i >= at; i--) tail = (tail << 8) | data[i];
  if (data.length % 4) state ^= mixed(tail);
  state ^= data.length;
  state = Math.imul(state ^ (state >>> 16), 0x85ebca6b);
  state = Math.imul(state ^ (state >>> 13), 0xc2b2ae35);
  return (state ^ (state >>> 16)) >>> 0;
}

function vector(stored, { scale, zero_point, bits, dim }) {
  if (stored === null) return null;
  let at = 1; // after protobuf's tag
  while (stored[at] & 0x80) at++; // the length
  const bytes = stored.subarray(at + 1), codes = [];
  if (bytes.length !== Math.ceil((dim * bits) / 8)) return null;
  for (const byte of bytes) codes.push(...(bits === 8 ? [(byte << 24) >> 24] : [(byte << 28) >> 28, (byte << 24) >> 28]));
  const values = codes.slice(0, dim).map((code) => scale * (code - zero_point));
  const length = Math.hypot(...values) || 1;
  return values.map((value) => value / length);
}

// Redis: commands are arrays of byte strings, and these three answer with one byte string each.
const line = net.connect(Number(port), host);
const command = (...parts) => {
  line.write(Buffer.concat([Buffer.from(`*${parts.length}\r\n`),
    ...parts.flatMap((part) => [Buffer.from(`$${Buffer.byteLength(part)}\r\n`), Buffer.from(part), Buffer.from("\r\n")])]));
};
let received = Buffer.alloc(0);
const waiting = [];
line.on("data", (data) => {
  received = Buffer.concat([received, data]);
  for (;;) {
    const end = received.indexOf("\r\n");
    if (end < 0) return;
    const size = Number(received.subarray(1, end));
    if (size >= 0 && received.length < end + 4 + size) return;
    const answer = size < 0 ? null : received.subarray(end + 2, end + 2 + size);
    received = received.subarray(size < 0 ? end + 2 : end + 4 + size);
    waiting.shift()(answer);
  }
});
const ask = (...parts) => new Promise((answer) => { waiting.push(answer); command(...parts); });

const space = String(await ask("GET", "pinclip:serving"));
const codes = JSON.parse(await ask("HGET", "pinclip:spaces", space));
const field = number(murmur3(Buffer.from(`pin_embedding_${space}:vector`)));
const stored = await Promise.all(pinIds.map((pinId) => ask("HGET", entityKey(pinId), field)));
const vectors = Object.fromEntries(pinIds.map((pinId, i) => [pinId, vector(stored[i], codes)]));
console.log(JSON.stringify({ space, vectors }));
line.end();
