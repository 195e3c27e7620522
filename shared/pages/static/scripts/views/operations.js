// Long-running operations by id, and those that this browser has started, with progress, results and errors (VIEW-7).

import { chosenPartition, json, offers } from '../parts/api.js';
import { button, element, facts, field, fill, icon, table } from '../parts/elements.js';
import { moment } from '../parts/format.js';
import { failure, nothing, say } from '../parts/messages.js';
import { forgetOperation, isOperation, knownOperations, rememberOperation } from '../parts/operations.js';
import { link } from '../parts/router.js';
import { t } from '../parts/texts.js';
import { View } from '../parts/view.js';

const AGAIN_MILLISECONDS = 2000;
const PAGE = 20;
const FORBIDDEN = 403;
const UNDER_WAY = new Set(['notStarted', 'running']);
const KINDS = { succeeded: 'good', completed: 'good', failed: 'bad', running: 'accent' };

class OperationsView extends View {
  #list = element('div', { class: 'stack' });

  show() {
    const input = element('input', { name: 'operation', autocomplete: 'off', spellcheck: 'false' });
    const trouble = element('p', { class: 'small', role: 'alert' });
    const form = element('form', { class: 'card', on: { submit: (event) => {
      event.preventDefault();
      const id = input.value.trim();
      trouble.textContent = isOperation(id) ? '' : t('operations.no-id');
      if (!isOperation(id)) return;
      rememberOperation(id);
      input.value = '';
      this.#draw();
    } } },
    field(t('operations.id'), input), trouble,
    element('div', { class: 'row end' }, element('button', { class: 'primary' }, icon('search'), t('operations.look'))));
    const everybody = element('div', { class: 'stack', hidden: true });
    this.append(this.head(t('nav.operations'), t('operations.lead')), form, this.#list, everybody);
    this.#everybody(everybody);
    const named = this.place.names.operation;
    if (named && isOperation(named)) rememberOperation(named);
    this.#draw();
  }

  #draw() {
    const known = knownOperations();
    fill(this.#list, known.length ? known.map((id) => this.#card(id)) : nothing('operations', t('operations.none'), element('span', {}, t('operations.none-text'))));
  }

  /** Those of the last thirty days, whoever began them: for operators, whom the service lets see them (B-21). */
  async #everybody(section) {
    const box = element('div', { class: 'stack' });
    const page = (offset) => json('admin/operations', { parted: false, query: { limit: PAGE + 1, offset: offset || '' }, signal: this.signal });
    const turn = (offset, had = null) => this.load(box, async () => {
      const found = had ?? await page(offset);
      const more = button(t('next'), () => turn(offset + PAGE), { image: 'next', disabled: found.length <= PAGE });
      return [
        table(t('operations.all'), [t('operations.kind'), t('operations.state'), t('operations.created'), t('operations.updated'), t('operations.id')], found.slice(0, PAGE).map(row)),
        element('nav', { class: 'pager', 'aria-label': t('studies.pages') }, element('div', { class: 'row' },
          button(t('previous'), () => turn(Math.max(0, offset - PAGE)), { image: 'previous', disabled: offset === 0 }), more,
          button(t('operations.refresh'), () => turn(offset)))),
      ];
    }, { wait: !box.firstChild });
    let first = null;
    try {
      if (!(await offers('list_operations'))) return;
      first = await page(0);
    } catch (error) {
      if (this.signal.aborted || error.status === FORBIDDEN) return; // who may not see them is not told what to miss
    }
    if (first?.length === 0) return;
    fill(section, element('h2', {}, t('operations.all')), box);
    section.hidden = false;
    turn(0, first);
  }

  #card(id) {
    const box = element('div', { class: 'stack' });
    const card = element('section', { class: 'card', 'aria-label': t('operations.one', { id }) }, box);
    const follow = async (before) => {
      try {
        const operation = await json(`operations/${id}`, { parted: false, signal: this.signal });
        if (!card.isConnected) return;
        fill(box, this.#content(operation));
        if (before && before !== operation.status) say(`${t(`operation.type.${operation.type}`)}: ${t(`operation.status.${operation.status}`)}`);
        if (UNDER_WAY.has(operation.status)) setTimeout(() => card.isConnected && follow(operation.status), AGAIN_MILLISECONDS);
      } catch (error) {
        if (!this.signal.aborted) fill(box, element('span', { class: 'mono wrap' }, id), failure(error, () => follow(before)), this.#forget(id));
      }
    };
    follow(null);
    return card;
  }

  #content(operation) {
    const { operationId: id, type, status, percentComplete: percent } = operation;
    const running = UNDER_WAY.has(status);
    return [
      element('div', { class: 'card-head' }, element('h2', {}, t(`operation.type.${type}`)),
        element('span', { class: `badge ${KINDS[status] ?? ''}` }, t(`operation.status.${status}`))),
      running && element('div', { class: 'row' }, element('progress', { max: 100, value: percent, 'aria-label': t(`operation.type.${type}`) }),
        percent !== undefined && element('span', { class: 'small muted' }, `${percent} %`)),
      facts([
        [t('operations.id'), element('span', { class: 'mono' }, id)],
        [t('operations.created'), moment(operation.createdTime)], [t('operations.updated'), moment(operation.lastUpdatedTime)],
        [t('operations.resources'), operation.resources?.length && element('ul', {}, operation.resources.map((url) => element('li', { class: 'wrap' }, url)))],
        [t('operations.results'), operation.results && element('pre', { tabindex: 0, 'aria-label': t('operations.results') }, JSON.stringify(operation.results, null, 2))],
        [t('operations.errors'), operation.errors?.length && element('ul', {}, operation.errors.map((each) => element('li', {}, typeof each === 'string' ? each : JSON.stringify(each))))],
      ]),
      !running && this.#forget(id),
    ];
  }

  #forget(id) {
    return element('div', { class: 'row' }, button(t('operations.forget'), () => {
      forgetOperation(id);
      this.#draw();
    }, { kind: 'plain' }));
  }
}

/** An operation of the list, which opens it. */
function row({ operationId: id, type, status, percentComplete: percent, createdTime, lastUpdatedTime, partitionName }) {
  return element('tr', {},
    element('th', { scope: 'row' }, t(`operation.type.${type}`), chosenPartition() && element('span', { class: 'cell-sub' }, partitionName)),
    element('td', {}, element('span', { class: `badge ${KINDS[status] ?? ''}` }, t(`operation.status.${status}`)),
      UNDER_WAY.has(status) && percent !== undefined && element('span', { class: 'cell-sub' }, `${percent} %`)),
    element('td', { class: 'nowrap' }, moment(createdTime)), element('td', { class: 'nowrap' }, moment(lastUpdatedTime)),
    element('td', { class: 'mono wrap' }, element('a', { href: link(`operations/${id}`) }, id)));
}

customElements.define('operations-view', OperationsView);
