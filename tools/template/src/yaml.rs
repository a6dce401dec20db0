//! Converts YAML to JSON, with CloudFormation's short tags in their long form.

use saphyr::{LoadableYamlNode, Scalar, Yaml};
use serde_json::{Map, Value};

use super::Error;

/// Parses a YAML document as JSON; `!Ref X` becomes `{"Ref": "X"}` and any other `!Tag v` becomes `{"Fn::Tag": v}`.
///
/// # Errors
/// [`Error::Syntax`], or [`Error::Unreadable`] if it contains what JSON cannot represent.
pub fn parse(text: &str) -> Result<Value, Error> {
    let documents = Yaml::load_from_str(text).map_err(|error| Error::Syntax {
        line: error.marker().line(),
        column: error.marker().col() + 1,
        reason: error.info().to_owned(),
    })?;
    documents.first().map_or(Ok(Value::Null), json)
}

fn json(node: &Yaml) -> Result<Value, Error> {
    Ok(match node {
        Yaml::Value(scalar) => match scalar {
            Scalar::Null => Value::Null,
            Scalar::Boolean(boolean) => Value::from(*boolean),
            Scalar::Integer(integer) => Value::from(*integer),
            Scalar::FloatingPoint(float) => Value::from(float.into_inner()),
            Scalar::String(text) => Value::from(text.as_ref()),
        },
        Yaml::Sequence(items) => Value::Array(items.iter().map(json).collect::<Result<_, _>>()?),
        Yaml::Mapping(entries) => Value::Object(
            entries
                .iter()
                .map(|(key, value)| Ok((key_text(key)?, json(value)?)))
                .collect::<Result<_, Error>>()?,
        ),
        Yaml::Tagged(tag, value) => {
            let function = match tag.suffix.as_str() {
                "Ref" | "Condition" => tag.suffix.clone(),
                name => format!("Fn::{name}"),
            };
            Value::Object(Map::from_iter([(function, json(value)?)]))
        }
        Yaml::Representation(..) | Yaml::Alias(_) | Yaml::BadValue => {
            return Err(Error::Unreadable);
        }
    })
}

fn key_text(key: &Yaml) -> Result<String, Error> {
    match json(key)? {
        Value::String(text) => Ok(text),
        Value::Array(_) | Value::Object(_) => Err(Error::Unreadable),
        scalar => Ok(scalar.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn short_tags_become_their_long_form() {
        let template = "
a: !Ref Name
b: !Sub '${Name}-x'
c: !GetAtt Table.Arn
d: !Sub ['${x}', {x: !Ref Name}]
e: { Fn::If: [Prod, 1, '01'] }
";
        assert_eq!(
            parse(template).unwrap(),
            json!({
                "a": {"Ref": "Name"},
                "b": {"Fn::Sub": "${Name}-x"},
                "c": {"Fn::GetAtt": "Table.Arn"},
                "d": {"Fn::Sub": ["${x}", {"x": {"Ref": "Name"}}]},
                "e": {"Fn::If": ["Prod", 1, "01"]},
            })
        );
    }

    #[test]
    fn syntax_error_names_line_and_column() {
        let error = parse("a: 1\nb: [1, 2\nc: 3\n").unwrap_err();
        assert!(error.to_string().starts_with("line "), "{error}");
    }
}
