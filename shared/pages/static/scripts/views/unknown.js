// An address that names no view.

import { element } from '../parts/elements.js';
import { nothing } from '../parts/messages.js';
import { link } from '../parts/router.js';
import { t } from '../parts/texts.js';
import { View } from '../parts/view.js';

class UnknownView extends View {
  show() {
    this.append(this.head(t('unknown.title')),
      nothing('search', t('unknown.text'), element('a', { class: 'button', href: link('') }, t('nav.home'))));
  }
}
customElements.define('unknown-view', UnknownView);
