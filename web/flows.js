// The flows as data: for each view its steps, the request of each, and the step after it.

const SECURITY = 'member/userservice/security';
const RECOVERY = 'web/userservice/security';

function isEmail(contact) {
  return /[@＠]/.test(contact);
}

/** Sends a code to a contact, by email if it has an `@`. */
function sendTo(contact, purpose) {
  return isEmail(contact)
    ? ['POST', RECOVERY + '/sendMail', { email: contact, purpose: purpose }]
    : ['GET', SECURITY, { phone: contact, purpose: purpose }];
}

/**
 * Each step has
 * - `request(typed, flow)`: method, path and parameters. `flow` has `contact` and `verification` of earlier steps.
 * - `next`: the step after it. Without one the flow is done.
 * - `sends`: whether it sends a code, to `typed.contact` or to the member's own phone.
 */
export const FLOWS = {
  phone: {
    contact: {
      sends: true,
      request: typed => sendTo(typed.contact, 'bind'),
      next: 'code',
    },
    code: {
      request: (typed, flow) => ['PUT', SECURITY + '/bindingPhone', {
        phone: flow.contact, message: typed.code, verification: flow.verification, password: typed.password,
      }],
    },
  },
  email: {
    contact: {
      sends: true,
      request: typed => ['POST', RECOVERY + '/sendMail', { email: typed.contact, password: typed.password }],
      next: 'code',
    },
    code: {
      request: (typed, flow) => ['POST', RECOVERY + '/verifyMail', { verification: flow.verification, code: typed.code }],
    },
  },
  password: {
    old: {
      request: typed => ['PUT', SECURITY, {
        oldPassword: typed.old, newPasswordFirst: typed.first, newPasswordSecond: typed.second,
      }],
    },
    sms: {
      sends: true,
      request: () => ['POST', 'v1/user/sendChangePasswordMessage', {}],
      next: 'sms-code',
    },
    'sms-code': {
      request: (typed, flow) => ['POST', 'v1/user/changePasswordByMessage', {
        phoneInfo: flow.verification, code: typed.code, newPassword: typed.first,
      }],
    },
  },
  'pay-password': {
    choose: {},
    set: {
      request: typed => ['PUT', SECURITY + '/payPassword', {
        payPasswordFirst: typed.first, payPasswordSecond: typed.second, password: typed.password,
      }],
    },
    update: {
      request: typed => ['PUT', SECURITY + '/updatePayPassword', {
        oldPassword: typed.old, payPasswordFirst: typed.first, payPasswordSecond: typed.second,
      }],
    },
    reset: {
      sends: true,
      request: typed => sendTo(typed.contact, 'pay'),
      next: 'reset-code',
    },
    'reset-code': {
      request: (typed, flow) => ['PUT', SECURITY + '/resetPayPassword', {
        phone: flow.contact, message: typed.code, verification: flow.verification, payPasswordFirst: typed.first,
      }],
    },
  },
  recover: {
    contact: {
      sends: true,
      request: typed => sendTo(typed.contact, 'recover'),
      next: 'code',
    },
    code: {
      request: (typed, flow) =>
        isEmail(flow.contact)
          ? ['POST', RECOVERY + '/verifyMail', { verification: flow.verification, code: typed.code }]
          : ['POST', RECOVERY, { verification: flow.verification, message: typed.code }],
      next: 'password',
    },
    password: {
      request: (typed, flow) => ['PUT', RECOVERY, {
        [isEmail(flow.contact) ? 'email' : 'phone']: flow.contact,
        passwordFirst: typed.first, passwordSecond: typed.second, verification: flow.verification,
      }],
    },
  },
  close: {
    password: {
      request: typed => ['DELETE', SECURITY, { password: typed.password }],
    },
    contact: {
      sends: true,
      request: typed => sendTo(typed.contact, 'close'),
      next: 'code',
    },
    code: {
      request: (typed, flow) => ['DELETE', SECURITY, { message: typed.code, verification: flow.verification }],
    },
  },
  'not-me': {
    link: {
      request: typed => {
        const found = /[?&]verification=([^&#\s]+)/.exec(typed.link);
        return ['POST', RECOVERY + '/notMe', { verification: found ? decodeURIComponent(found[1]) : typed.link.trim() }];
      },
    },
  },
};

/** The views whose requests are without a session. */
export const ANONYMOUS = ['recover', 'not-me'];

/** The views whose end is also the end of the session. */
export const ENDS_SESSION = ['recover', 'close', 'not-me'];
