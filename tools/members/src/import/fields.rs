//! The two formats: a line becomes fields by their names.

use std::{collections::BTreeMap, path::Path};

use csv::{ReaderBuilder, StringRecord, WriterBuilder};
use serde_json::{Map, Value, json};

use super::{
    field_error::FieldError,
    lines::{Line, Lines},
};
use crate::error::Error;

/// The fields that a line may have.
const NAMES: [&str; 13] = [
    "id",
    "phone",
    "email",
    "email_verified",
    "password",
    "password_form",
    "password_salt",
    "pay_password",
    "pay_password_form",
    "pay_password_salt",
    "language",
    "cooling_since",
    "created_at",
];

/// What a refused line says besides; when it is fed back it is ignored.
const ERROR: &str = "error";

/// The fields of a line that are not empty.
pub type Fields = BTreeMap<&'static str, String>;

/// How a line is written.
pub enum Format {
    /// With the names of the first line.
    Csv(Vec<String>),
    /// An object each.
    JsonLines,
}

fn known(name: &str) -> Option<&'static str> {
    NAMES.into_iter().find(|known| *known == name)
}

/// What is wrong with a name. Where the names are missing a hash may stand in their place, which is not told.
fn unknown(name: &str) -> String {
    let is_name = name.len() <= 40 && name.chars().all(|c| c.is_alphabetic() || matches!(c, '_' | '-' | ' '));
    if is_name { format!("no field is named {name:?}") } else { "a name of a field is missing".to_owned() }
}

impl Format {
    /// The format of a file, by its name or how it begins, and, of CSV, its first line.
    pub fn of(path: &Path, lines: &mut Lines) -> Result<Self, Error> {
        let Some(first) = lines.line()? else {
            return Err(Error::Usage(format!("{} is empty", path.display())));
        };
        if is_json(path) || first.bytes.trim_ascii_start().starts_with(b"{") {
            lines.skip_to(0, 0)?;
            return Ok(Self::JsonLines);
        }
        let record = csv_record(&first).map_err(|fault| Error::Usage(format!("line 1, {fault}")))?;
        let names: Vec<_> = record.iter().map(|name| name.trim().to_owned()).collect();
        for (at, name) in names.iter().enumerate() {
            if known(name).is_none() && name != ERROR {
                let (fault, names) = (unknown(name), NAMES.join(", "));
                return Err(Error::Usage(format!("line 1: {fault}; there are {names}")));
            }
            if names.iter().take(at).any(|before| before == name) {
                return Err(Error::Usage(format!("line 1: {name:?} stands there twice")));
            }
        }
        Ok(Self::Csv(names))
    }

    /// The fields of a line.
    pub fn fields(&self, line: &Line) -> Result<Fields, FieldError> {
        if line.is_cut {
            return Err(FieldError::new("line", "it is too long"));
        }
        match self {
            Self::Csv(names) => csv_fields(names, line),
            Self::JsonLines => json_fields(line),
        }
    }

    /// What stands before the refused lines.
    pub fn head(&self) -> Result<Vec<u8>, Error> {
        match self {
            Self::Csv(names) => {
                let names = names.iter().map(String::as_str).filter(|name| *name != ERROR);
                csv_line(names.chain([ERROR]).map(str::as_bytes))
            }
            Self::JsonLines => Ok(Vec::new()),
        }
    }

    /// A refused line with its fault, in the same format.
    pub fn refused(&self, line: &Line, fault: &FieldError) -> Result<Vec<u8>, Error> {
        let fault = fault.to_string();
        match self {
            Self::Csv(names) => {
                let Some(record) = csv_record(line).ok().filter(|record| record.len() >= names.len()) else {
                    // What cannot be told apart stays as it is, to be corrected by hand.
                    return Ok([&line.bytes, &b","[..], fault.as_bytes(), &b"\n"[..]].concat());
                };
                let surplus = record.iter().skip(names.len());
                let kept = names.iter().enumerate().filter(|(_, name)| *name != ERROR);
                let kept = kept.map(|(at, _)| record.get(at).unwrap_or_default());
                csv_line(kept.chain([fault.as_str()]).chain(surplus).map(str::as_bytes))
            }
            Self::JsonLines => {
                let mut object = match serde_json::from_slice(&line.bytes) {
                    Ok(Value::Object(object)) => object,
                    // To be corrected by hand.
                    _ => Map::from_iter([("line".to_owned(), json!(String::from_utf8_lossy(&line.bytes)))]),
                };
                object.insert(ERROR.to_owned(), fault.into());
                let mut text = serde_json::to_vec(&object).map_err(Error::internal)?;
                text.push(b'\n');
                Ok(text)
            }
        }
    }
}

/// `FILE.jsonl.errors` is as `FILE.jsonl`.
fn is_json(path: &Path) -> bool {
    let extension = path.extension().map(|text| text.to_string_lossy().to_lowercase()).unwrap_or_default();
    match (extension.as_str(), path.file_stem()) {
        ("jsonl" | "ndjson" | "json", _) => true,
        ("errors", Some(stem)) => is_json(Path::new(stem)),
        _ => false,
    }
}

/// A salt is what it is to the last space.
fn trimmed<'a>(name: &str, value: &'a str) -> &'a str {
    if name.ends_with("_salt") { value } else { value.trim() }
}

fn csv_record(line: &Line) -> Result<StringRecord, FieldError> {
    let text = std::str::from_utf8(&line.bytes).map_err(|_| FieldError::new("line", "it is not UTF-8"))?;
    if text.matches('"').count() % 2 == 1 {
        return Err(FieldError::new("line", "a quotation mark is not closed"));
    }
    let mut reader = ReaderBuilder::new().has_headers(false).flexible(true).from_reader(text.as_bytes());
    let mut record = StringRecord::new();
    match reader.read_record(&mut record) {
        Ok(true) => {}
        Ok(false) | Err(_) => return Err(FieldError::new("line", "it is no CSV")),
    }
    match reader.read_record(&mut StringRecord::new()) {
        Ok(false) => Ok(record),
        Ok(true) | Err(_) => Err(FieldError::new("line", "there is a line break in it")),
    }
}

fn csv_line<'a>(fields: impl Iterator<Item = &'a [u8]>) -> Result<Vec<u8>, Error> {
    let mut writer = WriterBuilder::new().flexible(true).from_writer(Vec::new());
    writer.write_record(fields).map_err(Error::internal)?;
    writer.into_inner().map_err(Error::internal)
}

fn csv_fields(names: &[String], line: &Line) -> Result<Fields, FieldError> {
    let record = csv_record(line)?;
    if record.len() != names.len() {
        let (has, wanted) = (record.len(), names.len());
        return Err(FieldError::new(
            "line",
            format!("it has {has} fields where the first line names {wanted}"),
        ));
    }
    let fields =
        names.iter().zip(&record).filter_map(|(name, value)| Some((known(name)?, trimmed(name, value))));
    Ok(fields.filter(|(_, value)| !value.is_empty()).map(|(name, value)| (name, value.to_owned())).collect())
}

fn json_fields(line: &Line) -> Result<Fields, FieldError> {
    let object: Map<String, Value> =
        serde_json::from_slice(&line.bytes).map_err(|_| FieldError::new("line", "it is no JSON object"))?;
    let mut fields = Fields::new();
    for (name, value) in object {
        let Some(known) = known(&name) else {
            if name == ERROR {
                continue;
            }
            return Err(FieldError::new("line", unknown(&name)));
        };
        let text = match value {
            Value::Null => continue,
            Value::String(text) => trimmed(known, &text).to_owned(),
            Value::Bool(_) | Value::Number(_) => value.to_string(),
            // Keycloak's credentials.
            Value::Object(_) if known.ends_with("password") => value.to_string(),
            Value::Object(_) | Value::Array(_) => return Err(FieldError::new(known, "it is no text")),
        };
        if !text.is_empty() {
            fields.insert(known, text);
        }
    }
    Ok(fields)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str) -> Line {
        Line { number: 2, bytes: text.as_bytes().to_vec(), is_cut: false }
    }

    #[test]
    fn a_refused_line_reads_as_it_was_once_its_error_is_ignored() {
        let names: Vec<_> = ["id", "phone", "password"].map(str::to_owned).into();
        let format = Format::Csv(names);
        let was = line("1,13627140483,\"a,\"\"b\"\"\"");
        let refused = format.refused(&was, &FieldError::new("phone", "not, good")).unwrap();
        let head = String::from_utf8(format.head().unwrap()).unwrap();
        assert_eq!(head, "id,phone,password,error\n");
        let again = Format::Csv(head.trim().split(',').map(str::to_owned).collect());
        let refused = line(String::from_utf8(refused).unwrap().trim_end());
        assert_eq!(again.fields(&refused).unwrap(), format.fields(&was).unwrap());

        let was = line(r#"{"id":"1","phone":13627140483}"#);
        let refused = Format::JsonLines.refused(&was, &FieldError::new("phone", "not good")).unwrap();
        let refused = line(String::from_utf8(refused).unwrap().trim_end());
        assert_eq!(Format::JsonLines.fields(&refused).unwrap(), Format::JsonLines.fields(&was).unwrap());
    }

    #[test]
    fn a_malformed_line_is_told_and_never_read_into_the_next() {
        let format = Format::Csv(vec!["id".to_owned(), "phone".to_owned()]);
        for (text, expected) in [
            ("1", "line: it has 1 fields where the first line names 2"),
            ("1,2,3", "line: it has 3 fields where the first line names 2"),
            ("\"1,2", "line: a quotation mark is not closed"),
            ("1,2\r3,4", "line: there is a line break in it"),
        ] {
            assert_eq!(format.fields(&line(text)).unwrap_err().to_string(), expected);
        }
        for (text, expected) in [
            ("{", "line: it is no JSON object"),
            ("[]", "line: it is no JSON object"),
            (r#"{"id":"1","mail":"x"}"#, "line: no field is named \"mail\""),
            (r#"{"id":["1"]}"#, "id: it is no text"),
        ] {
            assert_eq!(Format::JsonLines.fields(&line(text)).unwrap_err().to_string(), expected);
        }
    }

    #[test]
    fn the_errors_of_a_file_have_its_format() {
        for json in ["members.jsonl", "members.jsonl.errors", "members.ndjson.errors.errors", "MEMBERS.JSON"]
        {
            assert!(is_json(Path::new(json)), "{json}");
        }
        for csv in ["members.csv.errors", "members.csv", "errors", "json"] {
            assert!(!is_json(Path::new(csv)), "{csv}");
        }
    }
}
