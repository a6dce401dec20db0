//! Every text that people read, in every language.

use crate::{
    clock::Timestamp,
    domain::{
        audit::{Action, Origin},
        code::Purpose,
        notice::{Changed, PayPasswordLocked},
    },
    error::{Error, Field},
    language::Language::{self, Chinese, English},
};
use time::{OffsetDateTime, macros::format_description};

/// A fixed sentence in every language.
#[derive(Clone, Copy, Debug)]
pub struct Sentence {
    chinese: &'static str,
    english: &'static str,
}

impl Sentence {
    /// Returns the sentence in one language.
    #[must_use]
    pub fn in_language(self, language: Language) -> &'static str {
        match language {
            Chinese => self.chinese,
            English => self.english,
        }
    }
}

const fn sentence(chinese: &'static str, english: &'static str) -> Sentence {
    Sentence { chinese, english }
}

/// The title of `verify-mail`'s page.
pub const PAGE_TITLE: Sentence = sentence("验证邮箱", "Verify your mail address");
/// The question on the page, shown above its button.
pub const PAGE_QUESTION: Sentence = sentence(
    "请点击按钮完成验证。如非本人操作，请关闭此页面。",
    "Press the button to go on. Not you? Then close this page.",
);
/// The label of the page's button.
pub const PAGE_BUTTON: Sentence = sentence("确认", "Confirm");
/// The page's text after an email address was bound.
pub const PAGE_BOUND: Sentence =
    sentence("邮箱验证成功，可以关闭此页面。", "Your mail address is verified. You can close this page.");
/// The page's text after a recovery code was exchanged for a grant.
pub const PAGE_GRANTED: Sentence =
    sentence("验证成功，请返回应用设置新密码。", "Verified. Go back to the app to set a new password.");
/// The title of `report-change`'s page.
pub const REPORT_TITLE: Sentence = sentence("账户安全", "Account security");
/// The question on that page, shown above its button.
pub const REPORT_QUESTION: Sentence = sentence(
    "如果邮件中的变更不是您本人操作，请点击按钮：所有登录将退出，被更换的手机号或邮箱将恢复，在您用此邮箱找回密码之前账户不能再变更。如是您本人操作，请关闭此页面。",
    "Did you not make the change in the mail? Press the button: every session ends, a replaced phone or mail address is restored, and nothing can be changed until you recover your password by this mail address. Was it you? Then close this page.",
);
/// The label of that page's button, and of the one in the notice of a change.
pub const REPORT_BUTTON: Sentence = sentence("不是我本人操作", "This was not me");
/// The page's text after a change was reported.
pub const REPORTED: Sentence = sentence(
    "已处理：所有登录已退出，账户变更已冻结。下一步：请立即在应用中用此邮箱找回登录密码，冻结随之解除。如需帮助，请联系客服。",
    "Done: every session has ended, and nothing can be changed. Next, recover your login password in the app by this mail address, which lifts the block. Contact support if you need help.",
);
/// The page's text if the link is not valid.
pub const REPORT_LINK_NOT_VALID: Sentence = sentence(
    "链接无效、已过期或已使用。如非本人操作，请立即在应用中找回登录密码，并联系客服。",
    "This link is not valid, has expired or was used before. If the change was not yours, recover your login password in the app at once, and contact support.",
);
/// The label of the button in an email with a code.
pub const MAIL_BUTTON: Sentence = sentence("验证邮箱", "Verify");
/// The last line of an email with a code.
pub const MAIL_CLOSING: Sentence = sentence(
    "如非本人操作，请忽略此邮件，也不要将验证码告知他人。",
    "Not you? Ignore this mail, and share the code with nobody.",
);

/// The last SMS about changes that the limit of a day allows.
pub const MORE_CHANGES: Sentence = sentence(
    "您的账户还有其他变更，今日不再短信通知。如非本人操作，请立即找回密码并联系客服。",
    "More changes were made to your account, and no more texts follow today. \
     Not you? Recover your password and contact support at once.",
);

/// Returns the text of an error that the client shows to the user.
#[must_use]
pub fn of_error(error: &Error, language: Language) -> String {
    let fixed = match (error, language) {
        (Error::Missing(field), _) => return missing(*field, language),
        (Error::NotValid(field), _) => return not_valid(*field, language).to_owned(),
        (Error::CodeNotValid { attempts_left }, _) => return code_not_valid(*attempts_left, language),
        (Error::OldPasswordNotValid { attempts_left } | Error::PayPasswordNotValid { attempts_left }, _) => {
            return password_not_valid(*attempts_left, language);
        }
        (Error::SendFrequently { retry_after, .. }, Chinese) => {
            return format!("发送短信太频繁，请{}后再试", wait_zh(*retry_after));
        }
        (Error::SendFrequently { retry_after, .. }, English) => {
            return format!("Codes are asked for too often. Ask again in {}.", wait_en(*retry_after));
        }
        (Error::TooManyAttempts { retry_after }, Chinese) => {
            return format!("尝试次数过多，请{}后再试", wait_zh(*retry_after));
        }
        (Error::TooManyAttempts { retry_after }, English) => {
            return format!("Too many wrong tries. Try again in {}.", wait_en(*retry_after));
        }
        (Error::TooManyChanges { retry_after }, Chinese) => {
            return format!("修改次数过多，请{}后再试", wait_zh(*retry_after));
        }
        (Error::TooManyChanges { retry_after }, English) => {
            return format!("Too many changes were made. Try again in {}.", wait_en(*retry_after));
        }
        (Error::CoolingOff { retry_after }, Chinese) => {
            return format!("手机号或密码刚刚变更，为了安全，请{}后再操作", wait_zh(*retry_after));
        }
        (Error::CoolingOff { retry_after }, English) => {
            return format!(
                "The phone or the password was changed lately. For your safety this can be done in {}.",
                wait_en(*retry_after)
            );
        }
        (Error::EventNotValid(reason), Chinese) => return format!("请求格式不正确：{reason}"),
        (Error::EventNotValid(reason), English) => return format!("The event is not valid: {reason}."),
        (Error::InvalidToken, Chinese) => "登录已过期或无效，请重新登录",
        (Error::InvalidToken, English) => "Your session has expired or is not valid. Please log in again.",
        (Error::SendFailed(_), Chinese) => "验证码发送失败，请稍后再试",
        (Error::SendFailed(_), English) => "The message could not be sent. Please try again later.",
        (Error::UserNotFound, Chinese) => "无法找到对应用户",
        (Error::UserNotFound, English) => "There is no such user.",
        (Error::UserPhoneNotMatch, Chinese) => "验证码的手机和当前用户的登记手机不一致",
        (Error::UserPhoneNotMatch, English) => "The code was sent to another phone than the one registered.",
        (Error::PhoneInUse, Chinese) => "该手机号已被其他用户绑定",
        (Error::PhoneInUse, English) => "This phone is bound to another account.",
        (Error::EmailInUse, Chinese) => "该邮箱已被其他用户绑定",
        (Error::EmailInUse, English) => "This mail address is bound to another account.",
        (Error::PayPasswordAlreadySet, Chinese) => "支付密码已经设置",
        (Error::PayPasswordAlreadySet, English) => "A payment PIN is set already.",
        (Error::PayPasswordNotSet, Chinese) => "尚未设置支付密码",
        (Error::PayPasswordNotSet, English) => "No payment PIN is set yet.",
        (Error::MailNotAvailable, Chinese) => "暂不支持邮件，请使用手机号",
        (Error::MailNotAvailable, English) => "Email is not available. Please use your phone.",
        (Error::ReauthenticationRequired, Chinese) => "请重新登录或输入登录密码后再操作",
        (Error::ReauthenticationRequired, English) => "Please log in again or give your login password.",
        (Error::OriginNotAllowed, Chinese) => "该请求来自其他网站，请从本应用内操作",
        (Error::OriginNotAllowed, English) => {
            "Another website made this request. Please use our own app or website."
        }
        (Error::AccountFrozen, Chinese) => "账户变更已冻结，请用收到安全提醒的邮箱找回登录密码后再操作",
        (Error::AccountFrozen, English) => {
            "Your account is frozen. Recover your login password by the mail address that got the security notice."
        }
        (Error::BodyNotValid, Chinese) => "请求格式不正确",
        (Error::BodyNotValid, English) => "The request is neither a JSON object nor a form.",
        (Error::ReceiptNotValid, Chinese) => "支付凭证无效或已过期，请重新输入支付密码",
        (Error::ReceiptNotValid, English) => {
            "The payment was not confirmed for this order, or too long ago. Please enter your payment PIN again."
        }
        (Error::CredentialsNotValid { attempts_left }, _) => {
            return credentials_not_valid(*attempts_left, language);
        }
        (Error::MemberNotFound(_), Chinese) => "该手机号或邮箱尚未注册",
        (Error::MemberNotFound(_), English) => "No account has this phone or mail address yet.",
        (Error::MemberExists, Chinese) => "该用户已存在",
        (Error::MemberExists, English) => "This member exists already.",
        (Error::MemberClosed, Chinese) => "该用户已注销，不能再次创建",
        (Error::MemberClosed, English) => "This member was closed and cannot be created again.",
        (Error::BodyTooLarge, Chinese) => "请求内容过大",
        (Error::BodyTooLarge, English) => "The request is too large.",
        (Error::IdempotencyKeyReused, Chinese) => "同一个 Idempotency-Key 已用于另一个请求",
        (Error::IdempotencyKeyReused, English) => "This Idempotency-Key was used for another request.",
        (Error::Busy(_), Chinese) => "服务繁忙，请稍后再试",
        (Error::Busy(_), English) => "The service is busy. Please try again in a moment.",
        (Error::Internal(_), Chinese) => "服务器错误，请稍后再试",
        (Error::Internal(_), English) => "Something went wrong on our side. Please try again later.",
    };
    fixed.to_owned()
}

/// Returns the SMS with a code. With a `domain`, its last line lets a page of that domain read the code (`WebOTP`,
/// "Origin-bound one-time codes delivered via SMS"). Without that line, the SMS fits one part: at most 70 characters in
/// Chinese and 160 in English, the UCS-2 and GSM 7-bit limits of 3GPP TS 23.040.
#[must_use]
pub fn code_by_sms(
    code: &str,
    purpose: Purpose,
    ttl_seconds: u64,
    domain: Option<&str>,
    language: Language,
) -> String {
    let (what, minutes) = (purpose_text(purpose, language), ttl_seconds.div_ceil(60));
    let text = match language {
        Chinese => format!("您正在{what}，验证码{code}，{minutes}分钟内有效。如非本人操作，请勿告知他人。"),
        English => {
            format!(
                "{code} is your code to {what}, good for {minutes} min. Share it with nobody. Not you? Ignore this message."
            )
        }
    };
    match domain {
        Some(domain) => format!("{text}\n\n@{domain} #{code}"),
        None => text,
    }
}

/// Returns the subject and the first line of the email with a code.
#[must_use]
pub fn code_by_mail(purpose: Purpose, ttl_seconds: u64, language: Language) -> (String, String) {
    let (what, minutes) = (purpose_text(purpose, language), ttl_seconds.div_ceil(60));
    match language {
        Chinese => (format!("验证码：{what}"), format!("您正在{what}，以下验证码{minutes}分钟内有效：")),
        English => (
            format!("Your code to {what}"),
            format!("Here is your code to {what}. It is good for {minutes} minutes:"),
        ),
    }
}

/// The texts of a notice: the SMS for a phone, and the subject and the paragraphs of the email for an address.
#[derive(Debug)]
pub struct NoticeTexts {
    /// The SMS: what happened, when and from which source address, and what to do if it was not the member.
    pub sms: String,
    /// The subject of the email.
    pub subject: String,
    /// The paragraphs of the email. The last one explains what to do if it was not the member, and refers to a link if one
    /// follows. The `User-Agent` is left out, because an attacker could choose its text.
    pub paragraphs: [String; 3],
}

/// Returns the texts that notify a member of a change.
#[must_use]
pub fn of_change(changed: &Changed, has_link: bool) -> NoticeTexts {
    let Changed { action, at, origin, language, .. } = changed;
    notice(action_text(*action, *language), *at, origin, *language, remedy(*action, has_link))
}

/// Returns the texts that notify a member of a locked pay password.
#[must_use]
pub fn of_lockout(locked: &PayPasswordLocked) -> NoticeTexts {
    let PayPasswordLocked { at, origin, language, .. } = locked;
    let what = sentence("支付密码输错已锁定", "payment PIN was locked after wrong tries");
    notice(what.in_language(*language), *at, origin, *language, RECOVER)
}

fn notice(what: &str, at: Timestamp, origin: &Origin, language: Language, remedy: Remedy) -> NoticeTexts {
    let (when, from) = (when(at), source(origin, language));
    let (by_sms, by_mail) = (remedy.by_sms.in_language(language), remedy.by_mail.in_language(language));
    match language {
        Chinese => NoticeTexts {
            sms: format!("您的{what}，{when}，IP {from}。如非本人操作，{by_sms}。"),
            subject: format!("安全提醒：{what}"),
            paragraphs: [format!("您的{what}。"), format!("时间：{when}；IP：{from}。"), by_mail.to_owned()],
        },
        English => NoticeTexts {
            sms: format!("Your {what} on {when} from {from}. Not you? {by_sms} at once."),
            subject: format!("Security notice: your {what}"),
            paragraphs: [format!("Your {what}."), format!("When: {when}. From: {from}."), by_mail.to_owned()],
        },
    }
}

/// What a member does about an action of another person.
#[derive(Clone, Copy)]
struct Remedy {
    /// A clause of the SMS.
    by_sms: Sentence,
    /// The last paragraph of the email.
    by_mail: Sentence,
}

const RECOVER: Remedy = Remedy {
    by_sms: sentence("请立即找回密码并联系客服", "Recover your password and contact support"),
    by_mail: sentence(
        "如非本人操作，您的账户可能已被他人使用：请立即找回密码，并联系客服。",
        "If this was not you, someone else may be using your account: recover your password at once, and contact support.",
    ),
};

const REPORT: Remedy = Remedy {
    by_mail: sentence(
        "如非本人操作，您的账户可能已被他人使用：请在72小时内打开以下链接，退出所有登录并冻结账户变更，然后找回密码，并联系客服。",
        "If this was not you, someone else may be using your account: open the following link within 72 hours to end every session and to freeze your account. Then recover your password, and contact support.",
    ),
    ..RECOVER
};

/// A closed account has no password to recover.
const CONTACT_SUPPORT: Remedy = Remedy {
    by_sms: sentence("请立即联系客服", "Contact support"),
    by_mail: sentence(
        "账户的手机号、邮箱、登录密码和支付密码已删除。如非本人操作，请立即联系客服。",
        "Its phone number, mail address, login password and payment PIN were deleted. If this was not you, contact support at once.",
    ),
};

fn remedy(action: Action, has_link: bool) -> Remedy {
    match action {
        Action::Closed => CONTACT_SUPPORT,
        _ if has_link => REPORT,
        _ => RECOVER,
    }
}

fn purpose_text(purpose: Purpose, language: Language) -> &'static str {
    match purpose {
        Purpose::ChangePassword => sentence("修改登录密码", "change the login password"),
        Purpose::BindPhone => sentence("绑定手机", "bind this phone"),
        Purpose::ResetPayPassword => sentence("重置支付密码", "reset the payment PIN"),
        Purpose::RecoverPassword | Purpose::RecoverByMail => {
            sentence("找回登录密码", "recover the login password")
        }
        Purpose::BindMail => sentence("绑定邮箱", "bind this mail address"),
        Purpose::LogIn => sentence("登录", "log in"),
        Purpose::Register => sentence("注册或登录", "register or log in"),
        Purpose::CloseAccount => sentence("注销账户", "close your account"),
    }
    .in_language(language)
}

fn action_text(action: Action, language: Language) -> &'static str {
    match action {
        Action::PasswordChanged | Action::PasswordChangedByMessage => {
            sentence("登录密码已修改", "login password was changed")
        }
        Action::PasswordRecovered => sentence("登录密码已找回重设", "login password was recovered"),
        Action::PhoneBound => sentence("账户已绑定手机", "account was bound to a phone"),
        Action::PhoneReplaced => sentence("账户绑定手机已更换", "account was bound to another phone"),
        Action::EmailBound => sentence("账户已绑定邮箱", "account was bound to a mail address"),
        Action::EmailReplaced => sentence("账户绑定邮箱已更换", "account was bound to another mail address"),
        Action::PayPasswordSet => sentence("支付密码已设置", "payment PIN was set"),
        Action::PayPasswordChanged => sentence("支付密码已修改", "payment PIN was changed"),
        Action::PayPasswordReset => sentence("支付密码已重置", "payment PIN was reset"),
        Action::ChangeReported => sentence("账户变更已冻结", "account was frozen after a report"),
        Action::Closed => sentence("账户已注销", "account was closed"),
    }
    .in_language(language)
}

/// Formats a time in UTC, because the member's time zone is not known.
fn when(at: Timestamp) -> String {
    let at = i64::try_from(at.0).ok().and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok());
    at.and_then(|at| at.format(format_description!("[year]-[month]-[day] [hour]:[minute] UTC")).ok())
        .unwrap_or_default()
}

fn source(origin: &Origin, language: Language) -> &str {
    origin.source_ip.as_deref().unwrap_or(match language {
        Chinese => "未知",
        English => "an unknown address",
    })
}

fn missing(field: Field, language: Language) -> String {
    match language {
        Chinese => format!("请填写{}", name_zh(field)),
        English => format!("Please give {}.", name_en(field)),
    }
}

fn not_valid(field: Field, language: Language) -> &'static str {
    match (field, language) {
        (Field::NewPassword, Chinese) => {
            "新密码不符合要求：长度不足、过长、过于常见、与旧密码、手机号或邮箱相同，或两次输入不一致"
        }
        (Field::NewPassword, English) => {
            "The new password is not acceptable: too short, too long, too common, the same as the old one, the phone or the mail address, or the two entries differ."
        }
        (Field::PhoneInfo, Chinese) => "手机信息无效，请重新获取验证码",
        (Field::PhoneInfo, English) => "The phone token is not valid. Please ask for a new code.",
        (Field::Code | Field::Message, Chinese) => "验证码错误或已过期",
        (Field::Code | Field::Message, English) => "The code is wrong or has expired.",
        (Field::OldPassword, Chinese) => "旧密码错误",
        (Field::OldPassword, English) => "The old password is wrong.",
        (Field::Phone, Chinese) => "手机号格式不正确或不受支持",
        (Field::Phone, English) => "This is not a phone number that we can reach.",
        (Field::Email, Chinese) => "邮箱格式不正确或不受支持",
        (Field::Email, English) => "This is not a mail address that we can reach.",
        (Field::PayPassword, Chinese) => "支付密码须为6位数字，不能过于简单，且两次输入须一致",
        (Field::PayPassword, English) => {
            "The payment PIN must be 6 digits that are hard to guess, twice the same."
        }
        (Field::Verification, Chinese) => "验证信息无效或已过期，请重新获取验证码",
        (Field::Verification, English) => {
            "The verification is not valid or has expired. Please ask for a new code."
        }
        (Field::IdempotencyKey, Chinese) => "Idempotency-Key 须为1至255个可见的ASCII字符",
        (Field::IdempotencyKey, English) => "An Idempotency-Key has 1 to 255 visible ASCII characters.",
    }
}

fn code_not_valid(attempts_left: u32, language: Language) -> String {
    match (attempts_left, language) {
        (0, Chinese) => "验证码错误或已过期，请重新获取".to_owned(),
        (0, English) => "The code is wrong or has expired. Please ask for a new one.".to_owned(),
        (left, Chinese) => format!("验证码错误，还可以尝试{left}次"),
        (1, English) => "The code is wrong. One try is left.".to_owned(),
        (left, English) => format!("The code is wrong. {left} tries are left."),
    }
}

fn password_not_valid(attempts_left: u32, language: Language) -> String {
    match (attempts_left, language) {
        (0, Chinese) => "密码错误".to_owned(),
        (0, English) => "The password is wrong.".to_owned(),
        (left, Chinese) => format!("密码错误，还可以尝试{left}次"),
        (1, English) => "The password is wrong. One try is left.".to_owned(),
        (left, English) => format!("The password is wrong. {left} tries are left."),
    }
}

fn credentials_not_valid(attempts_left: u32, language: Language) -> String {
    match (attempts_left, language) {
        (0, Chinese) => "账号或密码错误".to_owned(),
        (0, English) => "The account or the password is wrong.".to_owned(),
        (left, Chinese) => format!("账号或密码错误，还可以尝试{left}次"),
        (1, English) => "The account or the password is wrong. One try is left.".to_owned(),
        (left, English) => format!("The account or the password is wrong. {left} tries are left."),
    }
}

fn name_zh(field: Field) -> &'static str {
    match field {
        Field::NewPassword => "新密码",
        Field::PhoneInfo => "手机信息",
        Field::Code | Field::Message => "验证码",
        Field::OldPassword => "旧密码",
        Field::Phone => "手机号",
        Field::Email => "邮箱",
        Field::PayPassword => "支付密码",
        Field::Verification => "验证信息",
        Field::IdempotencyKey => "Idempotency-Key",
    }
}

fn name_en(field: Field) -> &'static str {
    match field {
        Field::NewPassword => "the new password",
        Field::PhoneInfo => "the phone token",
        Field::Code | Field::Message => "the code",
        Field::OldPassword => "the old password",
        Field::Phone => "the phone number",
        Field::Email => "the mail address",
        Field::PayPassword => "the payment PIN",
        Field::Verification => "the verification",
        Field::IdempotencyKey => "an Idempotency-Key",
    }
}

fn wait_zh(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds}秒"),
        120..7200 => format!("{}分钟", seconds.div_ceil(60)),
        _ => format!("{}小时", seconds.div_ceil(3600)),
    }
}

fn wait_en(seconds: u64) -> String {
    match seconds {
        1 => "1 second".to_owned(),
        0..120 => format!("{seconds} seconds"),
        120..7200 => format!("{} minutes", seconds.div_ceil(60)),
        _ => format!("{} hours", seconds.div_ceil(3600)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use crate::{contact::Destination, domain::member::MemberId};

    fn changed(action: Action, language: Language) -> Changed {
        Changed {
            member: MemberId(uuid::Uuid::nil()),
            action,
            at: Timestamp(1_795_285_147),
            origin: origin(),
            language,
            destination: Destination::of_address("li@example.com"),
            report: None,
        }
    }

    fn locked(language: Language) -> PayPasswordLocked {
        let (at, destination) = (Timestamp(1_795_285_147), Destination::of_address("li@example.com"));
        PayPasswordLocked { at, origin: origin(), language, destination }
    }

    fn origin() -> Origin {
        Origin {
            request_id: String::new(),
            source_ip: Some("203.0.113.255".to_owned()),
            user_agent: Some("an app".to_owned()),
        }
    }

    fn assert_one_part(text: &str, language: Language) {
        match language {
            Chinese => assert!(text.encode_utf16().count() <= 70, "{} {text}", text.encode_utf16().count()),
            English => assert!(text.is_ascii() && text.len() <= 160, "{} {text}", text.len()),
        }
    }

    #[test]
    fn each_sms_fits_one_part_in_each_language() {
        let purposes = [
            Purpose::ChangePassword,
            Purpose::BindPhone,
            Purpose::ResetPayPassword,
            Purpose::RecoverPassword,
            Purpose::CloseAccount,
        ];
        for language in Language::ALL {
            for purpose in purposes {
                assert_one_part(&code_by_sms("0123456789", purpose, 600, None, language), language);
                assert_one_part(
                    &code_by_sms("012345", purpose, 300, Some("example.com"), language),
                    language,
                );
            }
            assert_one_part(MORE_CHANGES.in_language(language), language);
            for action in Action::ALL {
                assert_one_part(&of_change(&changed(action, language), false).sms, language);
            }
            assert_one_part(&of_lockout(&locked(language)).sms, language);
        }
    }

    #[test]
    fn sms_ends_with_the_domain_line() {
        let text = code_by_sms("012345", Purpose::BindPhone, 300, Some("example.com"), English);
        assert_eq!(text.lines().last(), Some("@example.com #012345"));
    }

    #[test]
    fn notice_of_a_lockout_names_its_cause() {
        let texts = of_lockout(&locked(English));
        assert_eq!(
            texts.sms,
            "Your payment PIN was locked after wrong tries on 2026-11-21 18:19 UTC from 203.0.113.255. \
             Not you? Recover your password and contact support at once."
        );
        assert_eq!(texts.subject, "Security notice: your payment PIN was locked after wrong tries");
        assert_eq!(of_lockout(&locked(Chinese)).paragraphs[0], "您的支付密码输错已锁定。");
    }

    #[test]
    fn notice_names_change_time_and_source_address() {
        assert_eq!(
            of_change(&changed(Action::PhoneReplaced, English), false).sms,
            "Your account was bound to another phone on 2026-11-21 18:19 UTC from 203.0.113.255. \
             Not you? Recover your password and contact support at once."
        );
        assert_eq!(
            of_change(&changed(Action::PasswordRecovered, Chinese), false).sms,
            "您的登录密码已找回重设，2026-11-21 18:19 UTC，IP 203.0.113.255。如非本人操作，请立即找回密码并联系客服。"
        );
        let NoticeTexts { subject, paragraphs, .. } =
            of_change(&changed(Action::PayPasswordReset, English), false);
        assert_eq!(subject, "Security notice: your payment PIN was reset");
        assert_eq!(paragraphs[1], "When: 2026-11-21 18:19 UTC. From: 203.0.113.255.");
        assert!(paragraphs[2].ends_with("recover your password at once, and contact support."));
        let NoticeTexts { paragraphs, .. } = of_change(&changed(Action::PayPasswordReset, English), true);
        assert!(paragraphs[2].contains("open the following link within 72 hours"), "{}", paragraphs[2]);
    }

    #[test]
    fn notice_of_a_closing_names_only_support() {
        assert_eq!(
            of_change(&changed(Action::Closed, English), false).sms,
            "Your account was closed on 2026-11-21 18:19 UTC from 203.0.113.255. Not you? Contact support at once."
        );
        assert_eq!(
            of_change(&changed(Action::Closed, Chinese), false).sms,
            "您的账户已注销，2026-11-21 18:19 UTC，IP 203.0.113.255。如非本人操作，请立即联系客服。"
        );
        for language in Language::ALL {
            let NoticeTexts { paragraphs, .. } = of_change(&changed(Action::Closed, language), false);
            let text = paragraphs.concat().to_lowercase();
            assert!(!text.contains("recover") && !text.contains("找回"), "{text}");
        }
    }
}
