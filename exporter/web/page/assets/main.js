import { localise } from "./time.js";
import { keepFresh } from "./refresh.js";

keepFresh(); // before localise, because it compares with what the server sends
localise(document);

const system = matchMedia("(prefers-color-scheme: dark)");
const root = document.documentElement;
const toggle = document.getElementById("theme");
const isDark = () => (root.dataset.theme ?? (system.matches ? "dark" : "light")) === "dark";
const label = () => {
  root.dataset.shown = isDark() ? "dark" : "light";
  toggle.setAttribute("aria-label", isDark() ? "Light colors" : "Dark colors");
};
toggle.hidden = false;
toggle.addEventListener("click", () => {
  root.dataset.theme = isDark() ? "light" : "dark";
  try {
    localStorage.setItem("theme", root.dataset.theme);
  } catch {
    // It lasts as long as the page.
  }
  label();
});
system.addEventListener("change", label);
label();

// Menus close on Escape and on a click elsewhere.
const menus = () => document.querySelectorAll("details.menu[open]");
document.addEventListener("click", (e) => {
  for (const menu of menus()) if (!menu.contains(e.target)) menu.open = false;
});
document.addEventListener("keydown", (e) => {
  if (e.key !== "Escape") return;
  for (const menu of menus()) {
    menu.open = false;
    menu.querySelector("summary").focus();
  }
});

for (const button of document.querySelectorAll("button[data-copy]")) {
  button.hidden = false;
  button.addEventListener("click", async () => {
    const source = document.getElementById(button.dataset.copy);
    try {
      await navigator.clipboard.writeText(source.textContent);
    } catch {
      // Without HTTPS there is no clipboard but that of the selection.
      getSelection().selectAllChildren(source);
      document.execCommand("copy");
    }
    button.textContent = "Copied";
  });
}

if (document.getElementById("search")) await import("./table.js");
if (document.getElementById("live")) await import("./live.js");
root.dataset.ready = ""; // for tests
