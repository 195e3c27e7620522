// The study list: filters, paging, newest first (VIEW-2).

import { search } from '../parts/api.js';
import { TAG, text, toDicomDate } from '../parts/dicom.js';
import { button, choice, element, field, icon, table } from '../parts/elements.js';
import { badges, labelsInUse, labelsOf } from '../parts/labels.js';
import { failure, nothing, say } from '../parts/messages.js';
import { go, kept, link } from '../parts/router.js';
import { settings } from '../parts/settings.js';
import { studyHeads, studyRow } from '../parts/study_row.js';
import { t } from '../parts/texts.js';
import { View } from '../parts/view.js';

const PAGE = 25;
const TYPING_MILLISECONDS = 350;
const FIELDS = ['StudyTime', 'StudyDescription', 'ModalitiesInStudy', 'NumberOfStudyRelatedSeries', 'NumberOfStudyRelatedInstances', 'InstanceAvailability'];
const MODALITIES = ['CR', 'CT', 'DX', 'ECG', 'MG', 'MR', 'NM', 'OT', 'PT', 'RF', 'RTSTRUCT', 'SEG', 'SM', 'SR', 'US', 'XA'];
/** What names a patient: kept out of the address where URLs are private. */
const PRIVATE = ['name', 'patient', 'accession', 'description', 'label'];
const OPEN = ['modality', 'from', 'to', 'order', 'offset'];

class StudiesView extends View {
  #form = null;
  #box = element('div', { class: 'stack' });
  #timer = null;
  #asked = null;

  show() {
    this.append(
      this.head(t('nav.studies'), t('studies.lead'), element('a', { class: 'button primary', href: link('upload') }, icon('upload'), t('nav.upload'))),
      this.#filters(), this.#box);
    this.#search(Number(this.place.query.get('offset')) || 0);
  }

  disconnectedCallback() {
    clearTimeout(this.#timer);
    super.disconnectedCallback();
  }

  /** What is filtered by, at the beginning: the address, and what is kept beside it. */
  #before(name) {
    return this.place.query.get(name) ?? kept().filters?.[name] ?? '';
  }

  #filters() {
    const input = (name, attributes = {}) => element('input', { name, value: this.#before(name), autocomplete: 'off', ...attributes });
    const modalities = element('datalist', { id: 'modalities' }, MODALITIES.map((value) => element('option', { value })));
    this.#form = element('form', { class: 'card', role: 'search', 'aria-label': t('studies.filters'), on: {
      submit: (event) => {
        event.preventDefault();
        this.#search(0);
      },
      input: (event) => {
        clearTimeout(this.#timer);
        this.#timer = setTimeout(() => this.#search(0), event.target.type === 'date' || event.target.tagName === 'SELECT' ? 0 : TYPING_MILLISECONDS);
      },
    } },
    element('div', { class: 'fields' },
      field(t('studies.name'), input('name', { type: 'search', spellcheck: 'false' })),
      field(t('studies.patient'), input('patient', { type: 'search', spellcheck: 'false' })),
      field(t('studies.accession'), input('accession', { type: 'search', spellcheck: 'false' })),
      field(t('studies.description'), input('description', { type: 'search' })),
      field(t('studies.modality'), input('modality', { type: 'search', list: 'modalities', maxlength: 16 })),
      field(t('studies.label'), input('label', { type: 'search', list: 'labels' })),
      field(t('studies.from'), input('from', { type: 'date' })),
      field(t('studies.to'), input('to', { type: 'date' })),
      field(t('studies.order'), choice([['', t('studies.order.date')], ['stored', t('studies.order.stored')]], this.#before('order'), { name: 'order' })),
      modalities, labelsInUse('labels', this.signal)),
    element('div', { class: 'row end' },
      button(t('studies.clear'), () => {
        for (const control of this.#form.elements) if (control.name) control.value = '';
        this.#search(0);
      }, { kind: 'plain' }),
      element('button', { class: 'primary' }, icon('search'), t('studies.search'))));
    return this.#form;
  }

  /** The parameters of the search (QIDO-RS). */
  #query(filters, offset) {
    const wild = /[*?]/;
    const open = (value) => (!value || wild.test(value) ? value : `${value}*`);
    const [from, to] = [toDicomDate(filters.from), toDicomDate(filters.to)];
    return {
      PatientName: filters.name, ...(filters.name && !wild.test(filters.name) ? { fuzzymatching: true } : {}),
      PatientID: open(filters.patient), AccessionNumber: open(filters.accession),
      StudyDescription: filters.description && !wild.test(filters.description) ? `*${filters.description}*` : filters.description,
      Label: filters.label, ModalitiesInStudy: filters.modality.toUpperCase(), StudyDate: from || to ? (from === to ? from : `${from}-${to}`) : '',
      orderby: filters.order === 'stored' ? '' : '-StudyDate', includefield: FIELDS, limit: PAGE + 1, offset: offset || '',
    };
  }

  async #search(offset) {
    clearTimeout(this.#timer);
    const filters = Object.fromEntries([...this.#form.elements].filter(({ name }) => name).map(({ name, value }) => [name, value.trim()]));
    this.#remember({ ...filters, offset: offset || '' });
    this.#asked?.abort();
    this.#asked = new AbortController();
    const { signal } = this.#asked;
    await this.load(this.#box, async () => {
      const found = await search('studies', this.#query(filters, offset), { signal: AbortSignal.any([signal, this.signal]) });
      return this.#page(found, offset);
    }, { wait: !this.#box.firstChild });
  }

  /** Keeps what is filtered by with the entry of the history; in the address only what may stand there. */
  #remember(filters) {
    const open = settings.privateUrls ? OPEN : [...PRIVATE, ...OPEN];
    const pick = (names) => Object.fromEntries(names.map((name) => [name, filters[name]]));
    go('studies', pick(open), { state: { filters: pick(PRIVATE) }, replace: true, quietly: true });
  }

  #page(found, offset) {
    const more = found.length > PAGE;
    const rows = found.slice(0, PAGE);
    if (!rows.length) {
      say(t('studies.none'));
      return nothing('studies', t('studies.none'), element('span', {}, t('studies.none-text')));
    }
    const values = { from: offset + 1, to: offset + rows.length };
    const count = t(more ? 'studies.count-more' : 'studies.count', values);
    say(count);
    const made = rows.map((study) => studyRow(study));
    const trouble = element('div', {});
    this.#label(rows, made, trouble);
    return [
      table(t('nav.studies'), studyHeads(), made), trouble,
      element('nav', { class: 'pager', 'aria-label': t('studies.pages') }, element('span', { class: 'muted' }, count),
        element('div', { class: 'row' },
          button(t('previous'), () => this.#turn(offset - PAGE), { image: 'previous', disabled: offset === 0 }),
          button(t('next'), () => this.#turn(offset + PAGE), { image: 'next', disabled: !more }))),
    ];
  }

  /** Adds the labels of the studies to their rows, once they are known. */
  async #label(studies, rows, trouble) {
    const uids = studies.map((study) => text(study, TAG.study));
    try {
      const labels = await labelsOf(uids, this.signal);
      for (const [at, uid] of uids.entries()) {
        if (labels.get(uid)?.length) rows[at].querySelector('[data-labels]').append(badges(labels.get(uid)));
      }
    } catch (error) {
      if (!this.signal.aborted) trouble.append(failure(error));
    }
  }

  async #turn(offset) {
    await this.#search(Math.max(0, offset));
    this.querySelector('.table-box')?.focus();
  }
}

customElements.define('studies-view', StudiesView);
