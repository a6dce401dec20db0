//! The files that repeat `functions/endpoints.toml` agree with it.

pub mod endpoints;
pub mod generate;
mod parameters;
pub mod roles;

use crate::bundle::root;
use endpoints::{Endpoints, Function};
use generate::{FILES, apply, is_updating, region};
use std::{collections::BTreeSet, fs};
use template::Template;

/// Returns the routes of the README's table: function, method, path.
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

/// Returns the routes of the list: function, method, path.
fn listed() -> Vec<(String, String, String)> {
    let functions = endpoints().functions;
    let routes = |function: &Function| -> Vec<_> {
        let route =
            |(method, path): (&str, &str)| (function.name.clone(), method.to_owned(), path.to_owned());
        function.calls().into_iter().map(route).collect()
    };
    functions.iter().flat_map(routes).collect()
}

/// Returns the list, and first writes the files that repeat it if `UPDATE` is set.
fn endpoints() -> Endpoints {
    let endpoints = Endpoints::load();
    if is_updating() {
        apply_all(&endpoints);
    }
    endpoints
}

fn apply_all(endpoints: &Endpoints) {
    for (file, rewrite) in FILES {
        apply(file, "wiring", |text| rewrite(endpoints, text));
    }
}

#[test]
fn files_repeat_the_list_of_endpoints() {
    apply_all(&Endpoints::load());
}

#[test]
fn missing_function_changes_every_region() {
    let whole = endpoints();
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

/// The regions that list functions, in the order of [`FILES`].
const REGIONS: [&str; 9] =
    ["send-rates", "warm-up", "functions", "alarms", "dashboard", "outputs", "binaries", "routes", "table"];

#[test]
#[should_panic(expected = "the alarm group member has 11 functions, but an alarm takes 1 to 10 metrics")]
fn full_alarm_group_is_refused() {
    let mut endpoints = Endpoints::load();
    let more = [endpoints.functions[0].clone()];
    endpoints.functions.extend(more);
    let (file, rewrite) = FILES[0];
    rewrite(&endpoints, &fs::read_to_string(root().join(file)).unwrap());
}

#[test]
fn every_function_has_a_source_file_and_events() {
    let functions = endpoints().functions;
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
fn readme_and_cargo_lambda_list_every_route_once() {
    let listed = listed();
    assert_eq!(documented(), listed);
    let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    assert_eq!(manifest.matches("{ path = \"/").count(), listed.len());
}

#[test]
fn template_agrees_with_the_list() {
    let (functions, deployed) = (endpoints().functions, template().functions);
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
        assert!(!routes.is_empty() || function.stream || function.service, "nothing calls {name}");
    }
}

#[test]
fn service_functions_have_a_section_and_no_route() {
    let page = fs::read_to_string(root().join("docs/services.md")).unwrap();
    for function in endpoints().functions.iter().filter(|function| function.service) {
        assert!(page.contains(&format!("\n## `{}`\n", function.name)), "{}", function.name);
        assert!(function.calls().is_empty(), "{}", function.name);
    }
}

#[test]
fn readme_has_the_calls_that_the_stack_prints() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let printed = local::welcome::calls("http://127.0.0.1:3000");
    assert!(readme.contains(&printed), "{printed}");
}
