//! A stack to measure: the functions as cargo builds this program, so that `--release` is what deploys.

use local::{Observer, Options, Stack, keys};
use std::{
    env,
    error::Error,
    path::{Path, PathBuf},
    process::Command,
};

/// So that the sending limits refuse nothing: what is measured is what lies behind them.
const NO_LIMITS: [(&str, &str); 6] = [
    ("RESEND_AFTER_SECONDS", "1"),
    ("SENDS_PER_HOUR", "100"),
    ("SENDS_PER_DAY", "100"),
    ("MEMBER_SENDS_PER_DAY", "100"),
    ("SOURCE_SENDS_PER_HOUR", "100000"),
    ("REGION_SENDS_PER_HOUR", "1000000"),
];

pub async fn start(settings: &[(&str, &str)], on_event: Observer) -> Result<Stack, Box<dyn Error>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let settings = NO_LIMITS.iter().chain(settings);
    let options = Options {
        port: 0,
        data: None,
        binaries: build(&root)?,
        template: root.join("template.yaml"),
        settings: settings.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        keys: keys::fresh(),
        on_event,
    };
    Ok(Stack::start(options).await?)
}

fn build(root: &Path) -> Result<PathBuf, Box<dyn Error>> {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(root).args(["build", "--bins"]);
    // As `cargo run` and `cargo run -- --release` build them.
    if !cfg!(debug_assertions) {
        cargo.args(["--release", "--package", "functions"]);
    }
    if !cargo.status()?.success() {
        return Err("cargo build failed".into());
    }
    // This program is target/<profile>/examples/<name>.
    Ok(env::current_exe()?.ancestors().nth(2).ok_or("no target folder")?.to_owned())
}
