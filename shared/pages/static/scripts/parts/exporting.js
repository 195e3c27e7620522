// The dialog that exports a cohort into a container (COH-30, VIEW-6); the page of operations shows how far it is.

import { json } from './api.js';
import { button, element, field, fill } from './elements.js';
import { dialog, failure, notify } from './messages.js';
import { rememberOperation } from './operations.js';
import { go } from './router.js';
import { t } from './texts.js';

const CHOICES = ['managed', 'with-files', 'identified', 'texts'];

/** Asks where a cohort is to be copied, and begins. `path` is that of the cohort. */
export function exportCohort(path) {
  const trouble = element('div', {});
  const container = element('input', { type: 'url', required: true, autocomplete: 'off', spellcheck: 'false', class: 'mono' });
  const checks = Object.fromEntries(CHOICES.map((name) => [name, element('input', { type: 'checkbox', id: `export-${name}`, checked: name === 'managed' })]));
  const wanted = () => ({
    destination: { type: 'azureBlob', settings: { blobContainerUri: container.value.trim(), ...(checks.managed.checked ? { useManagedIdentity: true } : {}) } },
    files: checks['with-files'].checked, identified: checks.identified.checked, freeText: checks.texts.checked ? 'keep' : 'drop',
  });
  dialog(t('cohorts.export'), (close) => {
    const begin = element('button', { class: 'primary' }, t('cohorts.export'));
    const send = async (event) => {
      event.preventDefault();
      begin.disabled = true;
      try {
        const { id } = await json(`${path}/export`, { method: 'POST', parted: false, headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(wanted()) });
        rememberOperation(id);
        close();
        notify(t('cohorts.exporting'));
        go(`operations/${id}`);
      } catch (error) {
        begin.disabled = false;
        fill(trouble, failure(error));
      }
    };
    return element('form', { class: 'stack', on: { submit: send } },
      element('p', {}, t('cohorts.export-text')), field(t('cohorts.container'), container, t('cohorts.container-hint')),
      CHOICES.map((name) => element('div', { class: 'check' }, checks[name], element('label', { for: checks[name].id }, t(`cohorts.${name}`)))),
      trouble, element('div', { class: 'row end' }, button(t('cancel'), close), begin));
  });
}
