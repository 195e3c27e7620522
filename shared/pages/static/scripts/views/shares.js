// Shares: which links there are, making and revoking them (VIEW-8).

import { json, tell } from '../parts/api.js';
import { button, element, table } from '../parts/elements.js';
import { number } from '../parts/format.js';
import { confirm, nothing, notify } from '../parts/messages.js';
import { link } from '../parts/router.js';
import { moment, shareStudies } from '../parts/sharing.js';
import { t } from '../parts/texts.js';
import { View } from '../parts/view.js';

const SHOWN = 3;

class SharesView extends View {
  #box = element('div', { class: 'stack' });

  show() {
    this.append(this.head(t('nav.shares'), t('shares.lead'),
      button(t('shares.create'), () => shareStudies(null, { done: () => this.#list() }), { kind: 'primary' })), this.#box);
    this.#list();
  }

  #list() {
    return this.load(this.#box, async () => {
      const shares = await json('shares', { signal: this.signal });
      if (!shares?.length) return nothing('share', t('shares.none'), element('span', {}, t('shares.none-text')));
      return table(t('nav.shares'), [t('shares.label'), t('shares.selection'), t('shares.expires'), [t('shares.uses'), 'number'], t('tags.do')],
        shares.map((each) => this.#row(each)));
    });
  }

  #row(share) {
    const over = new Date(share.expires) <= new Date();
    const name = share.label || share.id;
    return element('tr', {},
      element('th', { scope: 'row', class: 'wrap' }, share.label || t('shares.no-label'), element('span', { class: 'cell-sub mono' }, share.id)),
      element('td', { class: 'wrap' }, this.#selection(share.selection),
        !share.download && element('span', { class: 'cell-sub' }, t('shares.view-only')),
        share.copy && element('span', { class: 'cell-sub' }, t(`shares.copy.${share.copy}`))),
      element('td', {}, moment(share.expires), over && element('span', { class: 'cell-sub' }, element('span', { class: 'badge warn' }, t('shares.over')))),
      element('td', { class: 'number' }, number(share.uses),
        share.lastUse && element('span', { class: 'cell-sub' }, t('shares.last-use', { time: moment(share.lastUse) }))),
      element('td', {}, button(t('shares.revoke'), () => this.#revoke(share, name), { kind: 'danger', 'aria-label': `${t('shares.revoke')} ${name}` })));
  }

  #selection({ partition, studies = [], count = studies.length, series }) {
    if (partition) return t('shares.partition');
    return [t('shares.count', { count: number(count) }), series && ` (${t('shares.series', { count: number(series.length) })})`,
      studies.slice(0, SHOWN).map((uid) => element('span', { class: 'cell-sub' }, element('a', { href: link(`studies/${uid}`), class: 'mono' }, uid)))];
  }

  #revoke(share, name) {
    confirm({
      title: t('shares.revoke-title'), text: t('shares.revoke-text', { name }), word: t('shares.revoke'),
      action: () => tell(`shares/${share.id}`, { method: 'DELETE' }),
      done: () => {
        notify(t('shares.revoked'));
        this.#list();
      },
    });
  }
}

customElements.define('shares-view', SharesView);
