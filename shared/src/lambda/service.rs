//! Events of other services, which invoke the function directly.

use super::guard::{Event, log, outcome};
use crate::{
    ExposeSecret,
    app::App,
    clock::Timestamp,
    domain::{
        idempotency::{Caller, IdempotentRequest, parse_key},
        message,
    },
    error::Error,
    http::{
        reply::Reply,
        request::Request,
        service::{ServiceApi, ServiceEvent},
    },
    language::Language,
};
use lambda_http::{LambdaEvent, lambda_runtime::Diagnostic};
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::{future::Future, sync::Arc};

/// Responds to an event. A refusal is a result like a success. Only a fault fails the invocation, because Lambda
/// counts that as an error and repeats an asynchronous invocation.
///
/// # Errors
/// A [`Diagnostic`] without the cause of the fault.
pub(super) async fn respond<T, H, F>(app: &'static App, handler: H, event: Event) -> Result<Value, Diagnostic>
where
    T: DeserializeOwned,
    H: Fn(&'static App, T, Request) -> F,
    F: Future<Output = Result<Reply<ServiceApi>, Error>>,
{
    let LambdaEvent { payload, context } = event;
    let event = ServiceEvent::parse(payload.get());
    let requested_language = event.as_ref().ok().and_then(ServiceEvent::language);
    let language = requested_language.unwrap_or(app.settings.default_language);
    let request_id = event.as_ref().ok().and_then(ServiceEvent::request_id);
    let request_id = request_id.unwrap_or(&context.request_id).to_owned();
    let reply = async {
        let event = event?;
        // Rounded up: another process must not acquire the claim before this invocation ends.
        let until = Timestamp(context.deadline / 1000 + 1);
        let idempotent = idempotent(&event, &context.env_config.function_name, until)?;
        let origin = event.origin(request_id.clone());
        let request = Request::of_service(language, requested_language, origin, idempotent.map(Arc::new));
        let fields: T = event.into_fields()?;
        app.run_once(request, |app, request| handler(app, fields, request)).await
    };
    let outcome = outcome(context.deadline, reply).await;
    let result = match outcome.and_then(|reply| ServiceApi::success(&reply, &request_id)) {
        Err(error) if !error.is_server_error() => ServiceApi::refusal(&error, language, &request_id),
        result => result,
    };
    result.map_err(|error| {
        log(&error, &request_id);
        fault(&error, language)
    })
}

/// Returns the idempotent request of a service, if it sent a key. The keys of different functions are independent.
fn idempotent(
    event: &ServiceEvent,
    function: &str,
    until: Timestamp,
) -> Result<Option<IdempotentRequest>, Error> {
    let Some(key) = event.idempotency_key().map(parse_key).transpose()? else { return Ok(None) };
    let content = format!("{function}\0{}", event.canonical().expose_secret());
    let caller = Caller::Service(function.to_owned());
    Ok(Some(IdempotentRequest::new(caller, key, content.into(), until)?))
}

/// Returns the failure of an invocation by a fault, without its cause.
pub(super) fn fault(error: &Error, language: Language) -> Diagnostic {
    Diagnostic { error_type: error.symbol().into_owned(), error_message: message::of_error(error, language) }
}
