// Pictures that the service renders: thumbnails, fetched when they come into sight, and a preview of a series.

import { ask } from './api.js';
import { element, fill } from './elements.js';
import { t } from './texts.js';

const PICTURES = 'image/png';
const shown = new IntersectionObserver((entries) => {
  for (const { isIntersecting, target } of entries) {
    if (!isIntersecting) continue;
    shown.unobserve(target);
    target.fetch();
  }
}, { rootMargin: '200px' });

/** Fetches a picture and gives an image of it. Raises Problem. `alt` is what it shows. */
export async function picture(path, alt, { signal, query } = {}) {
  const answer = await ask(path, { accept: PICTURES, signal, query });
  const url = URL.createObjectURL(await answer.blob());
  const image = element('img', { src: url, alt });
  await image.decode().finally(() => URL.revokeObjectURL(url));
  return image;
}

/** A box that shows the thumbnail of a resource once it is in sight, or the words of `without`. */
class Thumbnail extends HTMLElement {
  #leaving = new AbortController();
  path = '';
  alt = '';

  connectedCallback() {
    shown.observe(this);
  }

  disconnectedCallback() {
    shown.unobserve(this);
    this.#leaving.abort();
  }

  async fetch() {
    try {
      fill(this, await picture(`${this.path}/thumbnail`, this.alt, { signal: this.#leaving.signal }));
    } catch {
      if (!this.#leaving.signal.aborted) this.textContent = t('picture.none');
    }
  }
}
customElements.define('dicom-thumbnail', Thumbnail);

/** A thumbnail of a study, series or instance. */
export function thumbnail(path, alt) {
  const made = document.createElement('dicom-thumbnail');
  Object.assign(made, { path, alt });
  return made;
}
