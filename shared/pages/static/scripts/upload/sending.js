// One file to the service (STOW-RS), and what became of it (VIEW-3).

import { address, once, pause, problem } from '../parts/api.js';
import { TAG, text, values } from '../parts/dicom.js';
import { t } from '../parts/texts.js';

const TRIES = 4;
const PREFIX = 'DICM';
const EXISTS = 45070;
const IN_PROGRESS = 45071;
const LATER = new Set([429, 503]);
const FIRST_GROUPS = new Set([0x0002, 0x0008]);
const DIRECTORY = /(^|\/)DICOMDIR$/i;

/** Whether a file may be DICOM: with a preamble, or a data set alone. */
export async function mayBeDicom(file) {
  const head = new DataView(await file.slice(0, 132).arrayBuffer());
  if (head.byteLength === 132 && String.fromCharCode(...new Uint8Array(head.buffer, 128, 4)) === PREFIX) return true;
  return head.byteLength > 8 && FIRST_GROUPS.has(head.getUint16(0, true)) && head.getUint16(2, true) < 0x0100;
}

/** Sends a file. The outcome: { outcome, reason, study }. Raises what the signal raises, and TypeError without a connection. */
export async function send(file, path, { signal, most }) {
  if (DIRECTORY.test(path)) return { outcome: 'none', reason: t('upload.directory') };
  if (!(await mayBeDicom(file))) return { outcome: 'none', reason: t('upload.no-dicom') };
  if (file.size > most) return { outcome: 'refused', reason: t('upload.too-large') };
  for (let attempt = 1; ; attempt += 1) {
    const answer = await once(address('studies'), {
      method: 'POST', body: file, signal, headers: { 'Content-Type': 'application/dicom', Accept: 'application/dicom+json' },
    });
    const stored = await dataset(answer.clone());
    const failed = values(stored, TAG.failedSequence)[0];
    const again = LATER.has(answer.status) || Number(values(failed, TAG.failureReason)[0]) === IN_PROGRESS;
    if (again && attempt < TRIES) {
      await pause(answer, signal);
      continue;
    }
    return stored ? judged(stored) : refused(answer);
  }
}

async function dataset(answer) {
  if (![200, 202, 409].includes(answer.status)) return null;
  const told = await answer.json().catch(() => null);
  return told && (TAG.storedSequence in told || TAG.failedSequence in told) ? told : null;
}

function judged(stored) {
  const failed = values(stored, TAG.failedSequence)[0];
  if (failed) {
    const code = Number(values(failed, TAG.failureReason)[0]);
    if (code === EXISTS) return { outcome: 'present', reason: '' };
    return { outcome: code === IN_PROGRESS ? 'failed' : 'refused', reason: told(failed) || t('upload.code', { code }) };
  }
  const item = values(stored, TAG.storedSequence)[0];
  const study = /\/studies\/([0-9.]+)/.exec(text(item, '00081190'))?.[1] ?? '';
  const warned = TAG.warningReason in item;
  return { outcome: warned ? 'warning' : 'stored', reason: warned ? told(item) || t('upload.warned') : '', study };
}

/** The sentences that an item of the answer holds. */
function told(item) {
  const attributes = values(item, TAG.failedAttributes).map((each) => text(each, TAG.errorComment)).filter(Boolean);
  return [...new Set(attributes.length ? attributes : [text(item, TAG.errorComment)])].filter(Boolean).join(' ');
}

async function refused(answer) {
  const { status, message, remedy, requestId } = await problem(answer);
  const words = status === 403 ? `${t('error.403')} ${remedy}` : message;
  const reason = `${words} ${t('error.request-id', { id: requestId })}`.trim();
  return { outcome: status >= 500 || LATER.has(status) ? 'failed' : 'refused', reason };
}
