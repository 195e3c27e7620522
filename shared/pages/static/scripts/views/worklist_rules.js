// Worklist rules: which there are, making, changing, trying, switching off and deleting them (VIEW-5, AIX-2).

import { json, tell } from '../parts/api.js';
import { text } from '../parts/dicom.js';
import { button, choice, element, field, fill, table } from '../parts/elements.js';
import { number } from '../parts/format.js';
import { confirm, dialog, failure, nothing, notify, say } from '../parts/messages.js';
import { link } from '../parts/router.js';
import { t } from '../parts/texts.js';
import { View } from '../parts/view.js';
import { codes, PRIORITIES, WORKITEM } from '../parts/workitems.js';

const JSON_BODY = { 'Content-Type': 'application/json' };
const QUIET = 120;

class WorklistRulesView extends View {
  #box = element('div', { class: 'stack' });

  show() {
    this.append(this.head(t('rules.title'), t('rules.lead'), element('a', { href: link('worklist'), class: 'button' }, t('nav.worklist')),
      button(t('rules.create'), () => this.#edit(), { kind: 'primary' })), this.#box);
    this.#list();
  }

  #list() {
    return this.load(this.#box, async () => {
      const rules = await json('worklist-rules', { signal: this.signal });
      if (!rules?.length) return nothing('worklist', t('rules.none'), element('span', {}, t('rules.none-text')));
      return table(t('rules.title'), [t('rules.name'), t('rules.filter'), t('worklist.station'), t('worklist.state'), t('tags.do')],
        rules.map((each) => this.#row(each)));
    });
  }

  #row(rule) {
    const act = (word, listener, kind = '') => button(t(word), listener, { kind, 'aria-label': `${t(word)} ${rule.name}` });
    return element('tr', {},
      element('th', { scope: 'row', class: 'wrap' }, rule.name, element('span', { class: 'cell-sub' }, t('rules.after', { seconds: number(rule.quietSeconds) }))),
      element('td', { class: 'wrap' }, lines(rule.filter).map((each) => element('span', { class: 'cell-sub mono' }, each))),
      element('td', { class: 'wrap' }, codes(rule.template, WORKITEM.station)),
      element('td', {}, element('span', { class: `badge ${rule.enabled ? 'good' : ''}` }, t(rule.enabled ? 'rules.on' : 'rules.off'))),
      element('td', {}, element('div', { class: 'row' }, act('rules.try', () => this.#try(rule)), act('rules.edit', () => this.#edit(rule)),
        act(rule.enabled ? 'rules.disable' : 'rules.enable', () => this.#switch(rule)), act('rules.delete', () => this.#delete(rule), 'danger'))));
  }

  async #switch(rule) {
    try {
      await put(rule, { enabled: !rule.enabled });
      say(t(rule.enabled ? 'rules.is-off' : 'rules.is-on'));
      await this.#list();
    } catch (error) {
      fill(this.#box, failure(error, () => this.#list()));
    }
  }

  #delete(rule) {
    confirm({
      title: t('rules.delete-title'), text: t('rules.delete-text', { name: rule.name }), word: t('rules.delete'),
      action: () => tell(`worklist-rules/${rule.id}`, { method: 'DELETE' }),
      done: () => {
        notify(t('rules.deleted'));
        this.#list();
      },
    });
  }

  #edit(rule = null) {
    const template = rule?.template ?? {};
    const station = template[WORKITEM.station]?.Value?.[0]?.[WORKITEM.code]?.Value?.[0] ?? '';
    const input = (attributes) => element('input', { autocomplete: 'off', ...attributes });
    const trouble = element('div', {});
    const [name, target, quiet, least] = [
      input({ name: 'name', required: true, maxlength: 64, value: rule?.name ?? '', autofocus: true }), input({ name: 'station', maxlength: 16, value: station }),
      input({ name: 'quiet', type: 'number', min: 0, max: 86_400, required: true, value: rule?.quietSeconds ?? QUIET }),
      input({ name: 'least', type: 'number', min: 1, required: true, value: rule?.minimumInstances ?? 1 })];
    const filter = element('textarea', { name: 'filter', rows: 4, required: true, spellcheck: 'false', class: 'mono' }, lines(rule?.filter ?? { Modality: ['CT'] }).join('\n'));
    const priority = choice(PRIORITIES.map((each) => [each, t(`workitem.priority.${each}`)]), text(template, WORKITEM.priority) || 'MEDIUM', { name: 'priority' });
    dialog(t(rule ? 'rules.edit' : 'rules.create'), (close) => element('form', { class: 'stack', on: { submit: async (event) => {
      event.preventDefault();
      const changed = {
        name: name.value.trim(), filter: conditions(filter.value), quietSeconds: Number(quiet.value), minimumInstances: Number(least.value),
        template: made(template, station, target.value.trim(), priority.value),
      };
      try {
        await (rule ? put(rule, changed) : json('worklist-rules', { method: 'POST', headers: JSON_BODY, body: JSON.stringify(changed) }));
        close();
        notify(t('rules.saved'));
        this.#list();
      } catch (error) {
        fill(trouble, failure(error));
      }
    } } },
    element('div', { class: 'fields' }, field(t('rules.name'), name, t('rules.name-hint')), field(t('worklist.station'), target), field(t('workitem.priority'), priority),
      field(t('rules.quiet'), quiet), field(t('rules.least'), least)),
    field(t('rules.filter'), filter, t('rules.filter-hint')), trouble,
    element('div', { class: 'row end' }, button(t('cancel'), close), element('button', { class: 'primary' }, t('rules.save')))));
  }

  #try(rule) {
    const box = element('div', { 'aria-live': 'polite' });
    const studies = element('textarea', { name: 'studies', rows: 2, required: true, spellcheck: 'false', class: 'mono', autofocus: true });
    dialog(t('rules.try-title', { name: rule.name }), (close) => element('form', { class: 'stack', on: { submit: async (event) => {
      event.preventDefault();
      const asked = { ...content(rule), studies: studies.value.split(/[\s,]+/).filter(Boolean) };
      try {
        const found = await json('worklist-rules/$dryRun', { method: 'POST', headers: JSON_BODY, body: JSON.stringify(asked) });
        fill(box, table(t('rules.results'), ['StudyInstanceUID', t('rules.result')], found.map((each) => element('tr', {},
          element('th', { scope: 'row', class: 'wrap mono' }, each.studyInstanceUid), element('td', {}, result(each))))));
      } catch (error) {
        fill(box, failure(error));
      }
    } } },
    element('p', {}, t('rules.try-text')), field('StudyInstanceUIDs', studies, t('shares.studies-hint')), box,
    element('div', { class: 'row end' }, button(t('close'), close), element('button', { class: 'primary' }, t('rules.try')))), { wide: true });
  }
}

function result({ isStored, workitem, seriesInstanceUids }) {
  if (!isStored) return t('rules.not-stored');
  return workitem ? t('rules.makes', { count: number(seriesInstanceUids.length) }) : t('rules.makes-none');
}

/** A filter as lines: an attribute that may have one of some values has a line for each. */
function lines(filter) {
  return Object.entries(filter).flatMap(([name, values]) => [values].flat().map((value) => `${name}=${value === '""' ? '' : value}`));
}

/** A filter of lines. */
function conditions(written) {
  const found = {};
  for (const each of written.split('\n').map((line) => line.trim()).filter(Boolean)) {
    const [, name, value] = each.match(/^([^=]*)=?(.*)$/);
    (found[name.trim()] ??= []).push(value.trim() || '""');
  }
  return found;
}

/** A template with another station, where that was changed, and priority; all else of it stays. */
function made(template, before, station, priority) {
  const { [WORKITEM.station]: stations, ...others } = template;
  const item = { [WORKITEM.code]: { vr: 'SH', Value: [station] }, [WORKITEM.scheme]: { vr: 'SH', Value: ['99LOCAL'] }, [WORKITEM.meaning]: { vr: 'LO', Value: [station] } };
  const kept = station === before ? stations : station && { vr: 'SQ', Value: [item] };
  return { ...others, ...(kept && { [WORKITEM.station]: kept }), [WORKITEM.priority]: { vr: 'CS', Value: [priority] } };
}

/** A rule as it is sent. */
function content({ id, createdTime, ...members }) {
  return members;
}

function put(rule, changed) {
  return json(`worklist-rules/${rule.id}`, { method: 'PUT', headers: JSON_BODY, body: JSON.stringify({ ...content(rule), ...changed }) });
}

customElements.define('worklist-rules-view', WorklistRulesView);
