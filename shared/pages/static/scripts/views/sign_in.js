// What is shown while nobody is signed in, and why.

import { button, element } from '../parts/elements.js';
import { failure } from '../parts/messages.js';
import * as signIn from '../parts/sign_in.js';
import { t } from '../parts/texts.js';
import { View } from '../parts/view.js';

class SignInView extends View {
  show() {
    const { reason, detail } = signIn.status;
    this.append(this.head(t(`sign-in.${reason}.title`), t(`sign-in.${reason}.text`)));
    if (reason === 'refused') this.append(failure(Object.assign(new Error(detail), { remedy: t('sign-in.refused.remedy') })));
    if (reason !== 'not-set-up') this.append(element('div', { class: 'row' }, button(t('sign-in'), () => signIn.start(), { kind: 'primary' })));
  }
}
customElements.define('sign-in-view', SignInView);
