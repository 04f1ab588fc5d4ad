// A row of the table from the JSON of a connection. It looks like one of the server: columns.go, text.go and number.go have
// the same rules.
import { clock } from "./time.js";

const unknown = { text: "–", style: "unknown" };

function escaped(c) {
  const code = c.codePointAt(0).toString(16);
  return c.length > 1 ? "\\U" + code.padStart(8, "0") : "\\u" + code.padStart(4, "0");
}

export function visible(text) {
  return text
    .replace(/\p{M}{4,}/gu, (marks) => [...marks].map((c, i) => (i < 3 ? c : escaped(c))).join(""))
    .replace(/[\p{C}\p{Z}]/gu, (c) => (c === " " ? c : escaped(c)));
}

function cut(text, n) {
  if (text.length <= n) return text;
  const characters = [...text.slice(0, 2 * n + 2)];
  return characters.length > n ? characters.slice(0, n).join("") + "…" : text;
}

const shortText = 64;
const longText = 300;

function plain(text) {
  if (!text) return unknown;
  const shown = visible(text);
  const begin = cut(shown, shortText);
  return begin === shown ? { text: shown } : { text: begin, title: cut(shown, longText) };
}

const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];

export function iec(n) {
  let unit = 0;
  while (n >= 1023.5 && unit < units.length - 1) {
    n /= 1024;
    unit++;
  }
  const decimals = unit === 0 ? 0 : n < 9.995 ? 2 : n < 99.95 ? 1 : 0;
  return `${n.toFixed(decimals)} ${units[unit]}`;
}

const twoUnits = (n, unit, rest, restUnit) => Math.floor(n) + unit + (Math.floor(rest) ? ` ${Math.floor(rest)}${restUnit}` : "");

export function lasting(seconds) {
  if (seconds < 0.9995) return `${Math.round(Math.max(0, seconds) * 1000)}ms`;
  if (seconds < 9.95) return `${seconds.toFixed(1)}s`;
  const s = Math.round(seconds);
  if (s < 60) return `${s}s`;
  if (s < 3600) return twoUnits(s / 60, "m", s % 60, "s");
  if (s < 86400) return twoUnits(s / 3600, "h", (s % 3600) / 60, "m");
  return twoUnits(s / 86400, "d", (s % 86400) / 3600, "h");
}

const bytes = (n) => (n === undefined ? unknown : { text: iec(n) });

function state(c) {
  const word = c.state === "open" || c.state === "closing" || !c.close_reason ? c.state : c.close_reason;
  return { text: word, style: `state ${word}` };
}

function duration(c) {
  if (c.duration_seconds !== undefined) return { text: lasting(c.duration_seconds) };
  if (!c.start) return unknown;
  const start = new Date(c.start);
  if (c.state === "open") return { text: lasting((Date.now() - start) / 1000), style: "growing", since: start.toISOString() };
  if (!c.end) return unknown;
  return { text: "~" + lasting((new Date(c.end) - start) / 1000), title: "estimated" };
}

function server(c) {
  if (!c.sni) return plain(c.server_address);
  const shown = plain(c.sni);
  return !shown.title && c.server_address ? { ...shown, title: visible(c.server_address).slice(0, longText) } : shown;
}

function entropy(c) {
  if (!c.entropy_bits) return unknown;
  const bits = (b) => (b === undefined ? "–" : b.toFixed(2));
  return { text: `${bits(c.entropy_bits.up)} / ${bits(c.entropy_bits.down)}` };
}

const columns = {
  state,
  duration,
  server,
  entropy,
  proxy: (c) => plain(c.source),
  client: (c) => plain(c.client_address),
  address: (c) => plain(c.server_address),
  port: (c) => (c.server_port ? { text: String(c.server_port) } : unknown),
  transport: (c) => plain(c.transport),
  app: (c) => plain(c.app),
  policy: (c) => plain(c.policy),
  up: (c) => bytes(c.bytes_up),
  down: (c) => bytes(c.bytes_down),
  verdict: (c) => (c.access ? { text: c.access.verdict, style: `verdict ${c.access.verdict}` } : unknown),
  rule: (c) => plain(c.access?.rule),
  ja4: (c) => plain(c.ja4),
  id: (c) => plain(c.name),
};

export const keyOf = (c) => `${c.source}\n${c.name}`;

function head(c) {
  const cell = document.createElement("th");
  cell.scope = "row";
  const link = document.createElement("a");
  link.href = `/connections/${encodeURIComponent(c.source)}/${encodeURIComponent(c.name)}`;
  const time = document.createElement("time");
  const start = new Date(c.start);
  time.dateTime = start.toISOString();
  time.title = start.toISOString().replace("T", " ").replace("Z", " UTC");
  time.dataset.form = "clock";
  time.textContent = clock(start);
  link.append(time);
  cell.append(link);
  return cell;
}

// newRow returns the row of a connection with a cell for each of the headings.
export function newRow(c, headings) {
  const row = document.createElement("tr");
  row.dataset.key = keyOf(c);
  for (const heading of headings) {
    if (heading.dataset.col === "time") {
      row.append(head(c));
      continue;
    }
    const { text, style, title, since } = columns[heading.dataset.col](c);
    const cell = document.createElement("td");
    cell.className = heading.className.replace(/c-\w+ /, "");
    if (title) cell.title = title;
    const inner = document.createElement(style ? "span" : "bdi");
    if (style) inner.className = style;
    if (since) inner.dataset.since = since;
    inner.textContent = text;
    cell.append(inner);
    row.append(cell);
  }
  return row;
}
