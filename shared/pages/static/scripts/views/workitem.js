// One workitem: what is to be done, how far it is, what has happened; a request to cancel it (VIEW-5).

import { json, tell } from '../parts/api.js';
import { text, values } from '../parts/dicom.js';
import { button, element, field, fill, table, tiles } from '../parts/elements.js';
import { dialog, failure, notify, waiting } from '../parts/messages.js';
import { link } from '../parts/router.js';
import { t } from '../parts/texts.js';
import { View } from '../parts/view.js';
import { codes, WORKITEM } from '../parts/workitems.js';
import { stateBadge } from './worklist.js';

const BODY = { 'Content-Type': 'application/dicom+json' };
const OPEN = new Set(['SCHEDULED', 'IN PROGRESS']);

class WorkitemView extends View {
  #box = element('div', { class: 'stack' }, this.head(t('workitem.title')), waiting());

  get path() {
    return `workitems/${this.place.names.workitem}`;
  }

  show() {
    this.append(element('nav', { 'aria-label': t('study.way') }, element('a', { href: link('worklist') }, `‹ ${t('nav.worklist')}`)), this.#box);
    this.#draw();
  }

  #draw() {
    return this.load(this.#box, async () => {
      const told = await json(this.path, { accept: 'application/dicom+json', signal: this.signal });
      return this.#content([told].flat()[0]);
    }, { wait: false });
  }

  #content(item) {
    const study = text(item, WORKITEM.study);
    const progress = values(item, WORKITEM.progress)[0] ?? {};
    const percent = text(progress, WORKITEM.percent);
    const open = OPEN.has(text(item, WORKITEM.state));
    return [
      this.head(text(item, WORKITEM.label) || t('workitem.title'), text(item, WORKITEM.list),
        open && button(t('workitem.cancel'), () => this.#cancel(), { kind: 'danger' })),
      element('section', { class: 'card', 'aria-label': t('workitem.title') },
        element('div', { class: 'row' }, stateBadge(item), percent && element('span', { class: 'muted' }, `${percent} %`)),
        percent && element('progress', { max: 100, value: Number(percent) || 0, 'aria-label': t('workitem.progress') }),
        tiles([
          [t('study.patient'), text(item, WORKITEM.patient)], [t('study.patient-id'), text(item, WORKITEM.patientId)],
          [t('workitem.priority'), text(item, WORKITEM.priority)], [t('workitem.start'), text(item, WORKITEM.start)],
          [t('workitem.due'), text(item, WORKITEM.due)], [t('worklist.station'), codes(item, WORKITEM.station)],
          [t('workitem.work'), codes(item, WORKITEM.work)], [t('workitem.readiness'), text(item, WORKITEM.readiness)],
          [t('study.accession'), values(item, WORKITEM.requests).map((each) => text(each, WORKITEM.accession)).filter(Boolean).join(', ')],
          [t('study.title'), study && element('a', { href: link(`studies/${study}`), class: 'mono' }, study), 'full'],
          [t('instance.uid'), element('span', { class: 'mono' }, text(item, WORKITEM.uid)), 'full']])),
      element('section', { class: 'stack' }, element('h2', {}, t('workitem.history')), this.#history(item)),
    ];
  }

  /** What the workitem itself tells of its past. */
  #history(item) {
    const events = [[text(item, WORKITEM.start), t('workitem.scheduled'), codes(item, WORKITEM.station)]];
    for (const done of values(item, WORKITEM.performed)) {
      events.push([text(done, WORKITEM.begun), t('workitem.begun'), codes(done, WORKITEM.performedStation)], [text(done, WORKITEM.ended), t('workitem.ended'), '']);
    }
    for (const step of values(item, WORKITEM.progress)) {
      const percent = text(step, WORKITEM.percent);
      events.push([text(item, WORKITEM.changed), t('workitem.progress'), [percent && `${percent} %`, text(step, WORKITEM.description)].filter(Boolean).join(', ')],
        [text(step, WORKITEM.cancelled), t('workitem.state.CANCELED'), text(step, WORKITEM.reason)]);
    }
    const told = events.filter(([time, , more], at) => time && (at === 0 || more || events[at][1] !== t('workitem.progress')));
    return table(t('workitem.history'), [t('changes.time'), t('workitem.event'), t('workitem.more')],
      told.map(([time, event, more]) => element('tr', {}, element('td', { class: 'nowrap' }, time), element('td', {}, event), element('td', { class: 'wrap' }, more))));
  }

  #cancel() {
    const trouble = element('div', {});
    const reason = element('input', { maxlength: 1024, autofocus: true });
    dialog(t('workitem.cancel'), (close) => element('form', { class: 'stack', on: { submit: async (event) => {
      event.preventDefault();
      const body = reason.value.trim() ? [{ [WORKITEM.reason]: { vr: 'LT', Value: [reason.value.trim()] } }] : [{}];
      try {
        await tell(`${this.path}/cancelrequest`, { method: 'POST', accept: 'application/dicom+json', headers: BODY, body: JSON.stringify(body) });
        close();
        notify(t('workitem.cancel-sent'));
        this.#draw();
      } catch (error) {
        fill(trouble, failure(error));
      }
    } } },
    element('p', {}, t('workitem.cancel-text')), field(t('workitem.reason'), reason), trouble,
    element('div', { class: 'row end' }, button(t('close'), close), element('button', { class: 'primary danger' }, t('workitem.cancel')))));
  }
}

customElements.define('workitem-view', WorkitemView);
