//! The JSON Schemas of the functions that other services invoke.

use super::responses::{SUCCESS, record};
use crate::{
    bundle::{Response, root},
    wiring::endpoints::Endpoints,
};
use jsonschema::Validator;
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    sync::LazyLock,
};

/// Symbols of an event that a schema refuses.
pub const MALFORMED: [&str; 2] = ["BODY_NOT_VALID", "{IDEMPOTENCY_KEY}_NOT_VALID"];

static SCHEMAS: LazyLock<Value> = LazyLock::new(|| {
    serde_json::from_str(&fs::read_to_string(root().join("docs/services.schema.json")).unwrap()).unwrap()
});

static RESULTS: LazyLock<BTreeMap<String, Validator>> = LazyLock::new(|| {
    let functions = functions().into_iter();
    functions.map(|function| (function.clone(), validator(&format!("{function}.result")))).collect()
});

/// Returns the functions that other services invoke.
pub fn functions() -> Vec<String> {
    let functions = Endpoints::load().functions.into_iter();
    functions.filter(|function| function.service).map(|function| function.name).collect()
}

/// Returns the validator of a definition in docs/services.schema.json.
pub fn validator(definition: &str) -> Validator {
    assert!(SCHEMAS["$defs"][definition].is_object(), "docs/services.schema.json has no {definition}");
    let mut schema = SCHEMAS.clone();
    schema["$ref"] = json!(format!("#/$defs/{definition}"));
    jsonschema::options().should_validate_formats(true).build(&schema).unwrap()
}

/// Asserts that the result of a service function is documented, and records it. A fault has no result.
pub fn check(function: &str, response: &Response) {
    let Some(validator) = RESULTS.get(function) else { return };
    if response.headers.contains_key("x-amz-function-error") || response.body["warm"] == true {
        return;
    }
    record(function, response.body["error"].as_str().unwrap_or(SUCCESS));
    if let Err(error) = validator.validate(&response.body) {
        panic!(
            "docs/services.schema.json does not have this result of {function}: {error}\n{}",
            response.text
        );
    }
}

/// Returns the lines that the documented functions cause.
pub fn expected() -> BTreeSet<String> {
    let mut expected = BTreeSet::new();
    for function in functions() {
        let symbols = &SCHEMAS["$defs"][format!("{function}.error")]["enum"];
        let symbols = symbols.as_array().into_iter().flatten().map(|symbol| symbol.as_str().unwrap());
        expected.extend(symbols.chain([SUCCESS]).map(|symbol| format!("{function} {symbol}")));
    }
    expected
}

/// The fields of every event.
const COMMON: [&str; 5] = ["sourceIp", "userAgent", "language", "idempotencyKey", "requestId"];

/// Returns the function's own fields of an event. The others may differ between repetitions under one idempotency key.
pub fn own(event: &Value) -> Value {
    let fields = event.as_object().unwrap().iter().filter(|(name, _)| !COMMON.contains(&name.as_str()));
    Value::Object(fields.map(|(name, value)| (name.clone(), value.clone())).collect())
}

/// Returns changes of an event: each field missing, or of another type, length or value.
pub fn mutations(event: &Value) -> Vec<Value> {
    let mut mutations = vec![with(event, "/colour", Some(json!("red")))];
    let common = COMMON.map(|name| format!("/{name}"));
    for pointer in pointers(&own(event), "").into_iter().chain(common) {
        mutations.push(with(event, &pointer, None));
        let values = [
            json!(null),
            json!(7),
            json!(-1),
            json!(true),
            json!([]),
            json!(["x"]),
            json!({}),
            json!(""),
            json!("x"),
            json!("0"),
            json!("x".repeat(65)),
            json!("x".repeat(129)),
            json!("x".repeat(256)),
            json!("1".repeat(19)),
            json!("cny"),
            json!("a b"),
            json!("\u{e9}"),
        ];
        mutations.extend(values.map(|value| with(event, &pointer, Some(value))));
    }
    mutations
}

fn pointers(value: &Value, prefix: &str) -> Vec<String> {
    let fields = value.as_object().into_iter().flatten();
    let fields = fields.flat_map(|(name, value)| {
        let pointer = format!("{prefix}/{name}");
        let inner = pointers(value, &pointer);
        [pointer].into_iter().chain(inner).collect::<Vec<_>>()
    });
    fields.collect()
}

fn with(event: &Value, pointer: &str, value: Option<Value>) -> Value {
    let mut event = event.clone();
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    let parent = event.pointer_mut(parent).unwrap().as_object_mut().unwrap();
    match value {
        Some(value) => parent.insert(name.to_owned(), value),
        None => parent.remove(name),
    };
    event
}
