//! Validates responses against the documents, and records them.

use super::{
    document::{Family, Operation, document},
    services,
};
use crate::bundle::Response;
use jsonschema::Validator;
use reqwest::header::HeaderMap;
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, OpenOptions},
    io::Write,
    path::PathBuf,
    sync::{LazyLock, Mutex, PoisonError},
};

/// Headers that the document leaves out: those of the connection, of CORS, and of API Gateway.
const OF_THE_CONNECTION: [&str; 9] = [
    "content-type",
    "connection",
    "content-length",
    "date",
    "vary",
    "access-control-allow-credentials",
    "access-control-allow-origin",
    "access-control-expose-headers",
    "x-amzn-requestid",
];

/// The symbol under which a success is recorded.
pub const SUCCESS: &str = "success";

struct Documented {
    operation: Operation,
    responses: Value,
    validators: BTreeMap<(String, String), Validator>,
}

/// The documented operations by method and path.
static OPERATIONS: LazyLock<BTreeMap<(String, String), Documented>> = LazyLock::new(|| {
    let document = document();
    let documented = |operation: Operation| {
        let key = (operation.method.clone(), operation.path.clone());
        let responses =
            document["paths"][&operation.path][operation.method.to_lowercase()]["responses"].clone();
        let mut validators = BTreeMap::new();
        for (status, response) in responses.as_object().unwrap() {
            for (media_type, content) in response["content"].as_object().unwrap() {
                let validator = validator(&document, &content["schema"]);
                validators.insert((status.clone(), media_type.clone()), validator);
            }
        }
        (key, Documented { operation, responses, validators })
    };
    Operation::all().into_iter().map(documented).collect()
});

static HEADERS: LazyLock<BTreeMap<String, (bool, Validator)>> = LazyLock::new(|| {
    let document = document();
    let headers = document["components"]["headers"].as_object().unwrap();
    let header = |(name, header): (&String, &Value)| {
        let is_required = header["required"] == true;
        (name.to_lowercase(), (is_required, validator(&document, &header["schema"])))
    };
    headers.iter().map(header).collect()
});

/// Returns the validator of a schema of the document.
pub fn validator(document: &Value, schema: &Value) -> Validator {
    let root = json!({ "allOf": [schema], "components": document["components"] });
    jsonschema::draft7::new(&as_json_schema(root)).unwrap()
}

/// Returns the schemas of OpenAPI 3.0 as JSON Schema, which has a type `null` instead of `nullable`.
fn as_json_schema(mut value: Value) -> Value {
    match &mut value {
        Value::Object(map) => {
            if map.remove("nullable") == Some(json!(true)) {
                map["type"] = json!([map["type"], "null"]);
            }
            map.values_mut().for_each(|value| *value = as_json_schema(value.take()));
        }
        Value::Array(values) => values.iter_mut().for_each(|value| *value = as_json_schema(value.take())),
        _ => (),
    }
    value
}

/// Asserts that a response of a documented call is documented, and records it.
pub fn check(method: &str, path: &str, response: &Response, has_status_in_body: bool) {
    let function = path.strip_prefix("/2015-03-31/functions/").and_then(|rest| rest.split('/').next());
    if let Some(function) = function {
        return services::check(function, response);
    }
    let Some(documented) = OPERATIONS.get(&(method.to_owned(), path.to_owned())) else { return };
    if let Err(reason) = documented.check(response, has_status_in_body) {
        panic!(
            "docs/openapi.yaml does not have this response to {method} {path}: {reason}\n{} {}",
            response.status, response.text
        );
    }
}

/// Returns whether a response of a documented call is documented.
pub fn is_documented(method: &str, path: &str, response: &Response) -> bool {
    OPERATIONS[&(method.to_owned(), path.to_owned())].check(response, false).is_ok()
}

impl Documented {
    fn check(&self, response: &Response, has_status_in_body: bool) -> Result<(), String> {
        let Operation { method, path, family, .. } = &self.operation;
        let media_type = response.headers.get("content-type").and_then(|value| value.to_str().ok());
        let media_type = media_type.and_then(|value| value.split(';').next()).unwrap_or_default();
        let mut status = response.status.as_u16().to_string();
        if has_status_in_body && media_type == "application/json" {
            let enveloped = match family {
                Family::User => response.body["status"].as_u64().map(|status| status.to_string()),
                Family::Member => response.body["code"].as_str().map(str::to_owned),
            };
            status = enveloped.unwrap_or(status);
        }
        let symbol = symbol(*family, media_type, &status, &response.body);
        let documented = self.responses.get(&status).ok_or_else(|| format!("status {status}"))?;
        let key = (status, media_type.to_owned());
        let validator = self.validators.get(&key).ok_or_else(|| format!("content type {media_type}"))?;
        let body = if media_type == "application/json" { &response.body } else { &json!(response.text) };
        validator
            .validate(body)
            .map_err(|error| format!("{symbol}: {} at {}", error, error.instance_path()))?;
        let names = documented["headers"].as_object().into_iter().flat_map(|headers| headers.keys());
        check_headers(&response.headers, &names.map(|name| name.to_lowercase()).collect())?;
        let is_of_the_gateway = response.body.get("message").is_some() && response.body["status"].is_null();
        if !is_of_the_gateway && !response.headers.contains_key("x-request-id") {
            return Err("no X-Request-Id".to_owned());
        }
        let seconds = response.headers.get("retry-after").and_then(|value| value.to_str().ok());
        let in_body = response.body["retryAfter"].as_u64().map(|seconds| seconds.to_string());
        if media_type == "application/json" && seconds != in_body.as_deref() {
            return Err(format!("Retry-After is {seconds:?}"));
        }
        record(&format!("{method} {path}"), &symbol);
        Ok(())
    }
}

fn check_headers(headers: &HeaderMap, documented: &BTreeSet<String>) -> Result<(), String> {
    for (name, value) in headers {
        let name = name.as_str();
        if OF_THE_CONNECTION.contains(&name) {
            continue;
        }
        let value = value.to_str().map_err(|_| format!("header {name} is not text"))?;
        let (_, validator) = HEADERS
            .get(name)
            .filter(|_| documented.contains(name))
            .ok_or_else(|| format!("header {name}: {value}"))?;
        let number = value.parse::<u64>().map(Value::from);
        if !validator.is_valid(&json!(value)) && !number.is_ok_and(|number| validator.is_valid(&number)) {
            return Err(format!("header {name}: {value}"));
        }
    }
    let mut missing = documented.iter().filter(|name| HEADERS[*name].0 && !headers.contains_key(*name));
    missing.next().map_or(Ok(()), |name| Err(format!("no header {name}")))
}

/// Returns the symbol of a response. A page has only its status.
fn symbol(family: Family, media_type: &str, status: &str, body: &Value) -> String {
    if media_type == "text/html" {
        return format!("page {status}");
    }
    if status.starts_with('2') {
        return SUCCESS.to_owned();
    }
    body[family.symbol()].as_str().unwrap_or("gateway").to_owned()
}

/// The file with the responses of the tests, one per line: an operation or a service function, and a symbol.
pub fn record_file() -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("responses.txt")
}

/// Records a response in the file, once for each process.
pub fn record(name: &str, symbol: &str) {
    static RECORDED: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    let line = format!("{name} {symbol}\n");
    let mut recorded = RECORDED.lock().unwrap_or_else(PoisonError::into_inner);
    if recorded.insert(line.clone()) {
        let mut file = OpenOptions::new().create(true).append(true).open(record_file()).unwrap();
        file.write_all(line.as_bytes()).unwrap();
    }
}

/// Returns the recorded lines.
pub fn recorded() -> BTreeSet<String> {
    let text = fs::read_to_string(record_file()).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

/// Returns the lines that the documented operations cause.
pub fn expected() -> BTreeSet<String> {
    let mut expected = BTreeSet::new();
    for Documented { operation, .. } in OPERATIONS.values() {
        let call = format!("{} {}", operation.method, operation.path);
        let success = operation.function.success.unwrap();
        if operation.function.page.is_some() {
            let statuses = operation.page_statuses().into_iter().chain([success]);
            expected.extend(statuses.map(|status| format!("{call} page {status}")));
        }
        if !operation.is_page {
            let symbols = operation.symbols().into_iter().chain([SUCCESS.to_owned()]);
            expected.extend(symbols.map(|symbol| format!("{call} {symbol}")));
        }
    }
    expected
}
