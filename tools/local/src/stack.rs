//! Starts and stops all parts of the stack together.

use std::{
    collections::BTreeMap,
    env,
    io::{self, ErrorKind},
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use axum::{Router, body::Bytes};
use shared::settings::Settings;
use template::Template;
use tokio::{net::TcpListener, sync::watch, task::JoinSet, time::timeout};

use crate::{
    database, debug_routes,
    environment::{self, ACCESS_KEY_ID, FunctionEnv, TABLE_NAME, UnquotableValue},
    events::{LogLine, Message, Observer},
    gateway, invocations,
    logs::Logs,
    members,
    messages::{self, Inbox},
    runtime::{Invocation, Program, Runtime, UnknownFunction},
    stream::Stream,
    welcome::DemoMember,
};

/// How long a shutdown waits for open connections.
const SHUTDOWN_LIMIT: Duration = Duration::from_secs(2);

/// How to start a [`Stack`].
#[derive(Clone)]
pub struct Options {
    /// The port of the routes. 0 picks a free one.
    pub port: u16,
    /// The file of the database, or `None` for a database in memory.
    pub data: Option<PathBuf>,
    /// The folder that contains the binaries of the functions.
    pub binaries: PathBuf,
    /// The path of the SAM template.
    pub template: PathBuf,
    /// Environment variables of the functions, which override those of the template and of the stack.
    pub settings: BTreeMap<String, String>,
    /// The value of the setting `KEYS`.
    pub keys: String,
    /// Called with each message and log line.
    pub on_event: Observer,
}

/// Why a stack did not start. Each message is one line.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The template cannot be served.
    #[error("{}: {reason}", path.display())]
    Template {
        /// The template's path.
        path: PathBuf,
        /// The cause.
        reason: template::Error,
    },
    /// Another program uses the port.
    #[error("port {0} is in use; choose another with --port")]
    PortInUse(u16),
    /// The operating system refuses the port for another reason.
    #[error("cannot listen on 127.0.0.1:{port}: {reason}")]
    Listen {
        /// The port, or 0 for a free one.
        port: u16,
        /// The cause.
        reason: io::Error,
    },
    /// The database cannot be used.
    #[error("database{}: {reason}", data.as_deref().map(|data| format!(" {}", data.display())).unwrap_or_default())]
    Database {
        /// The file, if the database is not in memory.
        data: Option<PathBuf>,
        /// The cause.
        reason: database::Error,
    },
    /// A setting is missing or invalid.
    #[error("{0}")]
    Settings(#[from] shared::settings::SettingsError),
    /// The store or the keys cannot be used.
    #[error("{0}")]
    App(#[source] shared::error::Cause),
}

/// A running stack, which listens on 127.0.0.1 only. Dropping it kills all its processes.
pub struct Stack {
    url: String,
    dynamodb_url: String,
    messages_url: String,
    table: String,
    keys: String,
    environment: BTreeMap<String, String>,
    app: Arc<shared::App>,
    runtime: Arc<Runtime>,
    inbox: Arc<Inbox>,
    logs: Arc<Logs>,
    stream: Stream,
    closing: watch::Sender<bool>,
    servers: JoinSet<()>,
}

/// A stack that serves its own database and runs functions, but no route yet. Its port accepts connections, which wait
/// until [`Self::serve`].
pub struct OpenStack {
    stack: Stack,
    listener: TcpListener,
    routes: Router,
}

impl OpenStack {
    /// Returns the base URL of the routes, such as `http://127.0.0.1:3000`.
    #[must_use]
    pub fn url(&self) -> &str {
        self.stack.url()
    }

    /// Returns the demo member with a session. Creates them with `phone` and `password` if they do not exist. Before the
    /// routes are served, no client can create another member with `phone`.
    ///
    /// # Errors
    /// Fails if `phone` is invalid or belongs to another member of a kept database, or if the store is unavailable.
    pub async fn demo_member(&self, phone: &str, password: &str) -> Result<DemoMember, shared::Error> {
        members::demo_member(&self.stack.app, phone, password).await
    }

    /// Serves the routes.
    #[must_use]
    pub fn serve(self) -> Stack {
        let Self { mut stack, listener, routes } = self;
        let closing = stack.closing.subscribe();
        stack.servers.spawn(serve(listener, routes, closing));
        stack
    }
}

impl Stack {
    /// Starts all servers. The process of a function starts when it is first invoked.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn start(options: Options) -> Result<Self, Error> {
        Ok(Self::open(options).await?.serve())
    }

    /// Starts all servers except that of the routes.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn open(options: Options) -> Result<OpenStack, Error> {
        let template = Template::load(&options.template)
            .map_err(|reason| Error::Template { path: options.template.clone(), reason })?;
        let (gateway_listener, url) = listen(options.port).await?;
        let (runtime_listener, runtime_url) = listen(0).await?;
        let (messages_listener, messages_url) = listen(0).await?;
        let (dynamodb_listener, dynamodb_url) = listen(0).await?;

        let table = options.settings.get(TABLE_NAME).unwrap_or(&template.table.name).clone();
        let failed = |reason| Error::Database { data: options.data.clone(), reason };
        let database = database::open(options.data.as_deref(), &template.table, &table).map_err(failed)?;
        let (stream, readers) =
            Stream::open(&database, &table, &template).map_err(|reason| failed(reason.into()))?;
        let logs = Arc::new(Logs::new(options.on_event));
        let inbox = Arc::new(Inbox::new(options.on_event));
        let function_env = FunctionEnv {
            url: &url,
            dynamodb_url: &dynamodb_url,
            messages_url: &messages_url,
            table: &table,
            keys: &options.keys,
            settings: &options.settings,
            path: search_path(),
        };
        let programs = programs(&template, &options.binaries, &function_env);
        let environment = stack_environment(&template, &function_env);
        let settings = Settings::read(|name| environment.get(name).cloned())?;
        let cors_origin = settings.cors_origin.clone();
        let runtime = Arc::new(Runtime::new(programs, &runtime_url, &logs));

        let closing = watch::Sender::new(false);
        let mut servers = JoinSet::new();
        servers.spawn(database::serve(dynamodb_listener, database.clone(), closed(closing.subscribe())));
        let app = Arc::new(shared::App::start(settings).await.map_err(Error::App)?);
        let routes = gateway::routes(Arc::clone(&runtime), &template, cors_origin)
            .merge(invocations::routes(Arc::clone(&runtime)))
            .merge(debug_routes::routes(
                Arc::clone(&runtime),
                Arc::clone(&inbox),
                options.template.with_file_name("docs").join("openapi.yaml"),
            ))
            .merge(members::routes(Arc::clone(&app)));
        servers.spawn(serve(runtime_listener, runtime.routes(), closing.subscribe()));
        servers.spawn(serve(messages_listener, messages::routes(Arc::clone(&inbox)), closing.subscribe()));
        for reader in readers {
            servers.spawn(reader.run(Arc::clone(&runtime), Arc::clone(&logs), closed(closing.subscribe())));
        }
        servers.spawn(database::sweep(database, closed(closing.subscribe())));
        let stack = Self {
            url,
            dynamodb_url,
            messages_url,
            table,
            keys: options.keys,
            environment,
            app,
            runtime,
            inbox,
            logs,
            stream,
            closing,
            servers,
        };
        Ok(OpenStack { stack, listener: gateway_listener, routes })
    }

    /// Returns the base URL of the routes, such as `http://127.0.0.1:3000`.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Returns the endpoint of DynamoDB.
    #[must_use]
    pub fn dynamodb_url(&self) -> &str {
        &self.dynamodb_url
    }

    /// Returns the endpoint of SNS and SES, which catches messages.
    #[must_use]
    pub fn messages_url(&self) -> &str {
        &self.messages_url
    }

    /// Returns the name of the table.
    #[must_use]
    pub fn table(&self) -> &str {
        &self.table
    }

    /// Returns the value of the setting `KEYS`.
    #[must_use]
    pub fn keys(&self) -> &str {
        &self.keys
    }

    /// Returns the library of the functions on this stack: its table, its keys, and its settings.
    #[must_use]
    pub fn app(&self) -> &shared::App {
        &self.app
    }

    /// Returns the environment for functions that another runtime starts on this stack, as lines `NAME='value'`. The
    /// variables that the runtime itself sets are not included.
    ///
    /// # Errors
    /// Fails if a value contains a single quote or a line break.
    pub fn environment_file(&self) -> Result<String, UnquotableValue> {
        environment::file(&self.environment)
    }

    /// Returns the caught messages, newest first.
    #[must_use]
    pub fn messages(&self) -> Vec<Message> {
        self.inbox.messages()
    }

    /// Returns the log lines of the functions, oldest first.
    #[must_use]
    pub fn log_lines(&self) -> Vec<LogLine> {
        self.logs.lines()
    }

    /// Waits until the functions have handled every record that is now in the table's stream, or its retries are
    /// exhausted.
    pub async fn settled(&self) {
        self.stream.settled().await;
    }

    /// Invokes the function whose binary is `function` with `event`, which is JSON text.
    ///
    /// # Errors
    /// Fails if the template does not have such a function.
    pub async fn invoke(
        &self,
        function: &str,
        event: impl Into<Bytes>,
    ) -> Result<Invocation, UnknownFunction> {
        self.runtime.invoke(function, event.into()).await
    }

    /// Kills the processes of `function`, as when Lambda loses a sandbox. Running invocations fail, and the next one
    /// starts a new process.
    ///
    /// # Errors
    /// Fails if the template does not have such a function.
    pub fn kill(&self, function: &str) -> Result<(), UnknownFunction> {
        self.runtime.kill(function)
    }

    /// Stops all processes and servers, and waits until they have ended.
    pub async fn shutdown(mut self) {
        self.closing.send_replace(true);
        self.runtime.shutdown().await;
        // Dropping `servers` closes connections that remain open.
        let _ = timeout(SHUTDOWN_LIMIT, async { while self.servers.join_next().await.is_some() {} }).await;
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        self.runtime.stop();
    }
}

/// Returns the environment from which the stack reads the settings of the functions, so that an invalid setting is
/// reported at the start. The stack calls AWS services under a name of its own.
fn stack_environment(template: &Template, function_env: &FunctionEnv) -> BTreeMap<String, String> {
    let mut environment =
        template.functions.first().map(|function| function_env.variables(function)).unwrap_or_default();
    environment.retain(|name, _| name != "PATH" && !name.starts_with("AWS_LAMBDA_"));
    environment.insert(ACCESS_KEY_ID.to_owned(), "local".to_owned());
    environment
}

fn programs(template: &Template, binaries: &Path, function_env: &FunctionEnv) -> BTreeMap<String, Program> {
    template
        .functions
        .iter()
        .map(|function| {
            let program = Program {
                path: binaries.join(&function.binary).with_added_extension(env::consts::EXE_EXTENSION),
                environment: function_env.variables(function),
                timeout: function.timeout,
            };
            (function.binary.clone(), program)
        })
        .collect()
}

#[expect(clippy::disallowed_methods, reason = "a process without a search path cannot start programs")]
fn search_path() -> Option<String> {
    env::var("PATH").ok()
}

async fn listen(port: u16) -> Result<(TcpListener, String), Error> {
    let failed = |reason: io::Error| match reason.kind() {
        ErrorKind::AddrInUse => Error::PortInUse(port),
        _ => Error::Listen { port, reason },
    };
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    Ok((listener, format!("http://{address}")))
}

async fn serve(listener: TcpListener, routes: Router, closing: watch::Receiver<bool>) {
    let service = routes.into_make_service_with_connect_info::<SocketAddr>();
    // It never returns an error, as axum documents.
    let _ = axum::serve(listener, service).with_graceful_shutdown(closed(closing)).await;
}

/// Waits until the stack shuts down or is dropped.
async fn closed(mut closing: watch::Receiver<bool>) {
    let _ = closing.wait_for(|closing| *closing).await;
}

#[cfg(test)]
#[cfg(unix)]
mod tests;
