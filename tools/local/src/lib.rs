//! The local stack serves the functions, routes and table of `template.yaml` on one machine. It needs neither
//! Docker nor an AWS account.
//!
//! [`Stack::start`] runs the real binaries of the functions over the Lambda Runtime API, with an embedded DynamoDB.
//! It catches SMS and email instead of sending them. All servers listen on 127.0.0.1 only.

mod aws;
pub mod cargo;
mod clock;
mod database;
mod debug_routes;
mod environment;
mod events;
mod gateway;
mod invocations;
pub mod keys;
mod logs;
pub mod members;
pub mod messages;
pub mod private_file;
mod runtime;
mod shutdown;
mod stack;
mod stream;
pub mod table;
pub mod welcome;

pub use database::Error as DatabaseError;
pub use environment::{KEYS_SECRET_ARN, UnquotableValue};
pub use events::{Channel, Event, LogLine, Message, Observer};
pub use runtime::{Invocation, UnknownFunction};
pub use shutdown::shutdown_signal;
pub use stack::{Error, OpenStack, Options, Stack};
pub use stream::Error as StreamError;
