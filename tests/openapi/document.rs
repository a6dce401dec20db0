//! The OpenAPI document of the endpoints, from `functions/endpoints.toml`, the parameters, the envelopes and the errors.

use super::schemas;
use crate::wiring::endpoints::{Endpoints, Function, camel};
use serde_json::{Map, Value, json};
use shared::{
    Api, Error, MemberApi, Parameter, UserApi, envelope::Format, language::Language, settings::Settings,
};
use std::collections::{BTreeMap, BTreeSet};

/// Errors of every operation.
const COMMON: [&str; 5] =
    ["INVALID_TOKEN", "BODY_NOT_VALID", "BODY_TOO_LARGE", "SERVICE_BUSY", "INTERNAL_SERVER_ERROR"];
/// Errors of every operation with an `Idempotency-Key`.
const OF_KEYS: [&str; 3] = ["{IDEMPOTENCY_KEY}_NOT_VALID", "IDEMPOTENCY_KEY_REUSED", "TOO_MANY_ATTEMPTS"];
/// Errors of every operation that sends a code.
const OF_SENDS: [&str; 3] = ["SEND_MESSAGE_FREQUENTLY", "SEND_MESSAGE_ERROR", "ORIGIN_NOT_ALLOWED"];

/// The statuses with which API Gateway itself can refuse a documented request (Amazon API Gateway Developer Guide,
/// "Gateway response types"): malformed, too large, throttled, headers too large, failed, timed out.
const OF_THE_GATEWAY: [u16; 6] = [400, 413, 429, 431, 502, 504];

/// The longest `Idempotency-Key`, in characters.
pub const LONGEST_KEY: usize = 255;

const JSON: &str = "application/json";
const FORM: &str = "application/x-www-form-urlencoded";
const HTML: &str = "text/html";

/// A family of endpoints, by its envelope.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Family {
    User,
    Member,
}

impl Family {
    const ALL: [Self; 2] = [Self::User, Self::Member];

    /// The start of its schemas' names.
    fn name(self) -> &'static str {
        match self {
            Self::User => "User",
            Self::Member => "Member",
        }
    }

    fn status(self, error: &Error) -> u16 {
        match self {
            Self::User => UserApi::error_status(error).as_u16(),
            Self::Member => MemberApi::error_status(error).as_u16(),
        }
    }

    /// The field with the symbol of an error.
    pub fn symbol(self) -> &'static str {
        match self {
            Self::User => "code",
            Self::Member => "error",
        }
    }

    /// Returns the body of an error.
    fn failure(self, error: &Error) -> Value {
        let body = match self {
            Self::User => UserApi::failure(error, Language::Chinese, Format::Json),
            Self::Member => MemberApi::failure(error, Language::Chinese, Format::Json),
        };
        serde_json::from_str(&body.unwrap()).unwrap()
    }

    /// Returns the fields that every error has, with their schemas.
    fn failure_fields(self) -> Value {
        let symbol = json!({ "type": "string", "description": "A symbol for programs." });
        let text = json!({ "type": "string", "description": "A text for a person." });
        match self {
            Self::User => json!({
                "status": { "type": "integer" }, "code": symbol, "message": text,
                "success": { "type": "boolean", "enum": [false] },
            }),
            Self::Member => json!({
                "code": { "type": "string" }, "msg": text, "error": symbol,
                "data": { "type": "object", "nullable": true, "additionalProperties": false },
            }),
        }
    }

    /// Returns the status as the envelope contains it, with the field's name.
    fn enveloped(self, status: u16) -> (&'static str, Value) {
        match self {
            Self::User => ("status", json!({ "type": "integer", "enum": [status] })),
            Self::Member => ("code", json!({ "type": "string", "enum": [status.to_string()] })),
        }
    }
}

/// A method of a path.
pub struct Operation {
    pub function: Function,
    pub method: String,
    pub path: String,
    pub family: Family,
    /// Whether it returns a page only, to a browser that follows a link.
    pub is_page: bool,
}

impl Operation {
    /// Returns the documented operations.
    pub fn all() -> Vec<Self> {
        let mut operations = Vec::new();
        for function in Endpoints::load().functions.into_iter().filter(|function| !function.files) {
            for (index, (method, path)) in function.calls().into_iter().enumerate() {
                operations.push(Self {
                    method: method.to_owned(),
                    path: path.to_owned(),
                    family: if path.starts_with("/v1/user/") { Family::User } else { Family::Member },
                    is_page: index == 0 && function.page.is_some(),
                    function: function.clone(),
                });
            }
        }
        operations
    }

    /// Returns `sendCode` for `send-code`.
    fn id(&self) -> String {
        let name = camel(&self.function.name);
        format!("{}{}{}", name[..1].to_lowercase(), &name[1..], if self.is_page { "Page" } else { "" })
    }

    /// Returns the symbols of its errors.
    pub fn symbols(&self) -> BTreeSet<String> {
        let missing = |required: &String| {
            let parameter = Parameter::ALL.into_iter().find(|parameter| parameter.name() == first(required));
            Error::Missing(parameter.unwrap().field()).symbol().into_owned()
        };
        let mut symbols: BTreeSet<_> = self.function.required.iter().map(missing).collect();
        symbols.extend(COMMON.map(str::to_owned));
        if !self.is_page {
            symbols.extend(OF_KEYS.map(str::to_owned));
            symbols.extend(self.function.errors.iter().cloned());
        }
        if self.function.sends {
            symbols.extend(OF_SENDS.map(str::to_owned));
        }
        symbols
    }

    /// Returns the statuses of its errors to a browser, which sends no `Idempotency-Key`.
    pub fn page_statuses(&self) -> BTreeSet<u16> {
        if self.function.page.is_none() {
            return BTreeSet::new();
        }
        let own =
            |symbol: &String| self.function.errors.contains(symbol) || !OF_KEYS.contains(&symbol.as_str());
        let symbols = self.symbols().into_iter().filter(own);
        symbols.map(|symbol| self.family.status(&schemas::error(&symbol))).collect()
    }

    /// Returns the symbols of its errors by HTTP status.
    pub fn symbols_by_status(&self) -> BTreeMap<u16, Vec<String>> {
        let mut statuses = BTreeMap::<_, Vec<_>>::new();
        for symbol in self.symbols() {
            statuses.entry(self.family.status(&schemas::error(&symbol))).or_default().push(symbol);
        }
        statuses
    }

    /// Returns the parameters, the required ones first.
    fn parameters(&self) -> impl Iterator<Item = &str> {
        self.function.required.iter().chain(&self.function.optional).flat_map(|names| names.split('|'))
    }

    fn has_parameter(&self, name: &str) -> bool {
        self.parameters().any(|parameter| parameter == name)
    }

    /// Whether it accepts a body, which GET does not (OpenAPI 3.0.3, "Operation Object").
    fn has_body(&self) -> bool {
        self.method != "GET" && self.parameters().next().is_some()
    }

    /// Whether a response may set or clear the cookie `verification`.
    fn sets_cookie(&self) -> bool {
        let returns = self.function.returns.iter().any(|field| field.trim_end_matches('?') == "verification");
        !self.is_page && self.family == Family::Member && (returns || self.has_parameter("verification"))
    }

    fn describe(&self) -> Value {
        let mut operation = json!({
            "operationId": self.id(),
            "summary": self.function.description,
            "tags": [self.family.name()],
            "security": if self.function.caller.as_deref() == Some("member") {
                json!([{ "session": [] }, { "token": [] }])
            } else {
                json!([{}, { "session": [] }, { "token": [] }])
            },
            "parameters": self.describe_parameters(),
            "responses": self.describe_responses(),
        });
        if self.is_page {
            operation["summary"] =
                json!("Returns a page with a button that submits the POST. It changes nothing.");
        }
        if self.has_body() {
            let schema =
                json!({ "$ref": format!("#/components/schemas/{}Request", camel(&self.function.name)) });
            let body = json!({ "schema": schema });
            operation["requestBody"] = json!({ "content": { JSON: body, FORM: body } });
        }
        operation
    }

    fn describe_parameters(&self) -> Value {
        let mut parameters = vec![json!({ "$ref": "#/components/parameters/AcceptLanguage" })];
        if !self.is_page {
            parameters.push(json!({ "$ref": "#/components/parameters/IdempotencyKey" }));
        }
        if self.function.cookie {
            parameters.push(json!({ "$ref": "#/components/parameters/Verification" }));
        }
        for name in self.parameters() {
            let mut parameter = json!({ "name": name, "in": "query", "schema": reference(name) });
            if self.has_body() {
                // URLs are logged, so the body is the place for a secret.
                parameter["deprecated"] = json!(true);
            } else {
                parameter["required"] = json!(self.function.required.iter().any(|required| required == name));
            }
            parameters.push(parameter);
        }
        json!(parameters)
    }

    fn describe_responses(&self) -> Value {
        let mut responses = Map::new();
        let success = self.function.success.unwrap();
        let mut content = Map::new();
        if !self.is_page {
            let schema = format!("#/components/schemas/{}Success", camel(&self.function.name));
            content.insert(JSON.to_owned(), json!({ "schema": { "$ref": schema } }));
        }
        if self.function.page.is_some() {
            content.insert(HTML.to_owned(), page());
        }
        responses.insert(success.to_string(), self.response("The success.", success, &content));
        let mut symbols = self.symbols_by_status();
        for status in OF_THE_GATEWAY {
            symbols.entry(status).or_default();
        }
        for (status, symbols) in symbols {
            let mut content = Map::new();
            if !self.is_page || OF_THE_GATEWAY.contains(&status) {
                let symbols = if self.is_page { &[] } else { symbols.as_slice() };
                content.insert(JSON.to_owned(), self.failure(status, symbols));
            }
            if self.page_statuses().contains(&status) {
                content.insert(HTML.to_owned(), page());
            }
            let names: Vec<_> = symbols.iter().map(|symbol| format!("`{symbol}`")).collect();
            let description = match names.as_slice() {
                [] => "A response of the gateway.".to_owned(),
                names => names.join(", "),
            };
            responses.insert(status.to_string(), self.response(&description, status, &content));
        }
        responses.into()
    }

    /// Returns the errors with these symbols and, if it uses this status too, that of the gateway.
    fn failure(&self, status: u16, symbols: &[String]) -> Value {
        let gateway = OF_THE_GATEWAY.contains(&status);
        let gateway = gateway.then(|| json!({ "$ref": "#/components/schemas/GatewayFailure" }));
        if symbols.is_empty() {
            return json!({ "schema": gateway, "example": { "message": "Bad Request" } });
        }
        let (field, status) = self.family.enveloped(status);
        let own = json!({
            "allOf": [
                { "$ref": format!("#/components/schemas/{}Failure", self.family.name()) },
                { "type": "object", "properties": {
                    field: status, self.family.symbol(): { "type": "string", "enum": symbols },
                } },
            ],
        });
        let schema = match gateway {
            Some(gateway) => json!({ "anyOf": [own, gateway] }),
            None => own,
        };
        let example = |symbol: &String| {
            let value = self.family.failure(&schemas::error(symbol));
            (symbol.replace(['{', '}'], ""), json!({ "value": value }))
        };
        let examples: Map<_, _> = symbols.iter().map(example).collect();
        json!({ "schema": schema, "examples": examples })
    }

    fn response(&self, description: &str, status: u16, content: &Map<String, Value>) -> Value {
        let mut names = vec!["Cache-Control", "X-Content-Type-Options", "X-Request-Id"];
        let errors = self.symbols_by_status();
        let mut errors = errors.get(&status).into_iter().flatten();
        if errors.any(|symbol| schemas::error(symbol).retry_after().is_some()) {
            names.push("Retry-After");
        }
        let is_success = self.function.success == Some(status);
        if is_success && self.function.returns.iter().any(|field| field.trim_end_matches('?') == "token") {
            names.extend(["Authorization", "X-Amzn-Remapped-Authorization"]);
        }
        if is_success && self.sets_cookie() {
            names.push("Set-Cookie");
        }
        if content.contains_key(HTML) {
            names.extend(["Content-Security-Policy", "Referrer-Policy"]);
        }
        let headers: Map<_, _> = names
            .into_iter()
            .map(|name| (name.to_owned(), json!({ "$ref": format!("#/components/headers/{name}") })))
            .collect();
        json!({ "description": description, "headers": headers, "content": content })
    }

    fn request(&self) -> Value {
        let properties: Map<_, _> =
            self.parameters().map(|name| (name.to_owned(), reference(name))).collect();
        let (alternatives, required): (Vec<_>, Vec<_>) =
            self.function.required.iter().partition(|required| required.contains('|'));
        let mut schema = json!({ "type": "object", "properties": properties });
        if !required.is_empty() {
            schema["required"] = json!(required);
        }
        for names in alternatives {
            schema["anyOf"] = names.split('|').map(|name| json!({ "required": [name] })).collect();
        }
        schema
    }

    fn success(&self) -> Value {
        let (field, status) = self.family.enveloped(self.function.success.unwrap());
        let result = schemas::result(&self.function);
        let mut properties = match self.family {
            Family::User => json!({
                "result": result, "code": { "type": "string", "enum": ["OK"] },
                "success": { "type": "boolean", "enum": [true] },
            }),
            Family::Member => json!({ "data": result, "msg": { "type": "string", "enum": ["success"] } }),
        };
        properties[field] = status;
        let mut required: Vec<_> = properties.as_object().unwrap().keys().cloned().collect();
        for field in &self.function.returns {
            let name = field.trim_end_matches('?');
            properties[name] = schemas::added(name);
            if name == "token" {
                properties["serviceToken"] = schemas::added("serviceToken");
            }
            if name == field {
                required.push(name.to_owned());
            }
        }
        json!({ "type": "object", "properties": properties, "required": required, "additionalProperties": false })
    }
}

fn first(names: &str) -> &str {
    names.split('|').next().unwrap_or(names)
}

/// Returns `NewPassword` for `newPassword`.
fn capital(name: &str) -> String {
    name[..1].to_uppercase() + &name[1..]
}

fn reference(parameter: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{}", capital(parameter)) })
}

fn page() -> Value {
    json!({ "schema": { "type": "string", "description": "A page for a person." } })
}

/// Returns the default settings.
pub fn settings() -> Settings {
    let required = ["TABLE_NAME", "AWS_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "KEYS"];
    Settings::read(|name| required.contains(&name).then(|| "none".to_owned())).unwrap()
}

/// Returns the document.
pub fn document() -> Value {
    let operations = Operation::all();
    let mut paths = Value::Object(Map::new());
    for operation in &operations {
        paths[&operation.path][operation.method.to_lowercase()] = operation.describe();
    }
    json!({
        "openapi": "3.0.3",
        "info": {
            "title": "Account security",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Changes of login password, pay password, phone and email address, and the recovery of a \
                forgotten password.\n\n\
                Every parameter can be a field of a JSON object, a field of a form, or part of the query. If body and \
                query both have it, the body wins. URLs end up in logs, so send secrets in the body.\n\n\
                The `error` of the member API and the `code` of the user API are symbols for programs. The braces are \
                part of the symbol. If the deployment sets `HTTP_200_FAMILIES`, the JSON responses of these families \
                have the HTTP status 200, and the documented status in the body only.",
            "license": { "name": "MIT OR Apache-2.0", "url": "https://spdx.org/licenses/MIT.html" },
        },
        "servers": [
            { "url": "http://127.0.0.1:3000", "description": "The local stack." },
            {
                "url": "https://{api}.execute-api.{region}.amazonaws.com/{stage}",
                "description": "A deployment.",
                "variables": {
                    "api": { "default": "a1b2c3d4e5" }, "region": { "default": "us-east-1" },
                    "stage": { "default": "live" },
                },
            },
        ],
        "tags": [
            { "name": "User", "description": "The user API." },
            { "name": "Member", "description": "The member API." },
        ],
        "paths": paths,
        "components": {
            "schemas": schemas(&operations),
            "parameters": parameters(),
            "headers": headers(),
            "securitySchemes": {
                "session": {
                    "type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": "The member's session.",
                },
                "token": {
                    "type": "apiKey", "in": "header", "name": "token",
                    "description": "The member's session, if `Authorization` is absent. A field `token` of the body \
                        works too.",
                },
            },
        },
    })
}

fn schemas(operations: &[Operation]) -> Value {
    let mut schemas = Map::new();
    let names: BTreeSet<_> = operations.iter().flat_map(Operation::parameters).collect();
    schemas.extend(names.into_iter().map(|name| (capital(name), schemas::parameter(name, &settings()))));
    for operation in operations.iter().filter(|operation| !operation.is_page) {
        let name = camel(&operation.function.name);
        if operation.has_body() {
            schemas.insert(format!("{name}Request"), operation.request());
        }
        schemas.insert(format!("{name}Success"), operation.success());
    }
    for family in Family::ALL {
        let mut fields = family.failure_fields();
        let required: Vec<_> = fields.as_object().unwrap().keys().cloned().collect();
        fields["retryAfter"] = json!({
            "type": "integer", "minimum": 0, "description": "Seconds until a retry may succeed.",
        });
        fields["attemptsLeft"] = json!({
            "type": "integer", "minimum": 0, "description": "The attempts that are left.",
        });
        let failure = json!({
            "type": "object", "properties": fields, "required": required, "additionalProperties": false,
        });
        schemas.insert(format!("{}Failure", family.name()), failure);
    }
    let gateway = json!({
        "type": "object", "properties": { "message": { "type": "string" } }, "required": ["message"],
        "additionalProperties": false, "description": "A response of API Gateway itself.",
    });
    schemas.insert("GatewayFailure".to_owned(), gateway);
    schemas.into()
}

fn parameters() -> Value {
    json!({
        "AcceptLanguage": {
            "name": "Accept-Language", "in": "header", "description": "The language of texts for people.",
            "schema": { "type": "string", "example": "zh-CN" },
        },
        "IdempotencyKey": {
            "name": "Idempotency-Key", "in": "header",
            "description": "A name that the client gives the request, such as a UUID. A retry under the same key has \
                no second effect for 24 hours.",
            "schema": {
                "type": "string", "minLength": 1, "maxLength": LONGEST_KEY, "pattern": "^[!-~]+$",
                "example": "7b0e2f1c-58b5-4d2a-9f4e-2c1d8a6b3e90",
            },
        },
        "Verification": {
            "name": "verification", "in": "cookie",
            "description": "The cookie of an earlier response, which stands in for the parameter `verification`.",
            "schema": { "type": "string" },
        },
    })
}

fn headers() -> Value {
    let text = |description: &str| json!({ "description": description, "schema": { "type": "string" } });
    let constant = |value: &str, description: &str| {
        json!({
            "description": description, "required": true, "schema": { "type": "string", "enum": [value] },
        })
    };
    json!({
        "Cache-Control": constant("no-store", "No cache stores the response."),
        "X-Content-Type-Options": constant("nosniff", "The content type is right."),
        "X-Request-Id": text("The name of the request in the log. A response of the gateway itself has none."),
        "Retry-After": {
            "description": "Seconds until a retry may succeed.",
            "schema": { "type": "integer", "minimum": 0 },
        },
        "Authorization": text("The renewed session, as `Bearer …`, after a request with a session."),
        "X-Amzn-Remapped-Authorization": text("`Authorization`, as REST APIs of API Gateway rename it."),
        "Set-Cookie": {
            "description": "`verification`, for the next call of the flow. It is empty after the last one.",
            "schema": {
                "type": "string",
                "pattern": "^verification=[!-~]*; HttpOnly; Secure; SameSite=Lax; Path=/; Max-Age=[0-9]+$",
            },
        },
        "Content-Security-Policy": text("The policy of a page."),
        "Referrer-Policy": text("The policy of a page."),
    })
}
