//! A minimal function, with which `cargo run -p bench --bin startup` compares the start of the bundle's functions.

use lambda_http::{Body, Request, Response, service_fn};
use std::convert::Infallible;

fn main() -> Result<(), lambda_http::Error> {
    let hello = |_: Request| async { Ok::<_, Infallible>(Response::new(Body::from("hello"))) };
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(lambda_http::run(service_fn(hello)))
}
