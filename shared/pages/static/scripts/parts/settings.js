// What the deployment has told these pages (`configuration.json`).

export const settings = { version: '', authentication: 'off', signIn: null, dataPartitions: false, privateUrls: true, viewer: null };

/** Fetches it; `pages` is the address of the pages. */
export async function loadSettings(pages = location.pathname) {
  const answer = await fetch(new URL('configuration.json', new URL(pages, location.origin)), { cache: 'no-cache' });
  Object.assign(settings, await answer.json());
  return settings;
}
