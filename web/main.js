// The page: its views, the history of their steps, and the forms.

import * as session from './session.js';
import { language, otherLanguage, text } from './texts.js';
import { call, ROOT } from './api.js';
import { countDown } from './clock.js';
import * as code from './code.js';
import * as forms from './forms.js';
import { ANONYMOUS, ENDS_SESSION, FLOWS } from './flows.js';
import * as status from './status.js';

const page = document.documentElement;
const view = document.getElementById('view');
const languageButton = document.getElementById('language');
const pending = session.pending;

/** The field of the login password that a change without a recent login needs. */
const REAUTHENTICATION = '[data-field="reauthentication"]';

/** Stops the countdown of the step that is shown. */
let stopCountdown = () => {};

/** The state of the account, or null if it could not be read. */
let account = null;

/** Counts the views, so that a late response does not fill a later one. */
let shown = 0;

/** Returns the name in the address: the last segment, or `overview`. */
function viewName() {
  const name = location.pathname.replace(/\/+$/, '').split('/').pop();
  return FLOWS[name] ? name : 'overview';
}

function address(name) {
  return ROOT + 'account' + (name === 'overview' ? '' : '/' + name) + location.search;
}

function go(name, step) {
  history.pushState({ step: step || '' }, '', address(name));
  render();
}

/** Returns the step in the history, if it can be shown: a later step needs the code that an earlier one sent. */
function currentStep(flow) {
  const names = Object.keys(flow);
  const step = (history.state && history.state.step) || '';
  const needsCode = names.some(name => flow[name].next === step);
  const isPending = pending.view === viewName() && pending.step === step;
  return names.indexOf(step) >= 0 && (!needsCode || isPending) ? step : '';
}

function link(name, target) {
  target.href = address(name);
  target.addEventListener('click', event => {
    if (!event.ctrlKey && !event.metaKey && !event.shiftKey) {
      event.preventDefault();
      go(name);
    }
  });
}

/** Adds a row to the last list of the view. */
function addRow(label) {
  const rows = view.querySelectorAll('.rows');
  const target = forms.element(forms.element(rows[rows.length - 1], 'li'), 'a');
  target.textContent = label;
  return target;
}

/** Adds the link to the app, which the server took from its list. */
function addReturn() {
  if (page.dataset.return) {
    addRow(text('app.return')).href = page.dataset.return;
  }
}

function show(template, isFirst) {
  stopCountdown();
  code.stopListening();
  forms.showAlert('');
  shown += 1;
  view.textContent = '';
  if (template !== 'overview' && session.token() && template !== 'signed-out') {
    const back = forms.element(view, 'a', 'back');
    back.textContent = '‹ ' + text('overview.title');
    link('overview', back);
  }
  view.appendChild(document.importNode(document.getElementById(template).content, true));
  view.querySelectorAll('[data-text]').forEach(element => (element.textContent = text(element.dataset.text)));
  view.querySelectorAll('[data-view]').forEach(target => link(target.dataset.view, target));
  if (template === 'overview' || template === 'signed-out') {
    addReturn();
  }
  const heading = view.querySelector('h1');
  heading.tabIndex = -1;
  document.title = heading.textContent + ' - ' + document.getElementById('app').textContent;
  page.dataset.view = template;
  if (!isFirst) {
    scrollTo(0, 0);
    heading.focus();
  }
}

function signedOut(isFirst) {
  session.clear();
  session.forget();
  show('signed-out', isFirst);
}

function done(name) {
  session.forget();
  if (ENDS_SESSION.indexOf(name) >= 0) {
    session.clear();
  }
  account = null;
  history.replaceState({ step: '' }, '');
  show('done');
  view.querySelector('.result').textContent = text('done.' + name);
  forms.announce(text('done.' + name));
  if (name === 'not-me') {
    link('recover', addRow(text('recover.title')));
  }
  addReturn();
}

/** Makes the call of a step. Returns its result. */
async function take(name, stepName, typed, key, form) {
  const step = FLOWS[name][stepName];
  const [method, path, parameters] = step.request(typed, pending);
  const result = await call(method, path, parameters, key, ANONYMOUS.indexOf(name) >= 0);
  if (!form.isConnected) {
    return result;
  }
  if (!result.ok) {
    if (result.symbol === 'INVALID_TOKEN' && ANONYMOUS.indexOf(name) < 0) {
      signedOut();
      return result;
    }
    const reauthentication = form.querySelector(REAUTHENTICATION);
    if (result.symbol === 'REAUTHENTICATION_REQUIRED' && reauthentication) {
      reauthentication.hidden = false;
      result.symbol = '{OLD_PASSWORD}_REQUIRED';
    }
    forms.showRefusal(form, result, step.sends);
    return result;
  }
  const body = result.body;
  if (!step.next) {
    forms.clear(form);
    done(name);
    return result;
  }
  Object.assign(pending, { step: step.next, verification: body.verification || body.result });
  if (step.sends) {
    const resendAt = Date.now() + body.resendIn * 1000;
    Object.assign(pending, { view: name, from: stepName, contact: typed.contact || '', resendAt: resendAt });
  }
  if (form.dataset.step !== step.next) {
    go(name, step.next);
  }
  return result;
}

/** Shows where the code went, and lets the member request another one when the resend cooldown ends. */
function prepareResend(name, form, typed) {
  const place = form.querySelector('.code-sent');
  const input = form.querySelector('.code');
  const sent = forms.element(place, 'p');
  sent.textContent = text(pending.contact ? place.dataset.sent || 'sent.contact' : 'sent.sms', pending);
  const button = forms.element(place, 'button', 'resend');
  button.type = 'button';
  forms.element(button, 'span').textContent = text('action.resend');
  const seconds = forms.element(button, 'span');
  seconds.setAttribute('aria-hidden', 'true');
  const start = () => {
    stopCountdown();
    const wait = Math.ceil((pending.resendAt - Date.now()) / 1000);
    if (wait > 0) {
      forms.announce(text('sent.wait', { seconds: wait }));
    }
    let isCounting = wait > 0;
    stopCountdown = countDown(pending.resendAt, left => {
      seconds.textContent = left ? ' (' + left + ')' : '';
      button.setAttribute('aria-disabled', String(left > 0));
      if (!left && isCounting) {
        isCounting = false;
        forms.announce(text('sent.again'));
      }
    });
    code.listen(input, () => forms.announce(text('sent.filled')));
  };
  button.addEventListener('click', async () => {
    if (button.getAttribute('aria-disabled') === 'true') {
      return;
    }
    button.setAttribute('aria-disabled', 'true');
    forms.showAlert('');
    const result = await take(name, pending.from, typed, '', form);
    if (result.ok) {
      input.value = '';
      start();
      input.focus();
    } else {
      button.setAttribute('aria-disabled', 'false');
    }
  });
  start();
}

/** What was typed at the step that sent the code, for another one. A password is not kept over a reload. */
let typedToSend = {};

function renderFlow(name, start, isFirst) {
  show(name, isFirst);
  const flow = FLOWS[name];
  const step = currentStep(flow) || start;
  view.querySelectorAll('[data-step]').forEach(part => {
    if (part.dataset.step !== step) {
      part.parentNode.removeChild(part);
    }
  });
  const part = view.querySelector('[data-step]');
  part.querySelectorAll('[data-step-link]').forEach(target => {
    target.href = address(name);
    target.addEventListener('click', event => {
      event.preventDefault();
      go(name, target.dataset.stepLink);
    });
  });
  if (part.tagName !== 'FORM') {
    return;
  }
  const reauthentication = part.querySelector(REAUTHENTICATION);
  if (reauthentication) {
    reauthentication.hidden = session.isRecent(Number(page.dataset.reauthenticationSeconds));
  }
  forms.prepare(part);
  const contact = part.querySelector('#username, [name="contact"]');
  if (contact && pending.view === name) {
    contact.value = pending.contact;
  }
  if (part.querySelector('.code-sent')) {
    prepareResend(name, part, Object.assign({ contact: pending.contact }, typedToSend));
  }
  forms.onSubmit(part, (typed, key) => {
    typedToSend = flow[step].sends ? typed : typedToSend;
    return take(name, step, typed, key, part);
  });
  if (!isFirst && part.querySelector('.code')) {
    part.querySelector('.code').focus();
  }
}

/** Reads the state of the account. Returns whether its view is still to be filled. */
async function readAccount() {
  const of = shown;
  const result = await status.read();
  if (of !== shown) {
    return false;
  }
  if (result.symbol === 'INVALID_TOKEN') {
    signedOut(true);
    return false;
  }
  account = result.ok ? result.body.data : null;
  return true;
}

async function renderPayPassword(isFirst) {
  if (!account && !currentStep(FLOWS['pay-password'])) {
    view.textContent = '';
    shown += 1;
    if (!(await readAccount())) {
      return;
    }
  }
  const start = !account ? 'choose' : account.hasPayPassword ? 'update' : 'set';
  renderFlow('pay-password', start, isFirst);
  const lock = account && status.payLock(account);
  if (lock) {
    const notice = view.querySelector('#pay-lock');
    notice.textContent = text('notice.payLocked', { time: lock });
    notice.hidden = false;
  }
}

async function renderOverview(isFirst) {
  show('overview', isFirst);
  if ((await readAccount()) && account) {
    status.show(view, account);
  }
}

/** Shows the view of the address and the step of the history. */
function render(isFirst) {
  const name = viewName();
  page.lang = language();
  languageButton.textContent = text('app.other');
  languageButton.lang = otherLanguage();
  if (!session.token() && ANONYMOUS.indexOf(name) < 0) {
    signedOut(isFirst);
  } else if (name === 'overview') {
    renderOverview(isFirst);
  } else if (name === 'pay-password') {
    renderPayPassword(isFirst);
  } else {
    renderFlow(name, Object.keys(FLOWS[name])[0], isFirst);
  }
}

languageButton.addEventListener('click', () => {
  page.lang = otherLanguage();
  const search = new URLSearchParams(location.search);
  search.set('ui_locales', page.lang);
  history.replaceState(history.state, '', location.pathname + '?' + search);
  render(true);
});
addEventListener('popstate', () => render());
addEventListener('session', () => {
  account = null;
  render();
});
// A page that the browser kept still has what was typed and its busy buttons.
addEventListener('pageshow', event => {
  if (event.persisted) {
    account = null;
    typedToSend = {};
    render(true);
  }
});
if (pending.view === viewName()) {
  history.replaceState({ step: pending.step }, '');
}
render(true);
