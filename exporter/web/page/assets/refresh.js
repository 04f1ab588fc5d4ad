// Parts of a page that are marked with data-live are read again from time to time. A part in which the viewer is at work
// stays as it is.
import { localise } from "./time.js";

const parts = () => [...document.querySelectorAll("[data-live]")];
const sent = new Map(); // what the server sent last, by id of the part

export async function read(path) {
  const response = await fetch(path, { headers: { Accept: "text/html" } });
  if (!response.ok) throw Object.assign(new Error(`${path}: ${response.status}`), { status: response.status });
  return new DOMParser().parseFromString(await response.text(), "text/html");
}

function inUse(part) {
  const selection = getSelection();
  return part.contains(document.activeElement) || part.querySelector("details[open]") ||
    (!selection.isCollapsed && selection.containsNode(part, true));
}

function update(next) {
  const now = parts();
  const nextParts = [...next.querySelectorAll("[data-live]")];
  if (now.map((p) => p.id).join() !== nextParts.map((p) => p.id).join()) {
    location.reload();
    return;
  }
  now.forEach((part, i) => {
    const html = nextParts[i].innerHTML;
    if (html === sent.get(part.id) || inUse(part)) return;
    sent.set(part.id, html);
    part.replaceChildren(...nextParts[i].childNodes);
    localise(part);
  });
}

let notice;

function offline(is) {
  if (is && !notice) {
    notice = document.createElement("p");
    notice.className = "banner bad";
    notice.setAttribute("role", "alert");
    notice.textContent = "The exporter does not answer. What you see may be old.";
    document.getElementById("main").prepend(notice);
  } else if (!is && notice) {
    notice.remove();
    notice = undefined;
  }
}

export function keepFresh() {
  const { refresh, refreshPath } = document.body.dataset;
  if (!refresh) return;
  for (const part of parts()) sent.set(part.id, part.innerHTML);
  const again = async () => {
    if (!document.hidden) {
      try {
        update(await read(refreshPath ?? location.href));
        offline(false);
      } catch (e) {
        offline(e.status !== 503); // busy; the next try will tell
      }
    }
    setTimeout(again, refresh * 1000);
  };
  setTimeout(again, refresh * 1000);
}
