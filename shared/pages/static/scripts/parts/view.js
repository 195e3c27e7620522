// The base of every view: a custom element with a place, whose requests end when it is left.

import { element, fill } from './elements.js';
import { failure, waiting } from './messages.js';
import { t } from './texts.js';

export class View extends HTMLElement {
  #leaving = new AbortController();

  /** The place that is shown: set before the view is put on the page. */
  place = null;

  /** Ends when the view is left. */
  get signal() {
    return this.#leaving.signal;
  }

  connectedCallback() {
    this.show();
  }

  disconnectedCallback() {
    this.#leaving.abort();
  }

  /** Puts the view's content in; views say how. */
  show() {}

  /** The heading of the view, a sentence below it, and what can be done at its right. */
  head(title, lead = null, ...actions) {
    return element('div', { class: 'page-head' },
      element('div', {}, element('h1', { tabindex: -1, dir: 'auto' }, title), lead && element('p', { class: 'lead' }, lead)),
      actions.length > 0 && element('div', { class: 'row' }, actions));
  }

  /** Fills `box` with what `work` gives, or with why it could not. A view that has been left shows nothing. */
  async load(box, work, { wait = true } = {}) {
    const focused = box.contains(document.activeElement); // as on what asked for more, which goes now
    if (wait) fill(box, waiting(t('loading')));
    box.setAttribute('aria-busy', 'true');
    try {
      const content = await work();
      if (!this.isConnected) return;
      const stays = box.contains(document.activeElement) || (focused && document.activeElement === document.body);
      fill(box, content);
      if (stays) box.querySelector('[tabindex], a, button')?.focus({ preventScroll: true });
    } catch (error) {
      if (!this.signal.aborted && error.name !== 'AbortError') fill(box, failure(error, () => this.load(box, work)));
    } finally {
      box.removeAttribute('aria-busy');
    }
  }
}
