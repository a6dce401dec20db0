//! Invoked by a service that executes a payment: spends the receipt of a checked pay password for its order.

use serde::Deserialize;
use shared::{App, Error, Reply, Request, SecretText, ServiceApi, receipt::Order, serve_service};
use std::process::ExitCode;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Spend {
    receipt: SecretText,
    order: Order,
}

async fn handle(app: &'static App, spend: Spend, request: Request) -> Result<Reply<ServiceApi>, Error> {
    app.spend_receipt(spend.receipt.expose(), &spend.order, &request).await
}

fn main() -> ExitCode {
    serve_service(handle)
}
