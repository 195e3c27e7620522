// The attributes of an instance as a table: tag, name, VR, value (PS3.18 Annex F).

import { json } from './api.js';
import { element, field, fill, table } from './elements.js';
import { dialog, failure, waiting } from './messages.js';
import { t } from './texts.js';

const MOST_ROWS = 3000;
const MOST_CHARACTERS = 400;
let names = null;

/** Keywords by tag, from the dictionary of the service. Fetched when attributes are first looked at. */
export async function dictionary() {
  if (!names) {
    const answer = await fetch(new URL('../../data_elements.tsv', import.meta.url));
    const lines = (await answer.text()).trimEnd().split('\n').map((line) => line.split('\t'));
    names = new Map(lines.map(([tag, , , keyword]) => [tag, keyword]));
  }
  return names;
}

/** Opens the attributes of an instance. */
export function showAttributes(path, title) {
  const leaving = new AbortController();
  const box = element('div', { class: 'stack' }, waiting());
  dialog(title, () => box, { wide: true, closed: () => leaving.abort() });
  (async () => {
    try {
      const [[dataset], keywords] = await Promise.all([
        json(`${path}/metadata`, { accept: 'application/dicom+json', signal: leaving.signal }), dictionary()]);
      fill(box, content(rows(dataset, keywords)));
    } catch (error) {
      if (!leaving.signal.aborted) fill(box, failure(error));
    }
  })();
}

function content(all) {
  const body = element('div', {});
  const draw = (words) => {
    const wanted = all.filter(({ search }) => search.includes(words.toLowerCase())).slice(0, MOST_ROWS);
    fill(body, table(t('attributes.title'), [t('attributes.tag'), t('attributes.name'), t('attributes.vr'), t('attributes.value')],
      wanted.map(({ tag, keyword, vr, value, level }) => element('tr', {},
        element('td', { class: 'mono nowrap' }, `${'› '.repeat(level)}(${tag.slice(0, 4)},${tag.slice(4)})`),
        element('td', { class: 'wrap' }, keyword), element('td', { class: 'mono' }, vr), element('td', { class: 'wrap' }, value))), { class: 'dense' }));
  };
  const filter = element('input', { type: 'search', autofocus: true, on: { input: () => draw(filter.value.trim()) } });
  draw('');
  return [field(t('attributes.filter'), filter), body];
}

function rows(dataset, keywords, level = 0, found = []) {
  for (const [tag, attribute] of Object.entries(dataset)) {
    if (found.length >= MOST_ROWS) break;
    const keyword = keywords.get(tag) ?? (Number.parseInt(tag.slice(0, 4), 16) % 2 ? t('attributes.private') : '');
    const items = attribute.vr === 'SQ' ? attribute.Value ?? [] : [];
    const value = attribute.vr === 'SQ' ? t('attributes.items', { count: items.length }) : valueOf(attribute);
    found.push({ tag, keyword, vr: attribute.vr, value, level, search: `${tag} ${keyword} ${value}`.toLowerCase() });
    for (const item of items) rows(item ?? {}, keywords, level + 1, found);
  }
  return found;
}

function valueOf(attribute) {
  if (attribute.BulkDataURI || attribute.InlineBinary) return t('attributes.bulk');
  const text = (attribute.Value ?? []).map(written).join(' \\ ');
  return text.length > MOST_CHARACTERS ? `${text.slice(0, MOST_CHARACTERS)}…` : text;
}

/** A value as the data set has it: whoever looks here wants no other spelling. */
function written(value) {
  if (typeof value !== 'object' || value === null) return String(value ?? '');
  return ['Alphabetic', 'Ideographic', 'Phonetic'].map((form) => value[form] ?? '').join('=').replace(/=+$/, '');
}
