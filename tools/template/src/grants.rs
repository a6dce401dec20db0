//! The permissions in the roles of the functions. The stack itself does not enforce them: tests compare them with the
//! requests that the functions make. An unsupported statement is an error, so that no permission is overlooked.

use std::{collections::BTreeMap, fs, path::Path};

use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, IgnoredAny},
};
use serde_json::{Map, Value};

use super::{
    Error, FUNCTION, deserialize,
    document::{Document, Metadata, Resource},
    intrinsics::{Names, function_call, text_of},
    read, resources_of_type,
};

const ROLE: &str = "AWS::IAM::Role";
const MANAGED_POLICY: &str = "AWS::IAM::ManagedPolicy";

/// A statement of a role, which allows actions on resources.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// The actions, such as `dynamodb:GetItem`.
    pub actions: Vec<String>,
    /// The patterns of ARNs, in which `*` matches any text. `None` stands for an ARN that only AWS can determine.
    pub resources: Vec<Option<String>>,
    /// Whether the statement applies to all resources except `resources`.
    pub excludes_resources: bool,
    /// The patterns of partition keys, in which `*` matches any text. Empty if the statement does not restrict keys.
    pub leading_keys: Vec<String>,
    /// The attributes that may be read, those of the key included. Empty if the statement does not restrict them.
    pub attributes: Vec<String>,
}

impl Grant {
    /// Whether the statement allows `action`, in `partition` if the action accesses an item.
    #[must_use]
    pub fn allows(&self, action: &str, partition: Option<&str>) -> bool {
        let keys = &self.leading_keys;
        self.actions.iter().any(|allowed| allowed == action)
            && (keys.is_empty()
                || partition.is_some_and(|pk| keys.iter().any(|pattern| is_like(pk, pattern))))
    }
}

impl Grant {
    /// Whether the statement allows a request that reads `attributes`, which are empty if it reads all.
    #[must_use]
    pub fn allows_reading<'a>(&self, attributes: impl IntoIterator<Item = &'a String>) -> bool {
        let mut attributes = attributes.into_iter().peekable();
        self.attributes.is_empty()
            || (attributes.peek().is_some() && attributes.all(|name| self.attributes.contains(name)))
    }
}

/// Whether `text` matches `pattern`, in which `*` matches any text, as in IAM's `StringLike`.
#[must_use]
pub fn is_like(text: &str, pattern: &str) -> bool {
    match pattern.split_once('*') {
        None => text == pattern,
        Some((start, pattern)) => text.strip_prefix(start).is_some_and(|rest| {
            (0..=rest.len()).filter_map(|at| rest.get(at..)).any(|rest| is_like(rest, pattern))
        }),
    }
}

/// Returns the statements of each function's role in the template at `path`, by the function's binary.
///
/// # Errors
/// See [`Error`].
pub fn load(path: &Path) -> Result<BTreeMap<String, Vec<Grant>>, Error> {
    parse(&fs::read_to_string(path)?)
}

fn parse(text: &str) -> Result<BTreeMap<String, Vec<Grant>>, Error> {
    let (document, _, names) = read(text)?;
    resources_of_type(&document.resources, FUNCTION)
        .map(|(logical_id, function)| {
            let metadata: Metadata = deserialize(logical_id, names.resolve_entries(&function.metadata))?;
            let role = function.properties.get("Role").and_then(|role| referent(role, &document, ROLE));
            let (role_id, role) = role.ok_or_else(|| Error::Role { location: logical_id.clone() })?;
            Ok((metadata.build_properties.binary, role_grants(role_id, role, &document, &names)?))
        })
        .collect()
}

fn role_grants(
    role_id: &str,
    role: &Resource,
    document: &Document,
    names: &Names,
) -> Result<Vec<Grant>, Error> {
    let inline: RoleProperties = properties(role_id, role, names)?;
    let mut grants = policy_grants(role_id, inline.policies)?;
    let managed = role.properties.get("ManagedPolicyArns").and_then(Value::as_array);
    for policy in managed.into_iter().flatten() {
        let (policy_id, policy) = referent(policy, document, MANAGED_POLICY)
            .ok_or_else(|| Error::Policy { location: role_id.to_owned() })?;
        grants.extend(policy_grants(policy_id, [properties(policy_id, policy, names)?])?);
    }
    Ok(grants)
}

fn properties<T: DeserializeOwned>(logical_id: &str, resource: &Resource, names: &Names) -> Result<T, Error> {
    deserialize(logical_id, names.resolve_entries(&resource.properties))
}

/// Returns the resource of the type `kind` to which `!Ref X` or `!GetAtt X.Arn` refers, with its logical id.
fn referent<'a>(value: &Value, document: &'a Document, kind: &str) -> Option<(&'a str, &'a Resource)> {
    let name = match function_call(value.as_object()?)? {
        ("Ref", name) => name.as_str()?,
        ("Fn::GetAtt", attribute) => attribute.as_str()?.strip_suffix(".Arn")?,
        _ => return None,
    };
    let (name, resource) = document.resources.get_key_value(name)?;
    (resource.kind == kind).then_some((name, resource))
}

fn policy_grants(logical_id: &str, policies: impl IntoIterator<Item = Policy>) -> Result<Vec<Grant>, Error> {
    let statements = policies.into_iter().flat_map(|policy| policy.policy_document.statement);
    statements.map(|statement| statement.grant(logical_id)).collect()
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RoleProperties {
    #[serde(default)]
    policies: Vec<Policy>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Policy {
    policy_document: PolicyDocument,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct PolicyDocument {
    statement: Vec<Statement>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Statement {
    #[serde(default, rename = "Sid")]
    _sid: IgnoredAny,
    #[serde(rename = "Effect")]
    _effect: Effect,
    action: Value,
    #[serde(default)]
    resource: Value,
    #[serde(default, deserialize_with = "some")]
    not_resource: Option<Value>,
    #[serde(default)]
    condition: Map<String, Value>,
}

#[derive(Deserialize)]
enum Effect {
    Allow,
}

/// The only supported conditions of a statement on items.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Condition {
    #[serde(rename = "ForAllValues:StringLike")]
    like: Partitions,
    #[serde(default, rename = "ForAllValues:StringEquals")]
    equal: Option<Attributes>,
    #[serde(default, rename = "StringEqualsIfExists")]
    select: Option<Selected>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Attributes {
    #[serde(rename = "dynamodb:Attributes")]
    attributes: Vec<String>,
}

/// Without this condition, a request that names no attributes would read all of them.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Selected {
    #[serde(rename = "dynamodb:Select")]
    _select: SpecificAttributes,
}

#[derive(Deserialize)]
enum SpecificAttributes {
    #[serde(rename = "SPECIFIC_ATTRIBUTES")]
    Specific,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Partitions {
    #[serde(rename = "dynamodb:LeadingKeys")]
    leading_keys: Vec<String>,
}

impl Statement {
    fn grant(self, logical_id: &str) -> Result<Grant, Error> {
        let actions: Vec<String> = deserialize(logical_id, Value::Array(list(self.action)))?;
        let is_for_table = actions.iter().any(|action| action.starts_with("dynamodb:"));
        let (mut leading_keys, mut attributes) = (Vec::new(), Vec::new());
        if is_for_table && !self.condition.is_empty() {
            let condition: Condition = deserialize(logical_id, Value::Object(self.condition))?;
            leading_keys = condition.like.leading_keys;
            attributes = match (condition.equal, condition.select) {
                (None, None) => Vec::new(),
                (Some(equal), Some(_)) => equal.attributes,
                _ => return Err(Error::Attributes { location: logical_id.to_owned() }),
            };
        }
        // Wildcards in actions, and wildcards other than `*` or policy variables in keys.
        let actions_with_wildcard = actions.iter().filter(|action| action.contains(['*', '?']));
        let unsupported_keys = leading_keys.iter().filter(|key| key.contains(['?', '$']));
        if let Some(pattern) = actions_with_wildcard.chain(unsupported_keys).next() {
            return Err(Error::Pattern { location: logical_id.to_owned(), pattern: pattern.clone() });
        }
        let excludes_resources = self.not_resource.is_some();
        let resources = list(self.not_resource.unwrap_or(self.resource)).iter().map(text_of).collect();
        Ok(Grant { actions, resources, excludes_resources, leading_keys, attributes })
    }
}

/// Returns the items of a list. IAM allows a single item without a list.
fn list(value: Value) -> Vec<Value> {
    match value {
        Value::Array(values) => values,
        one => vec![one],
    }
}

/// Reads a value as `Some`, even if it is null because only AWS can determine it.
fn some<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEMPLATE: &str = r"
Resources:
  Accounts:
    Type: AWS::DynamoDB::Table
    Properties: { TableName: accounts }
  SendCodeFunction:
    Type: AWS::Serverless::Function
    Metadata: { BuildProperties: { Binary: send-code } }
    Properties: { Role: !GetAtt SendCodeRole.Arn }
  SendCodeRole:
    Type: AWS::IAM::Role
    Properties:
      ManagedPolicyArns: [!Ref FunctionPolicy]
      Policies:
        - PolicyName: own
          PolicyDocument:
            Version: '2012-10-17'
            Statement:
              - Sid: WriteStore
                Effect: Allow
                Action: [dynamodb:DeleteItem, dynamodb:PutItem]
                Resource: !GetAtt Accounts.Arn
                Condition: {ForAllValues:StringLike: {dynamodb:LeadingKeys: [code#phone#*, connection]}}
              - Sid: Sms
                Effect: Allow
                Action: sns:Publish
                NotResource: !Sub arn:${AWS::Partition}:sns:*:*:*
  FunctionPolicy:
    Type: AWS::IAM::ManagedPolicy
    Properties:
      PolicyDocument:
        Statement:
          - Effect: Allow
            Action: secretsmanager:GetSecretValue
            Resource: !Ref Keys
            Condition: {StringEquals: {aws:PrincipalTag/of: accounts}}
";

    fn texts(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|&text| text.to_owned()).collect()
    }

    #[test]
    fn grants_include_inline_and_managed_policies() {
        let functions = parse(TEMPLATE).unwrap();
        let topics = Some("arn:aws:sns:*:*:*".to_owned());
        let expected = [
            Grant {
                actions: texts(&["dynamodb:DeleteItem", "dynamodb:PutItem"]),
                resources: vec![Some("arn:aws:dynamodb:us-east-1:000000000000:table/accounts".to_owned())],
                excludes_resources: false,
                leading_keys: texts(&["code#phone#*", "connection"]),
                attributes: Vec::new(),
            },
            Grant {
                actions: texts(&["sns:Publish"]),
                resources: vec![topics],
                excludes_resources: true,
                leading_keys: Vec::new(),
                attributes: Vec::new(),
            },
            Grant {
                actions: texts(&["secretsmanager:GetSecretValue"]),
                resources: vec![None],
                excludes_resources: false,
                leading_keys: Vec::new(),
                attributes: Vec::new(),
            },
        ];
        assert_eq!(functions, BTreeMap::from([("send-code".to_owned(), expected.to_vec())]));
    }

    #[test]
    fn grant_allows_only_its_actions_and_partitions() {
        let functions = parse(TEMPLATE).unwrap();
        let allowed = |action, pk| functions["send-code"].iter().any(|grant| grant.allows(action, pk));
        assert!(allowed("dynamodb:PutItem", Some("code#phone#+8613627140483#40")));
        assert!(allowed("dynamodb:DeleteItem", Some("connection")));
        assert!(allowed("sns:Publish", None));
        for (action, pk) in [
            ("dynamodb:UpdateItem", Some("code#phone#1")),
            ("dynamodb:PutItem", Some("code#email#1")),
            ("dynamodb:PutItem", Some("connection#1")),
            ("dynamodb:PutItem", None),
            ("ses:SendEmail", None),
        ] {
            assert!(!allowed(action, pk), "{action} {pk:?}");
        }
    }

    #[test]
    fn attributes_restrict_what_may_be_read() {
        let keys = "{dynamodb:LeadingKeys: [code#phone#*, connection]}}";
        let with =
            |more: &str| parse(&TEMPLATE.replace(keys, &format!("{}, {more}}}", &keys[..keys.len() - 1])));
        let (equal, select) = (
            "ForAllValues:StringEquals: {dynamodb:Attributes: [pk, sk, credential_version]}",
            "StringEqualsIfExists: {dynamodb:Select: SPECIFIC_ATTRIBUTES}",
        );
        let functions = with(&format!("{equal}, {select}")).unwrap();
        let grant = &functions["send-code"][0];
        assert!(grant.allows_reading(&texts(&["credential_version", "pk", "sk"])));
        assert!(!grant.allows_reading(&texts(&["password", "pk", "sk"])));
        assert!(!grant.allows_reading(&[]), "all attributes");
        for one in [equal, select] {
            let error = with(one).unwrap_err().to_string();
            assert!(error.starts_with("SendCodeRole: dynamodb:Attributes and dynamodb:Select"), "{error}");
        }
        let error = with(&format!("{equal}, {}", select.replace("SPECIFIC", "ALL"))).unwrap_err().to_string();
        assert!(error.starts_with("SendCodeRole: unknown variant `ALL_ATTRIBUTES`"), "{error}");
        assert!(parse(TEMPLATE).unwrap()["send-code"][0].allows_reading(&[]));
    }

    #[test]
    fn star_matches_any_text() {
        for (text, pattern, expected) in [
            ("code#phone#1#30", "code#*#30", true),
            ("code#phone#1#40", "code#*#30", false),
            ("code#", "code#*", true),
            ("a-code#1", "code#*", false),
            ("电话#1", "*#1", true),
            ("", "*", true),
            ("ab", "a*b*", true),
            ("ba", "a*b*", false),
        ] {
            assert_eq!(is_like(text, pattern), expected, "{text} like {pattern}");
        }
    }

    #[test]
    fn unsupported_statements_are_errors() {
        let with = |from: &str, to: &str| {
            assert!(TEMPLATE.contains(from), "{from}");
            parse(&TEMPLATE.replace(from, to)).unwrap_err().to_string()
        };
        for (error, expected) in [
            (
                with("!GetAtt SendCodeRole.Arn", "arn:aws:iam::1:role/elsewhere"),
                "SendCodeFunction: Role must refer to an AWS::IAM::Role of the template",
            ),
            (
                with("{ Role: !GetAtt SendCodeRole.Arn }", "{}"),
                "SendCodeFunction: Role must refer to an AWS::IAM::Role of the template",
            ),
            (
                with("[!Ref FunctionPolicy]", "[arn:aws:iam::aws:policy/AmazonDynamoDBFullAccess]"),
                "SendCodeRole: ManagedPolicyArns must refer to an AWS::IAM::ManagedPolicy of the template",
            ),
            (
                with("[dynamodb:DeleteItem, dynamodb:PutItem]", "dynamodb:*"),
                "SendCodeRole: unsupported wildcard or variable in `dynamodb:*`",
            ),
            (
                with("Action: secretsmanager:GetSecretValue", "Action: '*'"),
                "FunctionPolicy: unsupported wildcard or variable in `*`",
            ),
            (with("connection]", "code#?]"), "SendCodeRole: unsupported wildcard or variable in `code#?`"),
            (
                with("Action: sns:Publish", "NotAction: sns:Publish"),
                "SendCodeRole: unknown field `NotAction`",
            ),
            (with("Action: sns:Publish", "Action: !Ref Nothing"), "SendCodeRole: invalid type: null"),
            (
                with("ForAllValues:StringLike", "ForAnyValue:StringLike"),
                "SendCodeRole: unknown field `ForAnyValue:StringLike`",
            ),
            (
                with("dynamodb:LeadingKeys", "dynamodb:Attributes"),
                "SendCodeRole: unknown field `dynamodb:Attributes`",
            ),
            (
                with(
                    "Effect: Allow\n                Action: sns",
                    "Effect: Deny\n                Action: sns",
                ),
                "SendCodeRole: unknown variant `Deny`",
            ),
        ] {
            assert!(error.starts_with(expected), "{error}");
        }
    }
}
