//! Every sentence that a person reads, in every language.

use crate::{
    error::Error,
    language::Language::{self, Chinese, English},
    parameter::Field,
};

/// What an error says to a person.
#[must_use]
pub fn of_error(error: &Error, language: Language) -> String {
    let fixed = match (error, language) {
        (Error::Missing(field), _) => return missing(*field, language),
        (Error::NotValid(field), _) => return not_valid(*field, language).to_owned(),
        (Error::CodeNotValid { attempts_left }, _) => return code_not_valid(*attempts_left, language),
        (Error::SendFrequently { retry_after }, Chinese) => {
            return format!("发送短信太频繁，请{}后再试", wait_zh(*retry_after));
        }
        (Error::SendFrequently { retry_after }, English) => {
            return format!("A message was sent moments ago. Ask again in {}.", wait_en(*retry_after));
        }
        (Error::TooManyAttempts { retry_after }, Chinese) => {
            return format!("尝试次数过多，请{}后再试", wait_zh(*retry_after));
        }
        (Error::TooManyAttempts { retry_after }, English) => {
            return format!("Too many wrong tries. Try again in {}.", wait_en(*retry_after));
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
        (Error::ReauthenticationRequired, Chinese) => "请重新登录或输入登录密码后再操作",
        (Error::ReauthenticationRequired, English) => "Please log in again or give your login password.",
        (Error::BodyNotValid, Chinese) => "请求格式不正确",
        (Error::BodyNotValid, English) => "The request is neither a JSON object nor a form.",
        (Error::BodyTooLarge, Chinese) => "请求内容过大",
        (Error::BodyTooLarge, English) => "The request is too large.",
        (Error::Busy(_), Chinese) => "服务繁忙，请稍后再试",
        (Error::Busy(_), English) => "The service is busy. Please try again in a moment.",
        (Error::Internal(_), Chinese) => "服务器错误，请稍后再试",
        (Error::Internal(_), English) => "Something went wrong on our side. Please try again later.",
    };
    fixed.to_owned()
}

/// The text message that carries a code. At most 70 characters in Chinese and 160 in English: one
/// part each, by the UCS-2 and GSM 7-bit limits of 3GPP TS 23.040.
#[must_use]
pub fn code_by_sms(code: &str, ttl_seconds: u64, language: Language) -> String {
    let minutes = ttl_seconds.div_ceil(60);
    match language {
        Chinese => {
            format!("您正在修改登录密码，验证码{code}，{minutes}分钟内有效。如非本人操作，请勿告知他人。")
        }
        English => format!(
            "{code} is your code to change the login password, good for {minutes} min. Share it with nobody. Not you? Ignore this message."
        ),
    }
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
        (Field::Email, Chinese) => "邮箱格式不正确",
        (Field::Email, English) => "This is not a mail address.",
        (Field::PayPassword, Chinese) => "支付密码须为6位数字，不能过于简单，且两次输入须一致",
        (Field::PayPassword, English) => {
            "The payment PIN must be 6 digits that are hard to guess, twice the same."
        }
        (Field::Verification, Chinese) => "验证信息无效或已过期，请重新获取验证码",
        (Field::Verification, English) => {
            "The verification is not valid or has expired. Please ask for a new code."
        }
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

    #[test]
    fn a_code_fits_one_part_of_sms_in_both_languages() {
        let (longest_code, longest_ttl) = ("0123456789", 600);
        let chinese = code_by_sms(longest_code, longest_ttl, Chinese);
        assert!(chinese.encode_utf16().count() <= 70, "{chinese}");
        let english = code_by_sms(longest_code, longest_ttl, English);
        assert!(english.is_ascii() && english.len() <= 160, "{english}");
    }
}
