// The share that the address opens. Its token is in the fragment, which no server and no log ever sees (SHR-8).

const PLACE = /^#\/?share\/(shr_[A-Za-z0-9_-]{20,120})(?=$|[/?])/;

/** The token of the share; null where the pages are opened without one. A link to another share loads the pages anew. */
export const shareToken = PLACE.exec(location.hash)?.[1] ?? null;

addEventListener('popstate', () => {
  const now = PLACE.exec(location.hash)?.[1] ?? null;
  if (now !== null && now !== shareToken) location.reload();
});

/** The path of a place under the share; else the path as it is. */
export function within(path) {
  if (shareToken === null) return path;
  return path ? `share/${shareToken}/${path}` : `share/${shareToken}`;
}
