//! The local stack: the template's functions, routes and table on a laptop, without Docker and without AWS.
//!
//! [`Stack::start`] runs the functions' real binaries over the Lambda Runtime API, with DynamoDB embedded and
//! SMS and mail caught instead of sent. Everything listens on 127.0.0.1 alone.

mod aws;
mod backstage;
mod clock;
mod database;
mod end;
mod environment;
mod events;
mod gateway;
mod invocations;
pub mod keys;
mod logs;
pub mod members;
pub mod messages;
pub mod newcomer;
mod runtime;
mod stack;
mod stream;

pub use database::Error as DatabaseError;
pub use end::end_of_work;
pub use environment::{KEYS_SECRET_ARN, Unquotable};
pub use events::{Channel, Event, LogLine, Message, Observer};
pub use runtime::{Invocation, UnknownFunction};
pub use stack::{Error, Options, Stack};
pub use stream::Error as StreamError;
