//! Called by the table's stream: delivers queued notices and codes.

use shared::{App, Error, notice::Notice, serve_notices};
use std::process::ExitCode;

async fn handle(app: &'static App, notice: Notice) -> Result<(), Error> {
    app.deliver(&notice).await
}

fn main() -> ExitCode {
    serve_notices(handle)
}
