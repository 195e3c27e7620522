// Upload: files, folders and archives, with one outcome a file (VIEW-3).

import { drop } from '../parts/drop.js';
import { offer } from '../parts/download.js';
import { button, choice, element, field, fill, table } from '../parts/elements.js';
import { number, size } from '../parts/format.js';
import { say } from '../parts/messages.js';
import { link } from '../parts/router.js';
import { t } from '../parts/texts.js';
import { View } from '../parts/view.js';
import { give, OUTCOMES, queue } from '../upload/queue.js';

const SHOWN = 500;
const KINDS = { stored: 'good', warning: 'warn', present: '', refused: 'bad', failed: 'bad', none: '', cancelled: '', waiting: '', sending: 'accent' };

class UploadView extends View {
  #box = element('div', { class: 'stack' });
  #only = '';
  #busy = false;

  show() {
    this.append(this.head(t('nav.upload'), t('upload.lead')), drop(give), this.#box);
    queue.addEventListener('change', () => this.#draw(), { signal: this.signal });
    this.#draw();
  }

  #draw() {
    const { items, busy } = queue;
    if (!items.length) {
      fill(this.#box, busy && element('p', { role: 'status' }, t('loading')));
      return;
    }
    const counts = Object.fromEntries(OUTCOMES.map((outcome) => [outcome, 0]));
    let ended = 0;
    for (const { outcome } of items) {
      if (outcome in counts) {
        counts[outcome] += 1;
        ended += 1;
      }
    }
    if (this.#busy && !busy) say(this.#summary(counts));
    this.#busy = busy;
    if (!this.#box.querySelector('.card')) this.#build();
    this.#bar.max = Math.max(1, queue.bytes);
    this.#bar.value = queue.bytes ? queue.sent : 1;
    this.#said.textContent = t(busy ? 'upload.progress' : 'upload.ended', { ended: number(ended), count: number(items.length), size: size(queue.bytes) });
    fill(this.#badges, OUTCOMES.filter((outcome) => counts[outcome]).map((outcome) =>
      element('span', { class: `badge ${KINDS[outcome]}` }, `${t(`outcome.${outcome}`)}: ${number(counts[outcome])}`)));
    this.#cancel.hidden = !busy;
    this.#repeat.hidden = busy || counts.failed + counts.cancelled === 0;
    this.#save.hidden = this.#clear.hidden = busy;
    this.#rows();
  }

  #bar = element('progress', { 'aria-label': t('nav.upload') });
  #said = element('p', {});
  #badges = element('div', { class: 'badges', role: 'group', 'aria-label': t('upload.outcomes') });
  #cancel = button(t('upload.cancel'), () => queue.cancel());
  #repeat = button(t('upload.repeat'), () => queue.repeat(), { kind: 'primary' });
  #save = button(t('upload.save'), () => save(), { image: 'download' });
  #clear = button(t('upload.clear'), () => queue.clear(), { kind: 'plain' });
  #list = element('div', {});

  #build() {
    const options = [['', t('upload.all')], ...OUTCOMES.map((outcome) => [outcome, t(`outcome.${outcome}`)])];
    const only = choice(options, this.#only, { on: { change: () => {
      this.#only = only.value;
      this.#rows();
    } } });
    fill(this.#box,
      element('section', { class: 'card', 'aria-label': t('upload.progress-title') }, this.#said, this.#bar, this.#badges,
        element('div', { class: 'row' }, this.#repeat, this.#cancel, this.#save, this.#clear)),
      element('div', { class: 'fields' }, field(t('upload.only'), only)), this.#list);
  }

  #rows() {
    const order = (item) => OUTCOMES.indexOf(item.outcome);
    const wanted = queue.items.filter(({ outcome }) => !this.#only || outcome === this.#only)
      .sort((one, other) => order(one) - order(other));
    fill(this.#list,
      table(t('upload.outcomes'), [t('upload.file'), [t('upload.size'), 'number'], t('upload.outcome'), t('upload.reason')],
        wanted.slice(0, SHOWN).map((item) => element('tr', {},
          element('th', { scope: 'row', class: 'wrap' }, item.path), element('td', { class: 'number nowrap' }, size(item.size)),
          element('td', {}, element('span', { class: `badge ${KINDS[item.outcome]}` }, t(`outcome.${item.outcome}`))),
          element('td', { class: 'wrap' }, item.reason, item.study && element('a', { href: link(`studies/${item.study}`) }, ` ${t('upload.open')}`))))),
      wanted.length > SHOWN && element('p', { class: 'muted' }, t('upload.more', { shown: number(SHOWN), count: number(wanted.length) })));
  }

  #summary(counts) {
    return OUTCOMES.filter((outcome) => counts[outcome]).map((outcome) => `${t(`outcome.${outcome}`)}: ${counts[outcome]}`).join(', ');
  }
}

/** Saves the outcomes as a table of comma-separated values, which no program takes for formulas. */
function save() {
  const cell = (value) => `"${String(value).replace(/^([=+\-@\t\r])/, "'$1").replaceAll('"', '""')}"`;
  const lines = [['file', 'bytes', 'outcome', 'reason', 'study'], ...queue.items.map(({ path, size: bytes, outcome, reason, study }) => [path, bytes, outcome, reason, study])];
  offer(new Blob([`\ufeff${lines.map((line) => line.map(cell).join(',')).join('\r\n')}\r\n`], { type: 'text/csv' }), 'upload.csv');
}

customElements.define('upload-view', UploadView);
