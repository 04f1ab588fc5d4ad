// Before the page is drawn: the viewer's choice of light or dark, if there is one.
try {
  const theme = localStorage.getItem("theme");
  if (theme) document.documentElement.dataset.theme = theme;
} catch {
  // Storage is off; the system's setting decides.
}
