//! What the other process does: it receives, answers, and ends when its standard input does.

use crate::measure::{Failure, complain};
use crate::messages::{BULK_SINK, ECHO, Echo, SINKS, Sink};
use crate::process::Role;
use crate::{SPIN, raw};
use futures_lite::future;
use hew_actor::MAILBOX_CAPACITY_MAX;
use hew_node::{MailboxOptions, Node, NodeBuilder, NodeId, SpawnOptions, Stack};
use hew_security::danger::Plaintext;
use std::io::{Read, Write};
use std::net::TcpListener;

pub(crate) fn run(role: Role) -> Result<(), Failure> {
    if role != Role::RawSocket {
        raw::stay_on(raw::Core::Theirs)?;
    }
    let node = Node::builder(NodeId::from_raw(2)).workers(1);
    match role {
        Role::RawSocket => {
            let listener = TcpListener::bind("127.0.0.1:0")?;
            announce(&listener.local_addr()?.to_string())?;
            // It ends with the process.
            std::thread::spawn(move || {
                if let Err(failure) = raw::serve(&listener) {
                    complain(&format!("raw socket: {failure}"));
                    std::process::exit(1);
                }
            });
            wait_for_end()
        }
        Role::PlainNode => serve(node.authenticator(Plaintext::on_local_addresses())),
        Role::NoiseNode => serve(node),
        Role::SpinningNode => serve(node.spin(SPIN)),
    }
}

fn serve<S: Stack>(node: NodeBuilder<S>) -> Result<(), Failure> {
    let node = future::block_on(node.listen("127.0.0.1:0").start())?;
    for name in SINKS.into_iter().chain([BULK_SINK]) {
        // A message that finds a mailbox full is dropped, and this suite fails when one is missing.
        let mailbox = MailboxOptions { capacity: Some(MAILBOX_CAPACITY_MAX), ..MailboxOptions::default() };
        let sink = node.spawn_with(Sink::default(), SpawnOptions { mailbox, ..SpawnOptions::default() })?;
        node.register_pid(name, sink.pid())?;
    }
    node.register_pid(ECHO, node.spawn(Echo).pid())?;
    announce(&node.local_addr().ok_or("it listens")?.to_string())?;
    wait_for_end()?;
    future::block_on(node.shutdown());
    Ok(())
}

/// Tells the process that started this one where it listens.
#[allow(clippy::print_stdout, reason = "the answer to the process that asked")]
fn announce(address: &str) -> Result<(), Failure> {
    println!("{address}");
    std::io::stdout().flush()?;
    Ok(())
}

fn wait_for_end() -> Result<(), Failure> {
    std::io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}
