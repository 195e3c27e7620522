// The dialog that makes a share, and the one that shows its link this once (SHR-1, VIEW-8).

import { json } from './api.js';
import { button, choice, element, field, fill, icon } from './elements.js';
import { copy, dialog, failure, say } from './messages.js';
import { t } from './texts.js';

const TIMES = ['P1D', 'P7D', 'P30D', 'P90D'];
const USUAL = 'P7D';
const JSON_BODY = { 'Content-Type': 'application/json' };
const LONGEST_LABEL = 64;

/** Asks how studies are to be shared, and shares them. Without `studies` their UIDs are asked for, too. */
export function shareStudies(studies, { done = () => {} } = {}) {
  const trouble = element('div', {});
  const nameless = element('input', { type: 'checkbox', id: 'share-deidentified' });
  const uids = element('textarea', { rows: 3, spellcheck: 'false', autocomplete: 'off', required: true, class: 'mono' });
  const time = choice(TIMES.map((each) => [each, t(`shares.time.${each}`)]), USUAL);
  const label = element('input', { maxlength: LONGEST_LABEL, autocomplete: 'off' });
  const download = element('input', { type: 'checkbox', id: 'share-download', checked: true });
  dialog(t('shares.create'), (close) => element('form', { class: 'stack', on: { submit: async (event) => {
    event.preventDefault();
    const wanted = { studies: studies ?? uids.value.split(/[\s,;]+/).filter(Boolean), expiresIn: time.value, download: download.checked };
    if (nameless.checked) wanted.deidentified = true;
    if (label.value.trim()) wanted.label = label.value.trim();
    try {
      const made = await json('shares', { method: 'POST', headers: JSON_BODY, body: JSON.stringify(wanted) });
      close();
      showLink(made, done, wanted.deidentified);
    } catch (error) {
      fill(trouble, failure(error));
    }
  } } },
  element('p', {}, t('shares.create-text')),
  !studies && field(t('shares.studies'), uids, t('shares.studies-hint')), field(t('shares.time'), time),
  field(t('shares.label'), label, t('shares.label-hint')),
  element('div', { class: 'check' }, download, element('label', { for: download.id }, t('shares.download'))),
  element('div', { class: 'check' }, nameless, element('label', { for: nameless.id }, t('shares.deidentified'))),
  trouble, element('div', { class: 'row end' }, button(t('cancel'), close), element('button', { class: 'primary' }, t('shares.create')))), { });
}

/** Shows the link this once. */
function showLink(made, done, deidentified) {
  dialog(t('shares.made'), (close) => {
    const link = element('input', { value: made.url, readonly: true, class: 'mono', autofocus: true, on: { focus: () => link.select() } });
    return element('div', { class: 'stack' },
      element('div', { class: 'message warn' }, icon('warning'), element('strong', {}, t('shares.key')), element('span', {}, t('shares.once'))),
      deidentified && element('p', {}, t('shares.copied-soon')),
      field(t('shares.link'), link, t('shares.until', { time: moment(made.expires) })),
      element('div', { class: 'row end' }, button(t('shares.copy'), () => copy(made.url), { kind: 'primary', image: 'copy' }), button(t('close'), close)));
  }, { wide: true, closed: done });
  say(t('shares.is-made'));
}

/** A time as it is written here. */
export function moment(text) {
  return new Date(text).toLocaleString(document.documentElement.lang, { dateStyle: 'medium', timeStyle: 'short' });
}
