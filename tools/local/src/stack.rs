//! The whole stack, started and stopped as one.

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
    backstage, database,
    environment::{self, ACCESS_KEY_ID, Surroundings, TABLE_NAME, Unquotable},
    events::{LogLine, Message, Observer},
    gateway, invocations,
    logs::Logs,
    members,
    messages::{self, Inbox},
    newcomer::Demo,
    runtime::{Invocation, Program, Runtime, UnknownFunction},
    stream::Stream,
};

/// How long open connections may take to end at a shutdown.
const SHUTDOWN_LIMIT: Duration = Duration::from_secs(2);

/// How to start a [`Stack`].
#[derive(Clone)]
pub struct Options {
    /// The port of the routes; 0 takes a free one.
    pub port: u16,
    /// The file that keeps the database, or `None` for one in memory.
    pub data: Option<PathBuf>,
    /// The folder of the built functions.
    pub binaries: PathBuf,
    /// The SAM template.
    pub template: PathBuf,
    /// Environment variables of the functions, before the template's and the stack's own.
    pub settings: BTreeMap<String, String>,
    /// The value of the functions' `KEYS`.
    pub keys: String,
    /// Is told of messages and log lines as they come.
    pub on_event: Observer,
}

/// Why a stack did not start; one line each.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The template cannot be served.
    #[error("{}: {reason}", path.display())]
    Template {
        /// The template's path.
        path: PathBuf,
        /// What is wrong with it.
        reason: template::Error,
    },
    /// Another program has the port.
    #[error("port {0} is taken by another program; --port chooses another")]
    PortTaken(u16),
    /// The machine refuses a port for another reason.
    #[error("cannot listen on 127.0.0.1:{port}: {reason}")]
    Listen {
        /// The port; 0 for any.
        port: u16,
        /// The system's words.
        reason: io::Error,
    },
    /// The database cannot be used.
    #[error("the database{}: {reason}", data.as_deref().map(|data| format!(" {}", data.display())).unwrap_or_default())]
    Database {
        /// The file, if it is in one.
        data: Option<PathBuf>,
        /// What is wrong with it.
        reason: database::Error,
    },
    /// The functions could not start with these settings either.
    #[error("{0}")]
    Settings(#[from] shared::settings::SettingsError),
    /// The store or the keys of the functions cannot be used.
    #[error("{0}")]
    App(#[source] shared::error::Cause),
}

/// A running stack, on 127.0.0.1 alone; ends with all its processes when it is dropped.
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

impl Stack {
    /// Starts everything but the functions' processes, which start with the first event for them.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn start(options: Options) -> Result<Self, Error> {
        let template = Template::load(&options.template)
            .map_err(|reason| Error::Template { path: options.template.clone(), reason })?;
        let (gateway_listener, url) = listen(options.port).await?;
        let (runtime_listener, runtime_url) = listen(0).await?;
        let (messages_listener, messages_url) = listen(0).await?;
        let (dynamodb_listener, dynamodb_url) = listen(0).await?;

        let table = options.settings.get(TABLE_NAME).unwrap_or(&template.table.name).clone();
        let refused = |reason| Error::Database { data: options.data.clone(), reason };
        let database = database::open(options.data.as_deref(), &template.table, &table).map_err(refused)?;
        let (stream, readers) =
            Stream::open(&database, &table, &template).map_err(|reason| refused(reason.into()))?;
        let logs = Arc::new(Logs::new(options.on_event));
        let inbox = Arc::new(Inbox::new(options.on_event));
        let surroundings = Surroundings {
            url: &url,
            dynamodb_url: &dynamodb_url,
            messages_url: &messages_url,
            table: &table,
            keys: &options.keys,
            settings: &options.settings,
            path: search_path(),
        };
        let programs = programs(&template, &options.binaries, &surroundings);
        let environment = environment(&template, &surroundings);
        let settings = Settings::read(|name| environment.get(name).cloned())?;
        let cors_origin = settings.cors_origin.clone();
        let runtime = Arc::new(Runtime::new(programs, &runtime_url, &logs));

        let closing = watch::Sender::new(false);
        let mut servers = JoinSet::new();
        servers.spawn(database::serve(dynamodb_listener, database.clone(), closed(closing.subscribe())));
        let app = Arc::new(shared::App::start(settings).await.map_err(Error::App)?);
        let routes = gateway::routes(Arc::clone(&runtime), &template, cors_origin)
            .merge(invocations::routes(Arc::clone(&runtime)))
            .merge(backstage::routes(Arc::clone(&runtime), Arc::clone(&inbox)))
            .merge(members::routes(Arc::clone(&app)));
        servers.spawn(serve(gateway_listener, routes, closing.subscribe()));
        servers.spawn(serve(runtime_listener, runtime.routes(), closing.subscribe()));
        servers.spawn(serve(messages_listener, messages::routes(Arc::clone(&inbox)), closing.subscribe()));
        for reader in readers {
            servers.spawn(reader.run(Arc::clone(&runtime), Arc::clone(&logs), closed(closing.subscribe())));
        }
        servers.spawn(database::sweep(database, closed(closing.subscribe())));
        Ok(Self {
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
        })
    }

    /// Where the routes are served, as `http://127.0.0.1:3000`.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Where the database is served.
    #[must_use]
    pub fn dynamodb_url(&self) -> &str {
        &self.dynamodb_url
    }

    /// Where messages are caught, as SNS and SES are served.
    #[must_use]
    pub fn messages_url(&self) -> &str {
        &self.messages_url
    }

    /// The table's name.
    #[must_use]
    pub fn table(&self) -> &str {
        &self.table
    }

    /// The value of the functions' `KEYS`.
    #[must_use]
    pub fn keys(&self) -> &str {
        &self.keys
    }

    /// The environment of a function that another runtime starts on this stack, but for what is the runtime's own:
    /// a line `NAME='value'` each.
    ///
    /// # Errors
    ///
    /// A value has what no such line can have.
    pub fn environment_file(&self) -> Result<String, Unquotable> {
        environment::file(&self.environment)
    }

    /// The caught messages, newest first.
    #[must_use]
    pub fn messages(&self) -> Vec<Message> {
        self.inbox.messages()
    }

    /// What the functions' processes wrote, oldest first.
    #[must_use]
    pub fn log_lines(&self) -> Vec<LogLine> {
        self.logs.lines()
    }

    /// Waits until every record that the table's stream has now was handled by the functions it goes to, or
    /// given up.
    pub async fn settled(&self) {
        self.stream.settled().await;
    }

    /// The member who has `phone`, who is created with that `password` if there is none, with a session.
    ///
    /// # Errors
    /// The store does not answer, or `phone` is none.
    pub async fn demo(&self, phone: &str, password: &str) -> Result<Demo, shared::Error> {
        members::demo(&self.app, phone, password).await
    }

    /// Hands `event`, JSON text, to the function whose binary is `function`.
    ///
    /// # Errors
    /// There is no such function.
    pub async fn invoke(
        &self,
        function: &str,
        event: impl Into<Bytes>,
    ) -> Result<Invocation, UnknownFunction> {
        self.runtime.invoke(function, event.into()).await
    }

    /// Kills the processes of `function` at once, as when Lambda loses a sandbox: invocations under way fail,
    /// and the next one starts a process.
    ///
    /// # Errors
    /// There is no such function.
    pub fn kill(&self, function: &str) -> Result<(), UnknownFunction> {
        self.runtime.kill(function)
    }

    /// Ends every process and server, and waits for their end.
    pub async fn shutdown(mut self) {
        self.closing.send_replace(true);
        self.runtime.shutdown().await;
        // A connection that will not end is cut off with `servers`.
        let _ = timeout(SHUTDOWN_LIMIT, async { while self.servers.join_next().await.is_some() {} }).await;
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        self.runtime.stop();
    }
}

/// What the stack itself reads of the functions' settings: what is wrong with them is told before anything starts.
/// It is no function, and asks under a name of its own.
fn environment(template: &Template, surroundings: &Surroundings) -> BTreeMap<String, String> {
    let mut environment =
        template.functions.first().map(|function| surroundings.environment(function)).unwrap_or_default();
    environment.retain(|name, _| name != "PATH" && !name.starts_with("AWS_LAMBDA_"));
    environment.insert(ACCESS_KEY_ID.to_owned(), "local".to_owned());
    environment
}

fn programs(template: &Template, binaries: &Path, surroundings: &Surroundings) -> BTreeMap<String, Program> {
    template
        .functions
        .iter()
        .map(|function| {
            let program = Program {
                path: binaries.join(&function.binary).with_added_extension(env::consts::EXE_EXTENSION),
                environment: surroundings.environment(function),
                timeout: function.timeout,
            };
            (function.binary.clone(), program)
        })
        .collect()
}

#[expect(clippy::disallowed_methods, reason = "a process without a search path finds no program to start")]
fn search_path() -> Option<String> {
    env::var("PATH").ok()
}

async fn listen(port: u16) -> Result<(TcpListener, String), Error> {
    let failed = |reason: io::Error| match reason.kind() {
        ErrorKind::AddrInUse => Error::PortTaken(port),
        _ => Error::Listen { port, reason },
    };
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    Ok((listener, format!("http://{address}")))
}

async fn serve(listener: TcpListener, routes: Router, closing: watch::Receiver<bool>) {
    let service = routes.into_make_service_with_connect_info::<SocketAddr>();
    // It ends without error, by its documentation.
    let _ = axum::serve(listener, service).with_graceful_shutdown(closed(closing)).await;
}

/// Waits until the stack closes, or is gone.
async fn closed(mut closing: watch::Receiver<bool>) {
    let _ = closing.wait_for(|closing| *closing).await;
}

#[cfg(test)]
#[cfg(unix)]
mod tests;
