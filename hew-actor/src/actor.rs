//! The trait that makes a value an actor.

use crate::context::Context;
use crate::monitor::MonitorRef;
use hew_wire::{ExitReason, Pid};
use std::future::Future;

/// A value that handles one message at a time.
///
/// Implementors write plain `async fn`s. Between two awaits of a handler no other message of this actor is handled;
/// an await keeps the actor, but not the worker thread, busy.
///
/// The order of calls: `started`, then `handle` and `signal` in any number, then `stopped`, then the value is dropped.
/// Only then do monitors and links hear of the end. A panic in any of them, or in `Drop`, ends this actor with
/// [`ExitReason::Crashed`] and touches nothing else.
///
/// ```
/// use hew_actor::{Actor, Context, Outcome, ReplyTo, Simulation, System, SystemConfig};
///
/// enum Counter { Add(u64), Get(ReplyTo<u64>) }
/// struct CounterActor { total: u64 }
///
/// impl Actor for CounterActor {
///     type Message = Counter;
///     async fn handle(&mut self, message: Counter, _: &mut Context<Counter>) -> Outcome {
///         match message {
///             Counter::Add(n) => self.total += n,
///             Counter::Get(reply) => reply.send(self.total),
///         }
///         Outcome::Continue
///     }
/// }
///
/// let simulation = Simulation::new(1);
/// let system = System::new(simulation.runtime(), SystemConfig::default());
/// let total = simulation.run(async {
///     let counter = system.spawn(CounterActor { total: 0 });
///     counter.send(Counter::Add(2)).await?;
///     Ok::<u64, Box<dyn std::error::Error>>(counter.ask(Counter::Get).await?)
/// });
/// assert_eq!(total.unwrap().unwrap(), 2);
/// ```
pub trait Actor: Send + Sized + 'static {
    /// What it handles.
    type Message: Send + 'static;

    /// Runs once, before the first message.
    fn started(&mut self, context: &mut Context<Self::Message>) -> impl Future<Output = Outcome> + Send {
        let _ = context;
        async { Outcome::Continue }
    }

    /// Handles one message.
    fn handle(
        &mut self,
        message: Self::Message,
        context: &mut Context<Self::Message>,
    ) -> impl Future<Output = Outcome> + Send;

    /// Handles the end of an actor that this one monitors or, when it traps exits, is linked to. Default: goes on.
    fn signal(
        &mut self,
        signal: Signal,
        context: &mut Context<Self::Message>,
    ) -> impl Future<Output = Outcome> + Send {
        let _ = (signal, context);
        async { Outcome::Continue }
    }

    /// Runs once at the end, whatever the reason, except that nothing runs in an actor that is killed.
    ///
    /// After a panic it runs too, on the value as the panic left it. Its mailbox is closed by now.
    fn stopped(
        &mut self,
        reason: &ExitReason,
        context: &mut Context<Self::Message>,
    ) -> impl Future<Output = ()> + Send {
        let _ = (reason, context);
        async {}
    }
}

/// What an actor does after a message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Outcome {
    /// Waits for the next message.
    #[default]
    Continue,
    /// Ends with [`ExitReason::Normal`]. Messages that wait become dead letters.
    Stop,
    /// Ends with [`ExitReason::Crashed`] and this text.
    Crash(String),
}

/// The end of another actor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Signal {
    /// A monitored actor ended. Comes exactly once for each monitor, unless it was removed before.
    Down {
        /// The monitor.
        monitor: MonitorRef,
        /// The actor that ended.
        pid: Pid,
        /// Why.
        reason: ExitReason,
    },
    /// A linked actor ended, or someone sent an exit signal. Comes only while this actor traps exits.
    Exit {
        /// The actor that ended or sent.
        from: Pid,
        /// Why.
        reason: ExitReason,
    },
}
