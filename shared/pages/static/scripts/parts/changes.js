// Entries of the change feed as rows of a table.

import { chosenPartition } from './api.js';
import { element } from './elements.js';
import { moment, number } from './format.js';
import { link } from './router.js';
import { t } from './texts.js';

const KINDS = { Create: 'good', Update: 'accent', Delete: 'bad' };

/** The heads of its columns. */
export function changeHeads() {
  return [[t('changes.sequence'), 'number'], t('changes.time'), t('changes.action'), t('changes.state'), t('changes.study'), t('changes.instance')];
}

/** A row. A study that may still be there is linked. */
export function changeRow(entry) {
  const study = entry.studyInstanceUid;
  return element('tr', {},
    element('td', { class: 'number' }, number(entry.sequence)),
    element('td', { class: 'nowrap' }, moment(entry.timestamp)),
    element('td', {}, element('span', { class: `badge ${KINDS[entry.action] ?? ''}` }, t(`changes.action.${entry.action}`))),
    element('td', {}, t(`changes.state.${entry.state}`)),
    element('td', { class: 'wrap mono' }, entry.state === 'Deleted' ? study
      : element('a', { href: link(`studies/${study}`, chosenPartition() ? { partition: entry.partitionName } : {}) }, study)),
    element('td', { class: 'wrap mono' }, entry.sopInstanceUid));
}
