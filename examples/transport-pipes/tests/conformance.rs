//! Every promise of a transport, as a test of its own.

#![allow(clippy::unwrap_used)]

use hew_transport::{Addr, testkit::Setup};
use hew_transport_pipes::Pipes;

hew_transport::conformance!(pipes, Setup::new(Pipes::default(), |n| Addr::mem(&format!("n{n}")).unwrap()));
