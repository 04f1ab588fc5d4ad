// The search form and the keys of the table of connections.
const form = document.getElementById("search");
const input = document.getElementById("q");
const boxes = [...form.querySelectorAll("input[name=col]:not(:disabled)")];

// The address has only what differs from the default.
form.addEventListener("submit", () => {
  const usual = boxes.every((box) => box.checked === "default" in box.dataset);
  if (usual) for (const box of boxes) box.disabled = true;
  if (!input.value) input.disabled = true;
});
addEventListener("pageshow", () => {
  for (const box of [...boxes, input]) box.disabled = false;
});

const links = () => [...document.querySelectorAll("#rows th a")];

function go(step) {
  const all = links();
  const at = all.indexOf(document.activeElement);
  const next = at < 0 ? (step > 0 ? 0 : all.length - 1) : Math.min(Math.max(at + step, 0), all.length - 1);
  all[next]?.focus();
  all[next]?.scrollIntoView({ block: "nearest" });
}

document.addEventListener("keydown", (e) => {
  if (e.ctrlKey || e.metaKey || e.altKey) return;
  if (e.target === input && e.key === "Escape") input.blur();
  if (e.target.closest("input")) return;
  const action = { "/": () => input.select(), j: () => go(1), k: () => go(-1) }[e.key];
  if (action) {
    e.preventDefault();
    action();
  }
});
