//! Invoked by the table's stream: sends queued notices of changes and recovery codes.

use shared::{App, Error, notice::Notice, serve_notices};
use std::process::ExitCode;

async fn handle(app: &'static App, notice: Notice) -> Result<(), Error> {
    app.deliver(&notice).await
}

fn main() -> ExitCode {
    serve_notices(handle)
}
