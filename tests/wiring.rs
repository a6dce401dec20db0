//! `functions/endpoints.toml`, the files that repeat it, and the settings agree.

pub mod endpoints;
pub mod generate;
pub mod roles;

use crate::bundle::root;
use endpoints::{Endpoints, Function};
use generate::{FILES, apply, region};
use regex::Regex;
use shared::settings::Settings;
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Debug,
    fs,
};
use template::Template;

/// Lines of the README's table: function, method, path.
fn documented() -> Vec<(String, String, String)> {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    readme
        .lines()
        .filter(|line| line.starts_with('|'))
        .filter_map(|line| {
            let cells: Vec<_> =
                line.trim_matches('|').split('|').map(|cell| cell.trim().replace('`', "")).collect();
            let [function, call, ..] = cells.as_slice() else {
                return None;
            };
            let (method, path) = call.split_once(' ')?;
            let is_method = method.bytes().all(|byte| byte.is_ascii_uppercase());
            (is_method && path.starts_with('/'))
                .then(|| (function.clone(), method.to_owned(), path.to_owned()))
        })
        .collect()
}

fn template() -> Template {
    Template::load(&root().join("template.yaml")).unwrap()
}

/// Every route of the list: function, method, path.
fn listed() -> Vec<(String, String, String)> {
    let functions = Endpoints::load().functions;
    let routes = |function: &Function| -> Vec<_> {
        let route =
            |(method, path): (&str, &str)| (function.name.clone(), method.to_owned(), path.to_owned());
        function.calls().into_iter().map(route).collect()
    };
    functions.iter().flat_map(routes).collect()
}

#[test]
fn files_repeat_the_list_of_endpoints() {
    let endpoints = Endpoints::load();
    for (file, rewrite) in FILES {
        apply(file, "wiring", |text| rewrite(&endpoints, text));
    }
}

#[test]
fn missing_function_changes_every_region_that_lists_it() {
    let whole = Endpoints::load();
    for index in 0..whole.functions.len() {
        let mut endpoints = Endpoints::load();
        let removed = endpoints.functions.remove(index);
        let (is_called, is_warmed, is_sending) = (!removed.calls().is_empty(), removed.warmed, removed.sends);
        let mut changed = Vec::new();
        for (file, rewrite) in FILES {
            let text = fs::read_to_string(root().join(file)).unwrap();
            let (with, without) = (rewrite(&whole, &text), rewrite(&endpoints, &text));
            for name in REGIONS {
                let [with, without] = [&with, &without].map(|text| region(text, name).map(|at| &text[at]));
                if with != without {
                    changed.push(name);
                }
            }
        }
        let lists = |name: &str| match name {
            "warm-up" => is_warmed,
            "send-rates" => is_sending,
            "routes" | "table" => is_called,
            _ => true,
        };
        let expected: Vec<_> = REGIONS.into_iter().filter(|name| lists(name)).collect();
        assert_eq!(changed, expected, "{}", removed.name);
    }
}

/// Every region that lists functions, in the order of [`FILES`].
const REGIONS: [&str; 9] =
    ["send-rates", "warm-up", "functions", "alarms", "dashboard", "outputs", "binaries", "routes", "table"];

#[test]
#[should_panic(expected = "the alarm group member has 11 functions, but an alarm takes 1 to 10 metrics")]
fn full_alarm_group_is_refused() {
    let mut endpoints = Endpoints::load();
    let more = std::iter::repeat_n(endpoints.functions[0].clone(), 3);
    endpoints.functions.extend(more);
    let (file, rewrite) = FILES[0];
    rewrite(&endpoints, &fs::read_to_string(root().join(file)).unwrap());
}

#[test]
fn every_function_has_a_source_file_and_events() {
    let functions = Endpoints::load().functions;
    let mut names: Vec<_> = functions.iter().map(|function| function.name.clone()).collect();
    for name in &names {
        assert!(root().join("functions").join(format!("{name}.rs")).is_file(), "{name}");
    }
    names.sort();
    let folders = fs::read_dir(root().join("events")).unwrap();
    let mut folders: Vec<_> = folders.map(|at| at.unwrap().file_name().into_string().unwrap()).collect();
    folders.sort();
    assert_eq!(folders, names);
    let manifest = fs::read_to_string(root().join("functions/Cargo.toml")).unwrap();
    assert_eq!(manifest.matches("[[bin]]").count(), functions.len());
}

#[test]
fn readme_and_cargo_lambda_have_every_route_once() {
    let listed = listed();
    assert_eq!(documented(), listed);
    let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    assert_eq!(manifest.matches("{ path = \"/").count(), listed.len());
}

#[test]
fn template_reads_as_the_list() {
    let (functions, deployed) = (Endpoints::load().functions, template().functions);
    assert_eq!(deployed.len(), functions.len());
    for function in functions {
        let name = &function.name;
        let deployed = deployed.iter().find(|deployed| deployed.binary == *name).unwrap();
        assert_eq!(deployed.logical_id, format!("{}Function", function.camel()));
        assert_eq!(deployed.memory_mib, function.memory_mib.unwrap_or(256), "{name}");
        let timeout = u64::from(function.timeout_seconds.unwrap_or(10));
        assert_eq!(deployed.timeout.as_secs(), timeout, "{name}");
        let routes: BTreeSet<_> =
            deployed.routes.iter().map(|route| (route.method.as_str(), route.path.as_str())).collect();
        assert_eq!(routes, function.calls().into_iter().collect(), "{name}");
        let (schedules, subscriptions) = (deployed.schedules.len(), deployed.subscriptions.len());
        assert_eq!((schedules == 1, subscriptions == 1), (function.warmed, function.stream), "{name}");
        assert!(!routes.is_empty() || function.stream, "nothing calls {name}");
    }
}

#[test]
fn the_readmes_first_lines_are_those_that_the_stack_prints() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let printed = local::newcomer::calls("http://127.0.0.1:3000");
    assert!(readme.contains(&printed), "{printed}");
}

/// Reads the settings with `value` for the setting `name` and the defaults for the others.
fn read(name: &str, value: &str) -> Result<Settings, impl Debug> {
    let required = BTreeMap::from([
        ("TABLE_NAME", "t"),
        ("KEYS", "{}"),
        ("AWS_REGION", "r"),
        ("AWS_ACCESS_KEY_ID", "a"),
        ("AWS_SECRET_ACCESS_KEY", "s"),
    ]);
    Settings::read(|setting| {
        if setting == name { Some(value.to_owned()) } else { required.get(setting).map(|&v| v.to_owned()) }
    })
}

/// Every setting that has a parameter in the template, with the value that the template gives it by default and the
/// lines of the parameter.
fn parameters() -> Vec<(String, String, Vec<String>)> {
    let text = fs::read_to_string(root().join("template.yaml")).unwrap();
    let variables = template().functions.remove(0).variables.into_iter();
    let of_the_stack = ["TABLE_NAME", "KEYS_SECRET_ARN", "RELEASE", "METRICS_NAMESPACE"];
    variables
        .filter(|(name, _)| !of_the_stack.contains(&name.as_str()))
        .map(|(name, value)| {
            let camel: String =
                name.split('_').map(|word| word[..1].to_owned() + &word[1..].to_lowercase()).collect();
            let (_, lines) =
                text.split_once(&format!("\n  {camel}:\n")).unwrap_or_else(|| panic!("no parameter {camel}"));
            let lines = lines.lines().take_while(|line| line.starts_with("    "));
            let lines = lines.map(|line| line.trim().to_owned()).collect();
            (name, value.unwrap_or_default(), lines)
        })
        .collect()
}

/// Returns a field of a parameter.
fn field<'a>(lines: &'a [String], name: &str) -> Option<&'a str> {
    let value = lines.iter().find_map(|line| line.strip_prefix(&format!("{name}: ")))?;
    Some(value.trim_matches('\''))
}

#[test]
fn parameters_have_the_settings_defaults_and_bounds() {
    let defaults = format!("{:?}", read("", "").unwrap());
    let mut bounded = 0;
    for (name, value, lines) in parameters() {
        assert_eq!(
            format!("{:?}", read(&name, &value).unwrap()),
            defaults,
            "{name}: the default is not {value}"
        );
        if let (Some(least), Some(most)) = (field(&lines, "MinValue"), field(&lines, "MaxValue")) {
            let (least, most): (u64, u64) = (least.parse().unwrap(), most.parse().unwrap());
            for (value, is_valid) in [(least, true), (most, true), (most + 1, false)] {
                assert_eq!(read(&name, &value.to_string()).is_ok(), is_valid, "{name}={value}");
            }
            assert!(least == 0 || read(&name, &(least - 1).to_string()).is_err(), "{name}={}", least - 1);
            bounded += 1;
        }
    }
    assert!(bounded >= 20, "{bounded}");
}

/// Valid and invalid values of every setting whose parameter has a pattern.
const SAMPLES: [(&str, &[&str], &[&str]); 7] = [
    ("ALLOWED_CALLING_CODES", &["86", "86,852,1"], &["0", "86,", "1234", "china"]),
    (
        "CORS_ORIGIN",
        &["https://app.example.com", "http://localhost:5173"],
        &["*", "http://app.example.com", "https://App.example.com", "https://app.example.com/"],
    ),
    ("DEFAULT_REGION", &["CN", "US"], &["C", "China"]),
    ("MAIL_FROM", &["security@example.com"], &["security", "the security@example.com"]),
    (
        "MAIL_LINK_BASE_URL",
        &["https://example.com", "https://api.example.com/live"],
        &["http://example.com", "https://example.com/"],
    ),
    ("SMS_SENDER_ID", &["A", "1-A", "Shop-24", "ABCDEFGHIJK"], &["12345", "1-2", "Shop 24", "ABCDEFGHIJKL"]),
    ("WEB_OTP_DOMAIN", &["example.com"], &["example", "Example.com", "https://example.com"]),
];

/// The settings of which a function accepts any text: only the template restricts them.
const FREE_TEXT: [&str; 3] = ["MAIL_FROM", "MAIL_LINK_BASE_URL", "WEB_OTP_DOMAIN"];

#[test]
fn parameter_patterns_accept_what_the_settings_accept() {
    let mut patterned = Vec::new();
    for (name, _, lines) in parameters() {
        let Some(pattern) = field(&lines, "AllowedPattern") else { continue };
        let pattern = Regex::new(&format!("^(?:{pattern})$")).unwrap();
        let longest: usize = field(&lines, "MaxLength").map_or(usize::MAX, |most| most.parse().unwrap());
        let (_, valid, invalid) = SAMPLES.iter().find(|(sampled, ..)| *sampled == name).unwrap();
        for (value, is_valid) in
            valid.iter().map(|value| (value, true)).chain(invalid.iter().map(|value| (value, false)))
        {
            let is_allowed = pattern.is_match(value) && value.len() <= longest;
            assert_eq!(is_allowed, is_valid, "the parameter of {name}={value}");
            let is_accepted = is_valid || FREE_TEXT.contains(&name.as_str());
            assert_eq!(read(&name, value).is_ok(), is_accepted, "the setting {name}={value}");
        }
        patterned.push(name);
    }
    assert_eq!(patterned, SAMPLES.map(|(name, ..)| name));
}
