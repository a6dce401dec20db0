// What every form of the page does: fields with their errors, one submission at a time, and idempotency keys.

import { newKey } from './api.js';
import { clockTime } from './clock.js';
import * as code from './code.js';
import { has, text } from './texts.js';

const MIN_LENGTH = document.documentElement.dataset.passwordMinLength;

/** The longest password in code points, as the API counts it. */
const MAX_LENGTH = 128;

const status = document.getElementById('status');
const alert = document.getElementById('alert');

/** Announces a text politely. */
export function announce(message) {
  status.textContent = message;
}

/** Shows an error of the whole form and moves the focus to it, or removes it. */
export function showAlert(message) {
  alert.textContent = '';
  if (message) {
    const paragraph = document.createElement('p');
    paragraph.textContent = message;
    alert.appendChild(paragraph);
    alert.focus();
  }
}

function showError(input, message) {
  const error = document.getElementById(input.id + '-error');
  error.textContent = message;
  error.hidden = !message;
  if (message) {
    input.setAttribute('aria-invalid', 'true');
  } else {
    input.removeAttribute('aria-invalid');
  }
}

function inputs(form) {
  return Array.from(form.querySelectorAll('.field input'));
}

function clearErrors(form) {
  showAlert('');
  inputs(form).forEach(input => showError(input, ''));
}

/** Adds a button that shows what was typed. */
function addReveal(input, label) {
  const button = element(input.parentNode, 'button');
  button.type = 'button';
  const show = isShown => {
    if (input.classList.contains('pin')) {
      input.classList.toggle('revealed', isShown);
    } else {
      input.type = isShown ? 'text' : 'password';
    }
    button.textContent = text(isShown ? 'action.hide' : 'action.show');
    button.setAttribute('aria-pressed', String(isShown));
    button.setAttribute('aria-label', button.textContent + ' ' + label.textContent);
  };
  button.addEventListener('click', () => show(button.getAttribute('aria-pressed') !== 'true'));
  input.form.addEventListener('submit', () => show(false));
  show(false);
}

/** A pay password is masked by style: a password manager would store a password field as the login password. */
function preparePin(input) {
  input.className = 'pin';
  input.inputMode = 'numeric';
  if (!(window.CSS && CSS.supports && CSS.supports('-webkit-text-security', 'disc'))) {
    input.type = 'password';
    input.autocomplete = 'one-time-code';
  }
}

const PHONE = { as: 'contact', type: 'tel', autocomplete: 'tel', symbols: ['PHONE'] };
const CURRENT = { type: 'password', autocomplete: 'current-password', symbols: ['OLD_PASSWORD'] };
const NEW = { type: 'password', autocomplete: 'new-password', symbols: ['NEW_PASSWORD'] };

/** The fields by name. `as` is the name among the values, `symbols` those of errors, whose braces are left out. */
const FIELDS = {
  newPhone: PHONE,
  ownPhone: PHONE,
  newEmail: { as: 'contact', type: 'email', autocomplete: 'email', symbols: ['EMAIL'] },
  contact: { as: 'contact', autocomplete: 'username', symbols: ['PHONE', 'EMAIL'] },
  ownContact: { as: 'contact', symbols: ['PHONE', 'EMAIL'] },
  code: { as: 'code', autocomplete: 'one-time-code', symbols: ['CODE', 'MESSAGE'] },
  password: Object.assign({ as: 'password' }, CURRENT),
  reauthentication: Object.assign({ as: 'password', isOptional: true }, CURRENT),
  oldPassword: Object.assign({ as: 'old' }, CURRENT),
  newPassword: Object.assign({ as: 'first' }, NEW),
  newPasswordAgain: Object.assign({ as: 'second' }, NEW),
  oldPin: { as: 'old', isPin: true, symbols: ['OLD_PASSWORD'] },
  newPin: { as: 'first', isPin: true, symbols: ['PAY_PASSWORD'] },
  newPinAgain: { as: 'second', isPin: true, symbols: [] },
  link: { as: 'link', type: 'url', symbols: ['VERIFICATION'] },
};

/** Adds an element. */
export function element(parent, tag, className) {
  const created = document.createElement(tag);
  created.className = className || '';
  parent.appendChild(created);
  return created;
}

/** Builds a field: label, input, a button that reveals a secret, error, hint. */
function build(field) {
  const name = field.dataset.field;
  const label = element(field, 'label');
  label.textContent = text('field.' + name);
  const input = element(element(field, 'div', 'input'), 'input');
  input.id = name;
  label.htmlFor = name;
  input.autocapitalize = 'none';
  input.spellcheck = false;
  if (name === 'username') {
    // For password managers, which store a new password under it.
    field.className = 'visually-hidden';
    input.autocomplete = 'username';
    input.tabIndex = -1;
    input.readOnly = true;
    return;
  }
  const { as, type, autocomplete, symbols, isPin, isOptional } = FIELDS[name];
  field.className = 'field';
  input.name = as;
  input.type = type || 'text';
  input.autocomplete = autocomplete || 'off';
  input.dataset.symbols = symbols.join(' ');
  input.required = !isOptional;
  if (isPin) {
    preparePin(input);
  }
  if (name === 'code') {
    code.prepare(input);
  }
  if (autocomplete === 'new-password') {
    input.minLength = MIN_LENGTH;
    input.setAttribute('passwordrules', 'minlength: ' + MIN_LENGTH + '; maxlength: ' + MAX_LENGTH + ';');
  }
  if (isPin || type === 'password') {
    addReveal(input, label);
  }
  const described = [element(field, 'p', 'error')];
  described[0].hidden = true;
  if (has('hint.' + name)) {
    described.push(element(field, 'p', 'hint'));
    described[1].textContent = text('hint.' + name, { min: MIN_LENGTH });
  }
  described.forEach(part => (part.id = name + '-' + part.className));
  input.setAttribute('aria-describedby', described.map(part => part.id).join(' '));
}

/** Builds the fields of a form. The form shows its errors itself, in the page's language. */
export function prepare(form) {
  form.noValidate = true;
  form.querySelectorAll('[data-field]').forEach(build);
}

/** Returns what was typed. A code becomes digits, a password stays as it is. */
export function values(form) {
  const values = {};
  inputs(form).forEach(input => {
    values[input.name] = input.id === 'code' ? code.codeIn(input.value) : input.value;
  });
  return values;
}

/** Empties the fields. */
export function clear(form) {
  inputs(form).forEach(input => (input.value = ''));
}

/** Shows the errors that the page finds itself. Returns whether there are none. */
function isComplete(form) {
  const wrong = inputs(form).filter(input => {
    const isBlank = input.required && !input.value.trim();
    const first = input.name === 'second' && form.querySelector('[name="first"]');
    if (isBlank) {
      showError(input, text('error.required', { label: text('field.' + input.id) }));
    } else if (first && first.value !== input.value) {
      showError(input, text('error.different'));
    } else {
      return false;
    }
    return true;
  });
  if (wrong.length) {
    wrong[0].focus();
  }
  return !wrong.length;
}

/** Returns the text of a refusal. The server's has the attempts that are left; the page adds the time of the next one. */
function explain(result, isSend) {
  if (result.symbol === 'LOST') {
    const lost = text(isSend ? 'error.lostSend' : 'error.lost');
    return navigator.onLine === false ? text('error.offline') + ' ' + lost : lost;
  }
  if (result.symbol === 'UNAVAILABLE') {
    return text('error.unavailable');
  }
  const parts = [result.body.msg || result.body.message || text('error.failed')];
  if (result.body.retryAfter) {
    parts.push(text('error.retryAt', { time: clockTime(Date.now() + result.body.retryAfter * 1000) }));
  }
  return parts.map(part => part.replace(/[。.\s]*$/, text('error.stop'))).join('').trim();
}

/** Shows a refusal at the field that its symbol names, or for the whole form, and moves the focus there. */
export function showRefusal(form, result, isSend) {
  const message = explain(result, isSend);
  const named = /^(?:USER_)?\{?([A-Z_]+?)\}?_(?:REQUIRED|NOT_VALID|NOT_MATCH|IN_USE)$/.exec(result.symbol);
  const input = named && inputs(form).find(input => input.dataset.symbols.split(' ').indexOf(named[1]) >= 0 && input.offsetParent);
  if (input) {
    showError(input, message);
    input.focus();
  } else {
    showAlert(message);
  }
}

/**
 * Runs `submit` with the values and an idempotency key when the form is submitted, once at a time.
 *
 * The key stays until a response arrives: if it is lost, the same form is sent again, and it happens once. Changed
 * values are another request, with a key of their own.
 */
export function onSubmit(form, submit) {
  const button = form.querySelector('[type="submit"]');
  let isBusy = false;
  let key = '';
  let keyOf = '';
  form.addEventListener('submit', async event => {
    event.preventDefault();
    if (isBusy) {
      return;
    }
    clearErrors(form);
    if (!isComplete(form)) {
      return;
    }
    code.stopListening();
    const typed = values(form);
    const fingerprint = JSON.stringify(typed);
    if (!key || fingerprint !== keyOf) {
      key = newKey();
      keyOf = fingerprint;
    }
    const setBusy = state => {
      isBusy = state;
      button.setAttribute('aria-busy', String(state));
      button.setAttribute('aria-disabled', String(state));
    };
    setBusy(true);
    try {
      const result = await submit(typed, key);
      if (result.status && result.status < 500) {
        key = '';
      }
    } finally {
      setBusy(false);
    }
  });
}
