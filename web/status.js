// The state of the account, as the overview shows it.

import { call } from './api.js';
import { clockTime } from './clock.js';
import { element } from './forms.js';
import { has, text } from './texts.js';

/** Reads the state. Returns the result of the call, whose `body.data` is the state. */
export function read() {
  return call('GET', 'member/userservice/security/status');
}

/** Returns a time of the API, which is in seconds, in milliseconds if it is in the future, else 0. */
function future(seconds) {
  return seconds && seconds * 1000 > Date.now() ? seconds * 1000 : 0;
}

/** Returns when the pay password is unlocked, as a clock time, or an empty text. */
export function payLock(state) {
  const until = future(state.payPasswordLockedUntil);
  return until ? clockTime(until) : '';
}

/** Fills the overview with the state. Longer texts come last, so that nothing moves. */
export function show(view, state) {
  const lock = payLock(state);
  const none = text('value.none');
  const contacts = [state.phone, state.email].filter(contact => contact);
  const values = {
    phone: state.phone ? state.phone.masked : none,
    email: state.email ? state.email.masked : none,
    password: state.hasPassword ? text('value.set') : none,
    payPassword: lock ? text('value.lockedUntil', { time: lock }) : state.hasPayPassword ? text('value.set') : none,
  };
  view.querySelectorAll('[data-value]').forEach(value => (value.textContent = values[value.dataset.value]));
  const notices = contacts
    .filter(contact => future(contact.maturesAt))
    .map(contact => text('notice.matures', { contact: contact.masked, time: clockTime(contact.maturesAt * 1000) }));
  const cooling = future(state.coolingOffUntil);
  if (cooling) {
    notices.push(text('notice.coolingOff', { time: clockTime(cooling) }));
  }
  notices.forEach(notice => (element(view.querySelector('#notices'), 'p', 'notice').textContent = notice));
  const events = view.querySelector('.events');
  (state.recent || []).filter(record => has('event.' + record.action)).forEach(record => {
    const item = element(events, 'li');
    element(item, 'span').textContent = text('event.' + record.action);
    const details = [clockTime(record.at * 1000), record.sourceIp, record.device];
    element(item, 'span', 'detail').textContent = details.filter(detail => detail).join(' · ');
  });
  view.querySelector('#recent').hidden = !events.children.length;
}
