// The files that this page sends: four at a time, going on whichever view is shown (VIEW-3).

import { conformance } from '../parts/api.js';
import { t } from '../parts/texts.js';
import { send } from './sending.js';
import { entries, isZip, Unreadable } from './zip.js';

const TOGETHER = 4;
const NO_LIMIT = Number.MAX_SAFE_INTEGER;
/** How deep archives lie in archives; what is deeper is made to fill memories. */
const DEEPEST = 3;

/** Outcomes, in the order in which they are told. */
export const OUTCOMES = ['refused', 'failed', 'none', 'warning', 'present', 'stored', 'cancelled'];

class Queue extends EventTarget {
  items = [];
  bytes = 0;
  sent = 0;
  #waiting = [];
  #running = 0;
  #opening = 0;
  #stop = new AbortController();
  #told = false;

  /** Whether anything is still to be sent. */
  get busy() {
    return this.#running > 0 || this.#waiting.length > 0 || this.#opening > 0;
  }

  /** Takes files: { file, path }. An archive is replaced by what is in it. */
  async add(files) {
    this.#opening += 1;
    this.#changed();
    const most = await limit();
    for (const { file, path } of files) {
      const whole = kept({ path, size: file?.size ?? 0, open: async () => file ?? Promise.reject(new DOMException('', 'NotReadableError')) });
      try {
        if (file && await isZip(file)) for (const entry of await inside(file, most, whole)) this.#put(entry);
        else this.#put(whole);
      } catch (error) {
        const reason = error instanceof Unreadable ? t(error.reason) : t('upload.unreadable');
        this.#put(whole, { outcome: 'refused', reason });
      }
    }
    this.#opening -= 1;
    this.#changed();
    this.#work(most);
  }

  /** Ends what is under way and forgets what waits. */
  cancel() {
    for (const item of this.#waiting.splice(0)) this.#end(item, { outcome: 'cancelled', reason: '' });
    this.#stop.abort();
    this.#stop = new AbortController();
  }

  /** Sends what failed or was cancelled again. */
  async repeat() {
    for (const item of this.items.filter(({ outcome }) => outcome === 'failed' || outcome === 'cancelled')) {
      this.sent -= item.size;
      Object.assign(item, { outcome: 'waiting', reason: '' });
      this.#waiting.push(item);
    }
    this.#changed();
    this.#work(await limit());
  }

  /** Forgets the list. */
  clear() {
    this.items = [];
    this.bytes = this.sent = 0;
    this.#changed();
  }

  #put(item, ended = null) {
    this.items.push(item);
    this.bytes += item.size;
    if (ended) this.#end(item, ended);
    else this.#waiting.push(item);
  }

  async #work(most) {
    while (this.#running < TOGETHER && this.#waiting.length) {
      this.#running += 1;
      this.#one(this.#waiting.shift(), most).finally(() => {
        this.#running -= 1;
        this.#work(most);
        this.#changed();
      });
    }
  }

  async #one(item, most) {
    const { signal } = this.#stop;
    item.outcome = 'sending';
    try {
      const file = await item.open();
      signal.throwIfAborted();
      if (item.depth > 0 && await isZip(file)) {
        const found = await inside(file, most, item);
        signal.throwIfAborted();
        this.#replace(item, found);
      } else this.#end(item, await send(file, item.path, { signal, most }));
    } catch (error) {
      if (signal.aborted) this.#end(item, { outcome: 'cancelled', reason: '' });
      else if (error instanceof Unreadable) this.#end(item, { outcome: 'refused', reason: t(error.reason) });
      else if (error.name === 'NotReadableError' || error.name === 'NotFoundError') this.#end(item, { outcome: 'failed', reason: t('upload.unreadable') });
      else this.#end(item, { outcome: 'failed', reason: t('error.unreachable') });
    }
  }

  /** Puts what is in an archive of an archive in its place, to be sent next: so few archives are kept unpacked. */
  #replace(item, found) {
    const at = this.items.indexOf(item);
    this.items = [...this.items.slice(0, at), ...found, ...this.items.slice(at + 1)];
    this.bytes += found.reduce((sum, { size }) => sum + size, 0) - item.size;
    this.#waiting = [...found, ...this.#waiting];
    this.#changed();
  }

  #end(item, ended) {
    Object.assign(item, ended);
    this.sent += item.size;
    this.#changed();
  }

  /** Tells whoever shows the queue, once a frame at most. */
  #changed() {
    if (this.#told) return;
    this.#told = true;
    setTimeout(() => {
      this.#told = false;
      this.dispatchEvent(new Event('change'));
    }, 50);
  }
}

/** What is in the archive that `item` is. Raises Unreadable. */
async function inside(file, most, item) {
  if (item.depth >= DEEPEST) throw new Unreadable('zip.deep');
  const found = await entries(file, most);
  if (!found.length) throw new Unreadable('zip.empty');
  return found.map((entry) => kept({ ...entry, path: `${item.path}/${entry.path}`, depth: item.depth + 1 }));
}

/** A file as it is kept; `depth`: in how many archives it lies. */
function kept(item) {
  return { outcome: 'waiting', reason: '', study: '', depth: 0, ...item };
}

async function limit() {
  const { limits } = await conformance().catch(() => ({ limits: { requestBytes: NO_LIMIT, fileBytes: NO_LIMIT } }));
  return Math.min(limits.requestBytes, limits.fileBytes);
}

/** The one queue of this page. */
export const queue = new Queue();

/** Takes files from anywhere on the page. */
export function give(files) {
  if (files.length) queue.add(files);
}

addEventListener('beforeunload', (event) => queue.busy && event.preventDefault());
