// What somebody has chosen for this browser. Nothing of a patient, no token is ever kept here.

const PREFIX = 'pages.';

/** A choice that was kept, or null. */
export function preference(name) {
  try {
    return localStorage.getItem(PREFIX + name);
  } catch {
    return null; // the browser keeps nothing for this site
  }
}

/** Keeps a choice; null forgets it. */
export function prefer(name, value) {
  try {
    if (value === null) localStorage.removeItem(PREFIX + name);
    else localStorage.setItem(PREFIX + name, value);
  } catch {
    // The choice holds until the page is left.
  }
}

/** Shows the page in the colours that are preferred. */
export function applyTheme() {
  const theme = preference('theme');
  if (theme === 'light' || theme === 'dark') document.documentElement.dataset.theme = theme;
  else delete document.documentElement.dataset.theme;
}
