//! Sending, asking and stopping, in virtual time and on threads.

use hew_actor::*;
use std::time::Duration;

enum Counter {
    Add(u64),
    Get(ReplyTo<u64>),
}

struct CounterActor {
    total: u64,
}

impl Actor for CounterActor {
    type Message = Counter;

    async fn handle(&mut self, message: Counter, _: &mut Context<Counter>) -> Outcome {
        match message {
            Counter::Add(n) => self.total += n,
            Counter::Get(reply) => reply.send(self.total),
        }
        Outcome::Continue
    }
}

async fn count(system: System) -> Result<u64, Box<dyn std::error::Error>> {
    let counter = system.spawn(CounterActor { total: 0 });
    for _ in 0..10_000 {
        counter.send(Counter::Add(2)).await?;
    }
    let total = counter.ask(Counter::Get).await?;
    counter.stop();
    assert_eq!(system.ended(counter.pid()).await, hew_wire::ExitReason::Normal);
    assert!(matches!(counter.try_send(Counter::Add(1)), Err(TrySendError::Closed { .. })));
    assert_eq!(counter.ask(Counter::Get).await, Err(AskError::Ended(hew_wire::ExitReason::Normal)));
    Ok(total)
}

#[test]
fn a_counter_counts_in_a_simulation() {
    let simulation = Simulation::new(7);
    let system = System::new(simulation.runtime(), SystemConfig::default());
    assert_eq!(simulation.run(count(system)).unwrap().unwrap(), 20_000);
    assert_eq!(simulation.elapsed(), Duration::ZERO);
}

#[test]
fn a_counter_counts_on_threads() {
    for workers in [1, 2] {
        let runtime = Runtime::start(RuntimeConfig { workers, ..RuntimeConfig::default() }).unwrap();
        let system = System::new(runtime.clone(), SystemConfig::default());
        assert_eq!(runtime.block_on(count(system.clone())).unwrap(), 20_000);
        let report = runtime.block_on(system.shutdown(Duration::from_secs(5)));
        assert_eq!(report, ShutdownReport::default());
        runtime.shutdown();
    }
}
