//! Builds and starts a stack to measure. The functions have the profile of the measuring program, so `--release`
//! measures them as they deploy.

use local::{Observer, Options, Stack, keys};
use std::{
    collections::BTreeMap,
    env,
    error::Error,
    path::{Path, PathBuf},
    process::Command,
};

/// Settings under which no rate limit refuses a request, so that the work behind the limits is measured.
const NO_RATE_LIMITS: [(&str, &str); 9] = [
    ("RESEND_AFTER_SECONDS", "1"),
    ("SENDS_PER_HOUR", "100"),
    ("SENDS_PER_DAY", "100"),
    ("MEMBER_SENDS_PER_DAY", "100"),
    ("SOURCE_SENDS_PER_HOUR", "100000"),
    ("REGION_SENDS_PER_HOUR", "1000000"),
    ("MAIL_SENDS_PER_HOUR", "1000000"),
    ("NOTICES_PER_DAY", "1000"),
    ("SOURCE_WRONG_CODES_PER_HOUR", "1000000"),
];

/// Builds the functions in this program's profile and serves them with `settings` and without rate limits.
///
/// # Errors
/// Fails if the functions do not build or the stack does not start.
pub async fn start(settings: &[(&str, &str)], on_event: Observer) -> Result<Stack, Box<dyn Error>> {
    let settings = NO_RATE_LIMITS.iter().chain(settings);
    let settings = settings.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Ok(Stack::start(Options { settings, on_event, ..options()? }).await?)
}

/// Builds the functions in this program's profile, and returns options that serve them.
///
/// # Errors
/// Fails if the functions do not build.
pub fn options() -> Result<Options, Box<dyn Error>> {
    let profile: &[_] = if cfg!(debug_assertions) { &[] } else { &["--release"] };
    build(&[profile, &["--package", "functions", "--bins"]].concat())?;
    Ok(Options {
        port: 0,
        data: None,
        binaries: programs()?,
        template: root().join("template.yaml"),
        settings: BTreeMap::new(),
        keys: keys::fresh(),
        on_event: |_| (),
    })
}

/// Runs `cargo build` with `arguments`.
///
/// # Errors
/// Fails if cargo cannot be started or the build fails.
pub fn build(arguments: &[&str]) -> Result<(), Box<dyn Error>> {
    let status = Command::new(env!("CARGO")).current_dir(root()).arg("build").args(arguments).status()?;
    if status.success() { Ok(()) } else { Err("cargo build failed".into()) }
}

/// Returns the folder of the binaries that cargo builds in this program's profile.
///
/// # Errors
/// Fails if the system does not report the path of this program.
pub fn programs() -> Result<PathBuf, Box<dyn Error>> {
    Ok(env::current_exe()?.parent().ok_or("this program has no folder")?.to_owned())
}

/// Returns the top of the repository.
#[must_use]
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}
