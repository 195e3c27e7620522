// What happened, said so that it is seen and heard: live regions, notices, errors, dialogs (VIEW-13, VIEW-15).

import { button, element, fill, icon } from './elements.js';
import { shareToken } from './share.js';
import { has, t } from './texts.js';

const spoken = element('div', { class: 'hidden-text', role: 'status', 'aria-live': 'polite' });
const notices = element('div', { class: 'notices', role: 'region' });

/** The elements that must be on the page. */
export function regions() {
  notices.setAttribute('aria-label', t('notices'));
  return [notices, spoken];
}

/** Says a sentence to whoever hears the page. */
export function say(text) {
  spoken.textContent = '';
  setTimeout(() => { spoken.textContent = text; }, 50);
}

/** Shows a sentence for some seconds, and says it. */
export function notify(text) {
  const notice = element('div', { class: 'notice' }, element('span', {}, text),
    button('', () => notice.remove(), { kind: 'plain icon-only', image: 'close', 'aria-label': t('close') }));
  notices.append(notice);
  say(text);
  setTimeout(() => notice.remove(), 6000);
}

/** The sentence for a failure. */
export function sentence(error) {
  if (error.status === 0) return t('error.unreachable');
  if (error.status === 401) return t(shareToken === null ? 'error.401' : 'shared.over');
  if (error.status === 403) return t('error.403');
  return error.message || t('error.other');
}

/** A failure with what can be done, and the id by which it is found in the logs. `again` repeats what failed. */
export function failure(error, again = null) {
  const known = error.status === 401 && shareToken !== null ? 'shared.over-text' : `error.${error.status}.remedy`;
  const remedy = has(known) ? t(known) : error.remedy;
  return element('div', { class: 'message bad', role: 'alert' }, icon('warning'),
    element('strong', {}, sentence(error)),
    (remedy || error.status === 403) && element('span', {}, error.status === 403 ? error.remedy || error.message : remedy),
    error.requestId && element('span', { class: 'small muted' }, t('error.request-id', { id: error.requestId })),
    again && element('div', { class: 'row' }, button(t('again'), again)));
}

/** Something is being fetched. */
export function waiting(text = t('loading')) {
  return element('div', { class: 'waiting', role: 'status' }, element('span', { class: 'spinner', 'aria-hidden': 'true' }), text);
}

/** Nothing is there. */
export function nothing(image, title, ...more) {
  return element('div', { class: 'empty card' }, icon(image), element('strong', {}, title), more);
}

/** A dialog over the page. It is removed when it closes, and gives the focus back. `content` gets a function that closes it. */
export function dialog(title, content, { wide = false, closed = () => {} } = {}) {
  const before = document.activeElement;
  const heading = element('h2', { id: 'dialog-title', tabindex: -1 }, title);
  const made = element('dialog', { class: wide ? 'wide' : null, 'aria-labelledby': 'dialog-title' });
  const close = () => made.close();
  made.append(element('div', { class: 'dialog-body' },
    element('div', { class: 'card-head' }, heading,
      button('', close, { kind: 'plain icon-only', image: 'close', 'aria-label': t('close') })),
    content(close)));
  made.addEventListener('close', () => {
    made.remove();
    closed();
    before?.focus?.();
  });
  document.body.append(made);
  made.showModal();
  return made;
}

/** Asks whether something that cannot be undone is meant; does it, and shows why if it fails. */
export function confirm({ title, text, word, action, done }) {
  return dialog(title, (close) => {
    const trouble = element('div', {});
    const sure = button(word, async () => {
      sure.disabled = true;
      try {
        await action();
        close();
        done();
      } catch (error) {
        sure.disabled = false;
        fill(trouble, failure(error));
      }
    }, { kind: 'primary danger' });
    return [element('p', {}, text), trouble, element('div', { class: 'row end' }, button(t('cancel'), close, { autofocus: true }), sure)];
  });
}

/** Puts a text on the clipboard. */
export async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    notify(t('copied'));
  } catch {
    dialog(t('copy'), () => element('input', { value: text, readonly: true, 'aria-label': t('copy'), autofocus: true }));
  }
}

/** A text to be copied, as commands are. */
export function code(text) {
  return element('div', { class: 'code' }, element('pre', { tabindex: 0, 'aria-label': t('command') }, element('code', {}, text)),
    button('', () => copy(text), { kind: 'plain icon-only', image: 'copy', 'aria-label': t('copy') }));
}
