// Times are sent in UTC and shown in the viewer's time zone.
const format = (options) => new Intl.DateTimeFormat("en", { hourCycle: "h23", ...options });
const today = format({ hour: "2-digit", minute: "2-digit", second: "2-digit" });
const otherDay = format({ month: "short", day: "numeric", hour: "2-digit", minute: "2-digit" });
const full = format({ month: "short", day: "numeric", year: "numeric", hour: "2-digit", minute: "2-digit", second: "2-digit" });

export function clock(date) {
  const sameDay = date.toDateString() === new Date().toDateString();
  return sameDay ? today.format(date) : otherDay.format(date).replace(",", "");
}

export function localise(root) {
  for (const element of root.querySelectorAll("time[data-form]")) {
    const date = new Date(element.dateTime);
    element.textContent = element.dataset.form === "clock" ? clock(date) : full.format(date);
  }
  const note = root.querySelector(".zone-note");
  const { timeZone } = Intl.DateTimeFormat().resolvedOptions();
  if (note && timeZone !== "UTC") note.textContent = `Times are in ${timeZone}, UTC on hover.`;
}
