//! The README's table of endpoints, the binaries, the template, the events and the settings are one.

use crate::bundle::root;
use shared::settings::Settings;
use std::{collections::BTreeMap, fs};
use template::Template;

/// The function that the table's stream calls, and nobody else.
const DELIVER: &str = "deliver-notices";

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

#[test]
fn readme_template_binaries_and_events_name_the_same_functions() {
    let documented = documented();
    let mut functions: Vec<_> = documented.iter().map(|(function, ..)| function.as_str()).collect();
    functions.dedup();
    assert_eq!((functions.len(), documented.len()), (12, 13), "{documented:?}");
    let mut wired: Vec<_> = template()
        .functions
        .iter()
        .flat_map(|function| {
            function
                .routes
                .iter()
                .map(|route| (function.binary.clone(), route.method.clone(), route.path.clone()))
        })
        .collect();
    wired.sort();
    let mut expected = documented.clone();
    expected.sort();
    assert_eq!(wired, expected);

    let manifest = fs::read_to_string(root().join("functions/Cargo.toml")).unwrap();
    for function in functions.iter().chain(&[DELIVER]) {
        assert!(
            manifest.contains(&format!("name = \"{function}\"\npath = \"{function}.rs\"\ntest = false")),
            "{function}"
        );
        assert!(root().join("functions").join(format!("{function}.rs")).is_file(), "{function}");
        assert!(root().join("events").join(function).is_dir(), "{function}");
    }
    assert_eq!(manifest.matches("[[bin]]").count(), functions.len() + 1);
    assert_eq!(template().functions.len(), functions.len() + 1);
}

#[test]
fn cargo_lambda_watch_serves_the_templates_routes() {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let mut routes = Vec::new();
    for function in template().functions {
        for route in function.routes {
            let (path, method, function) = (route.path, route.method, &function.binary);
            routes
                .push(format!(r#"{{ path = "{path}", methods = ["{method}"], function = "{function}" }},"#));
        }
    }
    for route in &routes {
        assert!(manifest.contains(route), "{route}");
    }
    assert_eq!((routes.len(), manifest.matches("{ path = \"/").count()), (13, 13));
}

#[test]
fn the_readmes_first_lines_are_those_that_the_stack_prints() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let printed = local::newcomer::calls("http://127.0.0.1:3000");
    assert!(readme.contains(&printed), "{printed}");
}

#[test]
fn a_functions_logical_id_is_its_name_in_camel_case() {
    for function in template().functions {
        let camel: String =
            function.binary.split('-').map(|word| word[..1].to_uppercase() + &word[1..]).collect();
        assert_eq!(function.logical_id, format!("{camel}Function"));
        let (routes, schedules) = (function.routes.len(), function.schedules.len());
        if function.binary == DELIVER {
            assert_eq!((routes, schedules, function.subscriptions.len()), (0, 0, 1));
        } else {
            assert!(routes > 0 && schedules == 1, "{} is never called or never kept warm", function.binary);
            assert_eq!(function.subscriptions.len(), 0);
        }
    }
}

#[test]
fn every_parameter_of_the_template_is_a_setting_with_the_same_default_and_bounds() {
    let text = fs::read_to_string(root().join("template.yaml")).unwrap();
    let template = template();
    let variables = &template.functions[0].variables;
    let base: BTreeMap<&str, &str> = [
        ("TABLE_NAME", "t"),
        ("KEYS", "{}"),
        ("AWS_REGION", "r"),
        ("AWS_ACCESS_KEY_ID", "a"),
        ("AWS_SECRET_ACCESS_KEY", "s"),
    ]
    .into();
    let read = |name: &str, value: &str| {
        Settings::read(|asked| {
            if asked == name { Some(value.to_owned()) } else { base.get(asked).map(|&v| v.to_owned()) }
        })
    };
    let defaults = format!("{:?}", read("", "").unwrap());
    let mut bounded = 0;
    for (name, value) in variables {
        if ["TABLE_NAME", "KEYS_SECRET_ARN", "RELEASE", "METRICS_NAMESPACE"].contains(&name.as_str()) {
            continue;
        }
        let camel: String =
            name.split('_').map(|word| word[..1].to_owned() + &word[1..].to_lowercase()).collect();
        let parameter =
            text.split(&format!("\n  {camel}:\n")).nth(1).unwrap_or_else(|| panic!("no parameter {camel}"));
        let parameter = parameter.split("\n  ").take_while(|line| line.starts_with("  ")).collect::<Vec<_>>();
        let field = |field: &str| {
            parameter
                .iter()
                .find_map(|line| line.trim().strip_prefix(&format!("{field}: ")))
                .map(str::to_owned)
        };
        let value = value.as_deref().unwrap_or_default();
        assert_eq!(
            format!("{:?}", read(name, value).unwrap()),
            defaults,
            "{name}: another default than {value}"
        );
        if let (Some(least), Some(most)) = (field("MinValue"), field("MaxValue")) {
            let (least, most): (u64, u64) = (least.parse().unwrap(), most.parse().unwrap());
            for (value, good) in [(least, true), (most, true), (most + 1, false)] {
                assert_eq!(read(name, &value.to_string()).is_ok(), good, "{name}={value}");
            }
            assert!(least == 0 || read(name, &(least - 1).to_string()).is_err(), "{name}={}", least - 1);
            bounded += 1;
        }
    }
    assert!(bounded >= 20, "{bounded}");
}
