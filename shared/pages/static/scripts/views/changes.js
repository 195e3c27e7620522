// The change feed: newest entries, or those of a time, and who follows it (VIEW-7).

import { json } from '../parts/api.js';
import { changeHeads, changeRow } from '../parts/changes.js';
import { button, element, field, icon, table } from '../parts/elements.js';
import { nothing, say } from '../parts/messages.js';
import { followers } from '../parts/followers.js';
import { go } from '../parts/router.js';
import { t } from '../parts/texts.js';
import { View } from '../parts/view.js';

const PAGE = 50;

class ChangesView extends View {
  #box = element('div', { class: 'stack' });
  #form = null;

  show() {
    const input = (name) => element('input', { type: 'datetime-local', step: 1, name, value: this.place.query.get(name) ?? '' });
    this.#form = element('form', { class: 'card', 'aria-label': t('studies.filters'), on: { submit: (event) => {
      event.preventDefault();
      this.#newest();
    } } },
    element('div', { class: 'fields' }, field(t('changes.from'), input('from')), field(t('changes.to'), input('to'))),
    element('div', { class: 'row end' },
      button(t('studies.clear'), () => {
        this.#form.reset();
        for (const control of this.#form.elements) if (control.name) control.value = '';
        this.#newest();
      }, { kind: 'plain' }),
      element('button', { class: 'primary' }, icon('search'), t('changes.show'))));
    this.append(this.head(t('nav.changes'), t('changes.lead')), this.#form, this.#box, followers(this.signal));
    this.#newest();
  }

  #ask(query) {
    return json('changefeed', { parted: false, query: { limit: PAGE, includeMetadata: false, ...query }, signal: this.signal });
  }

  /** The beginning: of a time its first entries, else the newest of all. */
  #newest() {
    const [from, to] = ['from', 'to'].map((name) => this.#form.elements[name].value);
    go('changes', { from, to }, { replace: true, quietly: true });
    const times = { startTime: from && new Date(from).toISOString(), endTime: to && new Date(to).toISOString() };
    if (from || to) return this.#window(times, 0);
    return this.load(this.#box, async () => {
      const latest = await json('changefeed/latest', { parted: false, query: { includeMetadata: false }, signal: this.signal });
      if (!latest) return nothing('changes', t('home.no-change'));
      const offset = Math.max(0, latest.sequence - PAGE);
      const entries = await this.#ask({ offset: offset || '' });
      // Who sees some data partitions alone counts the entries of those: the newest are found from the beginning then.
      return entries.length ? this.#page(entries, offset, {}, true) : this.#page(await this.#ask({}), 0, {}, false);
    });
  }

  #window(times, offset) {
    return this.load(this.#box, async () => this.#page(await this.#ask({ ...times, offset: offset || '' }), offset, times, !(times.startTime || times.endTime)));
  }

  #page(entries, offset, times, newestFirst) {
    if (!entries.length) return nothing('changes', t('changes.none'));
    const rows = newestFirst ? [...entries].reverse() : entries;
    const [first, last] = [rows[0].sequence, rows.at(-1).sequence];
    say(t('changes.shown', { first, last }));
    const before = button(newestFirst ? t('changes.newer') : t('previous'), () => this.#turn(times, newestFirst ? offset + PAGE : offset - PAGE),
      { image: 'previous', disabled: newestFirst ? entries.length < PAGE : offset === 0 });
    const after = button(newestFirst ? t('changes.older') : t('next'), () => this.#turn(times, newestFirst ? offset - PAGE : offset + PAGE),
      { image: 'next', disabled: newestFirst ? offset === 0 : entries.length < PAGE });
    return [
      table(t('nav.changes'), changeHeads(), rows.map(changeRow)),
      element('nav', { class: 'pager', 'aria-label': t('studies.pages') },
        element('span', { class: 'muted' }, t('changes.shown', { first, last })), element('div', { class: 'row' }, before, after)),
    ];
  }

  async #turn(times, offset) {
    await this.#window(times, Math.max(0, offset));
    this.querySelector('.table-box')?.focus();
  }
}

customElements.define('changes-view', ChangesView);
