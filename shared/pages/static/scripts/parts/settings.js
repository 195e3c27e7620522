// What the deployment has told these pages (`configuration.json`).

export const settings = { version: '', authentication: 'off', signIn: null, dataPartitions: false, privateUrls: true };

/** Fetches it. */
export async function loadSettings() {
  const answer = await fetch('configuration.json', { cache: 'no-cache' });
  Object.assign(settings, await answer.json());
  return settings;
}
