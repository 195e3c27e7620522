// Studies as rows of a table.

import { list, TAG, text } from './dicom.js';
import { element } from './elements.js';
import { number } from './format.js';
import { go, link } from './router.js';
import { t } from './texts.js';
import { hasViewer, viewerLink } from './viewer.js';

/** The heads of its columns. */
export function studyHeads() {
  return [t('study.patient'), t('study.date'), t('study.modalities'), t('study.description'), t('study.accession'),
    [t('study.series'), 'number'], [t('study.images'), 'number'], ...(hasViewer() ? [t('viewer.pictures')] : [])];
}

/** A row, which opens the study. */
export function studyRow(study) {
  const path = `studies/${text(study, TAG.study)}`;
  const name = text(study, TAG.patientName) || t('study.no-name');
  const modalities = list(study, TAG.modalities).split(', ').filter(Boolean);
  const open = (event) => {
    if (!event.target.closest('a') && !getSelection().toString()) go(path);
  };
  return element('tr', { class: 'opens', on: { click: open } },
    element('th', { scope: 'row', class: 'wrap' }, element('a', { href: link(path), dir: 'auto' }, name), element('span', { class: 'cell-sub' }, text(study, TAG.patientId))),
    element('td', { class: 'nowrap' }, text(study, TAG.studyDate), element('span', { class: 'cell-sub' }, text(study, TAG.studyTime))),
    element('td', {}, element('span', { class: 'badges' }, modalities.map((each) => element('span', { class: 'badge accent' }, each)))),
    element('td', { class: 'wrap', 'data-labels': '' }, text(study, TAG.studyDescription), offline(study)),
    element('td', { class: 'wrap' }, text(study, TAG.accession)),
    element('td', { class: 'number' }, counted(study, TAG.seriesOfStudy)),
    element('td', { class: 'number' }, counted(study, TAG.instancesOfStudy)),
    hasViewer() && element('td', {}, viewerLink(study, { 'aria-label': t('viewer.open-of', { title: name }) })));
}

function counted(study, tag) {
  const value = text(study, tag);
  return value ? number(Number(value)) : '';
}

/** What is not at hand at once says so. */
function offline(study) {
  const availability = text(study, TAG.availability);
  return availability && availability !== 'ONLINE' ? element('span', { class: 'cell-sub' }, t(`study.availability.${availability}`)) : null;
}
