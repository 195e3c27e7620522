// Archives: a link where the browser alone may ask, else fetched with the caller's token and then saved.

import { address, ask } from './api.js';
import { button, element, icon } from './elements.js';
import { size } from './format.js';
import { dialog, failure, notify } from './messages.js';
import { shareToken } from './share.js';
import * as signIn from './sign_in.js';
import { t } from './texts.js';

const ZIP = 'application/zip';
const PROGRESS_MILLISECONDS = 200;

/** What downloads a study or series as a zip archive. */
export function zipButton(path, uid) {
  if (!signIn.needed() && shareToken === null) {
    return element('a', { class: 'button', href: address(path, { query: { accept: ZIP } }).href, download: `${uid}.zip` }, icon('download'), t('study.zip'));
  }
  return button(t('study.zip'), () => save(path, `${uid}.zip`), { image: 'download' });
}

/** Gives a file to whoever looks at the page. */
export function offer(blob, name) {
  const url = URL.createObjectURL(blob);
  element('a', { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}

function save(path, name) {
  const leaving = new AbortController();
  const bar = element('progress', { 'aria-label': t('study.zip') });
  const said = element('p', {}, t('loading'));
  const made = dialog(t('study.zip'), () => [said, bar], { closed: () => leaving.abort() });
  (async () => {
    try {
      const answer = await ask(path, { accept: ZIP, signal: leaving.signal });
      const whole = Number(answer.headers.get('content-length')) || 0;
      let [got, last] = [0, 0];
      const counted = new TransformStream({ transform(chunk, controller) {
        got += chunk.byteLength;
        controller.enqueue(chunk);
        if (Date.now() - last < PROGRESS_MILLISECONDS) return;
        last = Date.now();
        said.textContent = whole ? t('download.of', { got: size(got), whole: size(whole) }) : size(got);
        if (whole) bar.value = got / whole;
      } });
      offer(await new Response(answer.body.pipeThrough(counted)).blob(), name);
      made.close();
      notify(t('download.done', { name }));
    } catch (error) {
      if (!leaving.signal.aborted) bar.replaceWith(failure(error));
    }
  })();
}
