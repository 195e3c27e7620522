// Cohorts: a question in words, how it is understood, and those that have been run (VIEW-6).

import { address, ask, json, once, problem, tell } from '../parts/api.js';
import { button, element, field, fill, table } from '../parts/elements.js';
import { number } from '../parts/format.js';
import { confirm, nothing, notify, say } from '../parts/messages.js';
import { rememberOperation } from '../parts/operations.js';
import { go, link } from '../parts/router.js';
import { moment } from '../parts/sharing.js';
import { t } from '../parts/texts.js';
import { View } from '../parts/view.js';

const JSON_BODY = { 'Content-Type': 'application/json' };
const LONGEST = 2000;
const PLACE = { parted: false };

class CohortsView extends View {
  #readings = element('div', { class: 'stack', 'aria-live': 'polite' });
  #box = element('div', { class: 'stack' });

  show() {
    const question = element('textarea', { rows: 2, maxlength: LONGEST, required: true, autocomplete: 'off' });
    this.append(this.head(t('nav.cohorts'), t('cohorts.lead')),
      element('form', { class: 'card stack', on: { submit: (event) => {
        event.preventDefault();
        this.load(this.#readings, () => this.#understood(question.value.trim()));
      } } },
      field(t('cohorts.question'), question, t('cohorts.question-hint')),
      element('div', { class: 'row end' }, element('button', { class: 'primary' }, t('cohorts.ask')))),
      this.#readings, element('section', { class: 'stack' }, element('h2', {}, t('cohorts.all')), this.#box));
    this.#list();
  }

  /** Every reading of a question; nothing is run. */
  async #understood(text) {
    const answer = await once(address('cohorts/translate', PLACE), {
      method: 'POST', headers: { ...JSON_BODY, Accept: 'application/json' }, body: JSON.stringify({ text }), signal: this.signal,
    });
    if (!answer.ok && answer.status !== 409) throw await problem(answer);
    const told = await answer.json();
    const readings = told.readings ?? (told.definition ? [told] : []);
    const unmatched = told.unmatched ?? [];
    say(t('cohorts.readings', { count: number(readings.length) }));
    return [
      unmatched.length > 0 && element('div', { class: 'message warn' }, element('strong', {}, t('cohorts.unmatched')),
        element('span', {}, unmatched.map((each) => `“${each.text}”`).join(', '))),
      !readings.length && !unmatched.length && nothing('cohorts', t('cohorts.not-understood')),
      readings.length > 1 && element('p', {}, t('cohorts.choose')),
      readings.map((each) => this.#reading(each, unmatched.length > 0)),
    ];
  }

  #reading(reading, incomplete) {
    const trouble = element('div', {});
    return element('section', { class: 'card stack', 'aria-label': t('cohorts.reading') },
      element('p', { class: 'wrap' }, element('strong', {}, reading.sentence)),
      (reading.notes ?? []).map((note) => element('p', { class: 'muted small' }, note)),
      element('details', {}, element('summary', {}, t('cohorts.definition')),
        element('pre', { tabindex: 0 }, JSON.stringify(reading.definition, null, 2))),
      trouble,
      element('div', { class: 'row end' }, button(t('cohorts.run'), () => this.load(trouble, () => this.#run(reading.definition)),
        { kind: 'primary', disabled: incomplete })));
  }

  async #run(definition) {
    const answer = await ask('cohorts', { ...PLACE, method: 'POST', headers: JSON_BODY, body: JSON.stringify(definition), signal: this.signal });
    const { id } = await answer.json();
    rememberOperation(id);
    notify(t('cohorts.started'));
    go(`cohorts/${id}`);
    return [];
  }

  #list() {
    return this.load(this.#box, async () => {
      const cohorts = await json('cohorts', { ...PLACE, signal: this.signal });
      if (!cohorts?.length) return nothing('cohorts', t('cohorts.none'), element('span', {}, t('cohorts.none-text')));
      return table(t('cohorts.all'), [t('cohorts.what'), t('cohorts.made'), t('cohorts.status'), [t('cohorts.patients'), 'number'], t('tags.do')],
        cohorts.map((each) => this.#row(each)));
    });
  }

  #row(cohort) {
    const name = cohort.name || cohort.sentence;
    return element('tr', {},
      element('th', { scope: 'row', class: 'wrap' }, element('a', { href: link(`cohorts/${cohort.id}`) }, name)),
      element('td', { class: 'nowrap' }, moment(cohort.createdAt)),
      element('td', {}, element('span', { class: 'badge' }, cohort.status)),
      element('td', { class: 'number' }, cohort.counts ? number(cohort.counts.patients) : ''),
      element('td', {}, button(t('study.delete'), () => this.#remove(cohort.id, name), { kind: 'danger', 'aria-label': `${t('study.delete')} ${name}` })));
  }

  #remove(id, name) {
    confirm({
      title: t('cohorts.delete-title'), text: t('cohorts.delete-text', { name }), word: t('study.delete'),
      action: () => tell(`cohorts/${id}`, { ...PLACE, method: 'DELETE' }), done: () => this.#list(),
    });
  }
}

customElements.define('cohorts-view', CohortsView);
