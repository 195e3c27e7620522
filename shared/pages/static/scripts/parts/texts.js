// What the page says, in the language of whoever reads it: data files beside the scripts (VIEW-14).

import { preference } from './preferences.js';

export const LANGUAGES = [['en', 'English'], ['de', 'Deutsch']];

let texts = {};
let language = 'en';

/** Fetches the texts of the language that is preferred, here or by the browser. */
export async function loadTexts() {
  const known = LANGUAGES.map(([code]) => code);
  const wanted = [preference('language'), ...navigator.languages.map((tag) => tag.slice(0, 2))];
  language = wanted.find((code) => known.includes(code)) ?? 'en';
  const answer = await fetch(new URL(`../../texts/${language}.json`, import.meta.url));
  texts = await answer.json();
  document.documentElement.lang = language;
}

/** A text by its name, with `{…}` replaced by values. Without a text it is the name. */
export function t(name, values = {}) {
  return (texts[name] ?? name).replace(/\{(\w+)\}/g, (_, key) => String(values[key] ?? ''));
}

/** Whether there is a text of that name. */
export function has(name) {
  return name in texts;
}

/** The present language, for dates and numbers. */
export function locale() {
  return language;
}
