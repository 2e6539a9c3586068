//! A node that crashes under load and comes back as another one, a thousand times in virtual time.

use hew_actor::Task;
use hew_node::{ActorRef, AskError, ExitReason, Incarnation, Runtime};
use hew_tests::chaos::{Fate, Flow, Proxy, Way};
use hew_tests::cluster::{Cluster, SimNode};
use hew_tests::targets::{Hits, Shot, set_up};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

const RESTARTS: u64 = 1000;
/// Restarts of each world.
const PER_SEED: u64 = 50;
const TARGETS: usize = 5;
const SOON: Duration = Duration::from_secs(30);

/// Shoots at targets until told that it is enough; returns how many shots were taken.
fn shoot(
    node: &SimNode,
    targets: &[ActorRef<Shot>],
    incarnation: Incarnation,
    bytes: usize,
    enough: Arc<AtomicBool>,
) -> Task<u64> {
    let targets: Vec<ActorRef<Shot>> =
        targets.iter().map(|target| node.actor(target.pid()).expect("another node's actor")).collect();
    let runtime: Runtime = node.runtime().clone();
    node.runtime().spawn(async move {
        let mut taken = 0;
        while !enough.load(Ordering::SeqCst) {
            let ballast = vec![0; bytes];
            let shot = Shot::At { incarnation: incarnation.0, ballast };
            // One that is refused comes back, and is not on its way.
            if targets[taken as usize % TARGETS].send(shot).await.is_ok() {
                taken += 1;
            }
            runtime.sleep(Duration::from_millis(1)).await;
        }
        taken
    })
}

/// Sums of a world.
#[derive(Default)]
struct Sums {
    taken: u64,
    handled: u64,
    lost: u64,
    refused: u64,
    /// Counted as lost although they were handled: their acknowledgement was on its way.
    both: u64,
}

struct World<'a> {
    cluster: &'a Cluster,
    proxies: [Proxy; 2],
    first: SimNode,
    bytes: usize,
}

impl World<'_> {
    /// Lets nothing of what node 1 sends arrive, while what node 2 has to say does.
    fn hold(&self) {
        // Through its own proxy node 1 is dialled, through the other one it dials.
        self.proxies[0].set(Way::Back, Flow::Hold);
        self.proxies[1].set(Way::Forth, Flow::Hold);
    }

    /// One crash and restart of node 2 under fire.
    async fn restart(&self, second: SimNode, round: u64, sums: &mut Sums) -> SimNode {
        let (first, runtime) = (&self.first, self.cluster.runtime());
        let (targets, hits) = set_up(&second, TARGETS);
        let old = second.incarnation();
        let enough = Arc::new(AtomicBool::new(false));
        let shooting = shoot(first, &targets, old, self.bytes, Arc::clone(&enough));
        let lost_before = first.stats().messages_lost;
        let linked = |incarnation: Incarnation| {
            first.links().iter().any(|link| link.connected && link.incarnation == Some(incarnation))
        };
        self.cluster.wait_until("shots arrive", SOON, || hits.count().0 > 20).await;
        runtime.sleep(Duration::from_micros(7_919 * (round % 13))).await;
        // Every other time everything that was handled has been acknowledged when the node dies.
        let is_exact = round.is_multiple_of(2);
        if is_exact {
            self.hold();
            runtime.sleep(Duration::from_millis(100)).await;
        }
        let monitor = first.monitor(targets[0].pid());
        second.crash().await;
        drop(second);
        runtime.sleep(Duration::from_millis(1 + round % 300)).await;
        let again = self.cluster.start_as(self.cluster.proxied_builder(2)).await.expect("it starts again");
        let (others, others_hits) = set_up(&again, TARGETS);
        self.cluster.wait_until("the new start is linked", SOON, || linked(again.incarnation())).await;
        // Shots go on for a while at actors that are no more.
        runtime.sleep(Duration::from_millis(10)).await;
        enough.store(true, Ordering::SeqCst);
        let taken = shooting.await;
        assert_eq!(monitor.down().await, ExitReason::NodeDown, "round {round}");
        self.cluster.wait_until("all is acknowledged", SOON, || first.outgoing_bytes(again.id()) == 0).await;

        self.check_pids(&targets, &others, again.incarnation()).await;
        assert_eq!(others_hits.count(), (0, 0), "round {round}: reached another start");
        self.account(taken, &hits, &again, lost_before, is_exact, sums);
        again
    }

    /// PIDs of the old start lead nowhere, those of the new one to it.
    async fn check_pids(&self, old: &[ActorRef<Shot>], new: &[ActorRef<Shot>], incarnation: Incarnation) {
        for (old, new) in old.iter().zip(new) {
            assert_ne!(old.pid(), new.pid());
            let stale: ActorRef<Shot> = self.first.actor(old.pid()).expect("another node's actor");
            assert_eq!(stale.ask(Shot::Whose).await, Err(AskError::Ended(ExitReason::NoProcess)));
            let valid: ActorRef<Shot> = self.first.actor(new.pid()).expect("another node's actor");
            assert_eq!(valid.ask(Shot::Whose).await, Ok(incarnation.0));
        }
    }

    /// Every shot was handled, or lost with the session and counted, or refused by the new start and counted.
    fn account(
        &self,
        taken: u64,
        hits: &Hits,
        again: &SimNode,
        lost_before: u64,
        is_exact: bool,
        sums: &mut Sums,
    ) {
        let (handled, stray) = hits.count();
        let lost = self.first.stats().messages_lost - lost_before;
        // The questions to the old PIDs are refused, too.
        let refused = again.stats().messages_refused - TARGETS as u64;
        assert_eq!(again.system().dead_letters().no_process, again.stats().messages_refused);
        let told = format!("{taken} taken, {handled} handled, {lost} lost, {refused} refused");
        assert_eq!(stray, 0, "{told}");
        if is_exact {
            assert_eq!(taken, handled + lost + refused, "{told}");
        } else {
            assert!(handled <= taken && taken <= handled + lost + refused, "{told}");
        }
        sums.taken += taken;
        sums.handled += handled;
        sums.lost += lost;
        sums.refused += refused;
        sums.both += handled + lost + refused - taken;
    }
}

fn story(seed: u64, restarts: u64, bytes: usize, bytes_per_s: Option<u64>) -> Sums {
    let cluster = Cluster::new(seed);
    let mut sums = Sums::default();
    cluster.run(async {
        let latency = Duration::from_micros(300 * (seed % 5));
        let fate = move |_: &mut fastrand::Rng| Fate { latency, bytes_per_s, ..Fate::default() };
        let proxies = [cluster.proxy(1, 0, fate).await, cluster.proxy(2, 0, fate).await];
        let first = cluster.start_as(cluster.proxied_builder(1)).await.expect("the node starts");
        let mut second = cluster.start_as(cluster.proxied_builder(2)).await.expect("the node starts");
        first.wait_for_members(2, SOON).await.expect("two members");
        let world = World { cluster: &cluster, proxies, first, bytes };
        for round in 0..restarts {
            second = world.restart(second, round, &mut sums).await;
        }
        second.crash().await;
        world.first.crash().await;
    });
    sums
}

#[test]
fn a_thousand_restarts_account_for_every_message_and_misdeliver_none() {
    let mut all = Sums::default();
    for seed in 0..RESTARTS / PER_SEED {
        let sums = story(seed, PER_SEED, 100, None);
        all.taken += sums.taken;
        all.handled += sums.handled;
        all.lost += sums.lost;
        all.refused += sums.refused;
        all.both += sums.both;
    }
    let Sums { taken, handled, lost, refused, both } = all;
    println!(
        "{RESTARTS} restarts: {taken} taken = {handled} handled + {lost} lost + {refused} refused by the new start \
         - {both} handled, but not known to be"
    );
    assert!(lost > 0 && refused > 0 && both > 0);
}

#[test]
fn restarts_account_for_messages_in_fragments() {
    // So slow that a message is under way when the node crashes.
    let sums = story(0, 20, 150_000, Some(4_000_000));
    assert!(sums.lost > 0);
}
