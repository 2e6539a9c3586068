//! Whole clusters in virtual time: the same seed tells the same story.

use hew_node::{ActorRef, AskError, ExitReason, Pid};
use hew_tests::actors::{Counter, CounterActor};
use hew_tests::cluster::{Cluster, SimNode};
use std::time::Duration;

const SOON: Duration = Duration::from_secs(20);

async fn three(cluster: &Cluster) -> [SimNode; 3] {
    let mut nodes = Vec::new();
    for id in 1..=3 {
        nodes.push(cluster.start(id).await.expect("the node starts"));
    }
    for node in &nodes {
        node.wait_for_members(3, SOON).await.expect("three members");
    }
    nodes.try_into().unwrap_or_else(|_| unreachable!("three nodes were started"))
}

/// Three nodes join, talk, lose one of them, and go on; returns the log.
fn story(seed: u64) -> Vec<String> {
    let cluster = Cluster::new(seed);
    let log = cluster.log();
    cluster.run(async {
        let [first, second, third] = three(&cluster).await;
        let counter = second.spawn(CounterActor::default());
        second.register("counter", &counter).await.expect("the name is free");
        for node in [&first, &third] {
            let counter: ActorRef<Counter> = node.wait_for("counter", SOON).await.expect("the name spreads");
            for n in 0..100 {
                counter.send(Counter::Add(n)).await.expect("the counter lives");
            }
            log.note(format_args!("node {} sees {:?}", node.id(), counter.ask(Counter::Get).await));
        }
        let monitor = first.monitor(counter.pid());
        second.crash().await;
        log.note(format_args!("the counter is down: {:?}", monitor.down().await));
        cluster.wait_until("the name is gone", SOON, || third.whereis("counter").is_none()).await;
        let again = first.spawn(CounterActor::default());
        first.register("counter", &again).await.expect("the name is free again");
        let counter: ActorRef<Counter> = third.wait_for("counter", SOON).await.expect("the name spreads");
        counter.send(Counter::Add(7)).await.expect("the counter lives");
        log.note(format_args!("node 3 sees {:?}", counter.ask(Counter::Get).await));
        third.shutdown().await;
        first.shutdown().await;
    });
    log.lines()
}

#[test]
fn one_seed_tells_one_story() {
    let first = story(7);
    let second = story(7);
    for (line, (a, b)) in first.iter().zip(&second).enumerate() {
        assert_eq!(a, b, "line {line} differs");
    }
    assert_eq!(first.len(), second.len());
    let has = |text: &str| first.iter().any(|line| line.contains(text));
    assert!(has("node 1 sees Ok(4950)") && has("node 3 sees Ok(9900)"), "{first:#?}");
    assert!(has("the counter is down: NodeDown") && has("node 3 sees Ok(7)"), "{first:#?}");
    assert_ne!(first, story(8), "another seed, another order");
}

#[test]
fn a_crashed_node_answers_every_ask_and_monitor_once() {
    let cluster = Cluster::new(1);
    cluster.run(async {
        let [first, second, third] = three(&cluster).await;
        let counter = second.spawn(CounterActor::default());
        let remote: ActorRef<Counter> = first.actor(counter.pid()).expect("another node's actor");
        assert_eq!(remote.ask(Counter::Get).await, Ok(0));
        let monitors: Vec<_> = (0..100).map(|_| first.monitor(counter.pid())).collect();
        second.crash().await;
        // The link is gone, the session is not: an ask made now waits for what becomes of the node.
        assert_eq!(remote.ask_within(Duration::from_secs(60), Counter::Get).await, Err(AskError::NodeDown));
        for monitor in &monitors {
            assert_eq!(monitor.down().await, ExitReason::NodeDown);
        }
        assert!(remote.send(Counter::Add(1)).await.is_err(), "a node that is down takes nothing");
        third.shutdown().await;
        first.shutdown().await;
    });
}

#[test]
fn asks_that_cannot_be_answered_say_why() {
    let cluster = Cluster::new(2);
    cluster.run(async {
        let [first, second, third] = three(&cluster).await;
        let counter = second.spawn(CounterActor::default());
        let remote: ActorRef<Counter> = first.actor(counter.pid()).expect("another node's actor");
        assert_eq!(remote.ask(Counter::Ignore).await, Err(AskError::NoReply));
        let monitor = first.monitor(counter.pid());
        remote.send(Counter::Crash("out of luck".into())).await.expect("the counter lives");
        assert_eq!(monitor.down().await, ExitReason::crashed("out of luck"));
        assert_eq!(remote.ask(Counter::Get).await, Err(AskError::Ended(ExitReason::NoProcess)));
        assert_eq!(first.monitor(counter.pid()).down().await, ExitReason::NoProcess);
        let nobody: ActorRef<Counter> = first.actor(Pid::new(third.id(), 5)).expect("another node's actor");
        assert_eq!(nobody.ask(Counter::Get).await, Err(AskError::Ended(ExitReason::NoProcess)));
        for node in [first, second, third] {
            node.shutdown().await;
        }
    });
}

#[test]
fn a_name_vanishes_with_its_actor() {
    let cluster = Cluster::new(3);
    cluster.run(async {
        let [first, second, third] = three(&cluster).await;
        let counter = second.spawn(CounterActor::default());
        second.register("counter", &counter).await.expect("the name is free");
        let remote: ActorRef<Counter> = first.wait_for("counter", SOON).await.expect("the name spreads");
        let taken = first.register("counter", &first.spawn(CounterActor::default())).await;
        assert!(taken.unwrap_err().to_string().contains(&counter.pid().to_string()), "the holder is named");
        remote.send(Counter::Stop).await.expect("the counter lives");
        for node in [&first, &second, &third] {
            cluster.wait_until("the name is gone", SOON, || node.whereis("counter").is_none()).await;
        }
        for node in [first, second, third] {
            node.shutdown().await;
        }
    });
}

#[test]
fn a_restarted_node_is_another_one() {
    let cluster = Cluster::new(4);
    cluster.run(async {
        let [first, second, third] = three(&cluster).await;
        let counter = second.spawn(CounterActor::default());
        let stale: ActorRef<Counter> = first.actor(counter.pid()).expect("another node's actor");
        let monitor = first.monitor(counter.pid());
        assert_eq!(stale.ask(Counter::Get).await, Ok(0));
        second.crash().await;
        drop(second);
        let again = cluster.restart(2, 1).await.expect("the node starts again");
        // As many actors as it takes for serials to repeat if they could.
        let others: Vec<_> = (0..100).map(|_| again.spawn(CounterActor::default())).collect();
        assert_eq!(monitor.down().await, ExitReason::NodeDown);
        first.wait_for_members(3, SOON).await.expect("it is a member again");
        cluster
            .wait_until("the new start is connected", SOON, || {
                first
                    .links()
                    .iter()
                    .any(|link| link.connected && link.incarnation == Some(again.incarnation()))
            })
            .await;
        assert_eq!(stale.ask(Counter::Get).await, Err(AskError::Ended(ExitReason::NoProcess)));
        assert!(others.iter().all(|other| other.pid() != counter.pid()));
        for node in [first, again, third] {
            node.shutdown().await;
        }
    });
}
