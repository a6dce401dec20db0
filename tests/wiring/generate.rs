//! Writes the regions of the repository's files that repeat `functions/endpoints.toml`.
//!
//! A region is the lines between two comments, `endpoints:begin NAME` and `endpoints:end NAME`. `UPDATE=1` writes
//! the regions; otherwise [`apply`] compares them and fails on the first line that differs.

use super::endpoints::{AlarmGroup, Endpoints, Function, camel};
use crate::bundle::root;
use std::{
    collections::BTreeMap,
    env, fs,
    ops::Range,
    sync::{Mutex, PoisonError},
};

/// The metrics that one metric-math alarm takes (Amazon CloudWatch User Guide, "CloudWatch service quotas").
const METRICS_PER_ALARM: usize = 10;

/// Returns a file's text with its regions rewritten.
type Rewrite = fn(&Endpoints, &str) -> String;

/// The files with regions.
pub const FILES: [(&str, Rewrite); 4] = [
    ("template.yaml", template),
    ("functions/Cargo.toml", |endpoints, text| replace(text, "binaries", &endpoints.each("\n", binary))),
    ("Cargo.toml", |endpoints, text| replace(text, "routes", &endpoints.each("", watch_routes))),
    ("README.md", |endpoints, text| {
        replace(text, "table", &format!("{TABLE_HEAD}{}", endpoints.each("", table_rows)))
    }),
];

/// Whether the tests write what they would otherwise compare.
#[expect(clippy::disallowed_methods, reason = "a test reads its own variable")]
pub fn is_updating() -> bool {
    env::var_os("UPDATE").is_some()
}

/// Rewrites `file` if `UPDATE` is set. Otherwise fails if its text differs, and names the test that rewrites it.
pub fn apply(file: &str, test: &str, rewrite: impl FnOnce(&str) -> String) {
    // Two tests rewrite the template.
    static TURN: Mutex<()> = Mutex::new(());
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let path = root().join(file);
    let found = fs::read_to_string(&path).unwrap();
    let expected = rewrite(&found);
    if found == expected {
        return;
    }
    if is_updating() {
        // Renaming is atomic: other tests read the file at the same time.
        let new = path.with_added_extension("new");
        fs::write(&new, expected).unwrap();
        fs::rename(&new, &path).unwrap();
        return;
    }
    let same = found.lines().zip(expected.lines()).take_while(|(found, expected)| found == expected).count();
    let line = |text: &str| text.lines().nth(same).unwrap_or("(end of the file)").to_owned();
    panic!(
        "{file}:{}: the generated lines differ; run `UPDATE=1 cargo test {test}`\n  found:    {}\n  expected: {}",
        same + 1,
        line(&found),
        line(&expected)
    );
}

/// Returns the range of a region's lines, without those of its markers.
pub fn region(text: &str, name: &str) -> Option<Range<usize>> {
    ["\n", " -->\n"].iter().find_map(|close| {
        let begin = format!("endpoints:begin {name}{close}");
        let start = text.find(&begin)? + begin.len();
        let end = start + text[start..].find(&format!("endpoints:end {name}{close}"))?;
        Some(start..text[..end].rfind('\n')? + 1)
    })
}

/// Returns the text with the lines of a region replaced.
pub fn replace(text: &str, name: &str, lines: &str) -> String {
    let region = region(text, name).unwrap_or_else(|| panic!("no region {name}"));
    format!("{}{lines}{}", &text[..region.start], &text[region.end..])
}

fn binary(function: &Function) -> String {
    let name = &function.name;
    format!("[[bin]]\nname = \"{name}\"\npath = \"{name}.rs\"\ntest = false\n")
}

fn watch_routes(function: &Function) -> String {
    let name = &function.name;
    let line = |(method, path)| {
        format!("    {{ path = \"{path}\", methods = [\"{method}\"], function = \"{name}\" }},\n")
    };
    function.calls().into_iter().map(line).collect()
}

const TABLE_HEAD: &str = "| function | call | required | optional | caller |\n|---|---|---|---|---|\n";

fn table_rows(function: &Function) -> String {
    let cell = |text: &Option<String>| text.clone().unwrap_or_else(|| "–".to_owned());
    let Function { name, required, optional, caller, .. } = function;
    let others = [required, optional, caller].map(cell).join(" | ");
    let row = |(method, path)| format!("| `{name}` | `{method} {path}` | {others} |\n");
    function.calls().into_iter().map(row).collect()
}

fn template(endpoints: &Endpoints, text: &str) -> String {
    let current = |name: &str| region(text, name).map_or("", |region| &text[region]);
    // The permission test writes the statements; this one keeps them.
    let statements = |function: &Function| match current(&format!("role {}", function.name)) {
        "" => part("logs", &[("Id", &function.camel())]),
        statements => statements.to_owned(),
    };
    let functions: Vec<_> = endpoints
        .functions
        .iter()
        .enumerate()
        .map(|(index, function)| resources(endpoints, function, index == 0, &statements(function)))
        .collect();
    let alarms: Vec<_> = [("errors", "Errors"), ("throttles", "Throttles")]
        .iter()
        .flat_map(|kind| endpoints.alarm_groups.iter().map(|group| alarm(endpoints, group, *kind)))
        .collect();
    let rollback = |group: &AlarmGroup| part("rollback-alarm", &[("Group", &camel(&group.name))]);
    [
        ("rollback-alarms", endpoints.alarm_groups.iter().map(rollback).collect()),
        ("send-rates", endpoints.each("", send_rates)),
        ("warm-up", endpoints.each("", warmed)),
        ("functions", functions.join("\n")),
        ("alarms", alarms.join("\n")),
        ("dashboard", dashboard(endpoints, current("dashboard"))),
        ("outputs", endpoints.each("", output)),
    ]
    .into_iter()
    .fold(text.to_owned(), |text, (name, lines)| replace(&text, name, &lines))
}

/// Returns a part of `parts.yaml` with its values. A value of whole lines, or none, replaces its whole line.
pub fn part(name: &str, values: &[(&str, &str)]) -> String {
    let parts = include_str!("parts.yaml").split("#: ");
    let part = parts.filter_map(|part| part.split_once('\n')).find(|(title, _)| *title == name);
    let (_, text) = part.unwrap_or_else(|| panic!("parts.yaml has no {name}"));
    values.iter().fold(text.to_owned(), |text, (key, value)| {
        let is_lines = value.is_empty() || value.ends_with('\n');
        text.replace(&format!("<{key}>{}", if is_lines { "\n" } else { "" }), value)
    })
}

fn send_rates(function: &Function) -> String {
    let rate = |(method, path): (&str, &str)| {
        part("send-rate", &[("method", method), ("path", &path.replace('/', "~1"))])
    };
    if function.sends { function.calls().into_iter().map(rate).collect() } else { String::new() }
}

fn warmed(function: &Function) -> String {
    if function.warmed { part("warmed", &[("Id", &function.camel())]) } else { String::new() }
}

fn output(function: &Function) -> String {
    let routes: Vec<_> = function.page.iter().chain(&function.routes).map(String::as_str).collect();
    let usage = match function {
        Function { stream: true, .. } => "reads the table's stream".to_owned(),
        Function { service: true, name, .. } => format!("is `{name}`"),
        _ => format!("serves {}", routes.join(" and ")),
    };
    let values = [("Id", &*function.camel()), ("name", &function.name), ("use", &usage)];
    part("output", &values) + &if function.service { part("service-outputs", &values) } else { String::new() }
}

/// Returns the function, its role and its log group.
fn resources(endpoints: &Endpoints, function: &Function, is_first: bool, statements: &str) -> String {
    // YAML defines an anchor where it is used first.
    let anchor = |name: &str, alias: &str| if is_first { part(name, &[]) } else { alias.to_owned() };
    let size = |name: &str, value: Option<u32>, reasons: &BTreeMap<u32, String>| match value {
        Some(value) => {
            let reason = reasons.get(&value).unwrap_or_else(|| panic!("no reason for {name} {value}"));
            part(name, &[("reason", reason), ("value", &value.to_string())])
        }
        None => String::new(),
    };
    let names = function.page.iter().map(|_| "Page").chain(["Api", "Api2", "Api3"]);
    let route =
        |((method, path), name)| part("route", &[("event", name), ("method", method), ("path", path)]);
    assert!(function.routes.len() <= 3, "{}: name the events of more routes here", function.name);
    let mut events: String = function.calls().into_iter().zip(names).map(route).collect();
    if function.stream {
        events += &part("stream", &[]);
    }
    if function.warmed {
        events += &part("warm-up", &[("schedule", &anchor("schedule", "*warm-up\n"))]);
    }
    if !events.is_empty() {
        events.insert_str(0, "      Events:\n");
    }
    let values = [
        ("Id", &function.camel()),
        ("name", &function.name),
        ("description", &function.description),
        ("checks", &anchor("checks", "*function-checks\n")),
        ("release", &anchor("release", "")),
        ("assumed", &anchor("assumed", "*assumed-by-lambda\n")),
        ("memory", &size("memory", function.memory_mib, &endpoints.memory_reasons)),
        ("timeout", &size("timeout", function.timeout_seconds, &endpoints.timeout_reasons)),
        ("events", &events),
        ("statements", &statements.to_owned()),
    ];
    let values = values.map(|(key, value)| (key, value.as_str()));
    part("function", &values) + &if function.service { part("invoke-policy", &values) } else { String::new() }
}

fn alarm(endpoints: &Endpoints, group: &AlarmGroup, (kind, metric): (&str, &str)) -> String {
    let is_covered =
        |function: &&Function| function.alarms == group.name && !(kind == "errors" && function.refusals_fail);
    let covered: Vec<_> = endpoints.functions.iter().filter(is_covered).collect();
    assert!(
        covered.len() <= METRICS_PER_ALARM,
        "the alarm group {} has {} functions, but an alarm takes 1 to {METRICS_PER_ALARM} metrics; \
         add a group to functions/endpoints.toml",
        group.name,
        covered.len()
    );
    let metrics: String = (1..)
        .zip(covered)
        .map(|(number, function)| {
            let values = [("number", &*number.to_string()), ("metric", metric), ("Id", &function.camel())];
            part("metric", &values)
        })
        .collect();
    let values = [
        ("Group", &camel(&group.name)),
        ("group", &group.name),
        ("functions", &group.covers),
        ("metrics", &metrics),
    ];
    part(kind, &values.map(|(key, value)| (key, value.as_str())))
}

/// Returns the dashboard with its alarms and its rows of functions replaced. Its region is the whole resource,
/// because JSON has no comments.
fn dashboard(endpoints: &Endpoints, current: &str) -> String {
    let (first_alarm, next_alarm) = ("\"${ApiFailures.Arn}\", ", "\"${SmsSpend.Arn}\"");
    let alarms = |kind| {
        let alarm = move |group: &AlarmGroup| format!("\"${{{}Function{kind}.Arn}}\", ", camel(&group.name));
        endpoints.alarm_groups.iter().map(alarm)
    };
    let alarms: String = alarms("Errors").chain(alarms("Throttles")).collect();
    let row =
        |function: &Function| part("dashboard-row", &[("Id", &function.camel()), ("name", &function.name)]);
    let rows = endpoints.each("", row).trim_end_matches(",\n").to_owned() + "]}},\n";
    let mut text = String::new();
    for line in current.split_inclusive('\n') {
        if let (Some((before, _)), Some((_, after))) =
            (line.split_once(first_alarm), line.split_once(next_alarm))
        {
            text += &[before, first_alarm, &alarms, next_alarm, after].concat();
        } else if !line.contains("\"ConcurrentExecutions\"") {
            text += line;
        } else if !text.ends_with(&rows) {
            text += &rows;
        }
    }
    text
}
