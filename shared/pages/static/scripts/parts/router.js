// Which view the address names. Places are in the fragment, so that no server and no log ever sees one.

import { chosenPartition } from './api.js';

const routes = [];

/** Makes a custom element the view of a path such as `studies/:study`; `title` names a text; `load` fetches a view (VIEW-14). */
export function route(path, tag, title, load = null) {
  routes.push({ parts: path.split('/'), tag, title, load });
}

/** The place that the address names: path, parameters, view and what fetches it. */
export function place() {
  const [path, query = ''] = location.hash.replace(/^#\/?/, '').split('?');
  const parts = path.split('/').map(decoded);
  for (const each of routes) {
    const names = {};
    const fits = each.parts.length === parts.length && each.parts.every((part, at) => {
      if (part.startsWith(':')) names[part.slice(1)] = parts[at];
      return part.startsWith(':') ? parts[at] !== '' : part === parts[at];
    });
    if (fits) return { path, names, query: new URLSearchParams(query), tag: each.tag, title: each.title, load: each.load };
  }
  return { path, names: {}, query: new URLSearchParams(query), tag: 'unknown-view', title: 'unknown.title', load: null };
}

function decoded(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part; // a percent sign that begins no character: an address that was cut, or written by hand
  }
}

/** The address of a path, to be linked; with the data partition that is asked, so that a link leads others to the same. */
export function link(path, query = {}) {
  const text = new URLSearchParams(Object.entries({ partition: chosenPartition(), ...query }).filter(([, value]) => value !== '' && value !== null && value !== undefined));
  return `#/${path}${text.size ? `?${text}` : ''}`;
}

/** Goes to a path. `state` is kept with the entry of the history and is not part of the address. */
export function go(path, query = {}, { state = null, replace = false, quietly = false } = {}) {
  history[replace ? 'replaceState' : 'pushState'](state, '', link(path, query));
  if (!quietly) dispatchEvent(new PopStateEvent('popstate', { state }));
}

/** What is kept with the present entry of the history; an object. */
export function kept() {
  return history.state ?? {};
}
