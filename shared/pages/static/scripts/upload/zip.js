// Zip archives, read in the browser piece by piece (APPNOTE 6.3.10 §4.3): the list of entries at the end, then each entry
// when its turn comes. Nothing of an archive is trusted: sizes are counted while an entry is inflated.

const END = 0x06054b50;
const END_64 = 0x06064b50;
const LOCATOR_64 = 0x07064b50;
const CENTRAL = 0x02014b50;
const LOCAL = 0x04034b50;
const END_BYTES = 22;
const COMMENT_MOST = 65535;
const LIST_MOST = 256 * 1024 * 1024;
const ENCRYPTED = 1;
const UTF_8 = 1 << 11;
const STORED = 0;
const DEFLATED = 8;

/** Why an archive or an entry cannot be read; `reason` names a text. */
export class Unreadable extends Error {
  constructor(reason) {
    super(reason);
    this.reason = reason;
  }
}

const view = async (file, from, to) => new DataView(await file.slice(from, to).arrayBuffer());

/** Whether a file begins as an archive does. */
export async function isZip(file) {
  return file.size >= END_BYTES && [LOCAL, END].includes((await view(file, 0, 4)).getUint32(0, true));
}

/** The entries of an archive that are files: { path, size, open }. `open` gives a Blob of `most` bytes at most. Raises Unreadable. */
export async function entries(file, most) {
  const { offset, bytes } = await directory(file);
  if (offset < 0 || bytes > LIST_MOST || offset + bytes > file.size) throw new Unreadable('zip.torn');
  const list = await view(file, offset, offset + bytes);
  const found = [];
  for (let at = 0; at + 46 <= list.byteLength && list.getUint32(at, true) === CENTRAL;) {
    const [nameBytes, extraBytes, commentBytes] = [28, 30, 32].map((place) => list.getUint16(at + place, true));
    const entry = {
      flags: list.getUint16(at + 8, true), method: list.getUint16(at + 10, true),
      packed: list.getUint32(at + 20, true), size: list.getUint32(at + 24, true), offset: list.getUint32(at + 42, true),
    };
    const end = at + 46 + nameBytes + extraBytes + commentBytes;
    if (end > list.byteLength) throw new Unreadable('zip.torn');
    enlarge(entry, list, at + 46 + nameBytes, extraBytes);
    const name = new Uint8Array(list.buffer, at + 46, nameBytes);
    const path = new TextDecoder(entry.flags & UTF_8 ? 'utf-8' : 'latin1').decode(name);
    if (!path.endsWith('/')) found.push({ path, size: entry.size, open: () => inflated(file, entry, most) });
    at = end;
  }
  return found;
}

async function directory(file) {
  const from = Math.max(0, file.size - END_BYTES - COMMENT_MOST);
  const tail = await view(file, from, file.size);
  for (let at = tail.byteLength - END_BYTES; at >= 0; at -= 1) {
    if (tail.getUint32(at, true) !== END) continue;
    const near = { bytes: tail.getUint32(at + 12, true), offset: tail.getUint32(at + 16, true) };
    if (at < 20 || tail.getUint32(at - 20, true) !== LOCATOR_64) return near;
    const place = Number(tail.getBigUint64(at - 12, true));
    const far = await view(file, place, place + 56);
    if (far.byteLength < 56 || far.getUint32(0, true) !== END_64) throw new Unreadable('zip.torn');
    return { bytes: Number(far.getBigUint64(40, true)), offset: Number(far.getBigUint64(48, true)) };
  }
  throw new Unreadable('zip.torn');
}

/** The sizes of an entry of four gigabytes or more stand behind its name. */
function enlarge(entry, list, from, bytes) {
  for (let at = from; at + 4 <= from + bytes;) {
    const [kind, length] = [list.getUint16(at, true), list.getUint16(at + 2, true)];
    if (kind === 1) {
      let place = at + 4;
      for (const name of ['size', 'packed', 'offset']) {
        if (entry[name] === 0xffffffff && place + 8 <= at + 4 + length) {
          entry[name] = Number(list.getBigUint64(place, true));
          place += 8;
        }
      }
    }
    at += 4 + length;
  }
}

async function inflated(file, { flags, method, packed, size, offset }, most) {
  if (flags & ENCRYPTED) throw new Unreadable('zip.encrypted');
  if (method !== STORED && method !== DEFLATED) throw new Unreadable('zip.method');
  if (size > most) throw new Unreadable('upload.too-large');
  const local = await view(file, offset, offset + 30);
  if (local.byteLength < 30 || local.getUint32(0, true) !== LOCAL) throw new Unreadable('zip.torn');
  const from = offset + 30 + local.getUint16(26, true) + local.getUint16(28, true);
  const content = file.slice(from, from + packed);
  if (method === STORED) return content;
  let total = 0;
  const counted = new TransformStream({
    transform(chunk, controller) {
      total += chunk.byteLength;
      if (total > size) throw new Unreadable('zip.torn');
      controller.enqueue(chunk);
    },
  });
  try {
    return await new Response(content.stream().pipeThrough(new DecompressionStream('deflate-raw')).pipeThrough(counted)).blob();
  } catch (error) {
    throw error instanceof Unreadable ? error : new Unreadable('zip.torn');
  }
}
