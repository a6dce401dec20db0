//! Reads the functions, routes and table from `template.yaml`, so that the local stack runs what is deployed.

mod account;
mod document;
pub mod grants;
mod intrinsics;
mod stream;
mod yaml;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::Path,
    time::Duration,
};

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use document::{
    Document, FunctionProperties, Metadata, Resource, RouteProperties, ScheduleProperties, TableProperties,
};
use intrinsics::{Names, text_of};
use stream::StreamProperties;

pub use account::{ACCOUNT_ID, REGION, stream_arn};
pub use stream::{Filter, Subscription};
pub use yaml::parse as parse_yaml;

const FUNCTION: &str = "AWS::Serverless::Function";
const TABLE: &str = "AWS::DynamoDB::Table";

/// The part of a SAM template that the local stack serves.
#[derive(Debug)]
pub struct Template {
    /// Every `AWS::Serverless::Function`, by logical id.
    pub functions: Vec<Function>,
    /// The `AWS::DynamoDB::Table`.
    pub table: Table,
}

/// One function of the template.
#[derive(Debug)]
pub struct Function {
    /// The resource's name in the template, such as `SendCodeFunction`.
    pub logical_id: String,
    /// The binary of the function, such as `send-code`, which is also its name in the local stack.
    pub binary: String,
    /// The routes that lead to the function.
    pub routes: Vec<Route>,
    /// The events that schedules send to the function.
    pub schedules: Vec<Value>,
    /// The subscriptions of the function to the table's stream.
    pub subscriptions: Vec<Subscription>,
    /// The environment variables. `None` stands for a value that only AWS can determine.
    pub variables: BTreeMap<String, Option<String>>,
    /// The memory in MiB.
    pub memory_mib: u32,
    /// The longest duration of an invocation.
    pub timeout: Duration,
}

/// A path and method that lead to a function.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Route {
    /// The path, such as `/member/userservice/security`.
    pub path: String,
    /// The method in capitals, or `ANY`.
    pub method: String,
}

/// The table of the template.
#[derive(Debug)]
pub struct Table {
    /// The resource's name in the template.
    pub logical_id: String,
    /// The `TableName`, or the logical id if the template does not set one.
    pub name: String,
    /// The parameters of DynamoDB's `CreateTable`, without the name.
    pub schema: Map<String, Value>,
    /// The attribute that contains the expiry time of an item.
    pub ttl_attribute: Option<String>,
}

/// Why a template cannot be used. Each message is one line.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file cannot be read.
    #[error("cannot read the template: {0}")]
    Unopened(#[from] io::Error),
    /// The file is not valid YAML.
    #[error("line {line}, column {column}: {reason}")]
    Syntax {
        /// The line, starting at 1.
        line: usize,
        /// The column, starting at 1.
        column: usize,
        /// The message of the parser.
        reason: String,
    },
    /// The file is valid YAML, but uses features that are not supported in templates.
    #[error("a key or value is not text, a number, a list or a map")]
    Unreadable,
    /// A property is missing or has the wrong type.
    #[error("{location}: {reason}")]
    Invalid {
        /// The resource's logical id, or the template's section.
        location: String,
        /// The cause.
        reason: serde_json::Error,
    },
    /// A function subscribes to a stream other than the table's.
    #[error("{location}: an event of type DynamoDB must use the stream of the template's table")]
    Stream {
        /// The function's logical id.
        location: String,
    },
    /// The role of a function is not in the template, so its permissions cannot be determined.
    #[error("{location}: Role must refer to an AWS::IAM::Role of the template")]
    Role {
        /// The function's logical id.
        location: String,
    },
    /// A managed policy of a role is not in the template, so its permissions cannot be determined.
    #[error("{location}: ManagedPolicyArns must refer to an AWS::IAM::ManagedPolicy of the template")]
    Policy {
        /// The role's logical id.
        location: String,
    },
    /// A statement restricts the attributes of some requests only, so the others may read all.
    #[error("{location}: dynamodb:Attributes and dynamodb:Select restrict reads only together")]
    Attributes {
        /// The logical id of the role or policy.
        location: String,
    },
    /// A statement of a role contains a wildcard or variable that cannot be evaluated.
    #[error("{location}: unsupported wildcard or variable in `{pattern}`")]
    Pattern {
        /// The logical id of the role or policy.
        location: String,
        /// The action or key.
        pattern: String,
    },
    /// The template has no function.
    #[error("expected at least one AWS::Serverless::Function, found 0")]
    NoFunction,
    /// The template does not have exactly one table.
    #[error("expected one AWS::DynamoDB::Table, found {0}")]
    Tables(usize),
}

impl Template {
    /// Reads the template at `path`.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn load(path: &Path) -> Result<Self, Error> {
        Self::parse(&fs::read_to_string(path)?)
    }

    /// Reads the template in `text`.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn parse(text: &str) -> Result<Self, Error> {
        let (document, table, names) = read(text)?;
        let globals: FunctionProperties =
            deserialize("Globals", names.resolve_entries(&document.globals.function))?;
        let functions = resources_of_type(&document.resources, FUNCTION)
            .map(|(logical_id, resource)| Function::new(logical_id, resource, &globals, &names, &table))
            .collect::<Result<Vec<_>, _>>()?;
        if functions.is_empty() {
            return Err(Error::NoFunction);
        }
        Ok(Self { functions, table })
    }

    /// Returns the names of all environment variables that the functions declare.
    #[must_use]
    pub fn variable_names(&self) -> BTreeSet<&str> {
        self.functions.iter().flat_map(|function| function.variables.keys().map(String::as_str)).collect()
    }
}

impl Function {
    fn new(
        logical_id: &str,
        resource: &Resource,
        globals: &FunctionProperties,
        names: &Names,
        table: &Table,
    ) -> Result<Self, Error> {
        let metadata: Metadata = deserialize(logical_id, names.resolve_entries(&resource.metadata))?;
        let own: FunctionProperties = deserialize(logical_id, names.resolve_entries(&resource.properties))?;
        let mut routes = Vec::new();
        let mut schedules = Vec::new();
        let mut subscriptions = Vec::new();
        for event in own.events.into_values() {
            match event.kind.as_str() {
                "Api" | "HttpApi" => {
                    let route: RouteProperties = deserialize(logical_id, event.properties)?;
                    routes.push(route.into());
                }
                "Schedule" | "ScheduleV2" => {
                    let schedule: ScheduleProperties = deserialize(logical_id, event.properties)?;
                    schedules.push(schedule.input);
                }
                "DynamoDB" => {
                    let properties: StreamProperties = deserialize(logical_id, event.properties)?;
                    if table.stream_arn().is_none_or(|arn| properties.stream != arn.as_str()) {
                        return Err(Error::Stream { location: logical_id.to_owned() });
                    }
                    subscriptions.push(properties.into());
                }
                _ => {}
            }
        }
        let variables = globals.environment.variables.iter().chain(&own.environment.variables);
        Ok(Self {
            logical_id: logical_id.to_owned(),
            binary: metadata.build_properties.binary,
            routes,
            schedules,
            subscriptions,
            variables: variables.map(|(name, value)| (name.clone(), text_of(value))).collect(),
            // The defaults of Lambda.
            memory_mib: own.memory_size.or(globals.memory_size).unwrap_or(128),
            timeout: Duration::from_secs(own.timeout.or(globals.timeout).unwrap_or(3).into()),
        })
    }
}

/// Parses `text`. Returns the document, its table, and the names to which it may refer.
fn read(text: &str) -> Result<(Document, Table, Names), Error> {
    let document: Document = deserialize("the template", yaml::parse(text)?)?;
    let defaults = document.parameters.iter();
    let parameters: Vec<_> =
        defaults.filter_map(|(name, parameter)| Some((name.clone(), parameter.default.clone()?))).collect();
    let table = Table::new(&document.resources, &Names::new(parameters.clone()))?;
    let table_names = [
        (table.logical_id.clone(), Value::from(table.name.as_str())),
        (format!("{}.Arn", table.logical_id), Value::from(table.arn())),
        (format!("{}.StreamArn", table.logical_id), Value::from(table.stream_arn())),
    ];
    let names = Names::new(parameters.into_iter().chain(table_names));
    Ok((document, table, names))
}

impl Table {
    /// Returns the ARN of the table.
    #[must_use]
    pub fn arn(&self) -> String {
        account::table_arn(&self.name)
    }

    /// Returns the ARN of the table's stream, if it has one.
    fn stream_arn(&self) -> Option<String> {
        self.schema.contains_key("StreamSpecification").then(|| stream_arn(&self.name))
    }

    fn new(resources: &BTreeMap<String, Resource>, names: &Names) -> Result<Self, Error> {
        let tables: Vec<_> = resources_of_type(resources, TABLE).collect();
        let [(logical_id, resource)] = tables.as_slice() else {
            return Err(Error::Tables(tables.len()));
        };
        let properties: TableProperties =
            deserialize(logical_id, names.resolve_entries(&resource.properties))?;
        let mut schema = properties.schema;
        schema.retain(|name, value| SCHEMA.contains(&name.as_str()) && !value.is_null());
        // CreateTable requires this field, which CloudFormation does not have.
        if let Some(Value::Object(stream)) = schema.get_mut("StreamSpecification") {
            stream.insert("StreamEnabled".to_owned(), Value::Bool(true));
        }
        Ok(Self {
            logical_id: (*logical_id).clone(),
            name: properties.table_name.unwrap_or_else(|| (*logical_id).clone()),
            schema,
            ttl_attribute: properties.time_to_live_specification.map(|ttl| ttl.attribute_name),
        })
    }
}

/// The properties of a table that `CreateTable` needs. The others concern its operation in AWS.
const SCHEMA: [&str; 5] =
    ["AttributeDefinitions", "BillingMode", "GlobalSecondaryIndexes", "KeySchema", "StreamSpecification"];

fn resources_of_type<'a>(
    resources: &'a BTreeMap<String, Resource>,
    kind: &'a str,
) -> impl Iterator<Item = (&'a String, &'a Resource)> {
    resources.iter().filter(move |(_, resource)| resource.kind == kind)
}

fn deserialize<T: DeserializeOwned>(location: &str, value: Value) -> Result<T, Error> {
    serde_json::from_value(value).map_err(|reason| Error::Invalid { location: location.to_owned(), reason })
}

#[cfg(test)]
mod tests;
