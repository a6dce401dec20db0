//! Other programs, each in an environment made from nothing: no profile, credential or endpoint of whoever runs this.

use std::{
    env,
    ffi::OsString,
    fs::File,
    io,
    path::{Path, PathBuf},
    process::Stdio,
};

use tokio::process::{Child, Command};

/// The variables that a program which downloads or compiles takes over.
const TAKEN: [&str; 14] = [
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

/// Credentials of nobody; a key of twelve digits would be an account of the emulator's.
pub const KEY: &str = "rehearsal";
/// The one region of the emulated cloud.
pub const REGION: &str = "us-east-1";

/// Nobody listens there.
const NOWHERE: &str = "http://127.0.0.1:9";

/// Why a program did not do its work; one line each.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It cannot be started.
    #[error("{program} cannot be started: {reason}")]
    Start { program: String, reason: io::Error },
    /// It failed, and said why.
    #[error("{program} failed; {} has its words", log.display())]
    Failed { program: String, log: PathBuf },
    /// Its log or folder cannot be written.
    #[error("{}: {reason}", path.display())]
    File { path: PathBuf, reason: io::Error },
}

/// Where programs run, and where they leave what they say and make.
#[derive(Clone)]
pub struct Workshop {
    /// The top of the repository.
    pub root: PathBuf,
    /// The folder of the rehearsal's own, in cargo's.
    pub folder: PathBuf,
    /// The folder of the tools' programs.
    pub tools: PathBuf,
}

impl Workshop {
    /// A program that may download and compile.
    pub fn open(&self, program: impl AsRef<Path>) -> Command {
        let mut command = self.command(program.as_ref());
        command.envs(TAKEN.iter().filter_map(|&name| Some((name, taken(name)?))));
        command
    }

    /// A program that reaches this machine alone, and takes `cloud` for AWS.
    pub fn sealed(&self, program: impl AsRef<Path>, cloud: &str) -> Command {
        let mut command = self.command(program.as_ref());
        command
            .env("HOME", self.folder.join("home"))
            .env("TMPDIR", self.folder.join("tmp"))
            .env("AWS_ENDPOINT_URL", cloud)
            .env("NO_PROXY", "127.0.0.1,localhost");
        for name in ["HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"] {
            command.env(name, NOWHERE);
        }
        command
    }

    fn command(&self, program: &Path) -> Command {
        let mut path = OsString::from(&self.tools);
        if let Some(rest) = taken("PATH") {
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

    /// A program that ends by itself; what it says goes into the log of that name.
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

    /// An empty log, and where it is.
    pub fn log(&self, name: &str) -> Result<(File, PathBuf), Error> {
        let path = self.folder.join(name).with_extension("log");
        File::create(&path).map(|file| (file, path.clone())).map_err(|reason| Error::File { path, reason })
    }
}

/// Starts a program; it ends with what is answered.
pub fn start(command: &mut Command) -> Result<Child, Error> {
    command.spawn().map_err(|reason| Error::Start { program: name(command), reason })
}

fn name(command: &Command) -> String {
    let path = Path::new(command.as_std().get_program());
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}

#[expect(
    clippy::disallowed_methods,
    reason = "cargo and pip need what they need, and nothing else is handed on"
)]
fn taken(name: &str) -> Option<OsString> {
    env::var_os(name)
}
