// Long-running operations by id, and those that this browser has started, with progress, results and errors (VIEW-7).

import { json } from '../parts/api.js';
import { button, element, facts, field, fill, icon } from '../parts/elements.js';
import { moment } from '../parts/format.js';
import { failure, nothing, say } from '../parts/messages.js';
import { forgetOperation, isOperation, knownOperations, rememberOperation } from '../parts/operations.js';
import { t } from '../parts/texts.js';
import { View } from '../parts/view.js';

const AGAIN_MILLISECONDS = 2000;
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
    this.append(this.head(t('nav.operations'), t('operations.lead')), form, this.#list);
    const named = this.place.names.operation;
    if (named && isOperation(named)) rememberOperation(named);
    this.#draw();
  }

  #draw() {
    const known = knownOperations();
    fill(this.#list, known.length ? known.map((id) => this.#card(id)) : nothing('operations', t('operations.none'), element('span', {}, t('operations.none-text'))));
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

customElements.define('operations-view', OperationsView);
