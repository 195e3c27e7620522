// OpenID Connect: authorization code flow with PKCE (VIEW-9; RFC 6749 §4.1, RFC 7636). Tokens are in the memory of this page
// alone; what must outlast the way to the authority and back (state, nonce, verifier, place) is in the session's storage.

import { shareToken } from './share.js';

const EARLY_SECONDS = 60;
const FRESH_MILLISECONDS = 15_000;
const KEPT = 'pages.sign-in';
const LEFT = 'pages.signed-out';
const ABANDONED = '?signed-out';
/** Where the authority comes back to: `/ui/`, or `/ui/viewer/` where the viewer is signed in to. */
const REDIRECT = new URL('.', location.origin + location.pathname).href;

let provider = null;
let discovered = null;
let tokens = null;
let renewing = null;

/** Why nobody is signed in: '', 'signed-out', 'refused', 'not-set-up'; and what the authority said. */
export const status = { reason: '', detail: '', name: '' };

const random = (bytes) => encode(crypto.getRandomValues(new Uint8Array(bytes)));

function encode(bytes) {
  return btoa(String.fromCharCode(...new Uint8Array(bytes))).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');
}

/** The claims of a token that came from the authority itself, over its own connection. */
function claims(token) {
  const text = token.split('.')[1].replaceAll('-', '+').replaceAll('_', '/');
  return JSON.parse(new TextDecoder().decode(Uint8Array.from(atob(text), (one) => one.charCodeAt(0))));
}

/** Whether callers need a token. */
export function needed() {
  return provider !== null;
}

/** Whether there is one. */
export function signedIn() {
  return tokens !== null;
}

/**
 * Begins with the configuration of the deployment. Completes a sign-in that comes back from the authority; else starts one,
 * unless somebody has just signed out. False: there is no token, and `status` says why.
 */
export async function begin(configuration) {
  provider = shareToken === null ? configuration.signIn : null; // who has the link of a share needs no account
  if (!provider) return true;
  if (!provider.clientId) {
    status.reason = 'not-set-up';
    return false;
  }
  const answer = new URLSearchParams(location.search);
  if (answer.has('state')) return complete(answer);
  if (sessionStorage.getItem(LEFT)) {
    status.reason = 'signed-out';
    return false;
  }
  return start();
}

async function discover() {
  if (!discovered) {
    const answer = await fetch(`${provider.authority}/.well-known/openid-configuration`, { credentials: 'omit' });
    if (!answer.ok) throw new Error(String(answer.status));
    discovered = await answer.json();
  }
  return discovered;
}

/** What is shown now, to be shown again after the sign-in. */
function place() {
  const found = location.href.slice(REDIRECT.length);
  return found.startsWith(ABANDONED) ? found.slice(ABANDONED.length) : found;
}

/** Goes to the authority, and does not come back here: the page is left. False: the authority cannot be reached. */
export async function start() {
  try {
    const { authorization_endpoint: endpoint } = await discover();
    const kept = { state: random(24), nonce: random(24), verifier: random(48), place: place() };
    const challenge = encode(await crypto.subtle.digest('SHA-256', new TextEncoder().encode(kept.verifier)));
    sessionStorage.setItem(KEPT, JSON.stringify(kept));
    sessionStorage.removeItem(LEFT);
    const url = new URL(endpoint);
    const asked = {
      response_type: 'code', client_id: provider.clientId, redirect_uri: REDIRECT, scope: provider.scopes, state: kept.state,
      nonce: kept.nonce, code_challenge: challenge, code_challenge_method: 'S256',
    };
    for (const [name, value] of Object.entries(asked)) url.searchParams.set(name, value);
    location.assign(url);
    await new Promise(() => {}); // the page is being left: nothing is to happen meanwhile
  } catch (error) {
    status.reason = 'refused';
    status.detail = String(error.message ?? '');
  }
  return false;
}

async function complete(answer) {
  const kept = JSON.parse(sessionStorage.getItem(KEPT) ?? 'null');
  sessionStorage.removeItem(KEPT);
  history.replaceState(null, '', REDIRECT + (kept?.place ?? ''));
  try {
    if (!kept || answer.get('state') !== kept.state) throw new Error('state');
    if (!answer.has('code')) throw new Error(answer.get('error_description') ?? answer.get('error') ?? 'code');
    const got = await exchange({
      grant_type: 'authorization_code', code: answer.get('code'), redirect_uri: REDIRECT, code_verifier: kept.verifier,
    });
    const identity = claims(got.id_token);
    if (identity.nonce !== kept.nonce) throw new Error('nonce');
    if (![identity.aud].flat().includes(provider.clientId)) throw new Error('aud');
    status.name = String(identity.name ?? identity.preferred_username ?? identity.email ?? identity.sub ?? '');
    take(got);
    return true;
  } catch (error) {
    status.reason = 'refused';
    status.detail = String(error.message ?? '');
    return false;
  }
}

async function exchange(form) {
  const { token_endpoint: endpoint } = await discover();
  const body = new URLSearchParams({ client_id: provider.clientId, ...form });
  const answer = await fetch(endpoint, { method: 'POST', body, credentials: 'omit' });
  const got = await answer.json();
  if (!answer.ok) throw new Error(got.error_description ?? got.error ?? String(answer.status));
  return got;
}

function take(got) {
  tokens = {
    access: got.access_token, identity: got.id_token ?? tokens?.identity, refresh: got.refresh_token ?? tokens?.refresh,
    since: Date.now(),
    until: Date.now() + (Number(got.expires_in ?? 3600) - EARLY_SECONDS) * 1000,
  };
}

/** The header fields that name the caller; renewed silently when the token is about to end. */
export async function credentials() {
  if (shareToken !== null) return { Authorization: `Bearer ${shareToken}` };
  if (!tokens) return {};
  if (Date.now() > tokens.until) await renew();
  return tokens ? { Authorization: `Bearer ${tokens.access}` } : {};
}

/** Whether there is a new token now. Many requests may ask at a time; the authority is asked once. */
function renew() {
  renewing ??= (async () => {
    try {
      if (!tokens.refresh) return await start();
      take(await exchange({ grant_type: 'refresh_token', refresh_token: tokens.refresh, scope: provider.scopes }));
      return true;
    } catch {
      return start();
    } finally {
      renewing = null;
    }
  })();
  return renewing;
}

/** What a 401 leads to: a new token, or the way to the authority and back to this place. False: it would not help. */
export async function signInAgain() {
  if (!provider?.clientId) return false;
  if (!tokens) return start();
  return Date.now() - tokens.since > FRESH_MILLISECONDS && renew(); // a fresh token that is refused: another will be, too
}

/** Forgets the tokens here and at the authority. The page is left. */
export async function signOut() {
  const hint = tokens?.identity;
  tokens = null;
  sessionStorage.setItem(LEFT, 'yes');
  const url = new URL((await discover().catch(() => ({}))).end_session_endpoint ?? REDIRECT);
  if (url.href !== REDIRECT) {
    url.searchParams.set('post_logout_redirect_uri', REDIRECT);
    url.searchParams.set('client_id', provider.clientId);
    if (hint) url.searchParams.set('id_token_hint', hint);
  }
  location.assign(url.href === REDIRECT ? `${REDIRECT}${ABANDONED}` : url);
}
