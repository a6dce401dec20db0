// The calls of the API. A response becomes one shape, whatever its family.

import * as session from './session.js';
import { language } from './texts.js';

/** API Gateway responds within 29 seconds. */
const TIMEOUT_MILLIS = 32000;

/** The address of the API, with its stage. The scripts are one folder below it. */
export const ROOT = new URL('..', document.querySelector('script[type="module"]').src).href;

/** Returns a new idempotency key. */
export function newKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, byte => byte.toString(16).padStart(2, '0')).join('');
}

function form(parameters) {
  const form = new URLSearchParams();
  Object.keys(parameters || {}).filter(name => parameters[name]).forEach(name => form.append(name, parameters[name]));
  return form.toString();
}

function parsed(body) {
  try {
    const value = JSON.parse(body);
    return value && typeof value === 'object' ? value : {};
  } catch (error) {
    return {};
  }
}

/**
 * Calls the API, under an idempotency key if there is one.
 *
 * Returns `{ ok, status, body, symbol }`. `status` is that of the body, because a deployment may send every response
 * with 200. It is 0 if no response arrived: the call may have had its effect. `symbol` is that of a refusal.
 */
export async function call(method, path, parameters, key, isAnonymous) {
  const headers = { 'Accept': 'application/json', 'Accept-Language': language() };
  if (key) {
    headers['Idempotency-Key'] = key;
  }
  if (session.token() && !isAnonymous) {
    headers['Authorization'] = 'Bearer ' + session.token();
  }
  let url = ROOT + path;
  // Each tab sends its own `verification`, so no cookie of another tab's flow takes part.
  const request = { method: method, headers: headers, credentials: 'omit', cache: 'no-store', referrerPolicy: 'no-referrer' };
  if (method === 'GET') {
    url += '?' + form(parameters);
  } else {
    headers['Content-Type'] = 'application/x-www-form-urlencoded';
    request.body = form(parameters);
  }
  const abort = typeof AbortController === 'function' ? new AbortController() : {};
  const timer = setTimeout(() => abort.abort && abort.abort(), TIMEOUT_MILLIS);
  request.signal = abort.signal;
  let response;
  let content;
  try {
    response = await fetch(url, request);
    content = await response.text();
  } catch (error) {
    return { ok: false, status: 0, body: {}, symbol: 'LOST' };
  } finally {
    clearTimeout(timer);
  }
  const body = parsed(content);
  const status = Number(body.status || body.code) || response.status;
  const ok = response.ok && status < 400;
  if (ok && !isAnonymous) {
    session.renew(body.token);
  }
  const symbol = ok ? '' : body.error || (isNaN(body.code) && body.code) || 'UNAVAILABLE';
  return { ok: ok, status: status, body: body, symbol: symbol };
}
