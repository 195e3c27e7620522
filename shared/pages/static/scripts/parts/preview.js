// A series looked through, picture by picture, as the service renders it. Not for diagnosis, and it says so.

import { search } from './api.js';
import { TAG, text } from './dicom.js';
import { button, element, fill } from './elements.js';
import { number } from './format.js';
import { dialog, failure, waiting } from './messages.js';
import { picture } from './pictures.js';
import { t } from './texts.js';

const PAGE = 200;
const MOST = 2000;
const VIEWPORT = '1024,1024';
const WAIT_MILLISECONDS = 60;

/** Opens the preview of a series; `path` is its path, `title` its name. */
export function preview(path, title) {
  const leaving = new AbortController();
  const { signal } = leaving;
  const box = element('div', { class: 'picture' }, waiting());
  const where = element('output', { class: 'muted', 'aria-live': 'polite' });
  const slider = element('input', { type: 'range', min: 1, max: 1, value: 1, disabled: true, 'aria-label': t('preview.position') });
  const made = dialog(title, () => [
    box,
    element('div', { class: 'row' },
      button(t('previous'), () => step(-1), { image: 'previous' }), button(t('next'), () => step(1), { image: 'next' }), where),
    slider, element('p', { class: 'muted small' }, t('preview.note'))], { wide: true, closed: () => leaving.abort() });
  let frames = [];
  let timer = null;
  let asked = new AbortController();

  const show = () => {
    clearTimeout(timer);
    timer = setTimeout(draw, WAIT_MILLISECONDS); // who drags the slider wants the picture where it ends
  };
  const step = (by) => {
    slider.value = String(Number(slider.value) + by);
    show();
  };
  const draw = async () => {
    const frame = frames[Number(slider.value) - 1];
    if (!frame) return;
    where.textContent = t('preview.of', { at: number(Number(slider.value)), count: number(frames.length) });
    asked.abort();
    asked = new AbortController();
    const alt = t('preview.alt', { title, at: slider.value });
    try {
      fill(box, await picture(frame, alt, { signal: AbortSignal.any([signal, asked.signal]), query: { viewport: VIEWPORT } }));
    } catch (error) {
      if (error.name !== 'AbortError') fill(box, failure(error));
    }
  };
  slider.addEventListener('input', show);
  made.addEventListener('keydown', (event) => {
    const by = { ArrowUp: -1, ArrowLeft: -1, ArrowDown: 1, ArrowRight: 1 }[event.key];
    if (!by || event.target === slider) return;
    event.preventDefault();
    step(by);
  });
  made.addEventListener('wheel', (event) => {
    if (box.contains(event.target)) step(Math.sign(event.deltaY));
  }, { passive: true });

  (async () => {
    try {
      frames = await framesOf(path, signal);
      slider.max = String(frames.length);
      slider.disabled = frames.length < 2;
      show();
    } catch (error) {
      if (!signal.aborted) fill(box, failure(error));
    }
  })();
}

/** The paths of the pictures of a series: by instance number, every frame of each instance. */
async function framesOf(path, signal) {
  const found = [];
  for (let offset = 0; offset < MOST; offset += PAGE) {
    const some = await search(`${path}/instances`, { limit: PAGE, offset: offset || '', includefield: 'NumberOfFrames' }, { signal });
    found.push(...some);
    if (some.length < PAGE) break;
  }
  found.sort((one, other) => Number(text(one, TAG.instanceNumber)) - Number(text(other, TAG.instanceNumber)));
  return found.flatMap((instance) => {
    const own = `${path}/instances/${text(instance, TAG.sopInstance)}`;
    const count = Math.min(Number(text(instance, TAG.frames)) || 1, MOST);
    return count === 1 ? [`${own}/rendered`] : Array.from({ length: count }, (_, at) => `${own}/frames/${at + 1}/rendered`);
  });
}
