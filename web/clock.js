// Times for people, and the countdown of a resend cooldown.

import { language } from './texts.js';

const DAY_MILLIS = 24 * 60 * 60 * 1000;

/** Returns a clock time, with the date unless it is within a day. */
export function clockTime(millis) {
  const options = { hour: '2-digit', minute: '2-digit', hour12: false };
  if (Math.abs(millis - Date.now()) > DAY_MILLIS || new Date(millis).getDate() !== new Date().getDate()) {
    Object.assign(options, { month: 'long', day: 'numeric' });
  }
  return new Intl.DateTimeFormat(language(), options).format(new Date(millis));
}

/**
 * Calls `tick` with the seconds that remain until the deadline, until they are 0. It compares with the clock, because
 * a browser stops the timers of a page in the background. Returns a function that stops it.
 */
export function countDown(deadline, tick) {
  let timer = 0;
  const update = () => {
    const seconds = Math.max(0, Math.ceil((deadline - Date.now()) / 1000));
    tick(seconds);
    if (seconds === 0) {
      stop();
    }
  };
  const stop = () => {
    clearInterval(timer);
    document.removeEventListener('visibilitychange', update);
  };
  timer = setInterval(update, 1000);
  document.addEventListener('visibilitychange', update);
  update();
  return stop;
}
