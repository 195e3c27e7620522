// The worklist: workitems by state, station and date; one with its history; create, request cancellation (VIEW-5).

import { search, tell } from '../parts/api.js';
import { text, toDicomDate } from '../parts/dicom.js';
import { button, choice, element, field, fill, icon, table } from '../parts/elements.js';
import { dialog, failure, nothing, notify, say } from '../parts/messages.js';
import { go, kept, link } from '../parts/router.js';
import { t } from '../parts/texts.js';
import { View } from '../parts/view.js';
import { codes, newUid, newWorkitem, PRIORITIES, STATE_KINDS, STATES, WORKITEM } from '../parts/workitems.js';

const PAGE = 25;
const TYPING_MILLISECONDS = 350;
const BODY = { 'Content-Type': 'application/dicom+json' };

class WorklistView extends View {
  #form = null;
  #box = element('div', { class: 'stack' });
  #timer = null;

  show() {
    this.append(this.head(t('nav.worklist'), t('worklist.lead'), element('a', { href: link('worklist-rules'), class: 'button' }, t('rules.title')), button(t('worklist.create'), () => this.#create(), { kind: 'primary' })), this.#filters(), this.#box);
    this.#search(0);
  }

  disconnectedCallback() {
    clearTimeout(this.#timer);
    super.disconnectedCallback();
  }

  #filters() {
    const before = (name) => this.place.query.get(name) ?? kept().filters?.[name] ?? '';
    const input = (name, attributes) => element('input', { name, value: before(name), autocomplete: 'off', ...attributes });
    const states = [['', t('worklist.any')], ...STATES.map((state) => [state, t(`workitem.state.${state}`)])];
    this.#form = element('form', { class: 'card', role: 'search', 'aria-label': t('studies.filters'), on: {
      submit: (event) => {
        event.preventDefault();
        this.#search(0);
      },
      input: () => {
        clearTimeout(this.#timer);
        this.#timer = setTimeout(() => this.#search(0), TYPING_MILLISECONDS);
      },
    } },
    element('div', { class: 'fields' },
      field(t('worklist.state'), choice(states, before('state'), { name: 'state' })),
      field(t('worklist.station'), input('station', { type: 'search' })),
      field(t('studies.patient'), input('patient', { type: 'search', spellcheck: 'false' })),
      field(t('studies.from'), input('from', { type: 'date' })), field(t('studies.to'), input('to', { type: 'date' }))),
    element('div', { class: 'row end' }, element('button', { class: 'primary' }, icon('search'), t('studies.search'))));
    return this.#form;
  }

  #search(offset) {
    clearTimeout(this.#timer);
    const { state, station, patient, from, to } = Object.fromEntries([...this.#form.elements].filter(({ name }) => name).map(({ name, value }) => [name, value.trim()]));
    go('worklist', { state, station, from, to }, { state: { filters: { patient } }, replace: true, quietly: true });
    const days = [toDicomDate(from), toDicomDate(to)];
    const query = {
      ProcedureStepState: state, 'ScheduledStationNameCodeSequence.CodeValue': station, PatientID: patient,
      ScheduledProcedureStepStartDateTime: from || to ? `${days[0]}-${days[1]}` : '', limit: PAGE + 1, offset: offset || '',
    };
    return this.load(this.#box, async () => this.#page(await search('workitems', query, { signal: this.signal }), offset), { wait: !this.#box.firstChild });
  }

  #page(found, offset) {
    const rows = found.slice(0, PAGE);
    if (!rows.length) return nothing('worklist', t('worklist.none'), element('span', {}, t('worklist.none-text')));
    const more = found.length > PAGE;
    const count = t(more ? 'studies.count-more' : 'studies.count', { from: offset + 1, to: offset + rows.length });
    say(count);
    return [
      table(t('nav.worklist'), [t('workitem.label'), t('worklist.state'), t('workitem.start'), t('study.patient'), t('worklist.station'), t('workitem.priority')],
        rows.map((item) => this.#row(item))),
      element('nav', { class: 'pager', 'aria-label': t('studies.pages') }, element('span', { class: 'muted' }, count), element('div', { class: 'row' },
        button(t('previous'), () => this.#search(Math.max(0, offset - PAGE)), { image: 'previous', disabled: offset === 0 }),
        button(t('next'), () => this.#search(offset + PAGE), { image: 'next', disabled: !more }))),
    ];
  }

  #row(item) {
    const path = `worklist/${text(item, WORKITEM.uid)}`;
    const open = (event) => {
      if (!event.target.closest('a') && !getSelection().toString()) go(path);
    };
    return element('tr', { class: 'opens', on: { click: open } },
      element('th', { scope: 'row', class: 'wrap' }, element('a', { href: link(path) }, text(item, WORKITEM.label) || text(item, WORKITEM.uid)),
        element('span', { class: 'cell-sub' }, text(item, WORKITEM.list))),
      element('td', {}, stateBadge(item)), element('td', { class: 'nowrap' }, text(item, WORKITEM.start)),
      element('td', { class: 'wrap' }, text(item, WORKITEM.patient), element('span', { class: 'cell-sub' }, text(item, WORKITEM.patientId))),
      element('td', { class: 'wrap' }, codes(item, WORKITEM.station)), element('td', {}, text(item, WORKITEM.priority)));
  }

  #create() {
    const trouble = element('div', {});
    const input = (attributes = {}) => element('input', { autocomplete: 'off', ...attributes });
    const [label, list, name, patientId, study, station] = [
      input({ name: 'label', required: true, autofocus: true, maxlength: 64 }), input({ name: 'list', maxlength: 64 }), input({ name: 'name', placeholder: 'Doe^Jane' }),
      input({ name: 'patient', maxlength: 64 }), input({ name: 'study', spellcheck: 'false' }), input({ name: 'station', maxlength: 16 })];
    const priority = choice(PRIORITIES.map((each) => [each, t(`workitem.priority.${each}`)]), 'MEDIUM');
    const now = new Date();
    const start = input({ type: 'datetime-local', required: true, value: new Date(now.getTime() - now.getTimezoneOffset() * 60_000).toISOString().slice(0, 16) });
    dialog(t('worklist.create'), (close) => element('form', { class: 'stack', on: { submit: async (event) => {
      event.preventDefault();
      const uid = newUid();
      const made = newWorkitem({ label: label.value.trim(), list: list.value.trim(), priority: priority.value, start: new Date(start.value), name: name.value.trim(), patientId: patientId.value.trim(), study: study.value.trim(), station: station.value.trim() });
      try {
        await tell('workitems', { method: 'POST', accept: 'application/dicom+json', headers: BODY, query: { workitem: uid }, body: JSON.stringify([made]) });
        close();
        notify(t('worklist.created'));
        go(`worklist/${uid}`);
      } catch (error) {
        fill(trouble, failure(error));
      }
    } } },
    element('div', { class: 'fields' }, field(t('workitem.label'), label), field(t('workitem.list'), list), field(t('workitem.priority'), priority), field(t('workitem.start'), start),
      field(t('studies.name'), name), field(t('studies.patient'), patientId), field('StudyInstanceUID', study), field(t('worklist.station'), station)),
    trouble, element('div', { class: 'row end' }, button(t('cancel'), close), element('button', { class: 'primary' }, t('worklist.create')))));
  }
}

/** The state of a workitem, in words. */
export function stateBadge(item) {
  const state = text(item, WORKITEM.state);
  return element('span', { class: `badge ${STATE_KINDS[state] ?? ''}` }, STATES.includes(state) ? t(`workitem.state.${state}`) : state);
}

customElements.define('worklist-view', WorklistView);
