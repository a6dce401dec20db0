//! Runs other programs, each in an environment built from scratch: no profile, credential or endpoint of the person
//! who runs the rehearsal reaches them.

use std::{
    env,
    ffi::OsString,
    fs::File,
    io,
    path::{Path, PathBuf},
    process::Stdio,
};

use tokio::process::{Child, Command};

/// The variables that a program with network access inherits.
const INHERITED: [&str; 14] = [
    "HOME",
    "LANG",
    "TMPDIR",
    "CARGO_HOME",
    "RUSTUP_HOME",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "PIP_INDEX_URL",
    "REQUESTS_CA_BUNDLE",
    "SSL_CERT_FILE",
];

/// Fake credentials. The emulator would take a key of twelve digits for an account number.
pub const KEY: &str = "rehearsal";
/// The only region of the emulated cloud.
pub const REGION: &str = "us-east-1";

/// A proxy on a port where nothing listens, so that every request to the internet fails.
const CLOSED_PROXY: &str = "http://127.0.0.1:9";

/// A program did not complete.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The program could not be started.
    #[error("cannot start {program}: {reason}")]
    Start { program: String, reason: io::Error },
    /// The program exited with an error.
    #[error("{program} failed; see {}", log.display())]
    Failed { program: String, log: PathBuf },
    /// A log file could not be written.
    #[error("{}: {reason}", path.display())]
    File { path: PathBuf, reason: io::Error },
}

/// The folders that the programs run in, read and write.
#[derive(Clone)]
pub struct Tooling {
    /// The top of the repository.
    pub root: PathBuf,
    /// The rehearsal's output folder, inside cargo's target folder.
    pub output: PathBuf,
    /// The folder of the installed tools' executables.
    pub bin: PathBuf,
}

impl Tooling {
    /// Returns a command that may download and compile.
    pub fn networked(&self, program: impl AsRef<Path>) -> Command {
        let mut command = self.command(program.as_ref());
        command.envs(INHERITED.iter().filter_map(|&name| Some((name, inherited(name)?))));
        command
    }

    /// Returns a command that reaches only this machine and uses the cloud at the URL `cloud` as AWS.
    pub fn isolated(&self, program: impl AsRef<Path>, cloud: &str) -> Command {
        let mut command = self.command(program.as_ref());
        command
            .env("HOME", self.output.join("home"))
            .env("TMPDIR", self.output.join("tmp"))
            .env("AWS_ENDPOINT_URL", cloud)
            .env("NO_PROXY", "127.0.0.1,localhost");
        for name in ["HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"] {
            command.env(name, CLOSED_PROXY);
        }
        command
    }

    fn command(&self, program: &Path) -> Command {
        let mut path = OsString::from(&self.bin);
        if let Some(rest) = inherited("PATH") {
            path.push(":");
            path.push(rest);
        }
        let mut command = Command::new(program);
        command
            .current_dir(&self.root)
            .env_clear()
            .env("PATH", path)
            .env("AWS_CONFIG_FILE", "/dev/null")
            .env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .env("AWS_ACCESS_KEY_ID", KEY)
            .env("AWS_SECRET_ACCESS_KEY", KEY)
            .env("AWS_DEFAULT_REGION", REGION)
            .env("AWS_REGION", REGION)
            .env("SAM_CLI_TELEMETRY", "0")
            .stdin(Stdio::null())
            .kill_on_drop(true);
        command
    }

    /// Runs a command to its end. Its output goes into the log file named `log`.
    pub async fn run(&self, mut command: Command, log: &str) -> Result<(), Error> {
        let (file, path) = self.log(log)?;
        let errors = file.try_clone().map_err(|reason| Error::File { path: path.clone(), reason })?;
        let mut child = start(command.stdout(file).stderr(errors))?;
        match child.wait().await {
            Ok(status) if status.success() => Ok(()),
            Ok(_) => Err(Error::Failed { program: name(&command), log: path }),
            Err(reason) => Err(Error::Start { program: name(&command), reason }),
        }
    }

    /// Creates an empty log file and returns it with its path.
    pub fn log(&self, name: &str) -> Result<(File, PathBuf), Error> {
        let path = self.output.join(name).with_extension("log");
        File::create(&path).map(|file| (file, path.clone())).map_err(|reason| Error::File { path, reason })
    }
}

/// Starts a command. Dropping the returned process kills it.
pub fn start(command: &mut Command) -> Result<Child, Error> {
    command.spawn().map_err(|reason| Error::Start { program: name(command), reason })
}

fn name(command: &Command) -> String {
    let path = Path::new(command.as_std().get_program());
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}

#[expect(clippy::disallowed_methods, reason = "cargo and pip need these variables; no others are passed on")]
fn inherited(name: &str) -> Option<OsString> {
    env::var_os(name)
}
