// Dates, numbers and sizes as people write them.

import { locale } from './texts.js';

/** A moment, from ISO 8601. */
export function moment(text) {
  const date = new Date(text);
  return Number.isNaN(date.getTime()) ? text
    : new Intl.DateTimeFormat(locale(), { dateStyle: 'medium', timeStyle: 'medium' }).format(date);
}

/** A number with separators. */
export function number(value) {
  return new Intl.NumberFormat(locale()).format(value);
}

/** Bytes. */
export function size(bytes) {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  let [value, unit] = [bytes, 0];
  while (value >= 1000 && unit < units.length - 1) [value, unit] = [value / 1000, unit + 1];
  return `${new Intl.NumberFormat(locale(), { maximumFractionDigits: unit ? 1 : 0 }).format(value)} ${units[unit]}`;
}
