//! The two input formats, CSV and JSON lines: how a line is split into named fields.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use csv::{ReaderBuilder, StringRecord, WriterBuilder};

use super::{
    field_error::FieldError,
    json_line::{self, JsonLine},
    lines::{Line, Lines, MAX_LINE_BYTES},
};
use crate::error::Error;

/// The names of all fields.
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

/// The field that the rejects file adds. It is ignored in the input, so that a corrected rejects file can be imported.
const ERROR: &str = "error";

/// The first bytes of files that are neither CSV nor JSON lines in UTF-8, with a description.
const OTHER_FORMATS: [(&[u8], &str); 6] = [
    (b"\xff\xfe", UTF_16),
    (b"\xfe\xff", UTF_16),
    (b"PK\x03\x04", "a spreadsheet or another archive; export it as CSV in UTF-8"),
    (b"\xd0\xcf\x11\xe0", "a spreadsheet; export it as CSV in UTF-8"),
    (b"\x1f\x8b", "compressed; decompress it"),
    (b"[", "a JSON array; write an object per line, as `jq -c '.[]'` does"),
];
const UTF_16: &str = "UTF-16; save it as UTF-8";

/// The non-empty fields of a line by name.
pub type Fields = BTreeMap<&'static str, String>;

/// The format of a file.
pub enum Format {
    /// CSV, with the names of its header.
    Csv(Vec<String>),
    /// A JSON object per line.
    JsonLines,
}

fn field_name(name: &str) -> Option<&'static str> {
    NAMES.into_iter().find(|field| *field == name)
}

/// Describes an unknown name. If a file has no header, the name may be a member's data, which is not repeated.
fn unknown_name(name: &str) -> String {
    let is_name = name.len() <= 40 && name.chars().all(|c| c.is_alphabetic() || matches!(c, '_' | '-' | ' '));
    if is_name { format!("unknown field {name:?}") } else { "a field name is missing".to_owned() }
}

impl Format {
    /// Detects the format of a file by its name or its first byte. Reads the header of CSV.
    pub fn detect(path: &Path, lines: &mut Lines) -> Result<Self, Error> {
        let Some(first) = lines.line()? else {
            return Err(Error::Usage(format!("{} is empty", path.display())));
        };
        let begin = first.bytes.trim_ascii_start();
        let other = OTHER_FORMATS.into_iter().find(|(magic, _)| begin.starts_with(magic));
        // Only UTF-16 and UTF-32 have zero bytes, which they can have without a byte order mark.
        let other = other.map(|(_, format)| format).or(begin.contains(&0).then_some(UTF_16));
        if let Some(format) = other {
            return Err(Error::Usage(format!("{} is {format}", path.display())));
        }
        if is_json(path) || begin.starts_with(b"{") {
            lines.skip_to(0, 0)?;
            return Ok(Self::JsonLines);
        }
        let record = csv_record(&first).map_err(|error| Error::Usage(format!("line 1, {error}")))?;
        let names: Vec<_> = record.iter().map(|name| name.trim().to_owned()).collect();
        if let [only] = &*names
            && let Some(separator) = [";", "\t"].into_iter().find(|separator| only.contains(separator))
            && only.split(separator).all(|name| field_name(name.trim().trim_matches('"')).is_some())
        {
            let message = "line 1: the fields are separated by semicolons or tabs; separate them by commas";
            return Err(Error::Usage(message.to_owned()));
        }
        for (at, name) in names.iter().enumerate() {
            if field_name(name).is_none() && name != ERROR {
                let (problem, names) = (unknown_name(name), NAMES.join(", "));
                return Err(Error::Usage(format!("line 1: {problem}; the fields are {names}")));
            }
            if names.iter().take(at).any(|before| before == name) {
                return Err(Error::Usage(format!("line 1: field {name:?} occurs twice")));
            }
        }
        Ok(Self::Csv(names))
    }

    /// Splits a line into its fields.
    pub fn fields(&self, line: &Line) -> Result<Fields, FieldError> {
        if line.is_truncated {
            return Err(FieldError::new("line", format!("longer than {MAX_LINE_BYTES} bytes")));
        }
        match self {
            Self::Csv(names) => csv_fields(names, line),
            Self::JsonLines => json_fields(line),
        }
    }

    /// Returns the header of a rejects file.
    pub fn rejects_header(&self) -> Result<Vec<u8>, Error> {
        match self {
            Self::Csv(names) => {
                let names = names.iter().map(String::as_str).filter(|name| *name != ERROR);
                csv_line(names.chain([ERROR]).map(str::as_bytes))
            }
            Self::JsonLines => Ok(Vec::new()),
        }
    }

    /// Returns a rejected line with its error added, in the same format.
    pub fn rejected_line(&self, line: &Line, error: &FieldError) -> Result<Vec<u8>, Error> {
        let error = error.to_string();
        match self {
            Self::Csv(names) => {
                let Some(record) = csv_record(line).ok().filter(|record| record.len() >= names.len()) else {
                    // Its fields cannot be separated: the line is left as it is, to be corrected by hand.
                    return Ok([&line.bytes, &b","[..], error.as_bytes(), &b"\n"[..]].concat());
                };
                let surplus = record.iter().skip(names.len());
                let fields = names.iter().enumerate().filter(|(_, name)| *name != ERROR);
                let fields = fields.map(|(at, _)| record.get(at).unwrap_or_default());
                csv_line(fields.chain([error.as_str()]).chain(surplus).map(str::as_bytes))
            }
            Self::JsonLines => rejected_json(line, &error),
        }
    }
}

/// Whether the name is that of a JSON lines file. A rejects file, such as `FILE.jsonl.errors`, has its input's format.
fn is_json(path: &Path) -> bool {
    let extension = path.extension().map(|text| text.to_string_lossy().to_lowercase()).unwrap_or_default();
    match (extension.as_str(), path.file_stem()) {
        ("jsonl" | "ndjson" | "json", _) => true,
        ("errors", Some(stem)) => is_json(Path::new(stem)),
        _ => false,
    }
}

/// Removes surrounding whitespace, except from a salt, where it is significant.
fn trimmed<'a>(name: &str, value: &'a str) -> &'a str {
    if name.ends_with("_salt") { value } else { value.trim() }
}

fn csv_record(line: &Line) -> Result<StringRecord, FieldError> {
    let text = std::str::from_utf8(&line.bytes).map_err(|_| FieldError::not_utf8())?;
    if text.matches('"').count() % 2 == 1 {
        return Err(FieldError::new("line", "unclosed quotation mark"));
    }
    let mut reader = ReaderBuilder::new().has_headers(false).flexible(true).from_reader(text.as_bytes());
    let mut record = StringRecord::new();
    match reader.read_record(&mut record) {
        Ok(true) => {}
        Ok(false) | Err(_) => return Err(FieldError::new("line", "not CSV")),
    }
    match reader.read_record(&mut StringRecord::new()) {
        Ok(false) => Ok(record),
        Ok(true) | Err(_) => Err(FieldError::new("line", "contains a line break")),
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
        let (has, expected) = (record.len(), names.len());
        return Err(FieldError::new("line", format!("{has} fields, but the header names {expected}")));
    }
    let fields =
        names.iter().zip(&record).filter_map(|(name, value)| Some((field_name(name)?, trimmed(name, value))));
    Ok(fields.filter(|(_, value)| !value.is_empty()).map(|(name, value)| (name, value.to_owned())).collect())
}

fn json_fields(line: &Line) -> Result<Fields, FieldError> {
    let mut fields = Fields::new();
    let mut names = BTreeSet::new();
    for (name, value) in JsonLine::parse(&line.bytes)?.entries() {
        let Some(field) = field_name(name) else {
            if name == ERROR {
                continue;
            }
            return Err(FieldError::new("line", unknown_name(name)));
        };
        if !names.insert(field) {
            return Err(FieldError::new(field, "occurs twice"));
        }
        let text = json_line::text(field, value)?.unwrap_or_default();
        let text = trimmed(field, &text);
        if !text.is_empty() {
            fields.insert(field, text.to_owned());
        }
    }
    Ok(fields)
}

/// Returns a rejected line with its error as the last entry. The other entries are left as they are written.
fn rejected_json(line: &Line, error: &str) -> Result<Vec<u8>, Error> {
    let string = |text: &str| serde_json::to_string(text).map_err(Error::internal);
    let mut text = "{".to_owned();
    let mut add = |name: &str, value: &str| -> Result<(), Error> {
        text.extend([&*string(name)?, ":", value, if name == ERROR { "}\n" } else { "," }]);
        Ok(())
    };
    match JsonLine::parse(&line.bytes) {
        Ok(object) => {
            for (name, value) in object.entries().filter(|(name, _)| *name != ERROR) {
                add(name, value.get())?;
            }
        }
        // It is not an object: its text becomes a field, to be corrected by hand.
        Err(_) => add("line", &string(&String::from_utf8_lossy(&line.bytes))?)?,
    }
    add(ERROR, &string(error)?)?;
    Ok(text.into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str) -> Line {
        Line { number: 2, bytes: text.as_bytes().to_vec(), is_truncated: false }
    }

    #[test]
    fn rejected_line_parses_the_same_without_its_error() {
        let names: Vec<_> = ["id", "phone", "password"].map(str::to_owned).into();
        let format = Format::Csv(names);
        let original = line("1,13627140483,\"a,\"\"b\"\"\"");
        let rejected = format.rejected_line(&original, &FieldError::new("phone", "not, good")).unwrap();
        let header = String::from_utf8(format.rejects_header().unwrap()).unwrap();
        assert_eq!(header, "id,phone,password,error\n");
        let again = Format::Csv(header.trim().split(',').map(str::to_owned).collect());
        let rejected = line(String::from_utf8(rejected).unwrap().trim_end());
        assert_eq!(again.fields(&rejected).unwrap(), format.fields(&original).unwrap());

        let original = line(r#"{"id":100000000000000000001,"phone":13627140483}"#);
        let rejected =
            Format::JsonLines.rejected_line(&original, &FieldError::new("phone", "not good")).unwrap();
        let rejected = line(String::from_utf8(rejected).unwrap().trim_end());
        assert_eq!(
            Format::JsonLines.fields(&rejected).unwrap(),
            Format::JsonLines.fields(&original).unwrap()
        );
    }

    #[test]
    fn malformed_line_is_rejected_with_a_reason() {
        let format = Format::Csv(vec!["id".to_owned(), "phone".to_owned()]);
        for (text, expected) in [
            ("1", "line: 1 fields, but the header names 2"),
            ("1,2,3", "line: 3 fields, but the header names 2"),
            ("\"1,2", "line: unclosed quotation mark"),
            ("1,2\r3,4", "line: contains a line break"),
        ] {
            assert_eq!(format.fields(&line(text)).unwrap_err().to_string(), expected);
        }
        for (text, expected) in [
            ("{", "line: not a JSON object"),
            ("[]", "line: not a JSON object"),
            (r#"{"id":"1","mail":"x"}"#, "line: unknown field \"mail\""),
            (r#"{"id":["1"]}"#, "id: not a string, number or boolean"),
            (r#"{"id":007}"#, "line: not a JSON object"),
            (r#"{"id":"1","id":"2"}"#, "id: occurs twice"),
            (r#"{"id":null,"id":"2"}"#, "id: occurs twice"),
            (r#"{"id":"\ud83d"}"#, "id: contains half a surrogate pair"),
            (r#"{"id":1e21}"#, "id: a number that is not written in digits only; write it as a string"),
            (r#"{"id":1.0}"#, "id: a number that is not written in digits only; write it as a string"),
            (r#"{"id":-0}"#, "id: a number that is not written in digits only; write it as a string"),
            (
                r#"{"phone":1.362714e10}"#,
                "phone: a number that is not written in digits only; write it as a string",
            ),
        ] {
            assert_eq!(Format::JsonLines.fields(&line(text)).unwrap_err().to_string(), expected);
        }
    }

    #[test]
    fn json_values_are_read_as_they_are_written() {
        let text = r#" { "id" : 18446744073709551617 , "phone":"007","email_verified":true,"language":null,
            "password":{"b":1.0,"a":2},"password_salt":" 7 ","email":" " } "#;
        let fields = Format::JsonLines.fields(&line(text)).unwrap();
        let expected = [
            ("id", "18446744073709551617"),
            ("phone", "007"),
            ("email_verified", "true"),
            ("password", r#"{"b":1.0,"a":2}"#),
            ("password_salt", " 7 "),
        ];
        assert_eq!(fields, expected.map(|(name, value)| (name, value.to_owned())).into());
    }

    #[test]
    fn rejects_file_has_the_format_of_its_input() {
        for json in ["members.jsonl", "members.jsonl.errors", "members.ndjson.errors.errors", "MEMBERS.JSON"]
        {
            assert!(is_json(Path::new(json)), "{json}");
        }
        for csv in ["members.csv.errors", "members.csv", "errors", "json"] {
            assert!(!is_json(Path::new(csv)), "{csv}");
        }
    }
}
