//! A child crashes again and again: its restarts never overlap, and references survive them.

use super::*;

const CRASHES: usize = 2;

enum Order {
    Crash(#[allow(dead_code)] Counted),
    Answer(#[allow(dead_code)] Counted, ReplyTo<usize>),
}

struct Child {
    alone: Alone,
    start: usize,
    living: Arc<AtomicUsize>,
}

impl Drop for Child {
    fn drop(&mut self) {
        self.living.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Actor for Child {
    type Message = Order;

    async fn handle(&mut self, order: Order, _: &mut Context<Order>) -> Outcome {
        let _inside = self.alone.enter();
        match order {
            Order::Crash(_) => return Outcome::Crash("ordered".into()),
            Order::Answer(_, reply) => reply.send(self.start),
        }
        Outcome::Continue
    }
}

fn restarts() {
    let stage = Stage::new();
    let (starts, living, overlaps) = <(Arc<AtomicUsize>, Arc<AtomicUsize>, Arc<AtomicUsize>)>::default();
    let make = {
        let (census, starts, living, overlaps) =
            (stage.census.clone(), starts.clone(), living.clone(), overlaps.clone());
        move || {
            if living.fetch_add(1, Ordering::SeqCst) > 0 {
                overlaps.fetch_add(1, Ordering::SeqCst);
            }
            let start = starts.fetch_add(1, Ordering::SeqCst) + 1;
            Child { alone: Alone::new(&census), start, living: living.clone() }
        }
    };
    let mut supervisor = Supervisor::new(Strategy::OneForOne).budget(100, Duration::from_secs(3600));
    let child = supervisor.add(&stage.system, ChildSpec::new("child", make)).unwrap();
    let supervisor = supervisor.spawn(&stage.system);
    let threads = [0, 1].map(|_| {
        let (child, census) = (child.clone(), stage.census.clone());
        thread(move || {
            for _ in 0..CRASHES / 2 {
                wait(child.send(Order::Crash(census.one()))).unwrap();
                let answer = wait(child.ask(|reply| Order::Answer(census.one(), reply)));
                // The other one's crash may come between the question and the answer.
                assert!(matches!(answer, Ok(2..) | Err(AskError::Ended(_))), "{answer:?}");
            }
        })
    });
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    // One that comes behind a crash is lost with it; and there are only so many.
    let ask = || wait(child.ask(|reply| Order::Answer(stage.census.one(), reply)));
    let answer = (0..=CRASHES).find_map(|_| ask().ok()).expect("nobody is there any more");
    assert!((2..=1 + CRASHES).contains(&answer), "answered by start {answer}");
    // Each order was followed, or waited when its child crashed.
    let letters = stage.system.dead_letters();
    assert!(answer - 1 + letters.stopped as usize >= CRASHES, "start {answer}, {letters:?}");
    supervisor.stop();
    wait(stage.system.ended(supervisor.pid()));
    assert_eq!(child.pid(), None);
    assert_eq!(overlaps.load(Ordering::SeqCst), 0, "a child was made while its predecessor lived");
    assert_eq!(living.load(Ordering::SeqCst), 0);
    drop((child, supervisor));
    stage.close();
}

#[test]
fn supervision_random() {
    check(restarts);
}

#[test]
fn supervision_priorities() {
    check_priorities(restarts);
}
