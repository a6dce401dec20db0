//! The schemas of parameters, results and errors.

use crate::wiring::endpoints::Function;
use serde_json::{Value, json};
use shared::{Error, Field, Parameter, error::SendLimit, settings::Settings};

/// A parameter that older clients send and no function reads.
const TIME: &str = "time";

/// Returns the schema of a parameter. Its limits hold for every value that a function accepts: clients need not bring
/// what a person typed into its normal form.
pub fn parameter(name: &str, settings: &Settings) -> Value {
    if name == TIME {
        return json!({ "type": "string", "description": "Ignored.", "example": "1795597200000" });
    }
    let parameter = Parameter::ALL.into_iter().find(|parameter| parameter.name() == name);
    let new_password = |description: &str| {
        let (least, most) = (settings.password_min_length, shared::password::MAX_CODE_POINTS);
        let schema =
            json!({ "type": "string", "minLength": least, "maxLength": most, "example": "026129-026129" });
        with_description(schema, description)
    };
    let text = |example: &str, description: &str| {
        with_description(json!({ "type": "string", "example": example }), description)
    };
    let digits = |length: usize, example: &str, description: &str| {
        let schema = json!({ "type": "string", "minLength": length, "example": example });
        with_description(schema, description)
    };
    let code_length = settings.code_length.min(settings.mail_code_length);
    match parameter.unwrap_or_else(|| panic!("no parameter is named {name}")) {
        Parameter::PhoneInfo => text("T0RZLi5xenktc3At", "The `result` of the call that sent the code."),
        Parameter::Code | Parameter::Message => digits(code_length, "123454", "The code that was sent."),
        Parameter::NewPassword | Parameter::NewPasswordFirst | Parameter::PasswordFirst => {
            new_password("The new login password.")
        }
        Parameter::NewPasswordSecond | Parameter::PasswordSecond => {
            new_password("The new login password again.")
        }
        Parameter::OldPassword => text("the-old-password", "The password that is replaced."),
        Parameter::PayPasswordFirst => digits(6, "739154", "The new pay password, 6 digits."),
        Parameter::PayPasswordSecond => digits(6, "739154", "The new pay password again."),
        Parameter::Password => text("the-old-password", "The login password, for reauthentication."),
        Parameter::Phone => text("13627140483", "A phone number that can receive SMS in an allowed region."),
        Parameter::Email => text("li@example.com", "An email address."),
        Parameter::Verification => {
            text("T0RZLi5xenktc3At", "The token of the call that sent the code, or a grant.")
        }
        Parameter::Purpose => json!({
            "type": "string", "enum": ["bind", "pay", "recover", "close"], "example": "recover",
            "description": "The purpose of the code.",
        }),
    }
}

fn with_description(mut schema: Value, description: &str) -> Value {
    schema["description"] = json!(description);
    schema
}

/// Returns the values of a parameter that has only a few.
pub fn values(name: &str, settings: &Settings) -> Vec<String> {
    if name.contains('|') {
        return Vec::new();
    }
    let schema = parameter(name, settings);
    let values = schema["enum"].as_array().into_iter().flatten();
    values.map(|value| value.as_str().unwrap().to_owned()).collect()
}

/// Returns the schema of `result` or `data` in a success.
pub fn result(function: &Function) -> Value {
    match function.result.as_str() {
        "success" => json!({ "type": "string", "enum": ["success"] }),
        "true" => json!({ "type": "boolean", "enum": [true] }),
        "phoneInfo" => json!({ "type": "string", "description": "The `phoneInfo` of the change." }),
        "securityStatus" => security_status(),
        other => panic!("{}: no schema of the result {other}", function.name),
    }
}

/// Returns the schema of the `data` of security-status.
fn security_status() -> Value {
    let time = |description: &str| json!({ "type": "integer", "minimum": 0, "description": format!("{description}, in seconds since 1970.") });
    let nullable = |mut schema: Value| {
        schema["nullable"] = json!(true);
        schema
    };
    let contact = |example: &str| {
        let masked = json!({ "type": "string", "example": example });
        let matures_at = time("When it matures. Absent if it is mature");
        nullable(object(&json!({ "masked": masked, "maturesAt": matures_at }), &["masked"]))
    };
    let event = json!({
        "action": { "type": "string", "description": "The action of the audit trail.", "example": "password-changed" },
        "at": time("When it happened"),
        "sourceIp": nullable(json!({ "type": "string", "description": "The masked IP address." })),
        "device": nullable(json!({ "type": "string", "description": "The device by its `User-Agent`." })),
    });
    let event = object(&event, &["action", "at", "sourceIp", "device"]);
    let status = json!({
        "phone": contact("136****0483"),
        "email": contact("l***@example.com"),
        "hasPassword": { "type": "boolean" },
        "hasPayPassword": { "type": "boolean" },
        "payPasswordLockedUntil": nullable(time("When the lockout of the pay password ends")),
        "coolingOffUntil": nullable(time("When the cooling-off period ends")),
        "authTime": time("When the member logged in"),
        "recent": { "type": "array", "maxItems": 20, "items": event, "description": "The newest first." },
    });
    let names = status.as_object().unwrap().keys().map(String::as_str).collect::<Vec<_>>();
    object(&status, &names)
}

fn object(properties: &Value, required: &[&str]) -> Value {
    json!({ "type": "object", "additionalProperties": false, "required": required, "properties": properties })
}

/// Returns the schema of a field that a success adds.
pub fn added(name: &str) -> Value {
    match name {
        "token" => json!({ "type": "string", "description": "The renewed session." }),
        "serviceToken" => json!({
            "type": "string", "description": "A service token, if the deployment issues any.",
        }),
        "verification" => json!({ "type": "string", "description": "The token of the flow, or a grant." }),
        "expiresIn" => json!({
            "type": "integer", "minimum": 0, "description": "Seconds until the code or the grant expires.",
        }),
        "resendIn" => json!({
            "type": "integer", "minimum": 0, "description": "Seconds until another code can be requested.",
        }),
        other => panic!("no schema of the field {other}"),
    }
}

/// Returns the error with this symbol.
pub fn error(symbol: &str) -> Error {
    let retry_after = 117;
    let cause = || "a cause".into();
    let own = [
        Error::CodeNotValid { attempts_left: 4 },
        Error::OldPasswordNotValid { attempts_left: 9 },
        Error::InvalidToken,
        Error::SendFrequently { retry_after, limit: SendLimit::Resend },
        Error::TooManyAttempts { retry_after },
        Error::TooManyChanges { retry_after },
        Error::SendFailed(cause()),
        Error::UserNotFound,
        Error::UserPhoneNotMatch,
        Error::PhoneInUse,
        Error::EmailInUse,
        Error::PayPasswordAlreadySet,
        Error::PayPasswordNotSet,
        Error::MailNotAvailable,
        Error::ReauthenticationRequired,
        Error::OriginNotAllowed,
        Error::AccountFrozen,
        Error::CoolingOff { retry_after },
        Error::BodyNotValid,
        Error::BodyTooLarge,
        Error::IdempotencyKeyReused,
        Error::Busy(cause()),
        Error::Internal(cause()),
    ];
    let of_fields = Field::ALL.into_iter().flat_map(|field| [Error::Missing(field), Error::NotValid(field)]);
    let found = own.into_iter().chain(of_fields).find(|error| error.symbol() == symbol);
    found.unwrap_or_else(|| panic!("no error has the symbol {symbol}"))
}
