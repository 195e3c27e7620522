// One cohort: how far its run is, its members with their evidence, and who could not be decided (VIEW-6).

import { json, offers } from '../parts/api.js';
import { offer } from '../parts/download.js';
import { button, element, table, tiles } from '../parts/elements.js';
import { exportCohort } from '../parts/exporting.js';
import { number } from '../parts/format.js';
import { nothing } from '../parts/messages.js';
import { link } from '../parts/router.js';
import { t } from '../parts/texts.js';
import { View } from '../parts/view.js';

const LOOK_MILLISECONDS = 1500;
const SHOWN = 200;
const PLACE = { parted: false };
const ENDED = ['succeeded', 'failed', 'canceled'];

class CohortView extends View {
  get path() {
    return `cohorts/${encodeURIComponent(this.place.names.cohort)}`;
  }

  show() {
    const box = element('div', { class: 'stack' });
    this.append(element('nav', { 'aria-label': t('study.way') }, element('a', { href: link('cohorts') }, `‹ ${t('nav.cohorts')}`)), box);
    this.load(box, () => this.#cohort(box));
  }

  async #cohort(box) {
    const cohort = await json(this.path, { ...PLACE, signal: this.signal });
    const parts = [this.head(cohort.name || t('cohorts.title'), cohort.sentence)];
    if (!ENDED.includes(cohort.status)) {
      setTimeout(() => this.isConnected && this.load(box, () => this.#cohort(box), { wait: false }), LOOK_MILLISECONDS);
      return [...parts, element('p', { role: 'status' }, t('cohorts.running'))];
    }
    if (cohort.status !== 'succeeded') return [...parts, nothing('cohorts', t('cohorts.failed'), element('span', {}, cohort.error ?? ''))];
    const canExport = await offers('export_cohort');
    const manifest = await json(`${this.path}/manifest`, { ...PLACE, signal: this.signal });
    return [
      this.head(cohort.name || t('cohorts.title'), cohort.sentence,
        button(t('cohorts.save'), () => offer(new Blob([JSON.stringify(manifest, null, 2)], { type: 'application/json' }), `cohort-${cohort.id}.json`), { image: 'download' }),
        canExport && button(t('cohorts.export'), () => exportCohort(this.path), { image: 'folder' })),
      element('section', { class: 'card', 'aria-label': t('cohorts.counts') },
        tiles(Object.entries(cohort.counts ?? {}).map(([name, value]) => [t(`cohorts.count.${name}`), number(value)]))),
      (manifest.warnings ?? []).map((each) => element('div', { class: 'message warn' }, element('span', {}, each))),
      this.#members(t('cohorts.members'), manifest.patients ?? []),
      this.#members(t('cohorts.indeterminate'), manifest.indeterminate ?? []),
    ];
  }

  #members(title, entries) {
    if (!entries.length) return element('section', { class: 'stack' }, element('h2', {}, title), element('p', { class: 'muted' }, t('cohorts.nobody')));
    return element('section', { class: 'stack' }, element('h2', {}, title),
      table(title, [t('study.patient'), [t('cohorts.age'), 'number'], t('cohorts.evidence'), t('nav.studies')], entries.slice(0, SHOWN).map((each) => element('tr', {},
        element('th', { scope: 'row', class: 'mono wrap' }, each.id),
        element('td', { class: 'number' }, each.age ?? ''),
        element('td', { class: 'wrap' }, evidence(each).map((text) => element('span', { class: 'cell-sub' }, text))),
        element('td', { class: 'wrap' }, (each.studies ?? []).map(study))))),
      entries.length > SHOWN && element('p', { class: 'muted' }, t('cohorts.more', { count: number(entries.length - SHOWN) })));
  }
}

/** Why somebody is a member, or could not be decided: a sentence for each criterion. */
function evidence(entry) {
  const found = entry.evidence ?? (entry.criterion ? [entry] : []);
  return found.map((each) => [each.criterion, each.reason, each.note, each.date, each.resource].filter(Boolean).join(' · '));
}

function study(each) {
  const said = [(each.modality ?? []).join(', '), each.started?.slice(0, 10)].filter(Boolean).join(' · ') || each.id;
  return element('span', { class: 'cell-sub' }, each.uid ? element('a', { href: link(`studies/${each.uid}`) }, said) : said);
}

customElements.define('cohort-view', CohortView);
