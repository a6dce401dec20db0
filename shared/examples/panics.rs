//! A function that panics with the parameter `message`, or without one returns its process id.

use shared::{App, Error, Parameter, Reply, Request, UserApi, serve};
use std::process::{self, ExitCode};

#[expect(clippy::panic, reason = "the handler exists to panic")]
async fn handle(_: &'static App, request: Request) -> Result<Reply<UserApi>, Error> {
    match request.optional(Parameter::Message) {
        Some(message) => panic!("{message}"),
        None => Ok(Reply::result(process::id())),
    }
}

fn main() -> ExitCode {
    serve::<UserApi>(handle)
}
