//! References to children survive their restarts.

use super::*;

#[test]
fn a_child_reference_follows_its_child_through_crashes() {
    let story = |system: System| async move {
        let log = Log::default();
        let mut supervisor = Supervisor::new(Strategy::OneForOne).budget(1000, SECOND / 1_000_000);
        let noted = log.clone();
        let child = ChildSpec::new("c", move || Scripted::new("c", &noted));
        let child = supervisor.add(&system, child).unwrap();
        supervisor.spawn(&system);
        for n in 0..200 {
            if n % 10 == 0 {
                child.send(run(|_| Outcome::Crash("now and then".into()))).await.unwrap();
            }
            // Each is taken by somebody: no message is refused because a child is away.
            child.send(Cmd::Note(n)).await.unwrap();
        }
        // Behind a crash in the same mailbox a question is lost, and its asker hears of it.
        let mut asked = 1;
        while let Err(error) = child.ask_within(PATIENCE, |reply| Cmd::Next(1, reply)).await {
            assert_eq!(error, AskError::Ended(ExitReason::crashed("now and then")));
            asked += 1;
        }
        let count = |what: fn(&&String) -> bool| log.lines().iter().filter(what).count() as u64;
        let notes = count(|line| line.as_bytes()[2].is_ascii_digit());
        let crashes = count(|line| line.contains("stopped: crashed"));
        // 200 notes, 20 crashes and the questions: handled, answered once, or counted.
        assert_eq!(notes + crashes + 1 + system.dead_letters().stopped, 220 + asked);
    };
    for seed in 0..SEEDS {
        simulated(seed, story);
    }
    threaded(2, story);
}

#[test]
fn send_and_ask_wait_for_a_restart_and_try_send_says_full() {
    for seed in 0..SEEDS {
        simulated(seed, |system| async move {
            let log = Log::default();
            let mut supervisor = Supervisor::new(Strategy::OneForOne);
            let slow =
                member("slow", &log, |n| Habits { starts_for: SECOND * (n > 1).into(), ..Habits::default() });
            let slow = supervisor.add(&system, slow).unwrap();
            let supervisor = supervisor.spawn(&system);
            let old = slow.ready().await.unwrap();
            old.send(crash()).await.unwrap();
            system.ended(old.pid()).await;
            let begin = system.runtime().now();
            // Whether its supervisor has heard of the end or not.
            for _ in 0..2 {
                let Err(TrySendError::Full(Cmd::Note(7))) = slow.try_send(Cmd::Note(7)) else {
                    panic!("taken, or closed")
                };
                system.runtime().sleep(SECOND / 4).await;
                assert_eq!(slow.pid(), None);
            }
            let question = |reply| Cmd::Next(1, reply);
            assert_eq!(slow.ask_within(SECOND / 4, question).await, Err(AskError::Timeout));
            let sender = slow.clone();
            let sending = system.runtime().spawn(async move { sender.send(Cmd::Note(8)).await });
            assert_eq!(slow.ask_within(SECOND, question).await, Ok(2));
            assert!(sending.await.is_ok());
            assert_eq!(system.runtime().now() - begin, SECOND);
            assert!(slow.try_send(Cmd::Note(9)).is_ok());
            assert_ne!(slow.pid(), Some(old.pid()));
            // Gone for good, all say so.
            assert_eq!(supervisor.remove("slow").await, Ok(true));
            assert!(matches!(
                slow.try_send(crash()),
                Err(TrySendError::Closed { reason: ExitReason::NoProcess, .. })
            ));
            assert!(matches!(slow.send(crash()).await, Err(SendError::Closed { .. })));
            assert_eq!(slow.ask(question).await, Err(AskError::Ended(ExitReason::NoProcess)));
        });
    }
}
