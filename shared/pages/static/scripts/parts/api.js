// The public API of the service, as any client asks it (VIEW-1).

import { credentials, signInAgain } from './sign_in.js';

const WAITS = 3;
const ROOT = new URL('../', new URL(location.pathname, location.origin));
const PROBLEM = 'application/problem+json';

/** The URL below which the API lies, without a slash at its end. */
export const API = new URL('v2', ROOT).href;

let partition = null;

/** Asks within a data partition from now on; null where the service has none. */
export function choosePartition(name) {
  partition = name;
}

/** The data partition that is asked. */
export function chosenPartition() {
  return partition;
}

/** What the service answered instead of what was asked for (VIEW-15). */
export class Problem extends Error {
  constructor(status, details) {
    super(details.detail ?? details.title ?? String(status));
    this.name = 'Problem';
    this.status = status;
    this.where = details.where ?? '';
    this.remedy = details.remedy ?? '';
    this.requestId = details.requestId ?? '';
  }
}

/** The URL of a resource. `parted`: it lies in the data partition. Values of `query` may be lists; empty ones are left out. */
export function address(path, { query = {}, parted = true } = {}) {
  const middle = parted && partition ? `/partitions/${encodeURIComponent(partition)}` : '';
  const url = new URL(`${API}${middle}/${path}`);
  for (const [name, value] of Object.entries(query)) {
    for (const each of Array.isArray(value) ? value : [value]) {
      if (each !== '' && each !== null && each !== undefined) url.searchParams.append(name, each);
    }
  }
  return url;
}

/**
 * The answer to a request that succeeded. `accept` is a media type. Raises Problem; what the signal raises. A service that
 * is busy is asked again, where that changes nothing.
 */
export async function ask(path, { method = 'GET', accept = 'application/json', headers = {}, body, signal, query, parted } = {}) {
  const url = path instanceof URL ? path : address(path, { query, parted });
  const sent = { Accept: `${accept}, ${PROBLEM};q=0.1`, ...headers };
  for (let attempt = 1; ; attempt += 1) {
    const answer = await once(url, { method, headers: sent, body, signal });
    if (answer.ok) return answer;
    const busy = answer.status === 503 || answer.status === 429;
    if (busy && method === 'GET' && attempt < WAITS) {
      await pause(answer, signal);
      continue;
    }
    throw await problem(answer);
  }
}

/** One request with the caller's token, and its answer whatever the status. A token that is refused starts the sign-in. */
export async function once(url, { headers = {}, ...request } = {}) {
  const answer = await send(url, headers, request);
  if (answer.status !== 401 || !(await signInAgain())) return answer;
  return send(url, headers, request);
}

async function send(url, headers, request) {
  try {
    return await fetch(url, { ...request, headers: { ...headers, ...(await credentials()) }, cache: 'no-cache', redirect: 'error' });
  } catch (error) {
    if (error.name !== 'TypeError') throw error;
    throw new Problem(0, { detail: '' });
  }
}

/** Waits as long as an answer asks for, ten seconds at most. */
export function pause(answer, signal) {
  const seconds = Math.min(10, Math.max(1, Number(answer.headers.get('retry-after')) || 1));
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, seconds * 1000);
    signal?.addEventListener('abort', () => {
      clearTimeout(timer);
      reject(signal.reason);
    }, { once: true });
  });
}

/** The problem that an answer tells of. */
export async function problem(answer) {
  const requestId = answer.headers.get('x-request-id') ?? '';
  const type = answer.headers.get('content-type') ?? '';
  try {
    if (type.includes('json')) {
      const told = await answer.json();
      if (typeof told === 'string') return new Problem(answer.status, { detail: told, requestId });
      return new Problem(answer.status, { requestId, ...told });
    }
    const [detail, ...rest] = (await answer.text()).split('\n');
    const remedy = rest.find((line) => line.startsWith('What to do: '))?.slice(12);
    return new Problem(answer.status, { detail, remedy, requestId });
  } catch {
    return new Problem(answer.status, { detail: '', requestId });
  }
}

/** The JSON of an answer; null where there is none. */
export async function json(path, options = {}) {
  const answer = await ask(path, options);
  return answer.status === 204 ? null : answer.json();
}

/** A request whose answer has nothing to be read. */
export async function tell(path, options) {
  const answer = await ask(path, options);
  await answer.arrayBuffer();
}

/** The results of a search (QIDO-RS); empty if there are none. */
export async function search(path, query, options = {}) {
  return (await json(path, { accept: 'application/dicom+json', query, ...options })) ?? [];
}

/** What the service says of its parts, well or not (HC-1). */
export async function health(signal) {
  const answer = await fetch(address('health/check', { parted: false }), { headers: { Accept: 'application/json' }, cache: 'no-store', signal });
  return answer.json();
}

let described = null;

/** What the deployment can do (CAP-2). Asked once. */
export function conformance() {
  described ??= json('conformance', { parted: false }).catch((error) => {
    described = null;
    throw error;
  });
  return described;
}

/** Whether the deployment has a resource, by the name of its function. */
export async function offers(name) {
  return (await conformance()).resources.some((resource) => resource.name === name);
}
