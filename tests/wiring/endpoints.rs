//! Reads `functions/endpoints.toml`, the one list of the functions.

use crate::bundle::root;
use serde::Deserialize;
use std::{collections::BTreeMap, fs};

/// `functions/endpoints.toml`, which documents its keys.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Endpoints {
    pub functions: Vec<Function>,
    pub alarm_groups: Vec<AlarmGroup>,
    pub memory_reasons: BTreeMap<u32, String>,
    pub timeout_reasons: BTreeMap<u32, String>,
}

#[expect(clippy::struct_excessive_bools, reason = "each is a key of functions/endpoints.toml")]
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Function {
    pub name: String,
    pub description: String,
    #[serde(default)]
    pub routes: Vec<String>,
    pub page: Option<String>,
    #[serde(default)]
    pub files: bool,
    #[serde(default)]
    pub service: bool,
    #[serde(default)]
    pub refusals_fail: bool,
    #[serde(default)]
    pub stream: bool,
    pub memory_mib: Option<u32>,
    pub timeout_seconds: Option<u32>,
    #[serde(default)]
    pub required: Vec<String>,
    #[serde(default)]
    pub optional: Vec<String>,
    #[serde(default)]
    pub cookie: bool,
    pub caller: Option<String>,
    pub success: Option<u16>,
    #[serde(default = "success")]
    pub result: String,
    #[serde(default)]
    pub returns: Vec<String>,
    #[serde(default)]
    pub errors: Vec<String>,
    #[serde(default)]
    pub sends: bool,
    #[serde(default)]
    pub warmed: bool,
    pub alarms: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AlarmGroup {
    pub name: String,
    pub covers: String,
}

impl Endpoints {
    pub fn load() -> Self {
        toml::from_str(&fs::read_to_string(root().join("functions/endpoints.toml")).unwrap()).unwrap()
    }

    /// The text of every function in the file's order.
    pub fn each(&self, separator: &str, text: fn(&Function) -> String) -> String {
        self.functions.iter().map(text).collect::<Vec<_>>().join(separator)
    }
}

impl Function {
    /// The start of its resources' logical ids: `SendCode` for `send-code`.
    pub fn camel(&self) -> String {
        camel(&self.name)
    }

    /// Method and path of every route, in the template's order.
    pub fn calls(&self) -> Vec<(&str, &str)> {
        self.page.iter().chain(&self.routes).map(|route| route.split_once(' ').unwrap()).collect()
    }
}

/// The usual `data` of a success.
fn success() -> String {
    "success".to_owned()
}

/// Returns `SendCode` for `send-code`.
pub fn camel(kebab: &str) -> String {
    kebab.split('-').map(|word| word[..1].to_uppercase() + &word[1..]).collect()
}
