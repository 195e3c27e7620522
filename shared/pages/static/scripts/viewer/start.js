// Starts OHIF Viewer on this service: signs in as the pages do, says where the service is, and loads the released files
// (VIEW-4, VIEW-9). The viewer is asked for one study or several: `viewer?StudyInstanceUIDs=UID`.

import { loadSettings } from '../parts/settings.js';
import { shareToken, within } from '../parts/share.js';
import * as signIn from '../parts/sign_in.js';
import { loadTexts, t } from '../parts/texts.js';
import { configuration } from './configuration.js';
import { authorizeMedia } from './media.js';

const RENEWAL_MILLISECONDS = 20_000;
const HERE = new URL('.', location.origin + location.pathname);
const PAGES = new URL('../', HERE);
const STUDIES = new URL(shareToken === null ? '#/studies' : `#/${within('')}`, PAGES);

const told = (name) => document.querySelector(`meta[name="viewer-${name}"]`).content;

/** Tells in the place of the viewer what is the matter, with a way back to the pages. */
function tell(text) {
  const state = document.getElementById('viewer-state');
  const back = document.createElement('a');
  back.href = STUDIES.href;
  back.textContent = t('viewer.back');
  state.replaceChildren(text, ' ', back);
}

/** Runs a script of the release; settles when it has run, or cannot be had. */
function run(url) {
  return new Promise((resolve, reject) => {
    const script = document.createElement('script');
    script.src = url;
    script.addEventListener('load', resolve);
    script.addEventListener('error', () => reject(new Error(url)));
    document.head.append(script);
  });
}

/** The header fields that name the caller, always fresh: the viewer asks for them and does not wait. */
async function freshCredentials() {
  let fields = await signIn.credentials();
  const renew = async () => {
    fields = await signIn.credentials();
  };
  if (signIn.needed()) {
    setInterval(renew, RENEWAL_MILLISECONDS);
    document.addEventListener('visibilitychange', () => document.hidden || renew()); // timers of hidden pages are slow
  }
  return () => fields;
}

async function begin() {
  const [settings] = await Promise.all([loadSettings(PAGES), loadTexts()]);
  if (!(await signIn.begin(settings))) {
    location.replace(PAGES); // which say why, and what can be done
    return;
  }
  const query = new URLSearchParams(location.search);
  if (!query.has('StudyInstanceUIDs')) {
    location.replace(STUDIES);
    return;
  }
  // The rest of the release is loaded from here; `viewer` is the viewer's own way of showing any study.
  window.PUBLIC_URL = new URL(`${told('release')}/`, HERE).pathname;
  window.browserImportFunction = run; // of the one part that is no part of the bundle: microscopy
  if (location.pathname === HERE.pathname) history.replaceState(null, '', `viewer${location.search}`);
  const service = new URL('../v2', PAGES).href;
  if (signIn.needed() || shareToken !== null) {
    await authorizeMedia({ script: new URL('media.js', HERE).href, scope: HERE.pathname, service, fields: signIn.credentials });
  }
  window.config = configuration({
    base: HERE.pathname,
    service,
    partition: settings.dataPartitions ? query.get('partition') ?? 'Microsoft.Default' : null,
    credentials: await freshCredentials(),
    refused: signIn.signInAgain,
  });
  await run(`${window.PUBLIC_URL}${told('script')}`);
}

begin().catch(() => tell(t('viewer.not-loaded')));
