// The member's session and the pending step of a flow. This module is evaluated before all others, because it removes
// the session from the address: "copy link" of an app takes the address as it is.

const KEPT = 'account';

let session = '';

/** The flow that a code was sent for: view, step, contact, verification, resendAt. It has neither codes nor passwords. */
export const pending = {};

/** Storage may be off: a reload then ends the session. */
function stored(use) {
  try {
    return use(sessionStorage);
  } catch (error) {
    return null;
  }
}

function drop() {
  stored(storage => storage.removeItem(KEPT));
}

// The session is in storage only while the page is in the background, where a browser may discard it.
function keep() {
  if (session || pending.view) {
    stored(storage => storage.setItem(KEPT, JSON.stringify({ session: session, pending: pending })));
  }
}

function restore() {
  const kept = stored(storage => JSON.parse(storage.getItem(KEPT))) || {};
  session = kept.session || '';
  Object.assign(pending, kept.pending);
}

function take() {
  const fragment = new URLSearchParams(location.hash.slice(1));
  if (!fragment.has('session')) {
    return false;
  }
  history.replaceState(history.state, '', location.pathname + location.search);
  session = fragment.get('session');
  forget();
  return true;
}

/** Forgets the pending flow. */
export function forget() {
  Object.keys(pending).forEach(name => delete pending[name]);
}

/** Returns the session token, or an empty text. */
export function token() {
  return session;
}

/** Replaces the session by a renewed one. */
export function renew(renewed) {
  session = renewed || session;
}

/** Ends the session on this page. */
export function clear() {
  session = '';
  drop();
}

/** Whether the session's login was with the password and is at most this many seconds ago. Only a hint: the server decides. */
export function isRecent(seconds) {
  try {
    const payload = session.split('.')[1].replace(/-/g, '+').replace(/_/g, '/');
    const claims = JSON.parse(atob(payload));
    const byPassword = !claims.amr || claims.amr.indexOf('pwd') >= 0;
    return byPassword && Date.now() / 1000 - claims.auth_time < seconds;
  } catch (error) {
    return false;
  }
}

if (!take()) {
  restore();
}
drop();
addEventListener('pagehide', keep);
document.addEventListener('visibilitychange', () => (document.visibilityState === 'hidden' ? keep() : drop()));
// A link with a session that is opened on the page itself changes only the fragment.
addEventListener('hashchange', () => {
  if (take()) {
    dispatchEvent(new Event('session'));
  }
});
