// The long-running operations that this browser knows: what it has started or was asked about, by id alone (VIEW-7).

const KEPT = 'pages.operations';
const MOST = 20;
const ID = /^(?:[0-9a-f]{32}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})$/i;

/** The ids, newest first. */
export function knownOperations() {
  try {
    return JSON.parse(sessionStorage.getItem(KEPT) ?? '[]').filter(isOperation);
  } catch {
    return [];
  }
}

/** Whether a text is the id of an operation. */
export function isOperation(id) {
  return ID.test(id);
}

/** Remembers one, while this browser's session lasts. */
export function rememberOperation(id) {
  sessionStorage.setItem(KEPT, JSON.stringify([id, ...knownOperations().filter((other) => other !== id)].slice(0, MOST)));
}

/** Forgets one. */
export function forgetOperation(id) {
  sessionStorage.setItem(KEPT, JSON.stringify(knownOperations().filter((other) => other !== id)));
}
