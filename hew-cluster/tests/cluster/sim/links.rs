//! The links of the simulated world: lanes in each direction, connections, dials.

use super::{Host, Input, Power, Sim, Step, n};
use hew_cluster::LinkEvent;
use hew_wire::Incarnation;
use hew_wire::membership::MembershipMessage;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// What is under way from one node to another.
#[derive(Default)]
pub(super) struct Lane {
    queue: VecDeque<(Instant, MembershipMessage)>,
    is_pumping: bool,
    blocked: Option<Instant>,
    is_dialling: bool,
}

impl Lane {
    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }
}

pub(super) fn pair(a: u16, b: u16) -> (u16, u16) {
    (a.min(b), a.max(b))
}

impl Sim {
    pub(super) fn send(&mut self, from: u16, to: u16, message: MembershipMessage) {
        self.messages += 1;
        self.bytes += rmp_serde::to_vec_named(&message).unwrap().len() as u64;
        let ready = self.now + self.delay();
        let lane = self.lanes.entry((from, to)).or_default();
        // Ordered: nothing overtakes what was sent before.
        let ready = lane.queue.back().map_or(ready, |&(last, _)| ready.max(last));
        if lane.queue.len() < 10_000 {
            lane.queue.push_back((ready, message));
        }
        if self.connected.contains(&pair(from, to)) {
            self.start_pump(from, to);
        } else {
            self.dial(from, to, None);
        }
    }

    fn start_pump(&mut self, from: u16, to: u16) {
        let now = self.now;
        let lane = self.lanes.entry((from, to)).or_default();
        if let Some(&(ready, _)) = lane.queue.front().filter(|_| !lane.is_pumping) {
            lane.is_pumping = true;
            self.schedule(ready.saturating_duration_since(now), Step::Pump(from, to));
        }
    }

    fn is_open(&self, from: u16, to: u16) -> bool {
        let silent = |id: u16| self.hosts.get(&id).is_none_or(|host| host.power == Power::Silent);
        !self.cut.contains(&(from, to)) && !silent(from) && !silent(to)
    }

    pub(super) fn pump(&mut self, from: u16, to: u16) {
        let (now, is_open) = (self.now, self.is_open(from, to));
        let is_connected = self.connected.contains(&pair(from, to));
        let Some(lane) = self.lanes.get_mut(&(from, to)) else { return };
        lane.is_pumping = false;
        if !is_connected {
            return;
        }
        if !is_open {
            let since = *lane.blocked.get_or_insert(now);
            if now - since >= self.net.link_timeout {
                lane.blocked = None;
                self.disconnect(from, to, Duration::ZERO);
            } else {
                lane.is_pumping = true;
                self.schedule(Duration::from_millis(50), Step::Pump(from, to));
            }
            return;
        }
        lane.blocked = None;
        if let Some((_, message)) = lane.queue.pop_front_if(|(ready, _)| *ready <= now) {
            self.input(to, Input::Message(n(from), message));
        }
        self.start_pump(from, to);
    }

    pub(super) fn disconnect(&mut self, a: u16, b: u16, delay: Duration) {
        if self.connected.remove(&pair(a, b)) {
            self.schedule(delay, Step::Tell(a, n(b), LinkEvent::Broken));
            self.schedule(delay, Step::Tell(b, n(a), LinkEvent::Broken));
        }
    }

    pub(super) fn dial_if_needed(&mut self, from: u16, to: u16) {
        if !self.connected.contains(&pair(from, to)) {
            self.dial(from, to, None);
        }
    }

    pub(super) fn dial(&mut self, from: u16, to: u16, seed: Option<String>) {
        let lane = self.lanes.entry((from, to)).or_default();
        if lane.is_dialling {
            return;
        }
        lane.is_dialling = true;
        let (started, incarnation) = (self.now, self.hosts[&from].incarnation);
        let delay = self.delay() + self.delay();
        self.schedule(delay, Step::Dialled { from, to, seed, started, incarnation });
    }

    pub(super) fn dialled(
        &mut self,
        from: u16,
        to: u16,
        seed: Option<String>,
        started: Instant,
        incarnation: Incarnation,
    ) {
        if self.hosts[&from].incarnation != incarnation || self.hosts[&from].power != Power::Running {
            if let Some(lane) = self.lanes.get_mut(&(from, to)) {
                lane.is_dialling = false;
            }
            return;
        }
        let is_open = self.is_open(from, to) && self.is_open(to, from);
        let power = self.hosts.get(&to).map_or(Power::Silent, |host| host.power);
        if (!is_open || power == Power::Paused) && self.now - started < self.net.dial_timeout {
            let again = Step::Dialled { from, to, seed, started, incarnation };
            return self.schedule(Duration::from_millis(100), again);
        }
        if let Some(lane) = self.lanes.get_mut(&(from, to)) {
            lane.is_dialling = false;
        }
        match power {
            Power::Running if is_open && self.deaf.contains(&to) => {
                self.input(from, Input::Link(n(to), LinkEvent::Unreachable { refused: true }));
            }
            Power::Running if is_open => {
                let first = self.connected.insert(pair(from, to));
                let up = |host: &Host, id: u16, seed| LinkEvent::Up {
                    incarnation: host.incarnation,
                    address: Some(format!("n{id}")),
                    seed,
                };
                let at_from = up(&self.hosts[&to], to, seed.clone());
                let at_to = up(&self.hosts[&from], from, None);
                if first {
                    self.input(to, Input::Link(n(from), at_to));
                }
                if first || seed.is_some() {
                    self.input(from, Input::Link(n(to), at_from));
                }
                self.start_pump(from, to);
                self.start_pump(to, from);
            }
            Power::Killed if is_open => {
                if let Some(lane) = self.lanes.get_mut(&(from, to)) {
                    lane.queue.clear();
                }
                self.input(from, Input::Link(n(to), LinkEvent::Unreachable { refused: true }));
            }
            _ => {
                self.input(from, Input::Link(n(to), LinkEvent::Unreachable { refused: false }));
                self.schedule(Duration::from_millis(500), Step::Redial(from, to));
            }
        }
    }
}
