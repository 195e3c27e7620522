// Starts the pages: texts, sign-in, views.

import { choosePartition } from './parts/api.js';
import { button, element } from './parts/elements.js';
import { failure } from './parts/messages.js';
import { applyTheme } from './parts/preferences.js';
import { place, route } from './parts/router.js';
import { loadSettings } from './parts/settings.js';
import { openShell, show } from './parts/shell.js';
import * as signIn from './parts/sign_in.js';
import { loadTexts, t } from './parts/texts.js';
import { View } from './parts/view.js';
import './views/home.js';
import './views/studies.js';
import './views/study.js';
import './views/unknown.js';
import './views/upload.js';

route('', 'home-view', 'nav.home');
route('studies', 'studies-view', 'nav.studies');
route('studies/:study', 'study-view', 'study.title');
route('upload', 'upload-view', 'nav.upload');

class SignInView extends View {
  show() {
    const { reason, detail } = signIn.status;
    this.append(this.head(t(`sign-in.${reason}.title`), t(`sign-in.${reason}.text`)));
    if (reason === 'refused') this.append(failure(Object.assign(new Error(detail), { remedy: t('sign-in.refused.remedy') })));
    if (reason !== 'not-set-up') this.append(element('div', { class: 'row' }, button(t('sign-in'), () => signIn.start(), { kind: 'primary' })));
  }
}
customElements.define('sign-in-view', SignInView);

applyTheme();
const [configuration] = await Promise.all([loadSettings(), loadTexts()]);
const ready = await signIn.begin(configuration);
if (configuration.dataPartitions) choosePartition(place().query.get('partition') ?? 'Microsoft.Default');
await openShell(configuration);
if (ready) show();
else document.getElementById('main').replaceChildren(document.createElement('sign-in-view'));
