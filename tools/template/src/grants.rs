//! What the functions' roles allow. The stack serves whoever asks; this is for tests, which hold it against
//! what the functions do. What cannot be read is an error, so that no grant is overlooked.

use std::{collections::BTreeMap, fs, path::Path};

use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, IgnoredAny},
};
use serde_json::{Map, Value};

use super::{
    Error, FUNCTION,
    document::{Document, Metadata, Resource},
    intrinsics::{Names, function_call, text_of},
    of_type, read, shape,
};

const ROLE: &str = "AWS::IAM::Role";
const MANAGED_POLICY: &str = "AWS::IAM::ManagedPolicy";

/// A statement of a role: what a function may do, and with what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// As `dynamodb:GetItem`.
    pub actions: Vec<String>,
    /// ARNs, in which `*` is any text; `None` where only AWS knows one.
    pub resources: Vec<Option<String>>,
    /// Whether it is of every resource but those.
    pub is_of_others: bool,
    /// The table's partition keys, in which `*` is any text. None where the statement does not speak of them.
    pub leading_keys: Vec<String>,
}

impl Grant {
    /// Whether it allows `action`, in that partition of the table if it is done in one.
    #[must_use]
    pub fn allows(&self, action: &str, partition: Option<&str>) -> bool {
        let keys = &self.leading_keys;
        self.actions.iter().any(|allowed| allowed == action)
            && (keys.is_empty()
                || partition.is_some_and(|pk| keys.iter().any(|pattern| is_like(pk, pattern))))
    }
}

/// Whether `text` is as `pattern` says, in which `*` is any text: IAM's `StringLike`.
#[must_use]
pub fn is_like(text: &str, pattern: &str) -> bool {
    match pattern.split_once('*') {
        None => text == pattern,
        Some((start, pattern)) => text.strip_prefix(start).is_some_and(|rest| {
            (0..=rest.len()).filter_map(|at| rest.get(at..)).any(|rest| is_like(rest, pattern))
        }),
    }
}

/// What each function of the template at `path` may do, by the function's binary.
///
/// # Errors
/// See [`Error`].
pub fn load(path: &Path) -> Result<BTreeMap<String, Vec<Grant>>, Error> {
    parse(&fs::read_to_string(path)?)
}

fn parse(text: &str) -> Result<BTreeMap<String, Vec<Grant>>, Error> {
    let (document, _, names) = read(text)?;
    of_type(&document.resources, FUNCTION)
        .map(|(logical_id, function)| {
            let metadata: Metadata = shape(logical_id, names.resolve_entries(&function.metadata))?;
            let role = function.properties.get("Role").and_then(|role| referred(role, &document, ROLE));
            let (place, role) = role.ok_or_else(|| Error::Role { place: logical_id.clone() })?;
            Ok((metadata.build_properties.binary, of_role(place, role, &document, &names)?))
        })
        .collect()
}

fn of_role(place: &str, role: &Resource, document: &Document, names: &Names) -> Result<Vec<Grant>, Error> {
    let own: RoleProperties = properties(place, role, names)?;
    let mut grants = of_documents(place, own.policies)?;
    let managed = role.properties.get("ManagedPolicyArns").and_then(Value::as_array);
    for policy in managed.into_iter().flatten() {
        let (place, policy) = referred(policy, document, MANAGED_POLICY)
            .ok_or_else(|| Error::Policy { place: place.to_owned() })?;
        grants.extend(of_documents(place, [properties(place, policy, names)?])?);
    }
    Ok(grants)
}

fn properties<T: DeserializeOwned>(place: &str, resource: &Resource, names: &Names) -> Result<T, Error> {
    shape(place, names.resolve_entries(&resource.properties))
}

/// The resource that `!Ref X` or `!GetAtt X.Arn` refers to.
fn referred<'a>(value: &Value, document: &'a Document, kind: &str) -> Option<(&'a str, &'a Resource)> {
    let name = match function_call(value.as_object()?)? {
        ("Ref", name) => name.as_str()?,
        ("Fn::GetAtt", attribute) => attribute.as_str()?.strip_suffix(".Arn")?,
        _ => return None,
    };
    let (name, resource) = document.resources.get_key_value(name)?;
    (resource.kind == kind).then_some((name, resource))
}

fn of_documents(place: &str, policies: impl IntoIterator<Item = Policy>) -> Result<Vec<Grant>, Error> {
    let statements = policies.into_iter().flat_map(|policy| policy.policy_document.statement);
    statements.map(|statement| statement.grant(place)).collect()
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
    #[serde(default, deserialize_with = "present")]
    not_resource: Option<Value>,
    #[serde(default)]
    condition: Map<String, Value>,
}

#[derive(Deserialize)]
enum Effect {
    Allow,
}

/// The one condition that a statement on items may have.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Condition {
    #[serde(rename = "ForAllValues:StringLike")]
    like: Partitions,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Partitions {
    #[serde(rename = "dynamodb:LeadingKeys")]
    leading_keys: Vec<String>,
}

impl Statement {
    fn grant(self, place: &str) -> Result<Grant, Error> {
        let actions: Vec<String> = shape(place, Value::Array(list(self.action)))?;
        let of_store = actions.iter().any(|action| action.starts_with("dynamodb:"));
        let leading_keys = if of_store && !self.condition.is_empty() {
            shape::<Condition>(place, Value::Object(self.condition))?.like.leading_keys
        } else {
            Vec::new()
        };
        // An action with a wildcard, a key with another wildcard than `*` or with a variable of IAM's.
        let unread = actions.iter().filter(|action| action.contains(['*', '?']));
        if let Some(pattern) = unread.chain(leading_keys.iter().filter(|key| key.contains(['?', '$']))).next()
        {
            return Err(Error::Pattern { place: place.to_owned(), pattern: pattern.clone() });
        }
        let is_of_others = self.not_resource.is_some();
        let resources = list(self.not_resource.unwrap_or(self.resource)).iter().map(text_of).collect();
        Ok(Grant { actions, resources, is_of_others, leading_keys })
    }
}

/// One is written as itself.
fn list(value: Value) -> Vec<Value> {
    match value {
        Value::Array(values) => values,
        one => vec![one],
    }
}

/// What is written, also where it is not known here.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
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
    fn a_function_may_do_what_its_role_and_the_roles_policies_allow() {
        let functions = parse(TEMPLATE).unwrap();
        let of_topics = Some("arn:aws:sns:*:*:*".to_owned());
        let expected = [
            Grant {
                actions: texts(&["dynamodb:DeleteItem", "dynamodb:PutItem"]),
                resources: vec![Some("arn:aws:dynamodb:us-east-1:000000000000:table/accounts".to_owned())],
                is_of_others: false,
                leading_keys: texts(&["code#phone#*", "connection"]),
            },
            Grant {
                actions: texts(&["sns:Publish"]),
                resources: vec![of_topics],
                is_of_others: true,
                leading_keys: Vec::new(),
            },
            Grant {
                actions: texts(&["secretsmanager:GetSecretValue"]),
                resources: vec![None],
                is_of_others: false,
                leading_keys: Vec::new(),
            },
        ];
        assert_eq!(functions, BTreeMap::from([("send-code".to_owned(), expected.to_vec())]));
    }

    #[test]
    fn a_grant_is_of_its_actions_and_partitions_alone() {
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
    fn a_star_is_any_text() {
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
    fn what_cannot_be_read_is_told() {
        let with = |from: &str, to: &str| {
            assert!(TEMPLATE.contains(from), "{from}");
            parse(&TEMPLATE.replace(from, to)).unwrap_err().to_string()
        };
        for (error, expected) in [
            (
                with("!GetAtt SendCodeRole.Arn", "arn:aws:iam::1:role/elsewhere"),
                "SendCodeFunction: its Role is no AWS::IAM::Role of the template",
            ),
            (
                with("{ Role: !GetAtt SendCodeRole.Arn }", "{}"),
                "SendCodeFunction: its Role is no AWS::IAM::Role of the template",
            ),
            (
                with("[!Ref FunctionPolicy]", "[arn:aws:iam::aws:policy/AmazonDynamoDBFullAccess]"),
                "SendCodeRole: a managed policy of it is no AWS::IAM::ManagedPolicy of the template",
            ),
            (
                with("[dynamodb:DeleteItem, dynamodb:PutItem]", "dynamodb:*"),
                "SendCodeRole: `dynamodb:*` could mean more than it says",
            ),
            (
                with("Action: secretsmanager:GetSecretValue", "Action: '*'"),
                "FunctionPolicy: `*` could mean more than it says",
            ),
            (with("connection]", "code#?]"), "SendCodeRole: `code#?` could mean more than it says"),
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
