//! A function that panics over what it is sent, and else answers which process it is.

use shared::{App, Envelope, Error, Parameter, Reply, Request, serve};
use std::process::{self, ExitCode};

#[expect(clippy::panic, reason = "a handler that does nothing else")]
async fn handle(_: &'static App, request: Request) -> Result<Reply, Error> {
    match request.optional(Parameter::Message) {
        Some(message) => panic!("{message}"),
        None => Ok(Reply::result(process::id())),
    }
}

fn main() -> ExitCode {
    serve(Envelope::User, handle)
}
