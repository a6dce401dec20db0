//! The specification: the behaviour that users rely on, tested through the real binaries over HTTP against an
//! embedded DynamoDB. Each flow has its own module.

#![cfg(test)]

mod authority;
mod authorizer;
mod bind_phone;
mod bundle;
mod call;
mod change_limit;
mod change_password;
mod change_password_by_message;
mod changes;
mod clocks;
mod cors;
mod crashes;
mod documents;
mod enumeration;
mod events;
mod fuzz;
mod idempotency;
mod imported_passwords;
mod input;
mod journey;
mod keys;
mod language;
mod layers;
mod legacy_clients;
mod limits;
mod local_stack;
mod logs;
mod mail;
mod mail_page;
mod maturity;
mod metrics;
mod model;
mod notices;
mod panics;
mod pay_password;
mod permissions;
mod provider_faults;
mod proxy;
mod receipts;
mod recovery;
mod recovery_code;
mod regions;
mod report_change;
mod requests;
mod reset_pay_password;
mod restart;
mod service_tokens;
mod services;
mod spellings;
mod store_faults;
mod store_requests;
mod walk;
mod wiring;
