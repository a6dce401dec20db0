// The field of a one-time code: one field, which takes a pasted SMS, the keyboard's suggestion, and WebOTP.

let listening = null;

/** Returns the code in a text, such as a whole SMS. A text without one is returned as it is. */
export function codeIn(text) {
  const folded = text.normalize('NFKC');
  const found = /(?:^|\D)(\d{6,10})(?!\d)/.exec(folded);
  return found ? found[1] : folded.trim();
}

/** Prepares the field. It has no `maxlength`, which would cut a pasted SMS. */
export function prepare(input) {
  input.className = 'code';
  input.inputMode = 'numeric';
  input.pattern = '\\d*';
  input.setAttribute('enterkeyhint', 'done');
  // The field is read after the paste. Composed text is never rewritten, since that breaks an input method.
  input.addEventListener('paste', () => setTimeout(() => (input.value = codeIn(input.value)), 0));
}

/** Fills the field with the code of an SMS that names this site (WebOTP), in browsers that support it. */
export function listen(input, filled) {
  stopListening();
  if (!('OTPCredential' in window) || typeof AbortController !== 'function') {
    return;
  }
  listening = new AbortController();
  navigator.credentials.get({ otp: { transport: ['sms'] }, signal: listening.signal }).then(
    credential => {
      if (credential && !input.value) {
        input.value = credential.code;
        filled();
      }
    },
    () => {}
  );
}

/** Stops waiting for an SMS. */
export function stopListening() {
  if (listening) {
    listening.abort();
    listening = null;
  }
}
