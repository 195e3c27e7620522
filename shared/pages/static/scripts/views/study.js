// One study: what it is, its series with thumbnails, its instances and attributes; download, link, delete (VIEW-2).

import { search, tell } from '../parts/api.js';
import { showAttributes } from '../parts/attributes.js';
import { list, TAG, text } from '../parts/dicom.js';
import { zipButton } from '../parts/download.js';
import { button, element, table, tiles } from '../parts/elements.js';
import { number } from '../parts/format.js';
import { labelEditor } from '../parts/labels.js';
import { confirm, copy, dialog, nothing, notify, waiting } from '../parts/messages.js';
import { thumbnail } from '../parts/pictures.js';
import { preview } from '../parts/preview.js';
import { go, link } from '../parts/router.js';
import { shareToken, within } from '../parts/share.js';
import { shareStudies } from '../parts/sharing.js';
import { t } from '../parts/texts.js';
import { hasViewer, viewerAddress, viewerLink } from '../parts/viewer.js';
import { View } from '../parts/view.js';

const PAGE = 60;

class StudyView extends View {
  get uid() {
    return this.place.names.study;
  }

  get path() {
    return `studies/${this.uid}`;
  }

  show() {
    const box = element('div', { class: 'stack' }, this.head(t('study.title')), waiting());
    this.append(element('nav', { 'aria-label': t('study.way') }, element('a', { href: link(within(shareToken === null ? 'studies' : '')) }, `‹ ${t(shareToken === null ? 'nav.studies' : 'shared.way')}`)), box);
    this.load(box, async () => {
      const [study] = await search('studies', { StudyInstanceUID: this.uid, includefield: 'all' }, { signal: this.signal });
      if (!study) return [this.head(t('study.title')), nothing('studies', t('study.gone'), element('span', { class: 'mono wrap' }, this.uid))];
      return this.#study(study);
    }, { wait: false });
  }

  #study(study) {
    const title = text(study, TAG.patientName) || t('study.no-name');
    const description = text(study, TAG.studyDescription);
    const lead = [description && element('bdi', {}, description), description && ' · ', text(study, TAG.studyDate)];
    const series = element('div', { class: 'stack' });
    this.load(series, () => this.#series(study, 0));
    return [
      this.head(title, lead, this.#actions(study, title)),
      element('section', { class: 'card', 'aria-label': t('study.facts') }, tiles([
        [t('study.patient-id'), text(study, TAG.patientId)], [t('study.birth-date'), text(study, TAG.birthDate)],
        [t('study.sex'), text(study, TAG.sex)], [t('study.date'), `${text(study, TAG.studyDate)} ${text(study, TAG.studyTime)}`.trim()],
        [t('study.accession'), text(study, TAG.accession)], [t('study.id'), text(study, TAG.studyId)],
        [t('study.referring'), text(study, TAG.referringPhysician)], [t('study.modalities'), list(study, TAG.modalities)],
        [t('study.images'), count(study, TAG.instancesOfStudy)], [t('study.uid'), element('span', { class: 'mono' }, this.uid), 'full']])),
      shareToken === null && labelEditor(this.uid, this.signal),
      element('section', { class: 'stack' }, element('h2', {}, t('study.series-title')),
        !hasViewer() && element('p', { class: 'muted small' }, t('viewer.absent')), series),
    ];
  }

  /** What can be done: under a share, what it allows. */
  #actions(study, title) {
    const view = viewerLink(study, { class: 'button primary' });
    if (shareToken !== null) return [view, this.place.query.get('download') !== 'false' && zipButton(this.path, this.uid)];
    return [view, zipButton(this.path, this.uid), button(t('study.link'), () => copy(location.href), { image: 'link' }),
      button(t('shares.create'), () => shareStudies([this.uid]), { image: 'share' }),
      button(t('study.delete'), () => this.#remove(title, text(study, TAG.instancesOfStudy)), { kind: 'danger', image: 'remove' })];
  }

  async #series(study, offset) {
    const query = { limit: PAGE + 1, offset: offset || '', includefield: 'all' };
    const found = await search(`${this.path}/series`, query, { signal: this.signal });
    const cards = found.slice(0, PAGE).sort((one, other) => Number(text(one, TAG.seriesNumber)) - Number(text(other, TAG.seriesNumber)));
    const made = element('ul', { class: 'series-list' }, cards.map((each) => this.#card(study, each)));
    if (found.length <= PAGE) return made;
    const next = element('div', { class: 'stack' }, button(t('more'), () => this.load(next, () => this.#series(study, offset + PAGE))));
    return [made, next];
  }

  #card(study, series) {
    const uid = text(series, TAG.series);
    const path = `${this.path}/series/${uid}`;
    const title = text(series, TAG.seriesDescription) || t('series.title', { number: text(series, TAG.seriesNumber) });
    const frames = count(series, TAG.instancesOfSeries);
    return element('li', { class: 'series-card' },
      hasViewer()
        ? element('a', { href: viewerAddress(study, uid), class: 'thumbnail', 'aria-label': t('viewer.open-of', { title }) }, thumbnail(path, ''))
        : element('button', { type: 'button', class: 'thumbnail', 'aria-label': t('series.open', { title }), on: { click: () => preview(path, title) } },
          thumbnail(path, '')),
      element('div', { class: 'stack' },
        element('h3', { class: 'wrap', dir: 'auto' }, title),
        element('div', { class: 'badges' }, element('span', { class: 'badge accent' }, text(series, TAG.modality) || '–'),
          text(series, TAG.bodyPart) && element('span', { class: 'badge' }, text(series, TAG.bodyPart))),
        element('span', { class: 'muted small' }, [t('series.number', { number: text(series, TAG.seriesNumber) || '–' }),
          frames && t('series.images', { count: frames })].filter(Boolean).join(' · ')),
        element('span', { class: 'muted small wrap' }, text(series, TAG.manufacturerModel)),
        element('div', { class: 'row' },
          hasViewer() && button(t('series.preview'), () => preview(path, title), { 'aria-label': `${t('series.preview')}: ${title}` }),
          button(t('series.instances'), () => this.#instances(path, title)))));
  }

  #instances(path, title) {
    const box = element('div', { class: 'stack' });
    dialog(title, () => [element('div', { class: 'row' }, zipButton(path, path.split('/').at(-1))), box], { wide: true });
    this.load(box, () => this.#page(path, 0));
  }

  async #page(path, offset) {
    const query = { limit: PAGE + 1, offset: offset || '', includefield: ['NumberOfFrames', 'Rows', 'Columns'] };
    const found = await search(`${path}/instances`, query, { signal: this.signal });
    const rows = found.slice(0, PAGE).sort((one, other) => Number(text(one, TAG.instanceNumber)) - Number(text(other, TAG.instanceNumber)));
    const made = table(t('series.instances'), [[t('instance.number'), 'number'], t('instance.uid'), t('instance.class'), t('instance.size'), t('instance.attributes')],
      rows.map((instance) => {
        const uid = text(instance, TAG.sopInstance);
        const pixels = [text(instance, TAG.columns), text(instance, TAG.rows)].filter(Boolean).join(' × ');
        const frames = text(instance, TAG.frames);
        return element('tr', {},
          element('td', { class: 'number' }, text(instance, TAG.instanceNumber)), element('td', { class: 'mono wrap' }, uid),
          element('td', { class: 'mono wrap' }, text(instance, TAG.sopClass)),
          element('td', { class: 'nowrap' }, [pixels, frames && t('instance.frames', { count: frames })].filter(Boolean).join(', ')),
          element('td', {}, button(t('instance.show'), () => showAttributes(`${path}/instances/${uid}`, t('attributes.title')),
            { 'aria-label': t('instance.show-of', { number: text(instance, TAG.instanceNumber) || uid }) })));
      }));
    if (found.length <= PAGE) return made;
    const next = element('div', { class: 'stack' }, button(t('more'), () => this.load(next, () => this.#page(path, offset + PAGE))));
    return [made, next];
  }

  #remove(title, images) {
    confirm({
      title: t('study.delete-title'), text: t('study.delete-text', { title, count: images || '?' }), word: t('study.delete'),
      action: () => tell(this.path, { method: 'DELETE' }),
      done: () => {
        notify(t('study.deleted'));
        go('studies');
      },
    });
  }
}

function count(dataset, tag) {
  const value = text(dataset, tag);
  return value ? number(Number(value)) : '';
}

customElements.define('study-view', StudyView);
