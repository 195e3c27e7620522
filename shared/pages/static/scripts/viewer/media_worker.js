// Service worker of the viewer. A video element fetches its file itself and sends no header fields of its own: this gives
// its requests those of the page that shows it (VIEW-4, VIEW-9). The worker keeps none: it asks the page each time.

const WAIT_MILLISECONDS = 5000;

self.addEventListener('install', () => self.skipWaiting());
self.addEventListener('activate', (event) => event.waitUntil(self.clients.claim()));
self.addEventListener('fetch', (event) => {
  const { destination, method, url } = event.request;
  const isMedia = destination === 'video' || destination === 'audio';
  if (isMedia && method === 'GET' && new URL(url).origin === self.location.origin) event.respondWith(fetchAs(event));
});

async function fetchAs({ clientId, request }) {
  const headers = new Headers(await credentials(clientId, request.url));
  for (const name of ['Accept', 'Range', 'If-Range']) {
    if (request.headers.has(name)) headers.set(name, request.headers.get(name));
  }
  return fetch(request.url, { headers, credentials: 'omit', redirect: 'error', referrerPolicy: 'no-referrer', signal: request.signal });
}

/** The header fields that the page gives for an address; none, if it gives none in time. */
async function credentials(clientId, url) {
  const page = clientId && (await self.clients.get(clientId));
  if (!page) return {};
  const { port1, port2 } = new MessageChannel();
  return new Promise((resolve) => {
    const late = setTimeout(() => resolve({}), WAIT_MILLISECONDS);
    port1.onmessage = ({ data }) => {
      clearTimeout(late);
      resolve(data ?? {});
    };
    page.postMessage({ credentialsFor: url }, [port2]);
  });
}
