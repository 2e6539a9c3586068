//! What the endpoints of one in-memory network share: who listens, which connections exist, who is cut off from whom.

use super::pipe::{Pipe, Wakers};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Waker};

/// Connections that wait for a listener to accept them; a connect beyond that waits.
pub(super) const ACCEPT_BACKLOG: usize = 128;

/// Dead entries of the table of connections are removed when it has doubled since, and not below this size.
const PRUNE_LINKS_MIN: usize = 64;

/// Ordered pairs of names (from, to) between which nothing gets through.
type Cuts = BTreeSet<(Arc<str>, Arc<str>)>;

/// Lock order: the network, then one pipe. No waker is called or dropped under the network's lock.
#[derive(Debug, Default)]
pub(super) struct Network {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    listeners: BTreeMap<Arc<str>, Backlog>,
    /// In the order in which they were made, so that faults reach them in the same order in every run.
    links: Vec<Weak<Link>>,
    prune_links_at: usize,
    cuts: Cuts,
    anonymous_count: u64,
    ticket_count: u64,
}

/// A name somebody listens at.
#[derive(Debug)]
struct Backlog {
    /// The endpoint that listens, if it has a name.
    owner: Option<Arc<str>>,
    waiting: VecDeque<Arc<Link>>,
    acceptor: Option<Waker>,
    /// Those who wait for room, by ticket; as many as there are connects in progress, because a [`Dial`] that is
    /// dropped takes its waker along.
    diallers: BTreeMap<u64, Waker>,
}

/// One connection, kept alive by its halves.
#[derive(Debug)]
pub(super) struct Link {
    /// The name of the side that dialled.
    pub(super) source: Arc<str>,
    /// The names of the side that accepts: where it listens, then its endpoint if that has another name.
    targets: Vec<Arc<str>>,
    /// Bytes from the side that dialled.
    pub(super) forth: Pipe,
    /// Bytes from the side that accepts.
    pub(super) back: Pipe,
}

/// One connect in progress.
#[derive(Debug)]
pub(super) struct Dial<'a> {
    network: &'a Network,
    /// Where it comes from; a fresh name if `None`.
    source: Option<Arc<str>>,
    target: Arc<str>,
    pipe_bytes_max: usize,
    /// Its place among those who wait for room, once it has waited.
    ticket: Option<u64>,
}

/// Why a connect failed.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum ConnectError {
    Refused,
    Partitioned,
}

impl Network {
    /// Takes `name` for a listener; `false`: somebody has it.
    pub(super) fn listen(&self, name: &Arc<str>, owner: Option<Arc<str>>) -> bool {
        let mut state = self.lock();
        if state.listeners.contains_key(name) {
            return false;
        }
        let backlog = Backlog { owner, waiting: VecDeque::new(), acceptor: None, diallers: BTreeMap::new() };
        state.listeners.insert(name.clone(), backlog);
        true
    }

    /// Frees `name`; connections that nobody accepted end.
    pub(super) fn unlisten(&self, name: &str) {
        let backlog = self.lock().listeners.remove(name);
        if let Some(backlog) = backlog {
            for link in backlog.waiting {
                link.back.end();
                link.forth.abandon();
            }
            backlog.diallers.into_values().for_each(Waker::wake);
        }
    }

    /// The next connection that was dialled to `name`, which the caller listens at.
    pub(super) fn poll_accept(&self, name: &str, cx: &mut Context<'_>) -> Poll<Arc<Link>> {
        let mut state = self.lock();
        let Some(backlog) = state.listeners.get_mut(name) else {
            return Poll::Pending;
        };
        let Some(link) = backlog.waiting.pop_front() else {
            let replaced = backlog.acceptor.replace(cx.waker().clone());
            drop(state);
            drop(replaced);
            return Poll::Pending;
        };
        let diallers = std::mem::take(&mut backlog.diallers);
        drop(state);
        diallers.into_values().for_each(Waker::wake);
        Poll::Ready(link)
    }

    /// Resets every connection that `matches`.
    pub(super) fn sever(&self, matches: impl Fn(&Link) -> bool) {
        let links = self.lock().live_links();
        for link in links.iter().filter(|link| matches(link)) {
            link.forth.sever();
            link.back.sever();
        }
    }

    /// Changes which pairs are cut, then holds and releases the connections that concerns.
    pub(super) fn change_cuts(&self, change: impl FnOnce(&mut Cuts)) {
        let mut state = self.lock();
        change(&mut state.cuts);
        let mut wakers = Vec::new();
        let links = state.live_links();
        for link in &links {
            let source = std::slice::from_ref(&link.source);
            wakers.push(link.forth.hold(is_cut(&state.cuts, source, &link.targets)));
            wakers.push(link.back.hold(is_cut(&state.cuts, &link.targets, source)));
        }
        drop(state);
        wakers.into_iter().for_each(Wakers::wake);
    }

    /// A panic cannot leave the state half changed: none of the changes can panic between two steps.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<'a> Dial<'a> {
    pub(super) fn new(
        network: &'a Network,
        source: Option<Arc<str>>,
        target: Arc<str>,
        pipe_bytes_max: usize,
    ) -> Dial<'a> {
        Dial { network, source, target, pipe_bytes_max, ticket: None }
    }

    /// The connection, as soon as the backlog of the target has room.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Arc<Link>, ConnectError>> {
        let mut state = self.network.lock();
        let targets = match state.check(self.source.as_ref(), &self.target) {
            Ok(targets) => targets,
            Err(error) => return Poll::Ready(Err(error)),
        };
        if state.is_full(&self.target) {
            let ticket = *self.ticket.get_or_insert_with(|| state.fresh_ticket());
            let replaced = state.wait_for_room(&self.target, ticket, cx.waker());
            drop(state);
            drop(replaced);
            return Poll::Pending;
        }
        let source = self.source.clone().unwrap_or_else(|| state.fresh_name());
        let (forth, back) = (Pipe::new(self.pipe_bytes_max), Pipe::new(self.pipe_bytes_max));
        let link = Arc::new(Link { source, targets, forth, back });
        let acceptor = state.enqueue(&self.target, &link);
        drop(state);
        if let Some(acceptor) = acceptor {
            acceptor.wake();
        }
        Poll::Ready(Ok(link))
    }
}

impl Drop for Dial<'_> {
    fn drop(&mut self) {
        let Some(ticket) = self.ticket else {
            return;
        };
        let mut state = self.network.lock();
        let given_up =
            state.listeners.get_mut(&self.target).and_then(|backlog| backlog.diallers.remove(&ticket));
        drop(state);
        drop(given_up);
    }
}

impl State {
    /// The names of the side that listens at `target`, if it can be reached from `source`.
    fn check(&self, source: Option<&Arc<str>>, target: &Arc<str>) -> Result<Vec<Arc<str>>, ConnectError> {
        let backlog = self.listeners.get(target);
        let owner = backlog.and_then(|backlog| backlog.owner.clone()).filter(|owner| owner != target);
        let targets: Vec<Arc<str>> = [target.clone()].into_iter().chain(owner).collect();
        let source = source.map_or(&[][..], std::slice::from_ref);
        // A name behind a cut is not told from one that nobody listens at, so this is asked first.
        if is_cut(&self.cuts, source, &targets) || is_cut(&self.cuts, &targets, source) {
            return Err(ConnectError::Partitioned);
        }
        if backlog.is_none() { Err(ConnectError::Refused) } else { Ok(targets) }
    }

    fn is_full(&self, target: &str) -> bool {
        self.listeners.get(target).is_some_and(|backlog| backlog.waiting.len() >= ACCEPT_BACKLOG)
    }

    /// Has `waker` called when the backlog of `target` has room; returns the one it replaces.
    fn wait_for_room(&mut self, target: &str, ticket: u64, waker: &Waker) -> Option<Waker> {
        self.listeners.get_mut(target)?.diallers.insert(ticket, waker.clone())
    }

    fn fresh_ticket(&mut self) -> u64 {
        self.ticket_count += 1;
        self.ticket_count
    }

    fn fresh_name(&mut self) -> Arc<str> {
        self.anonymous_count += 1;
        format!("~{}", self.anonymous_count).into()
    }

    /// Puts `link` before the listener at `target`; returns whom to wake.
    fn enqueue(&mut self, target: &str, link: &Arc<Link>) -> Option<Waker> {
        if self.links.len() >= self.prune_links_at {
            self.links.retain(|link| link.strong_count() > 0);
            self.prune_links_at = PRUNE_LINKS_MIN.max(self.links.len() * 2);
        }
        self.links.push(Arc::downgrade(link));
        let backlog = self.listeners.get_mut(target)?;
        backlog.waiting.push_back(link.clone());
        backlog.acceptor.take()
    }

    fn live_links(&self) -> Vec<Arc<Link>> {
        self.links.iter().filter_map(Weak::upgrade).collect()
    }
}

impl Link {
    /// Whether one of the two sides is called `name`.
    pub(super) fn touches(&self, name: &str) -> bool {
        *self.source == *name || self.targets.iter().any(|target| **target == *name)
    }

    /// Whether it is between `a` and `b`, whichever dialled.
    pub(super) fn joins(&self, a: &str, b: &str) -> bool {
        let between = |source: &str, target: &str| {
            *self.source == *source && self.targets.iter().any(|t| **t == *target)
        };
        between(a, b) || between(b, a)
    }
}

fn is_cut(cuts: &Cuts, from: &[Arc<str>], to: &[Arc<str>]) -> bool {
    from.iter().any(|from| to.iter().any(|to| cuts.contains(&(from.clone(), to.clone()))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dial<'a>(network: &'a Network, target: &str) -> Dial<'a> {
        Dial::new(network, None, target.into(), 1)
    }

    fn poll(dial: &mut Dial<'_>) -> Poll<Result<Arc<Link>, ConnectError>> {
        dial.poll(&mut Context::from_waker(Waker::noop()))
    }

    #[test]
    fn a_full_backlog_makes_connects_wait_and_forgets_those_who_give_up() {
        let network = Network::default();
        assert!(network.listen(&"n1".into(), None));
        for _ in 0..ACCEPT_BACKLOG {
            assert!(matches!(poll(&mut dial(&network, "n1")), Poll::Ready(Ok(_))));
        }
        let mut waiting = dial(&network, "n1");
        let mut given_up = dial(&network, "n1");
        assert!(poll(&mut waiting).is_pending() && poll(&mut given_up).is_pending());
        assert!(poll(&mut waiting).is_pending(), "it keeps its place");
        assert_eq!(network.lock().listeners["n1"].diallers.len(), 2);
        drop(given_up);
        assert_eq!(network.lock().listeners["n1"].diallers.len(), 1);

        assert!(network.poll_accept("n1", &mut Context::from_waker(Waker::noop())).is_ready());
        assert!(matches!(poll(&mut waiting), Poll::Ready(Ok(_))));
        assert!(poll(&mut dial(&network, "n1")).is_pending());
    }

    #[test]
    fn the_table_of_connections_forgets_dead_ones() {
        let network = Network::default();
        assert!(network.listen(&"n1".into(), None));
        for _ in 0..PRUNE_LINKS_MIN * 10 {
            assert!(matches!(poll(&mut dial(&network, "n1")), Poll::Ready(Ok(_))));
            assert!(network.poll_accept("n1", &mut Context::from_waker(Waker::noop())).is_ready());
        }
        assert!(network.lock().links.len() <= PRUNE_LINKS_MIN);
    }
}
