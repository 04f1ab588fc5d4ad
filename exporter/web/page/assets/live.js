// Live updates of the table of connections. Rows that are there change in place. New ones wait behind a button, so that the
// table does not move while it is read, unless the viewer follows.
import { localise } from "./time.js";
import { read } from "./refresh.js";
import { keyOf, lasting, newRow } from "./row.js";

const maxRows = 300; // in the table
const maxWaiting = 1000;

const element = (id) => document.getElementById(id);
const live = element("live");
const body = element("rows");
const headings = [...document.querySelectorAll("#table thead th")];
const rows = new Map([...body.rows].map((row) => [row.dataset.key, row]));
const waiting = new Map(); // functions that return a row, by key, the oldest first
let dropped = 0; // that waited and were too many
const made = new Date(live.dataset.made); // the page
const searching = live.dataset.stream.includes("?");
let following = "follow" in live.dataset;
let paused = false;
let source;
let planned = false;

// replace changes the cells that differ. The first one, whose link may have the focus, is the same.
function replace(row, next) {
  const cells = [...next.cells];
  [...row.cells].forEach((cell, i) => {
    if (i === 0 || cell.textContent === cells[i].textContent) return;
    if (!cell.querySelector("[data-since]")) cells[i].classList.add("changed");
    cell.replaceWith(cells[i]);
  });
}

// take changes the row of a connection. If there is none, it waits if it is new: what is not in the table may also be on one
// of the next pages.
function take(key, isNew, make) {
  const row = rows.get(key);
  if (row) {
    replace(row, make());
    return;
  }
  if (!isNew) return;
  waiting.delete(key);
  waiting.set(key, make);
  if (waiting.size > maxWaiting) {
    waiting.delete(waiting.keys().next().value);
    dropped++;
  }
  plan();
}

// plan shows the new rows, or their number, once for all that arrive together.
function plan() {
  if (planned) return;
  planned = true;
  setTimeout(() => {
    planned = false;
    if (following && !paused) show();
    else announce();
  }, 100);
}

function show() {
  const makers = [...waiting].slice(-maxRows);
  waiting.clear();
  dropped = 0;
  const added = makers.reverse().map(([key, make]) => {
    const row = make();
    rows.set(key, row);
    return row;
  });
  body.prepend(...added);
  while (body.rows.length > maxRows) {
    const last = body.lastElementChild;
    if (last.contains(document.activeElement)) break;
    rows.delete(last.dataset.key);
    last.remove();
  }
  if (added.length > 0) element("empty")?.remove();
  const n = body.rows.length;
  element("shown").textContent = `${n} connection${n === 1 ? "" : "s"}`;
  announce();
}

let announced = 0;

function announce() {
  const n = waiting.size + dropped;
  const fresh = element("fresh");
  fresh.hidden = n === 0;
  fresh.textContent = `${n} new`;
  // Not with each event, for those who hear it.
  if (n > 0 && Date.now() - announced > 15000) {
    announced = Date.now();
    element("announce").textContent = `${n} new connections`;
  }
}

function receive(event) {
  if (paused) return;
  const c = JSON.parse(event.data);
  const isNew = event.type === "new" || (event.type === "finished" && searching) || new Date(c.start) > made;
  take(keyOf(c), isNew, () => newRow(c, headings));
}

// synchronise reads the page again: what was missed waits or changes rows.
async function synchronise() {
  const page = await read(location.href);
  for (const row of [...page.querySelectorAll("#rows tr")].reverse()) {
    const adopted = document.adoptNode(row);
    localise(adopted);
    take(row.dataset.key, new Date(adopted.querySelector("time").dateTime) > made, () => adopted);
  }
}

function say(text) {
  element("live-state").textContent = text;
}

function connect() {
  source = new EventSource(live.dataset.stream);
  for (const type of ["new", "changed", "finished"]) source.addEventListener(type, receive);
  source.addEventListener("missed", () => synchronise().catch(() => {}));
  source.addEventListener("open", () => {
    say("Live");
    synchronise().catch(() => {});
  });
  source.addEventListener("error", () => {
    say("Reconnecting…");
    if (source.readyState === EventSource.CLOSED) setTimeout(() => !paused && connect(), 5000);
  });
}

function press(button, is) {
  element(button).setAttribute("aria-pressed", String(is));
}

element("fresh").addEventListener("click", () => {
  show();
  element("scroll").scrollIntoView({ block: "nearest" });
  body.querySelector("a")?.focus({ preventScroll: true });
});

element("follow").addEventListener("click", () => {
  following = !following;
  press("follow", following);
  const address = new URL(location.href);
  if (following) address.searchParams.set("follow", "1");
  else address.searchParams.delete("follow");
  history.replaceState(null, "", address);
  if (following) show();
});

element("pause").addEventListener("click", () => {
  paused = !paused;
  press("pause", paused);
  if (paused) {
    source.close();
    say("Paused");
  } else {
    connect();
  }
});

setInterval(() => {
  if (paused) return;
  for (const cell of body.querySelectorAll("[data-since]")) {
    cell.textContent = lasting((Date.now() - new Date(cell.dataset.since)) / 1000);
  }
}, 1000);

if (!("off" in live.dataset)) {
  live.hidden = false;
  press("follow", following);
  connect();
  // A browser opens few connections to a server. Those of tabs that nobody sees would keep others waiting.
  document.addEventListener("visibilitychange", () => {
    source.close();
    if (!document.hidden && !paused) connect();
  });
  // The connection would keep the page out of the cache of the back button.
  addEventListener("pagehide", () => source.close());
  addEventListener("pageshow", (e) => e.persisted && !paused && connect());
}
