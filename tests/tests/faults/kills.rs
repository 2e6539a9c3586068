//! Processes that are killed under load and come back with the same id on the same port.

use hew_node::{ActorRef, AskError, ExitReason, Incarnation, Node, Pid, Runtime};
use hew_tests::actors::{Counter, CounterActor};
use hew_tests::again::{Child, command, is_child, orders, say};
use hew_tests::chaos::{Fate, Flow, Proxy, TcpCarrier, Way};
use hew_tests::real::{free_address, number, patient_builder, runtime, wait_until};
use hew_tests::targets::{Hits, Shot, set_up_with};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

const NAME: &str = "kills::a_killed_process_comes_back_as_another_node";
const KILLS: u64 = 20;
const SOON: Duration = Duration::from_secs(30);

fn setting(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The process that is killed: node 2, with one target.
fn be_killed() {
    let runtime = runtime(1);
    let node = patient_builder(&runtime, 2).listen(setting("HEW_TEST_LISTEN"));
    let node = node.advertise(setting("HEW_TEST_ADVERTISE")).join(setting("HEW_TEST_SEED"));
    let node = runtime.block_on(node.start()).expect("the node starts");
    let hits = Hits::kept_in(Path::new(&setting("HEW_TEST_HITS")));
    let target = set_up_with(&node, 1, &hits).remove(0);
    say(format_args!("target {} {}", target.pid().raw(), node.incarnation().0));
    for order in orders() {
        match order.as_str() {
            // Tells node 1 when everything that has arrived here was handled. With that message goes the
            // acknowledgement of all before it.
            "ring" => runtime.block_on(async {
                // What the kernel still had is read by the thread whose timer goes off here.
                let (mut seen, mut quiet_for) = (0, 0);
                while quiet_for < 5 {
                    runtime.sleep(Duration::from_millis(30)).await;
                    let (received, handled) = (node.stats().messages_received, hits.handled());
                    quiet_for = if received == seen && handled == received { quiet_for + 1 } else { 0 };
                    seen = received;
                }
                let bell: ActorRef<Counter> = node.wait_for("bell", SOON).await.expect("the name spreads");
                bell.send(Counter::Add(1)).await.expect("node 1 lives");
            }),
            "figures" => {
                let ((own, stray), refused) = (hits.count(), node.stats().messages_refused);
                say(format_args!("figures {own} {stray} {refused}"));
            }
            _ => break,
        }
    }
}

struct World<'a> {
    runtime: &'a Runtime,
    first: Node,
    bell: ActorRef<Counter>,
    proxies: [Proxy; 2],
    listen: String,
    hits: std::path::PathBuf,
}

impl World<'_> {
    /// Starts node 2; its target, and which start it is.
    fn start(&self) -> (Child, Pid, Incarnation) {
        let mut command = command(NAME);
        command
            .env("HEW_TEST_LISTEN", &self.listen)
            .env("HEW_TEST_ADVERTISE", self.proxies[1].address())
            .env("HEW_TEST_SEED", self.proxies[0].address())
            .env("HEW_TEST_HITS", &self.hits);
        let mut child = Child::start(command);
        let told = child.answer("target");
        let (pid, incarnation) = told.split_once(' ').expect("two numbers");
        let pid = Pid::from_raw(pid.parse().expect("a number"));
        (child, pid, Incarnation(incarnation.parse().expect("a number")))
    }

    async fn wait_for_link(&self, incarnation: Incarnation) {
        let linked = || {
            let links = self.first.links();
            links.iter().any(|link| link.connected && link.incarnation == Some(incarnation))
        };
        wait_until(self.runtime, "the new start is linked", SOON, linked).await;
    }

    /// Shoots until told; how many shots were taken.
    async fn shoot(&self, target: &ActorRef<Shot>, incarnation: Incarnation, enough: &AtomicBool) -> u64 {
        let mut taken = 0;
        while !enough.load(Ordering::SeqCst) {
            let shot = Shot::At { incarnation: incarnation.0, ballast: vec![0; 200] };
            taken += u64::from(target.send(shot).await.is_ok());
            if taken % 20 == 0 {
                self.runtime.sleep(Duration::from_millis(1)).await;
            }
        }
        taken
    }

    /// Shoots at a process, kills it, and starts another; returns what was taken, handled, lost and refused.
    async fn kill(
        &self,
        (mut child, pid, old): (Child, Pid, Incarnation),
        is_exact: bool,
    ) -> ((Child, Pid, Incarnation), [u64; 4]) {
        let target: ActorRef<Shot> = self.first.actor(pid).expect("another node's actor");
        self.wait_for_link(old).await;
        let enough = Arc::new(AtomicBool::new(false));
        let lost_before = self.first.stats().messages_lost;
        let killing = async {
            wait_until(self.runtime, "shots arrive", SOON, || Hits::read_kept(&self.hits) > 500).await;
            if is_exact {
                // What is on the way stays there; what has arrived is handled, and node 1 hears of it.
                let rung = self.bell.ask(Counter::Get).await.expect("the bell lives");
                self.proxies[0].set(Way::Back, Flow::Hold);
                self.proxies[1].set(Way::Forth, Flow::Hold);
                child.order("ring");
                while self.bell.ask(Counter::Get).await.expect("the bell lives") == rung {
                    self.runtime.sleep(Duration::from_millis(5)).await;
                }
            }
            child.kill();
            let handled = Hits::read_kept(&self.hits);
            let again = self.start();
            self.wait_for_link(again.2).await;
            // Shots at what is no more go on for a while.
            let sent = self.first.stats().messages_sent;
            wait_until(self.runtime, "more shots", SOON, || self.first.stats().messages_sent > sent + 50)
                .await;
            enough.store(true, Ordering::SeqCst);
            (again, handled)
        };
        let (taken, (mut again, handled)) = futures::join!(self.shoot(&target, old, &enough), killing);
        let node = again.1.node();
        wait_until(self.runtime, "all is acknowledged", SOON, || self.first.outgoing_bytes(node) == 0).await;
        assert_eq!(target.ask(Shot::Whose).await, Err(AskError::Ended(ExitReason::NoProcess)));
        let valid: ActorRef<Shot> = self.first.actor(again.1).expect("another node's actor");
        assert_eq!(valid.ask(Shot::Whose).await, Ok(again.2.0));
        let figures = again.0.ask("figures", "figures");
        let figures: Vec<u64> = figures.split(' ').map(|figure| figure.parse().expect("a number")).collect();
        let [own, stray, refused] = figures[..] else { panic!("three figures: {figures:?}") };
        assert_eq!((own, stray), (0, 0), "shots at the old start have hit the new one");
        let lost = self.first.stats().messages_lost - lost_before;
        // The question above was refused, too.
        (again, [taken, handled, lost, refused - 1])
    }
}

#[test]
fn a_killed_process_comes_back_as_another_node() {
    if is_child(NAME) {
        return be_killed();
    }
    let kills = number("HEW_KILLS", KILLS);
    let directory = tempfile::tempdir().expect("a directory can be made");
    let runtime = runtime(2);
    runtime.block_on(async {
        let (here, there) = (free_address(), free_address());
        let proxy = async |back: &str| {
            Proxy::start_with(&runtime, TcpCarrier::default(), ("127.0.0.1:0", back), Fate::default()).await
        };
        let proxies = [proxy(&here).await, proxy(&there).await];
        let first = patient_builder(&runtime, 1).listen(here).advertise(proxies[0].address());
        let first = first.start().await.expect("the node starts");
        let bell = first.spawn(CounterActor::default());
        first.register("bell", &bell).await.expect("the name is free");
        let hits = directory.path().join("hits");
        let world = World { runtime: &runtime, first, bell, proxies, listen: there, hits };
        let mut process = world.start();
        let mut sums = [0; 4];
        for round in 0..kills {
            let is_exact = round % 2 == 0;
            let (again, figures) = world.kill(process, is_exact).await;
            process = again;
            let [taken, handled, lost, refused] = figures;
            let told =
                format!("round {round}: {taken} taken, {handled} handled, {lost} lost, {refused} refused");
            assert!(handled <= taken, "{told}");
            // What waits in a mailbox when its process is killed has reached its node, and nobody can tell more.
            assert!(!is_exact || taken == handled + lost + refused, "{told}");
            for (sum, figure) in sums.iter_mut().zip(figures) {
                *sum += figure;
            }
        }
        let [taken, handled, lost, refused] = sums;
        println!(
            "{kills} kills: {taken} taken, {handled} handled, {lost} lost, {refused} refused by the new start"
        );
        world.first.crash().await;
    });
    runtime.shutdown();
}
