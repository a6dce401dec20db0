//! Measures how long each function takes from the start of its process to its first request for an event, and how
//! much memory it uses then, next to a bare `lambda_http` function. Linux only.
//!
//! `cargo run -p bench --bin startup` builds the functions as they deploy.

use bench::harness;
use std::{
    error::Error,
    fs,
    io::{BufRead, BufReader},
    net::TcpListener,
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};
use template::Template;

/// How often each program is started. The programs take turns, so that a drift of the machine affects all of them.
const ROUNDS: usize = 60;

fn main() -> Result<(), Box<dyn Error>> {
    harness::build(&["--release", "--package", "functions", "--bins"])?;
    harness::build(&["--release", "--package", "shared", "--example", "hello"])?;
    let binaries = harness::programs()?.with_file_name("release");
    let mut programs = vec![binaries.join("examples/hello")];
    let template = Template::load(&harness::root().join("template.yaml"))?;
    programs.extend(template.functions.iter().map(|function| binaries.join(&function.binary)));

    let mut starts = vec![Vec::new(); programs.len()];
    for _ in 0..ROUNDS {
        for (program, starts) in programs.iter().zip(&mut starts) {
            starts.push(start(program)?);
        }
    }
    let hello: Vec<_> =
        starts.first().ok_or("no hello")?.iter().map(|(time, _)| time.as_secs_f64()).collect();
    println!("{:<30} {:>9} {:>9} {:>9}", "", "start ms", "to hello", "MiB");
    for (program, starts) in programs.iter().zip(&starts) {
        let milliseconds = median(starts.iter().map(|(time, _)| time.as_secs_f64() * 1e3));
        let ratio = median(starts.iter().zip(&hello).map(|((time, _), hello)| time.as_secs_f64() / hello));
        let resident = median(starts.iter().map(|(_, kib)| f64::from(*kib) / 1024.0));
        let name = program.file_name().unwrap_or_default().to_string_lossy();
        println!("{name:<30} {milliseconds:>9.2} {ratio:>9.2} {resident:>9.1}");
    }
    Ok(())
}

/// Starts `program` and kills it at its first request for an event. Returns the time until then and the resident KiB.
fn start(program: &Path) -> Result<(Duration, u32), Box<dyn Error>> {
    let runtime_api = TcpListener::bind("127.0.0.1:0")?;
    let keys = format!(r#"{{"current":"first","first":"{}"}}"#, "k".repeat(64));
    let mut command = Command::new(program);
    command.env_clear().stdout(Stdio::null()).envs([
        ("AWS_LAMBDA_RUNTIME_API", runtime_api.local_addr()?.to_string().as_str()),
        ("AWS_LAMBDA_FUNCTION_NAME", "startup"),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256"),
        ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
        ("AWS_LAMBDA_LOG_GROUP_NAME", "startup"),
        ("AWS_LAMBDA_LOG_STREAM_NAME", "startup"),
        ("AWS_REGION", "us-east-1"),
        ("AWS_ACCESS_KEY_ID", "startup"),
        ("AWS_SECRET_ACCESS_KEY", "startup"),
        // A plain HTTP endpoint, to which no TLS connection is opened before the first event.
        ("AWS_ENDPOINT_URL", "http://127.0.0.1:9"),
        ("TABLE_NAME", "startup"),
        ("KEYS", keys.as_str()),
    ]);
    let start = Instant::now();
    let mut process = command.spawn()?;
    let (connection, _) = runtime_api.accept()?;
    let mut request = String::new();
    BufReader::new(connection.try_clone()?).read_line(&mut request)?;
    let elapsed = start.elapsed();
    let status = fs::read_to_string(format!("/proc/{}/status", process.id()))?;
    process.kill()?;
    process.wait()?;
    if !request.contains("/runtime/invocation/next") {
        return Err(format!("{} sent {request} instead of a request for an event", program.display()).into());
    }
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
    Ok((elapsed, resident.trim().trim_end_matches(" kB").parse()?))
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<_> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
