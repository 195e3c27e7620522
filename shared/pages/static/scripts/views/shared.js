// What the link of a share opens: the shared studies, for somebody without a role (SHR-8).

import { search } from '../parts/api.js';
import { list, TAG, text } from '../parts/dicom.js';
import { button, element, fill } from '../parts/elements.js';
import { nothing } from '../parts/messages.js';
import { thumbnail } from '../parts/pictures.js';
import { go, link } from '../parts/router.js';
import { within } from '../parts/share.js';
import { t } from '../parts/texts.js';
import { View } from '../parts/view.js';

const PAGE = 50;
const FIELDS = ['StudyDescription', 'ModalitiesInStudy'];

class SharedView extends View {
  /** What the link says of what can be done, for the places below it. */
  get #kept() {
    return { download: this.place.query.get('download') };
  }

  show() {
    const box = element('div', { class: 'stack' });
    this.append(this.head(t('shared.title'), t('shared.lead')), box);
    this.load(box, () => this.#studies(0).catch((error) => {
      if (error.status === 503) return nothing('share', t('shared.soon'), element('span', {}, t('shared.soon-text')));
      if (error.status !== 401) throw error;
      return nothing('share', t('shared.over'), element('span', {}, t('shared.over-text')));
    }));
  }

  async #studies(offset) {
    const query = { includefield: FIELDS, orderby: '-StudyDate', limit: PAGE + 1, offset: offset || '' };
    const found = await search('studies', query, { signal: this.signal });
    if (!found.length && !offset) return nothing('studies', t('shared.none'), element('span', {}, t('shared.none-text')));
    if (found.length === 1 && !offset) {
      go(within(`studies/${text(found[0], TAG.study)}`), this.#kept, { replace: true });
      return [];
    }
    const made = element('ul', { class: 'series-list' }, found.slice(0, PAGE).map((each) => card(each, this.#kept)));
    if (found.length <= PAGE) return made;
    const next = element('div', { class: 'stack' }, button(t('more'), () => this.load(next, () => this.#studies(offset + PAGE))));
    return [made, next];
  }
}

function card(study, kept) {
  const path = `studies/${text(study, TAG.study)}`;
  const title = text(study, TAG.patientName) || t('study.no-name');
  const box = element('a', { class: 'thumbnail', href: link(within(path), kept), 'aria-label': t('shared.open', { title }) });
  return element('li', { class: 'series-card' }, fill(box, thumbnail(path, '')),
    element('div', { class: 'stack' }, element('h2', { class: 'wrap', dir: 'auto' }, title),
      element('div', { class: 'badges' }, list(study, TAG.modalities).split(', ').filter(Boolean).map((each) => element('span', { class: 'badge accent' }, each))),
      element('span', { class: 'muted small wrap' }, [text(study, TAG.studyDescription), text(study, TAG.studyDate)].filter(Boolean).join(' · ')),
      element('div', { class: 'row' }, element('a', { class: 'button', href: link(within(path), kept) }, t('shared.show')))));
}

customElements.define('shared-view', SharedView);
