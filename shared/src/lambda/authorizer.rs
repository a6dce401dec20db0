//! Events of API Gateway's Lambda authorizers.
//!
//! The formats are those of the Amazon API Gateway Developer Guide: "Input to an API Gateway Lambda authorizer" and
//! "Output from an API Gateway Lambda authorizer" for REST and WebSocket APIs, and "Control access to HTTP APIs with
//! AWS Lambda authorizers" for HTTP APIs.

use super::{
    guard::{Event, log, outcome},
    http::bearer,
    service::fault,
};
use crate::{
    Secret,
    app::Authorizer,
    domain::session::{Claims, SignedSession},
    error::Error,
    http::request::SESSION,
    language::Language,
    metrics,
};
use lambda_http::{LambdaEvent, lambda_runtime::Diagnostic};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::{collections::BTreeMap, future::Future};

/// The only text with which a REST API responds 401. Any other is a 500.
const UNAUTHORIZED: &str = "Unauthorized";

/// The part of an authorizer's event that is needed.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AuthorizerEvent {
    #[serde(rename = "type")]
    kind: Kind,
    version: Option<String>,
    method_arn: Option<String>,
    route_arn: Option<String>,
    authorization_token: Option<String>,
    headers: Option<BTreeMap<String, Option<String>>>,
    multi_value_headers: Option<BTreeMap<String, Option<Vec<String>>>>,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
enum Kind {
    /// One header of a REST API.
    Token,
    /// The whole request, of any API.
    Request,
}

/// The format of the response.
enum Format {
    /// A policy for a stage: REST and WebSocket APIs, and HTTP APIs with format 1.0.
    Policy(String),
    /// `isAuthorized`: HTTP APIs with format 2.0, whose authorizer must enable simple responses.
    Simple,
}

/// The values that the API passes to its own functions. They may only be flat, and arrive as texts.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Context {
    member_id: String,
    auth_time: String,
    expires_at: String,
    amr: String,
}

impl AuthorizerEvent {
    fn format(&self) -> Option<Format> {
        match (&self.version, &self.route_arn, &self.method_arn) {
            (Some(version), Some(_), _) if version == "2.0" => Some(Format::Simple),
            (_, None, Some(arn)) => stage(arn).map(Format::Policy),
            _ => None,
        }
    }

    /// Returns the session, from the same headers as in every endpoint. Returns `None` if a header was sent twice.
    fn session(&self) -> Option<&str> {
        if self.kind == Kind::Token {
            return bearer(self.authorization_token.as_ref()?);
        }
        match self.values("authorization").as_slice() {
            [] => None,
            [authorization] => bearer(authorization),
            _ => return None,
        }
        .or_else(|| match self.values(SESSION).as_slice() {
            [token] => Some(token.trim()),
            _ => None,
        })
    }

    /// Returns the values of a header in any case. A REST API keeps the case of the client.
    fn values(&self, name: &str) -> Vec<&str> {
        fn named<'a, T>(headers: &'a BTreeMap<String, Option<T>>, name: &str) -> impl Iterator<Item = &'a T> {
            headers
                .iter()
                .filter(move |(own, _)| own.eq_ignore_ascii_case(name))
                .filter_map(|(_, value)| value.as_ref())
        }
        match (&self.multi_value_headers, &self.headers) {
            (Some(all), _) => named(all, name).flatten().map(String::as_str).collect(),
            (None, Some(headers)) => named(headers, name).map(String::as_str).collect(),
            (None, None) => Vec::new(),
        }
    }
}

/// Returns the pattern of every method and path of the stage that a method's ARN names. A policy for one method would
/// be cached and then refuse the next one.
fn stage(method_arn: &str) -> Option<String> {
    let mut segments = method_arn.splitn(3, '/');
    let (api, stage, _method) = (segments.next()?, segments.next()?, segments.next()?);
    let parts: Vec<_> = api.split(':').collect();
    let is_arn = matches!(parts.as_slice(), ["arn", _, "execute-api", _, _, id] if !id.is_empty());
    (is_arn && !stage.is_empty() && !method_arn.contains(['*', '?'])).then(|| format!("{api}/{stage}/*"))
}

/// Responds to an event of an authorizer.
///
/// # Errors
/// A [`Diagnostic`] with the text `Unauthorized` for a refusal that a REST API must respond to with 401, and with
/// another text for a fault. A fault is never a refusal: API Gateway caches those.
pub(super) async fn respond<H, F>(
    authorizer: &'static Authorizer,
    handler: H,
    event: Event,
) -> Result<Value, Diagnostic>
where
    H: Fn(&'static Authorizer, Secret) -> F,
    F: Future<Output = Result<SignedSession, Error>>,
{
    let LambdaEvent { payload, context } = event;
    let parsed: Option<AuthorizerEvent> = serde_json::from_str(payload.get()).ok();
    let Some((event, format)) = parsed.and_then(|event| event.format().map(|format| (event, format))) else {
        return Err(failed(&Error::internal("the event is not that of an authorizer"), &context.request_id));
    };
    let checked = async {
        let session = event.session().ok_or(Error::InvalidToken)?;
        handler(authorizer, session.into()).await
    };
    match outcome(context.deadline, checked).await {
        Ok(session) => {
            metrics::authorization("allowed");
            Ok(match format {
                Format::Policy(resource) => policy(&session, &resource),
                Format::Simple => json!({ "isAuthorized": true, "context": Context::of(&session) }),
            })
        }
        Err(error) if error.is_server_error() => Err(failed(&error, &context.request_id)),
        Err(_) => {
            metrics::authorization("refused");
            match format {
                Format::Simple => Ok(json!({ "isAuthorized": false })),
                Format::Policy(_) => Err(Diagnostic {
                    error_type: UNAUTHORIZED.to_owned(),
                    error_message: UNAUTHORIZED.to_owned(),
                }),
            }
        }
    }
}

impl Context {
    fn of(SignedSession { claims, expires_at }: &SignedSession) -> Self {
        let Claims { member, auth_time, amr, .. } = claims;
        Self {
            member_id: member.to_string(),
            auth_time: auth_time.0.to_string(),
            expires_at: expires_at.0.to_string(),
            amr: amr.join(","),
        }
    }
}

fn policy(session: &SignedSession, resource: &str) -> Value {
    let statement = json!({ "Action": "execute-api:Invoke", "Effect": "Allow", "Resource": resource });
    json!({
        "principalId": session.claims.member,
        "policyDocument": { "Version": "2012-10-17", "Statement": [statement] },
        "context": Context::of(session),
    })
}

fn failed(error: &Error, request_id: &str) -> Diagnostic {
    log(error, request_id);
    metrics::authorization("failed");
    // No person reads it: the API responds 500 with a text of its own.
    fault(error, Language::English)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policy_covers_the_stage_of_the_method() {
        for (arn, expected) in [
            (
                "arn:aws:execute-api:us-east-1:123456789012:abcdef123/live/GET/orders/7",
                Some("arn:aws:execute-api:us-east-1:123456789012:abcdef123/live/*"),
            ),
            (
                "arn:aws-cn:execute-api:cn-north-1:123456789012:abcdef123/live/DELETE/",
                Some("arn:aws-cn:execute-api:cn-north-1:123456789012:abcdef123/live/*"),
            ),
            (
                "arn:aws:execute-api:us-east-1:123456789012:abcdef123/$default/GET/orders",
                Some("arn:aws:execute-api:us-east-1:123456789012:abcdef123/$default/*"),
            ),
            ("arn:aws:execute-api:us-east-1:123456789012:abcdef123/*/GET/orders", None),
            ("arn:aws:execute-api:us-east-1:123456789012:*/live/GET/orders", None),
            ("arn:aws:execute-api:us-east-1:123456789012:abcdef123/live", None),
            ("arn:aws:lambda:us-east-1:123456789012:function/live/GET/", None),
            ("arn:aws:execute-api:us-east-1:abcdef123/live/GET/", None),
            ("*", None),
            ("", None),
        ] {
            assert_eq!(stage(arn).as_deref(), expected, "{arn}");
        }
    }
}
