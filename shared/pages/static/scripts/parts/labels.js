// Labels of studies: those of a list, a choice of those in use, and the editor of one study (SEL-1, VIEW-2).

import { json } from './api.js';
import { button, element, fill, icon } from './elements.js';
import { failure, say } from './messages.js';
import { t } from './texts.js';

const LONGEST = 64;
const JSON_BODY = { 'Content-Type': 'application/json' };

/** Labels as they are shown. */
export function badges(labels) {
  return element('span', { class: 'badges' }, labels.map((each) => element('span', { class: 'badge' }, each)));
}

/** The labels of studies, by their UIDs. */
export async function labelsOf(uids, signal) {
  const found = uids.length ? await json('labels', { query: { StudyInstanceUID: uids.join(',') }, signal }) : [];
  return new Map(found.map((each) => [each.studyInstanceUid, each.labels]));
}

/** A list of the labels in use, from which a field of that id chooses. */
export function labelsInUse(id, signal) {
  const made = element('datalist', { id });
  json('labels', { signal }).then(
    (found) => fill(made, found.map(({ label }) => element('option', { value: label }))),
    (error) => signal.aborted || made.replaceWith(failure(error)));
  return made;
}

/** The labels of a study, to be added to and removed from. */
export function labelEditor(uid, signal) {
  const path = `studies/${uid}/labels`;
  const list = element('ul', { class: 'badges', 'aria-label': t('labels.title') });
  const trouble = element('div', {});
  const input = element('input', { id: 'new-label', list: 'labels-in-use', maxlength: LONGEST, autocomplete: 'off', required: true });
  const draw = (labels) => fill(list, labels.length === 0 && element('li', { class: 'muted' }, t('labels.none')),
    labels.map((each) => element('li', { class: 'badge' }, each,
      button('', () => change({ remove: [each] }, t('labels.removed', { label: each })), { kind: 'plain icon-only small', image: 'close', 'aria-label': t('labels.remove', { label: each }) }))));
  const change = async (members, said) => {
    try {
      const { labels } = await json(path, { method: 'PATCH', headers: JSON_BODY, body: JSON.stringify(members) });
      fill(trouble);
      draw(labels);
      say(said);
      input.focus();
      return true;
    } catch (error) {
      fill(trouble, failure(error));
      return false;
    }
  };
  const look = () => json(path, { signal }).then(({ labels }) => draw(labels), (error) => signal.aborted || fill(trouble, failure(error, look)));
  look();
  const add = async (event) => {
    event.preventDefault();
    const label = input.value.trim();
    if (label && await change({ add: [label] }, t('labels.added', { label }))) input.value = '';
  };
  return element('section', { class: 'card stack', 'aria-labelledby': 'labels-title' }, element('h2', { id: 'labels-title' }, t('labels.title')), list,
    element('form', { class: 'row', on: { submit: add } }, element('label', { for: input.id }, t('labels.new')), input, labelsInUse('labels-in-use', signal),
      element('button', {}, icon('tags'), t('labels.add'))), trouble);
}
