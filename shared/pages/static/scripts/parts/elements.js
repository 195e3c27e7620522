// Elements of the page. Every value becomes text: nothing here reads markup (VIEW-12).

const VECTORS = 'http://www.w3.org/2000/svg';

/**
 * An element with attributes and children. `on` holds listeners by event; true is an attribute without a value; null,
 * undefined and false leave an attribute or a child out. Children are elements, texts, or lists of them.
 */
export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key === 'on') {
      for (const [event, listener] of Object.entries(value)) made.addEventListener(event, listener);
    } else if (value !== null && value !== undefined && value !== false) {
      made.setAttribute(key, value === true ? '' : String(value));
    }
  }
  made.append(...nodes(children));
  return made;
}

function nodes(children) {
  return children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false)
    .map((child) => (child instanceof Node ? child : document.createTextNode(String(child))));
}

/** Puts children in the place of those that an element has. */
export function fill(parent, ...children) {
  parent.replaceChildren(...nodes(children));
  return parent;
}

const SHAPES = {
  home: ['M4 11.5 12 5l8 6.5', 'M6.5 10v9h11v-9'],
  studies: ['M4 6h16M4 12h16M4 18h10'],
  upload: ['M12 16V5', 'm7 9.5 5-5 5 5', 'M5 19h14'],
  changes: ['M12 7v5l3.5 2', 'M4.5 12a7.5 7.5 0 1 0 2.5-5.6', 'M4.5 4.5v3.5h3.5'],
  operations: ['M5 7h9M5 12h14M5 17h6', 'M17 5.5v3M9 15.5v3'],
  tags: ['M4 12.5V5h7.5L20 13.5 13.5 20z', 'M8 8.5v.1'],
  api: ['m9 8-4 4 4 4', 'm15 8 4 4-4 4'],
  worklist: ['M9 5h6v3H9z', 'M8 6H5.5v14h13V6H16', 'm9 14 2 2 4-4'],
  cohorts: ['M9 11a3 3 0 1 0 0-6 3 3 0 0 0 0 6zM3.5 19c0-3 2.5-5 5.5-5s5.5 2 5.5 5', 'M16 5.3a3 3 0 0 1 0 5.4M17.5 14.3c1.9.7 3 2.4 3 4.7'],
  download: ['M12 4v11', 'm7 11 5 5 5-5', 'M5 20h14'],
  copy: ['M9 9h10v11H9z', 'M15 9V4H5v11h4'],
  remove: ['M5 7h14M10 4h4M7 7l1 13h8l1-13M10 11v5M14 11v5'],
  menu: ['M4 7h16M4 12h16M4 17h16'],
  close: ['m6 6 12 12M18 6 6 18'],
  warning: ['M12 4 3 19.5h18z', 'M12 10v4M12 16.8v.1'],
  previous: ['m14 6-6 6 6 6'],
  next: ['m10 6 6 6-6 6'],
  folder: ['M3.5 7V18.5h17V8.5H12l-2-2.5H3.5z'],
  file: ['M6 3.5h8l4 4v13H6z', 'M14 3.5v4h4'],
  more: ['M5 12h.1M12 12h.1M19 12h.1'],
  picture: ['M4 5h16v14H4z', 'm4 16 5-5 4 4 3-3 4 4', 'M9 9h.1'],
  search: ['M10.5 17a6.5 6.5 0 1 0 0-13 6.5 6.5 0 0 0 0 13zM20 20l-4.8-4.8'],
  share: ['M17 8.5a2.5 2.5 0 1 0 0-5 2.5 2.5 0 0 0 0 5zM17 20.5a2.5 2.5 0 1 0 0-5 2.5 2.5 0 0 0 0 5zM6 14.5a2.5 2.5 0 1 0 0-5 2.5 2.5 0 0 0 0 5z', 'm8.3 10.8 6.5-3.6M8.3 13.2l6.5 3.6'],
  link: ['M10 14a4 4 0 0 0 5.7 0l3-3A4 4 0 0 0 13 5.3l-1 1', 'M14 10a4 4 0 0 0-5.7 0l-3 3A4 4 0 0 0 11 18.7l1-1'],
};

/** A small picture beside a text; who hears the page does not hear it. */
export function icon(name, more = '') {
  const made = document.createElementNS(VECTORS, 'svg');
  made.setAttribute('class', `icon ${more}`.trim());
  made.setAttribute('viewBox', '0 0 24 24');
  made.setAttribute('aria-hidden', 'true');
  for (const shape of SHAPES[name]) {
    const path = document.createElementNS(VECTORS, 'path');
    path.setAttribute('d', shape);
    made.append(path);
  }
  return made;
}

let numbers = 0;

/** A label over a field. `control` is an input, select or textarea. */
export function field(label, control, hint = null) {
  control.id ||= `field-${(numbers += 1)}`;
  const help = hint && element('span', { class: 'muted small', id: `${control.id}-hint` }, hint);
  if (help) control.setAttribute('aria-describedby', help.id);
  return element('div', { class: 'field' }, element('label', { for: control.id }, label), control, help);
}

/** A choice: `options` is a list of [value, text]. */
export function choice(options, chosen, attributes = {}) {
  const made = element('select', attributes, options.map(([value, text]) => element('option', { value }, text)));
  made.value = chosen;
  return made;
}

/** A button; `kind` is its class, `image` the name of an icon. */
export function button(text, listener, { kind = '', image = null, ...attributes } = {}) {
  return element('button', { type: 'button', class: kind, on: { click: listener }, ...attributes }, image && icon(image), text);
}

/** A table with a caption for those who hear it. `heads` is a list of texts, or of [text, class]. */
export function table(caption, heads, rows, attributes = {}) {
  const cells = heads.map((head) => {
    const [text, kind] = Array.isArray(head) ? head : [head, null];
    return element('th', { scope: 'col', class: kind }, text);
  });
  return element('div', { class: 'table-box', role: 'region', 'aria-label': caption, tabindex: 0 },
    element('table', attributes, element('caption', { class: 'hidden-text' }, caption),
      element('thead', {}, element('tr', {}, cells)), element('tbody', {}, rows)));
}

/** Names with their values; a pair without a value is left out. */
export function facts(pairs) {
  return element('dl', { class: 'facts' }, present(pairs).map(([name, value]) => [element('dt', {}, name), element('dd', {}, value)]));
}

/** The same side by side. */
export function tiles(pairs) {
  return element('dl', { class: 'facts tiles' }, present(pairs).map(([name, value, kind]) =>
    element('div', { class: kind }, element('dt', {}, name), element('dd', {}, value))));
}

function present(pairs) {
  return pairs.filter(([, value]) => value !== null && value !== undefined && value !== '');
}
