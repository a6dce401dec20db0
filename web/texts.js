// Every text of the page, in Chinese and English. `{name}` stands for a value.

const TEXTS = {
  'app.other': ['English', '中文'],
  'app.return': ['返回应用', 'Back to the app'],

  'action.send': ['获取验证码', 'Send code'],
  'action.resend': ['重新获取验证码', 'Send another code'],
  'action.next': ['下一步', 'Next'],
  'action.show': ['显示', 'Show'],
  'action.hide': ['隐藏', 'Hide'],

  'field.newPhone': ['新手机号', 'New phone number'],
  'field.ownPhone': ['已绑定的手机号', 'Your phone number'],
  'field.newEmail': ['新邮箱', 'New email address'],
  'field.contact': ['手机号或邮箱', 'Phone number or email address'],
  'field.ownContact': ['已绑定的手机号或邮箱', 'Your phone number or email address'],
  'field.code': ['验证码', 'Code'],
  'field.username': ['账户', 'Account'],
  'field.password': ['登录密码', 'Login password'],
  'field.reauthentication': ['登录密码', 'Login password'],
  'field.oldPassword': ['原登录密码', 'Current password'],
  'field.newPassword': ['新登录密码', 'New password'],
  'field.newPasswordAgain': ['再次输入新登录密码', 'New password again'],
  'field.oldPin': ['原支付密码', 'Current payment PIN'],
  'field.newPin': ['新支付密码', 'New payment PIN'],
  'field.newPinAgain': ['再次输入新支付密码', 'New payment PIN again'],
  'field.link': ['安全提醒邮件中的链接', 'Link in the security notice'],

  'hint.newPassword': ['至少 {min} 个字符，不要使用常见密码、手机号或邮箱。', 'At least {min} characters. No common password, phone number or email address.'],
  'hint.pin': ['6 位数字，不要使用连续、重复的数字或手机号中的数字。', '6 digits. No run, no repeated digit, no part of your phone number.'],
  'hint.reauthentication': ['没有登录密码可不填，但 24 小时内不能用它重置密码。', 'Empty if you have none: then the change resets no password for 24 hours.'],

  'overview.title': ['账户安全', 'Account security'],
  'overview.phone': ['手机号', 'Phone number'],
  'overview.email': ['邮箱', 'Email address'],
  'overview.password': ['登录密码', 'Login password'],
  'overview.payPassword': ['支付密码', 'Payment PIN'],
  'overview.notMe': ['不是我本人操作', 'This was not me'],
  'overview.close': ['注销账户', 'Close the account'],
  'overview.recent': ['最近的操作', 'Recent activity'],
  'value.none': ['未设置', 'Not set'],
  'value.set': ['已设置', 'Set'],
  'value.lockedUntil': ['已锁定至 {time}', 'Locked until {time}'],
  'notice.matures': ['{time} 之前不能用 {contact} 重置密码。', '{contact} resets nothing before {time}.'],
  'notice.coolingOff': ['为了安全，{time} 之前不能重置支付密码。', 'For your safety, the payment PIN cannot be reset before {time}.'],
  'notice.payLocked': ['支付密码输错次数过多，已锁定至 {time}。仍可用短信验证码重置。', 'Too many wrong payment PINs: locked until {time}. A reset by SMS still works.'],

  'phone.hint': ['我们会向新手机号发送验证码。更换后 24 小时内不能重置支付密码。', 'We send a code to it. After a replacement the payment PIN cannot be reset for 24 hours.'],
  'phone.submit': ['绑定手机号', 'Bind phone number'],
  'email.hint': ['我们会向新邮箱发送验证码。', 'We send a code to it.'],
  'email.submit': ['绑定邮箱', 'Bind email address'],
  'password.title': ['修改登录密码', 'Change the login password'],
  'password.hint': ['修改后，其他设备上的登录都会退出。', 'This ends the sessions on other devices.'],
  'password.bySms': ['改用短信验证码', 'Use a code by SMS instead'],
  'password.byOld': ['改用原登录密码', 'Use the current password instead'],
  'password.smsHint': ['验证码将发送至已绑定的手机号。', 'We send a code to your phone.'],
  'password.submit': ['修改登录密码', 'Change password'],
  'payPassword.set': ['设置支付密码', 'Set a payment PIN'],
  'payPassword.update': ['修改支付密码', 'Change the payment PIN'],
  'payPassword.reset': ['忘记支付密码', 'Forgot the payment PIN'],
  'payPassword.resetHint': ['我们会向已绑定的手机号发送验证码。', 'We send a code to your phone.'],
  'payPassword.resetSubmit': ['重置支付密码', 'Reset the payment PIN'],
  'recover.title': ['找回登录密码', 'Recover the login password'],
  'recover.hint': ['请输入账户绑定的手机号或邮箱。', 'Enter the phone number or email address of your account.'],
  'recover.sent': ['如果 {contact} 属于某个账户，验证码已发送。', 'If {contact} belongs to an account, a code was sent to it.'],
  'recover.passwordHint': ['验证成功，请设置新的登录密码。', 'Verified. Set a new login password.'],
  'recover.submit': ['设置新登录密码', 'Set new password'],
  'close.before': ['注销前请确认：', 'Before you close the account:'],
  'close.sessions': ['所有设备上的登录都会退出。', 'The sessions on all devices end.'],
  'close.data': ['手机号、邮箱、登录密码和支付密码将被删除。', 'Your phone number, email address, password and payment PIN are deleted.'],
  'close.kept': ['操作记录会依法保留一段时间，其中不含联系方式。', 'Records of changes stay as long as the law demands, without your phone number and address.'],
  'close.final': ['注销后不能恢复。请先提现余额并完成未结订单。', 'It cannot be undone. First withdraw your balance and finish open orders.'],
  'close.byCode': ['改用验证码', 'Use a code instead'],
  'close.byPassword': ['改用登录密码', 'Use the login password instead'],
  'notMe.hint': ['如果邮件提醒的变更不是您本人操作，请粘贴邮件中的链接：所有登录将退出，被更换的手机号或邮箱将恢复，账户变更将冻结，直到您找回登录密码。', 'If an email reports a change that you did not make, paste its link. Every session ends, a replaced phone number or address is restored, and nothing can be changed until you recover the password.'],
  'notMe.submit': ['冻结账户', 'Freeze the account'],
  'notMe.otherwise': ['没有收到邮件？请立即修改或找回登录密码，其他登录会随之退出。', 'No email? Change or recover the login password now. This ends other sessions.'],

  'done.title': ['操作成功', 'Done'],
  'done.phone': ['手机号已绑定。', 'The phone number is bound.'],
  'done.email': ['邮箱已绑定。', 'The email address is bound.'],
  'done.password': ['登录密码已修改，其他设备上的登录已退出。', 'The login password is changed. The sessions on other devices have ended.'],
  'done.pay-password': ['支付密码已更新。', 'The payment PIN is updated.'],
  'done.recover': ['登录密码已更新，请在应用中重新登录。24 小时内不能重置支付密码。', 'Log in with the new password in the app. The payment PIN cannot be reset for 24 hours.'],
  'done.close': ['账户已注销。', 'The account is closed.'],
  'done.not-me': ['账户已冻结，所有登录已退出。请用收到提醒的邮箱找回登录密码，冻结随之解除。', 'The account is frozen, and every session has ended. Recover the login password with the address of that email to lift the freeze.'],

  'signedOut.title': ['请重新打开此页面', 'Open this page again'],
  'signedOut.hint': ['登录信息已失效。请返回应用，重新登录后再打开此页面。', 'This page has no valid session. Log in to the app again and open the page from there.'],

  'sent.sms': ['验证码已发送至您的手机。', 'A code was sent to your phone.'],
  'sent.contact': ['验证码已发送至 {contact}。', 'A code was sent to {contact}.'],
  'sent.wait': ['验证码已发送，{seconds} 秒后可重新获取。', 'The code was sent. Another one can be sent in {seconds} seconds.'],
  'sent.again': ['现在可以重新获取验证码。', 'Another code can be sent now.'],
  'sent.filled': ['已填入短信中的验证码。', 'The code from the SMS is filled in.'],

  'error.required': ['请填写{label}', 'Enter: {label}'],
  'error.different': ['两次输入不一致', 'The two entries differ'],
  'error.lost': ['网络中断，不知道操作是否已完成。请保持内容不变，再按一次：操作只会执行一次。', 'The connection was lost, and we do not know whether it is done. Change nothing and press again: it happens only once.'],
  'error.lostSend': ['网络中断，不知道验证码是否已发送。请再按一次。', 'The connection was lost, and we do not know whether the code was sent. Press again.'],
  'error.offline': ['当前没有网络连接。', 'You are offline.'],
  'error.unavailable': ['此功能尚未开通。', 'This is not available here.'],
  'error.retryAt': ['{time} 后可再试。', 'You can try again at {time}.'],
  'error.stop': ['。', '. '],
  'error.failed': ['操作未完成，请重试。', 'That did not work. Try again.'],

  'event.password-changed': ['修改登录密码', 'Login password changed'],
  'event.password-changed-by-message': ['用短信修改登录密码', 'Login password changed by SMS'],
  'event.password-recovered': ['找回登录密码', 'Login password recovered'],
  'event.phone-bound': ['绑定手机号', 'Phone number bound'],
  'event.phone-replaced': ['更换手机号', 'Phone number replaced'],
  'event.email-bound': ['绑定邮箱', 'Email address bound'],
  'event.email-replaced': ['更换邮箱', 'Email address replaced'],
  'event.pay-password-set': ['设置支付密码', 'Payment PIN set'],
  'event.pay-password-changed': ['修改支付密码', 'Payment PIN changed'],
  'event.pay-password-reset': ['重置支付密码', 'Payment PIN reset'],
  'event.change-reported': ['报告非本人操作', 'Change reported'],
  'event.logged-in': ['登录', 'Login'],
  'event.log-in-locked': ['登录被锁定', 'Login locked'],
  'event.member-created': ['注册账户', 'Account created'],
  'event.pay-password-checked': ['验证支付密码', 'Payment PIN checked'],
  'event.pay-password-locked': ['支付密码被锁定', 'Payment PIN locked'],
};

/** Returns the page's language, which the server chose or the member switched to. */
export function language() {
  return document.documentElement.lang === 'en' ? 'en' : 'zh-CN';
}

/** Returns the language to switch to. */
export function otherLanguage() {
  return language() === 'en' ? 'zh-CN' : 'en';
}

/** Returns whether there is a text of this name. */
export function has(name) {
  return Object.prototype.hasOwnProperty.call(TEXTS, name);
}

/** Returns a text in the page's language. */
export function text(name, values) {
  const text = TEXTS[name][language() === 'en' ? 1 : 0];
  return text.replace(/\{(\w+)\}/g, (whole, value) => (values && value in values ? values[value] : whole));
}
