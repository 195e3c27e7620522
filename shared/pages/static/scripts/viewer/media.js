// What lets video elements of the viewer fetch their files where callers sign in: a service worker that asks this page for
// the header fields of each request (VIEW-4, VIEW-9).

const WAIT_MILLISECONDS = 5000;

/**
 * Starts the worker `script` for the pages below `scope`, and answers it. `fields` gives the header fields of the caller now;
 * they are told for addresses below `service` alone. A browser without service workers shows no videos, and all else.
 */
export async function authorizeMedia({ script, scope, service, fields }) {
  const workers = navigator.serviceWorker;
  if (!workers) return;
  workers.addEventListener('message', async ({ data, ports: [port] }) => {
    if (!port || typeof data?.credentialsFor !== 'string') return;
    port.postMessage(data.credentialsFor.startsWith(`${service}/`) ? await fields() : {});
  });
  const controlled = new Promise((resolve) => {
    if (workers.controller) resolve();
    workers.addEventListener('controllerchange', resolve, { once: true });
    setTimeout(resolve, WAIT_MILLISECONDS); // pages that were loaded anew by force are never controlled
  });
  try {
    await workers.register(script, { scope, updateViaCache: 'none' });
    await controlled;
  } catch {
    // Forbidden, or not to be had: everything but videos goes on.
  }
}
