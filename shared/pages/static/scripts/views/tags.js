// Extended query tags: which attributes are searchable besides, adding and deleting them.

import { ask, json, tell } from '../parts/api.js';
import { dictionary } from '../parts/attributes.js';
import { button, choice, element, field, fill, table } from '../parts/elements.js';
import { number } from '../parts/format.js';
import { confirm, dialog, failure, nothing, notify } from '../parts/messages.js';
import { rememberOperation } from '../parts/operations.js';
import { go } from '../parts/router.js';
import { t } from '../parts/texts.js';
import { View } from '../parts/view.js';

const MOST = 128;
const LEVELS = ['Study', 'Series', 'Instance'];
const VRS = ['', 'AE', 'AS', 'CS', 'DA', 'DT', 'FD', 'FL', 'IS', 'LO', 'PN', 'SH', 'SL', 'SS', 'TM', 'UI', 'UL', 'US'];
const JSON_BODY = { 'Content-Type': 'application/json' };
const KINDS = { ready: 'good', adding: 'accent', deleting: 'warn' };

class TagsView extends View {
  #box = element('div', { class: 'stack' });

  show() {
    this.append(this.head(t('nav.tags'), t('tags.lead'), button(t('tags.add'), () => this.#add(), { kind: 'primary' })), this.#box);
    this.#list();
  }

  #list() {
    return this.load(this.#box, async () => {
      const [tags, names] = await Promise.all([
        json('extendedquerytags', { parted: false, query: { limit: MOST }, signal: this.signal }), dictionary()]);
      if (!tags?.length) return nothing('tags', t('tags.none'), element('span', {}, t('tags.none-text')));
      return table(t('nav.tags'), [t('tags.path'), t('tags.level'), t('attributes.vr'), t('tags.status'), t('tags.search'), [t('tags.errors'), 'number'], t('tags.do')],
        tags.map((tag) => this.#row(tag, tag.path.split('.').map((part) => names.get(part)).filter(Boolean).join('.'))));
    });
  }

  #row(tag, keyword) {
    const enabled = (tag.queryStatus ?? '').toLowerCase() === 'enabled';
    const path = `extendedquerytags/${encodeURIComponent(tag.path)}`;
    const errors = tag.errors?.count ?? 0;
    return element('tr', {},
      element('th', { scope: 'row', class: 'mono wrap' }, tag.path, element('span', { class: 'cell-sub' }, keyword || tag.privateCreator)),
      element('td', {}, LEVELS.find((level) => level.toLowerCase() === tag.level.toLowerCase()) ?? tag.level), element('td', { class: 'mono' }, tag.vr),
      element('td', {}, element('span', { class: `badge ${KINDS[(tag.status ?? '').toLowerCase()] ?? ''}` }, tag.status)),
      element('td', {}, t(enabled ? 'tags.enabled' : 'tags.disabled')),
      element('td', { class: 'number' }, errors ? button(number(errors), () => this.#errors(path, tag.path), { 'aria-label': t('tags.errors-of', { path: tag.path }) }) : '0'),
      element('td', {}, element('div', { class: 'row' },
        button(t(enabled ? 'tags.disable' : 'tags.enable'), () => this.#change(path, enabled), { 'aria-label': `${t(enabled ? 'tags.disable' : 'tags.enable')} ${tag.path}` }),
        button(t('study.delete'), () => this.#remove(path, tag.path), { kind: 'danger', 'aria-label': `${t('study.delete')} ${tag.path}` }))));
  }

  async #change(path, enabled) {
    try {
      await tell(path, { parted: false, method: 'PATCH', headers: JSON_BODY, body: JSON.stringify({ queryStatus: enabled ? 'Disabled' : 'Enabled' }) });
      notify(t(enabled ? 'tags.is-disabled' : 'tags.is-enabled'));
    } catch (error) {
      dialog(t('tags.search'), () => failure(error));
    }
    this.#list();
  }

  #errors(path, name) {
    const box = element('div', { class: 'stack' });
    dialog(t('tags.errors-of', { path: name }), () => box, { wide: true });
    this.load(box, async () => {
      const errors = await json(`${path}/errors`, { parted: false, query: { limit: 100 }, signal: this.signal });
      return table(t('tags.errors'), [t('changes.instance'), t('changes.time'), t('upload.reason')], (errors ?? []).map((each) => element('tr', {},
        element('td', { class: 'mono wrap' }, each.sopInstanceUid), element('td', { class: 'nowrap' }, each.createdTime), element('td', { class: 'wrap' }, each.errorMessage))));
    });
  }

  #remove(path, name) {
    confirm({
      title: t('tags.delete-title'), text: t('tags.delete-text', { path: name }), word: t('study.delete'),
      action: () => tell(path, { parted: false, method: 'DELETE' }), done: () => this.#list(),
    });
  }

  #add() {
    const trouble = element('div', {});
    const path = element('input', { required: true, autocomplete: 'off', spellcheck: 'false', autofocus: true, placeholder: 'PatientAge' });
    const level = choice(LEVELS.map((each) => [each, each]), 'Study');
    const vr = choice(VRS.map((each) => [each, each || t('tags.vr-standard')]), '');
    const creator = element('input', { autocomplete: 'off' });
    dialog(t('tags.add'), (close) => element('form', { class: 'stack', on: { submit: async (event) => {
      event.preventDefault();
      const tag = { path: path.value.trim(), level: level.value };
      if (vr.value) tag.vr = vr.value;
      if (creator.value.trim()) tag.privateCreator = creator.value.trim();
      try {
        const answer = await ask('extendedquerytags', { parted: false, method: 'POST', headers: JSON_BODY, body: JSON.stringify([tag]) });
        const { id } = await answer.json();
        rememberOperation(id);
        close();
        notify(t('tags.added'));
        go(`operations/${id}`);
      } catch (error) {
        fill(trouble, failure(error));
      }
    } } },
    field(t('tags.path'), path, t('tags.path-hint')), field(t('tags.level'), level), field(t('attributes.vr'), vr), field(t('tags.creator'), creator),
    trouble, element('div', { class: 'row end' }, button(t('cancel'), close), element('button', { class: 'primary' }, t('tags.add')))));
  }
}

customElements.define('tags-view', TagsView);
