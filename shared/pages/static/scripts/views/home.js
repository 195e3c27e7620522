// Home: is the service up, what is in it, what has changed, and how programs ask it.

import { API, address, conformance, health, json, search } from '../parts/api.js';
import { drop } from '../parts/drop.js';
import { element, fill, icon, table } from '../parts/elements.js';
import { moment, number } from '../parts/format.js';
import { changeHeads, changeRow } from '../parts/changes.js';
import { code, failure } from '../parts/messages.js';
import { go, link } from '../parts/router.js';
import * as signIn from '../parts/sign_in.js';
import { t } from '../parts/texts.js';
import { View } from '../parts/view.js';
import { give } from '../upload/queue.js';

const MOST_COUNTED = 100;
const CHANGES_SHOWN = 8;

class HomeView extends View {
  show() {
    const figures = element('div', { class: 'figures' });
    const changes = element('div', {});
    this.append(
      this.head(t('home.title'), t('home.lead'), element('a', { class: 'button primary', href: link('studies') }, icon('studies'), t('nav.studies'))),
      figures,
      drop((files) => {
        give(files);
        go('upload');
      }),
      element('section', { class: 'stack' },
        element('div', { class: 'card-head' }, element('h2', {}, t('home.changes')), element('a', { href: link('changes') }, t('home.all-changes'))),
        changes),
      element('section', { class: 'card' }, element('h2', {}, t('home.commands')), element('p', { class: 'muted' }, t('home.commands-lead')), commands()),
      element('section', { class: 'card' }, element('h2', {}, t('home.links')), links()));
    this.#figures(figures);
    this.load(changes, () => this.#changes());
  }

  #figures(box) {
    const [health, version, studies, changes] = ['health', 'version', 'studies', 'changes'].map((name) => {
      const value = element('span', { class: 'figure-value' }, '…');
      const note = element('span', { class: 'figure-note' });
      box.append(element('div', { class: 'figure' }, element('span', { class: 'figure-name' }, t(`home.${name}`)), value, note));
      return { value, note };
    });
    const told = async ({ value, note }, work) => {
      try {
        const [text, more] = await work();
        fill(value, text);
        fill(note, more);
      } catch (error) {
        if (this.signal.aborted) return;
        fill(value, '–');
        fill(note, failure(error).querySelector('strong').textContent);
      }
    };
    told(health, () => this.#health());
    told(version, async () => {
      const facts = await conformance();
      return [facts.version, t('home.commit', { commit: facts.commit.slice(0, 12) })];
    });
    told(studies, async () => {
      const found = await search('studies', { limit: MOST_COUNTED }, { signal: this.signal });
      const more = found.length === MOST_COUNTED;
      return [more ? t('home.more-than', { count: number(MOST_COUNTED - 1) }) : number(found.length), element('a', { href: link('studies') }, t('home.show-list'))];
    });
    told(changes, async () => {
      const latest = await this.#latest();
      return latest ? [number(latest.sequence), t('home.latest', { time: moment(latest.timestamp) })] : ['0', t('home.no-change')];
    });
  }

  #asked = null;

  /** The latest change, which two parts of the view show. */
  #latest() {
    this.#asked ??= json('changefeed/latest', { parted: false, query: { includeMetadata: false }, signal: this.signal });
    return this.#asked;
  }

  async #health() {
    const report = await health(this.signal);
    const kind = { Healthy: 'good', Degraded: 'warn' }[report.overallStatus] ?? 'bad';
    const parts = report.details.map((each) => `${each.name}: ${t(`health.${each.status}`)}`).join(' · ');
    return [element('span', { class: `badge ${kind}` }, t(`health.${report.overallStatus}`)), parts];
  }

  async #changes() {
    const latest = await this.#latest();
    if (!latest) return element('p', { class: 'card muted' }, t('home.no-change'));
    const offset = Math.max(0, latest.sequence - CHANGES_SHOWN);
    const entries = await json('changefeed', { parted: false, signal: this.signal, query: { offset, limit: CHANGES_SHOWN, includeMetadata: false } });
    return table(t('home.changes'), changeHeads(), (entries.length ? entries : [latest]).reverse().map(changeRow));
  }
}

function commands() {
  const token = signIn.needed() ? ' -H "Authorization: Bearer $TOKEN"' : '';
  const [studies, found, one] = ['studies', 'studies', 'studies/STUDY'].map((path) => decodeURI(address(path).href));
  return element('div', { class: 'stack' }, [
    ['store', `curl -X POST ${studies}${token} -H 'Content-Type: application/dicom' --data-binary @image.dcm`],
    ['search', `curl${token} '${found}?PatientName=Doe*&includefield=StudyDescription'`],
    ['picture', `curl${token} -o picture.jpg '${one}/rendered?viewport=800,800'`],
    ['zip', `curl${token} -OJ -H 'Accept: application/zip' ${one}`],
  ].map(([name, text]) => element('div', { class: 'stack' }, element('h3', {}, t(`home.command.${name}`)), code(text))));
}

function links() {
  const known = [['api', link('api')], ['openapi', `${API}/api.yaml`], ['conformance', `${API}/conformance`], ['health', `${API}/health/check`]];
  return element('ul', {}, known.map(([name, href]) => element('li', {}, element('a', { href }, t(`home.link.${name}`)))));
}

customElements.define('home-view', HomeView);
