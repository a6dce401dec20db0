//! What `template.yaml` says about functions, routes and the table, so that the laptop runs what deploys.

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
    /// The resource's name in the template, as `SendCodeFunction`.
    pub logical_id: String,
    /// The binary that cargo builds for it, as `send-code`; its name in the stack.
    pub binary: String,
    /// The requests it answers.
    pub routes: Vec<Route>,
    /// The events its schedules send it.
    pub schedules: Vec<Value>,
    /// What hands it the records of the table's stream.
    pub subscriptions: Vec<Subscription>,
    /// Its environment; `None` where only AWS knows the value.
    pub variables: BTreeMap<String, Option<String>>,
    /// Its memory, in MiB.
    pub memory_mib: u32,
    /// The longest an invocation may take.
    pub timeout: Duration,
}

/// A path and method that lead to a function.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Route {
    /// The path, as `/member/userservice/security`.
    pub path: String,
    /// The method in capitals, or `ANY`.
    pub method: String,
}

/// The table of the template.
#[derive(Debug)]
pub struct Table {
    /// The resource's name in the template.
    pub logical_id: String,
    /// Its `TableName`, or else its logical id.
    pub name: String,
    /// Its schema, as DynamoDB's `CreateTable` takes it, but for the name.
    pub schema: Map<String, Value>,
    /// The attribute that says when an item expires.
    pub ttl_attribute: Option<String>,
}

/// Why a template cannot be served; one line each.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file cannot be read.
    #[error("it cannot be read: {0}")]
    Unopened(#[from] io::Error),
    /// It is not YAML.
    #[error("line {line}, column {column}: {reason}")]
    Syntax {
        /// Line, from 1.
        line: usize,
        /// Column, from 1.
        column: usize,
        /// The parser's words.
        reason: String,
    },
    /// It is YAML, but not of the kind that templates are written in.
    #[error("it has a key or value that is neither text, number, list nor map")]
    Unreadable,
    /// A resource lacks something or has it in the wrong form.
    #[error("{place}: {reason}")]
    Shape {
        /// The resource's logical id, or the template's section.
        place: String,
        /// What is wrong.
        reason: serde_json::Error,
    },
    /// A function is to be handed the records of a stream that is not there.
    #[error("{place}: an event of type DynamoDB reads another stream than the table's")]
    Stream {
        /// The function's logical id.
        place: String,
    },
    /// It is not known what a function may do.
    #[error("{place}: its Role is no AWS::IAM::Role of the template")]
    Role {
        /// The function's logical id.
        place: String,
    },
    /// It is not known what a role allows.
    #[error("{place}: a managed policy of it is no AWS::IAM::ManagedPolicy of the template")]
    Policy {
        /// The role's logical id.
        place: String,
    },
    /// A role's statement has a pattern where none can be told apart.
    #[error("{place}: `{pattern}` could mean more than it says")]
    Pattern {
        /// The logical id of the role or policy.
        place: String,
        /// The action or key.
        pattern: String,
    },
    /// There is no function.
    #[error("it has no AWS::Serverless::Function")]
    NoFunction,
    /// There is no table, or more than one.
    #[error("it has {0} resources of type AWS::DynamoDB::Table, and the stack serves exactly one")]
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
            shape("Globals", names.resolve_entries(&document.globals.function))?;
        let functions = of_type(&document.resources, FUNCTION)
            .map(|(logical_id, resource)| Function::of(logical_id, resource, &globals, &names, &table))
            .collect::<Result<Vec<_>, _>>()?;
        if functions.is_empty() {
            return Err(Error::NoFunction);
        }
        Ok(Self { functions, table })
    }

    /// The name of every environment variable that some function declares.
    #[must_use]
    pub fn variable_names(&self) -> BTreeSet<&str> {
        self.functions.iter().flat_map(|function| function.variables.keys().map(String::as_str)).collect()
    }
}

impl Function {
    fn of(
        logical_id: &str,
        resource: &Resource,
        globals: &FunctionProperties,
        names: &Names,
        table: &Table,
    ) -> Result<Self, Error> {
        let metadata: Metadata = shape(logical_id, names.resolve_entries(&resource.metadata))?;
        let own: FunctionProperties = shape(logical_id, names.resolve_entries(&resource.properties))?;
        let mut routes = Vec::new();
        let mut schedules = Vec::new();
        let mut subscriptions = Vec::new();
        for event in own.events.into_values() {
            match event.kind.as_str() {
                "Api" | "HttpApi" => {
                    let route: RouteProperties = shape(logical_id, event.properties)?;
                    routes.push(route.into());
                }
                "Schedule" | "ScheduleV2" => {
                    let schedule: ScheduleProperties = shape(logical_id, event.properties)?;
                    schedules.push(schedule.input);
                }
                "DynamoDB" => {
                    let properties: StreamProperties = shape(logical_id, event.properties)?;
                    if table.stream_arn().is_none_or(|arn| properties.stream != arn.as_str()) {
                        return Err(Error::Stream { place: logical_id.to_owned() });
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
            // Lambda's own defaults.
            memory_mib: own.memory_size.or(globals.memory_size).unwrap_or(128),
            timeout: Duration::from_secs(own.timeout.or(globals.timeout).unwrap_or(3).into()),
        })
    }
}

/// What is written in `text`, with the names that it may refer to.
fn read(text: &str) -> Result<(Document, Table, Names), Error> {
    let document: Document = shape("the template", yaml::parse(text)?)?;
    let defaults = document.parameters.iter();
    let parameters: Vec<_> =
        defaults.filter_map(|(name, parameter)| Some((name.clone(), parameter.default.clone()?))).collect();
    let table = Table::of(&document.resources, &Names::new(parameters.clone()))?;
    let of_table = [
        (table.logical_id.clone(), Value::from(table.name.as_str())),
        (format!("{}.Arn", table.logical_id), Value::from(table.arn())),
        (format!("{}.StreamArn", table.logical_id), Value::from(table.stream_arn())),
    ];
    let names = Names::new(parameters.into_iter().chain(of_table));
    Ok((document, table, names))
}

impl Table {
    /// Its ARN.
    #[must_use]
    pub fn arn(&self) -> String {
        account::table_arn(&self.name)
    }

    /// The ARN of its stream, if it has one.
    fn stream_arn(&self) -> Option<String> {
        self.schema.contains_key("StreamSpecification").then(|| stream_arn(&self.name))
    }

    fn of(resources: &BTreeMap<String, Resource>, names: &Names) -> Result<Self, Error> {
        let tables: Vec<_> = of_type(resources, TABLE).collect();
        let [(logical_id, resource)] = tables.as_slice() else {
            return Err(Error::Tables(tables.len()));
        };
        let properties: TableProperties = shape(logical_id, names.resolve_entries(&resource.properties))?;
        let mut schema = properties.schema;
        schema.retain(|name, value| SCHEMA.contains(&name.as_str()) && !value.is_null());
        // CloudFormation leaves out what CreateTable wants to be told.
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

/// The properties of a table that shape what it stores; the others are about operating it.
const SCHEMA: [&str; 5] =
    ["AttributeDefinitions", "BillingMode", "GlobalSecondaryIndexes", "KeySchema", "StreamSpecification"];

fn of_type<'a>(
    resources: &'a BTreeMap<String, Resource>,
    kind: &'a str,
) -> impl Iterator<Item = (&'a String, &'a Resource)> {
    resources.iter().filter(move |(_, resource)| resource.kind == kind)
}

fn shape<T: DeserializeOwned>(place: &str, value: Value) -> Result<T, Error> {
    serde_json::from_value(value).map_err(|reason| Error::Shape { place: place.to_owned(), reason })
}

#[cfg(test)]
mod tests;
