//! Measures how many members per second `members import` writes to the local store, and its peak memory.
//!
//! `cargo build --release --bin members && cargo run --release -p bench --bin rate -- 50000`
//!
//! A second argument `md5` imports hashes that the import wraps in Argon2id.

use bench::harness;
use local::{Options, Stack, keys};
use std::{
    env,
    error::Error,
    fmt::Write as _,
    fs,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

/// A bcrypt hash, the most common kind. Its prefix names the format.
const BCRYPT: &str = "$2b$04$9PppdWUkpwCi6nqVyJwkkO2hB3D0O1ky1UQoxdWNJKF6v4eGA9lSW,";
/// An MD5 hash and the name of its format.
const MD5: &str = "fdcf36394daaf47def0d41d181d1443c,md5";

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let count: u32 = env::args().nth(1).unwrap_or_else(|| "20000".to_owned()).parse()?;
    let hash = if env::args().nth(2).as_deref() == Some("md5") { MD5 } else { BCRYPT };
    let programs = harness::programs()?;
    let folder = programs.join("import-rate");
    fs::create_dir_all(&folder)?;
    for file in ["members.csv.errors", "members.csv.progress"] {
        let _ = fs::remove_file(folder.join(file));
    }
    let options = Options {
        port: 0,
        data: None,
        // The import calls no function.
        binaries: programs.clone(),
        template: harness::root().join("template.yaml"),
        settings: [].into(),
        keys: keys::fresh(),
        on_event: |_| (),
    };
    let stack = Stack::start(options).await?;
    fs::write(folder.join("env"), stack.environment_file()?)?;
    let mut text = "id,phone,email,email_verified,password,password_form\n".to_owned();
    for number in 0..count {
        let id = format!("00000000-0000-4000-8000-{number:012}");
        writeln!(text, "{id},138{number:08},{number}@example.com,true,{hash}")?;
    }
    fs::write(folder.join("members.csv"), &text)?;

    let mut command = Command::new(programs.join("members"));
    command.current_dir(&folder).args(["--env", "env", "--json", "import", "members.csv"]);
    let start = Instant::now();
    let mut child = command.stdout(Stdio::inherit()).spawn()?;
    let status = format!("/proc/{}/status", child.id());
    let mut peak = String::new();
    while child.try_wait()?.is_none() {
        if let Ok(status) = fs::read_to_string(&status)
            && let Some(line) = status.lines().find(|line| line.starts_with("VmHWM"))
        {
            line.clone_into(&mut peak);
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let seconds = start.elapsed().as_secs_f64();
    println!("{count} members in {seconds:.1} s: {:.0} per second; {peak}", f64::from(count) / seconds);
    stack.shutdown().await;
    Ok(())
}
