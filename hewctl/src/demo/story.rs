//! The story that the demo tells, step by step. Each step fails the demo if what it tells of did not happen.

use super::processes::{Answered, Happened, Processes};
use super::protocol::{Answer, Command, Event, Link};
use super::report::Report;
use crate::failure::Failure;
use crate::identity;
use crate::output;
use hew_node::{ExitReason, NodeId, Pid, PublicKey};
use hew_security::{Entry, Overwrite};
use std::collections::BTreeMap;
use std::fmt::Display;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// The nodes.
const NODES: [u16; 3] = [1, 2, 3];
/// The node that supervises the counter from its start on, and has it in the end.
const SUPERVISOR: u16 = 1;
/// The node that has the counter first, and is killed.
const VICTIM: u16 = 2;
/// The node that only uses the counter.
const USER: u16 = 3;
/// The nodes that send to the first counter, and remain.
const SENDERS: [u16; 2] = [SUPERVISOR, USER];
/// What the counter is called.
const COUNTER: &str = "counter";
/// For each step; a node process gives up a little earlier, and says why.
const STEP_DEADLINE: Duration = Duration::from_secs(25);

/// Says what happens, with the time since the beginning.
pub(super) struct Narrator {
    begin: Instant,
    aloud: bool,
}

impl Narrator {
    pub(super) fn new(begin: Instant, aloud: bool) -> Narrator {
        Narrator { begin, aloud }
    }

    fn say(&self, text: impl Display) {
        self.say_at(Instant::now(), text);
    }

    fn say_at(&self, at: Instant, text: impl Display) {
        if self.aloud {
            let seconds = at.saturating_duration_since(self.begin).as_secs_f64();
            output::line(format_args!("{seconds:8.3} s  {text}"));
        }
    }
}

/// See the module's documentation.
pub(super) struct Story<'a> {
    narrator: Narrator,
    report: &'a mut Report,
    messages: u64,
    // The processes end before the directory with their keys goes: fields are dropped in this order.
    processes: Processes,
    directory: TempDir,
    keys: BTreeMap<u16, PublicKey>,
    /// What the nodes said so far and was not looked for yet.
    happened: Vec<Happened>,
}

impl<'a> Story<'a> {
    /// Makes keys and a list of who may connect.
    pub(super) fn begin(
        narrator: Narrator,
        report: &'a mut Report,
        messages: u64,
        verbose: u8,
    ) -> Result<Story<'a>, Failure> {
        // Before anything is made: a signal must find somebody who puts it away.
        let processes = Processes::new(verbose)?;
        let failed = |error| Failure::failed(format_args!("no temporary directory: {error}"));
        let directory = tempfile::Builder::new().prefix("hew-demo-").tempdir().map_err(failed)?;
        let happened = Vec::new();
        let keys = BTreeMap::new();
        Ok(Story { narrator, report, messages, processes, directory, keys, happened })
    }

    /// Tells it all.
    pub(super) fn tell(mut self) -> Result<(), Failure> {
        self.make_keys()?;
        self.start_nodes()?;
        self.check_links(&NODES)?;
        let first = self.start_counter()?;
        self.count()?;
        let killed = self.kill(first)?;
        let second = self.fail_over(first, killed)?;
        self.count_again(second)?;
        self.check_links(&SENDERS)?;
        self.shut_down()
    }

    fn make_keys(&mut self) -> Result<(), Failure> {
        let mut lines = String::from("# node  key  comment\n");
        for node in NODES {
            let keypair = identity::ephemeral_key()?;
            let (key, path) = (keypair.public(), self.key_path(node));
            keypair.save(path, Overwrite::Refuse)?;
            let entry =
                Entry { comment: format!("demo-{node}"), ..Entry::new(key, Some(NodeId::from_raw(node))) };
            lines.push_str(&format!("{entry}\n"));
            self.keys.insert(node, key);
        }
        let list = self.allowlist_path();
        std::fs::write(&list, lines).map_err(|error| Failure::failed(error).of(list.display()))?;
        self.narrator.say(format_args!(
            "made {} keys and an allowlist that ties each to its node, in {}",
            NODES.len(),
            self.directory.path().display()
        ));
        Ok(())
    }

    fn start_nodes(&mut self) -> Result<(), Failure> {
        let mut pids = BTreeMap::new();
        for node in NODES {
            pids.insert(node, self.processes.start(node)?);
        }
        let seed = self.start_node(NODES[0], Vec::new(), &pids)?;
        for node in &NODES[1..] {
            self.start_node(*node, vec![seed.clone()], &pids)?;
        }
        for node in NODES {
            self.processes.tell(node, &Command::AwaitMembers { members: NODES.len() })?;
        }
        for node in NODES {
            let Answer::MembersKnown { members } = self.answer(node)?.answer else { return strange(node) };
            self.narrator
                .say(format_args!("node {node} knows {members} members and has a link to each other"));
        }
        self.report.nodes = NODES.len();
        Ok(())
    }

    fn start_node(
        &mut self,
        node: u16,
        join: Vec<String>,
        pids: &BTreeMap<u16, u32>,
    ) -> Result<String, Failure> {
        let (key, allow) = (self.key_path(node), self.allowlist_path());
        let answered = self.ask(node, &Command::Start { id: node, key, allow, join })?;
        let Answer::Started { address, public_key } = answered.answer else { return strange(node) };
        if Some(&public_key) != self.keys.get(&node).map(PublicKey::to_hex).as_ref() {
            return Err(Failure::failed(format_args!("node {node} runs with another key: {public_key}")));
        }
        self.narrator.say_at(
            answered.at,
            format_args!(
                "node {node} listens at {address}: process {}, key {}…",
                pids[&node],
                &public_key[..16]
            ),
        );
        Ok(address)
    }

    /// Looks at the links between `nodes` from both ends: each must be there, encrypted, with the other's own key.
    fn check_links(&mut self, nodes: &[u16]) -> Result<(), Failure> {
        let mut good = true;
        for &node in nodes {
            let Answer::Links { links, messages_refused } = self.ask(node, &Command::Links)?.answer else {
                return strange(node);
            };
            if messages_refused > 0 {
                self.narrator.say(format_args!("node {node} refused {messages_refused} messages"));
            }
            let links: Vec<Link> = links.into_iter().filter(|link| link.connected).collect();
            self.report.link_ends += links.len();
            for other in nodes.iter().filter(|&&other| other != node) {
                let key = self.keys.get(other).map(PublicKey::to_hex);
                let link = links.iter().find(|link| link.node == *other);
                good &= link.is_some_and(|link| link.encrypted && link.public_key == key);
            }
            good &= links.len() + 1 == nodes.len();
        }
        let before = std::mem::replace(&mut self.report.encrypted, good);
        self.report.encrypted &= before || nodes.len() == NODES.len();
        if !good {
            return Err(Failure::failed("a link is missing, or not encrypted with the key of its node"));
        }
        self.narrator.say(format_args!(
            "all {} links between nodes {nodes:?} are encrypted, each end saw the other's own key",
            nodes.len() * (nodes.len() - 1) / 2
        ));
        Ok(())
    }

    fn start_counter(&mut self) -> Result<Pid, Failure> {
        let name = || COUNTER.to_owned();
        let answered = self.ask(VICTIM, &Command::StartCounter { name: name() })?;
        let Answer::CounterStarted { pid } = answered.answer else { return strange(VICTIM) };
        self.narrator.say(format_args!("node {VICTIM} started actor {pid} and registered it as {COUNTER:?}"));
        for node in SENDERS {
            let Answer::Found { pid: found } = self.ask(node, &Command::Find { name: name() })?.answer else {
                return strange(node);
            };
            if found != pid {
                return Err(Failure::failed(format_args!("node {node} found {found} instead of {pid}")));
            }
            self.narrator.say(format_args!("node {node} found {COUNTER:?}: it is {found}"));
        }
        let answered = self.ask(SUPERVISOR, &Command::Supervise { name: name() })?;
        let Answer::Supervising { pid: supervised } = answered.answer else { return strange(SUPERVISOR) };
        self.narrator.say(format_args!("node {SUPERVISOR} runs a supervisor that monitors {supervised}"));
        Ok(pid)
    }

    fn count(&mut self) -> Result<(), Failure> {
        let flood = Command::Flood { name: COUNTER.into(), messages: self.messages };
        let begin = Instant::now();
        self.narrator.say(format_args!("nodes {SENDERS:?} send {} messages each", self.messages));
        for node in SENDERS {
            self.processes.tell(node, &flood)?;
        }
        let mut sent = 0;
        for node in SENDERS {
            let Answer::Flooded { sent: messages, elapsed_ms } = self.answer(node)?.answer else {
                return strange(node);
            };
            sent += messages;
            self.narrator.say(format_args!("node {node} has sent {messages} messages in {elapsed_ms} ms"));
        }
        for node in SENDERS {
            let total = self.total(node)?;
            self.narrator.say(format_args!("node {node} asked for the total: {total} of {sent}"));
            self.report.total = total;
        }
        // The answers of both senders and the totals are behind all messages: nothing is on its way any more.
        let elapsed = begin.elapsed().as_secs_f64();
        self.report.messages_per_second = (sent as f64 / elapsed) as u64;
        self.account(sent, self.report.total)
    }

    fn kill(&mut self, counter: Pid) -> Result<Instant, Failure> {
        // Asked before the crash, so that the time until the answer has no question's delay in it.
        self.processes.tell(USER, &Command::AwaitSuccessor { name: COUNTER.into(), old: counter })?;
        // What was said before the crash is not about it.
        self.happened.clear();
        let killed = self.processes.kill(VICTIM)?;
        self.narrator
            .say_at(killed, format_args!("killed node {VICTIM} with SIGKILL, and {counter} with it"));
        Ok(killed)
    }

    fn fail_over(&mut self, old: Pid, killed: Instant) -> Result<Pid, Failure> {
        let since = |at: Instant| at.saturating_duration_since(killed).as_millis() as u64;
        let mut noticed = killed;
        for node in SENDERS {
            let at = self.await_event("a node to be down", |happened| {
                let down = matches!(happened.event, Event::Down { node, .. } if node == VICTIM);
                (happened.node == node && down).then_some(happened.at)
            })?;
            noticed = noticed.max(at);
        }
        self.report.detected_down_ms = Some(since(noticed));
        let reason =
            self.await_event("the supervisor to see the counter end", |happened| match &happened.event {
                Event::ActorDown { pid, reason, .. } if *pid == old => Some(reason.clone()),
                _ => None,
            })?;
        // It had no time to say anything itself.
        if reason != ExitReason::NodeDown.to_string() {
            return Err(Failure::failed(format_args!("{old} did not end with its node, but: {reason}")));
        }
        let (at, restarted) =
            self.await_event("the supervisor to restart the counter", |happened| match happened.event {
                Event::ActorRestarted { pid } if happened.node == SUPERVISOR => Some((happened.at, pid)),
                _ => None,
            })?;
        self.report.restarted_ms = Some(since(at));
        let answered = self.answer(USER)?;
        let Answer::Successor { pid, total } = answered.answer else { return strange(USER) };
        if pid != restarted || pid == old || pid.node().raw() != SUPERVISOR || total != 0 {
            let text = format!("node {USER} found {pid} with total {total} instead of {restarted} with 0");
            return Err(Failure::failed(text));
        }
        self.report.failover_ms = Some(since(answered.at));
        self.narrator.say_at(
            answered.at,
            format_args!("node {USER} found {COUNTER:?} again: it is {pid}, and answers"),
        );
        Ok(pid)
    }

    fn count_again(&mut self, counter: Pid) -> Result<(), Failure> {
        let flood = Command::Flood { name: COUNTER.into(), messages: self.messages };
        let Answer::Flooded { sent, elapsed_ms } = self.ask(USER, &flood)?.answer else {
            return strange(USER);
        };
        self.narrator
            .say(format_args!("node {USER} has sent {sent} messages to {counter} in {elapsed_ms} ms"));
        let total = self.total(USER)?;
        self.narrator.say(format_args!("node {USER} asked for the total: {total} of {sent}"));
        self.report.total_after_failover = total;
        self.account(sent, total)
    }

    fn shut_down(&mut self) -> Result<(), Failure> {
        for node in [USER, SUPERVISOR] {
            let Answer::ShutDown = self.ask(node, &Command::Shutdown)?.answer else { return strange(node) };
            self.processes.wait(node)?;
            self.narrator.say(format_args!("node {node} has shut down"));
        }
        Ok(())
    }

    /// Nothing may be lost that was sent to a living node, and nothing may come twice.
    fn account(&mut self, sent: u64, total: u64) -> Result<(), Failure> {
        self.report.messages += sent;
        self.report.lost += sent.saturating_sub(total);
        if sent == total {
            Ok(())
        } else {
            Err(Failure::failed(format_args!("{sent} sent, {total} counted")))
        }
    }

    fn total(&mut self, node: u16) -> Result<u64, Failure> {
        match self.ask(node, &Command::Total { name: COUNTER.into() })?.answer {
            Answer::Total { total } => Ok(total),
            _ => strange(node),
        }
    }

    fn ask(&mut self, node: u16, command: &Command) -> Result<Answered, Failure> {
        self.processes.tell(node, command)?;
        self.answer(node)
    }

    fn answer(&mut self, node: u16) -> Result<Answered, Failure> {
        let Story { narrator, processes, happened, .. } = self;
        processes.answer(node, STEP_DEADLINE, |event| {
            tell_event(narrator, event);
            happened.push(event.clone());
        })
    }

    /// Waits for an event in which `find` sees something; it may have happened already.
    fn await_event<T>(&mut self, what: &str, find: impl Fn(&Happened) -> Option<T>) -> Result<T, Failure> {
        let until = Instant::now() + STEP_DEADLINE;
        loop {
            if let Some(found) = self.happened.iter().find_map(&find) {
                return Ok(found);
            }
            let happened = self.processes.event(until, what)?;
            tell_event(&self.narrator, &happened);
            self.happened.push(happened);
        }
    }

    fn key_path(&self, node: u16) -> PathBuf {
        self.directory.path().join(format!("node-{node}.key"))
    }

    fn allowlist_path(&self) -> PathBuf {
        self.directory.path().join("allowlist")
    }
}

fn tell_event(narrator: &Narrator, happened: &Happened) {
    let Happened { node, at, event } = happened;
    let text = match event {
        Event::Up { node } => format!("node {node} is up"),
        Event::Down { text, .. } | Event::Other { text } => text.clone(),
        Event::ActorDown { pid, reason, pause_ms } => {
            format!("the supervisor saw {pid} end ({reason}) and starts it again in {pause_ms} ms")
        }
        Event::ActorRestarted { pid } => {
            format!("the supervisor started {pid} and registered it as {COUNTER:?}")
        }
    };
    narrator.say_at(*at, format_args!("  node {node}: {text}"));
}

fn strange<T>(node: u16) -> Result<T, Failure> {
    Err(Failure::failed(format_args!("node {node} answered something else than was asked")))
}
