//! The chaos proxy itself: accepts, draws a fate, dials on, and counts.

use super::carrier::Carrier;
use super::connection;
use super::fate::{Fate, Harm, Way};
use super::valve::{Flow, Valve};
use hew_actor::Task;
use hew_node::Runtime;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

/// A proxy from one address to another. Dropping it ends its listening; connections under way go on.
pub struct Proxy {
    address: String,
    shared: Arc<Shared>,
    _accepting: Task<()>,
}

/// What a proxy has done so far.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Connections that came and were dialled on.
    pub connections: u64,
    /// What went wrong, by name and direction.
    pub harms: BTreeMap<(&'static str, Way), u64>,
    /// Of those: what broke the connection.
    pub broken: u64,
    /// Bytes that passed on connections that are over.
    pub passed: u64,
    /// How often bytes of an old connection arrived after their sender had given it up.
    pub late: u64,
}

type DrawFate = Box<dyn FnMut(&mut fastrand::Rng) -> Fate + Send>;

struct Shared {
    state: Mutex<State>,
}

struct State {
    draw: DrawFate,
    random: fastrand::Rng,
    tally: Tally,
    /// Connections under way, in the order in which they came.
    live: Vec<Weak<Valve>>,
}

impl Proxy {
    /// Listens at `front` and dials `back` for each connection that comes, which gets the fate that is drawn for it.
    ///
    /// # Panics
    /// If it cannot listen there.
    pub async fn start<C: Carrier>(
        runtime: &Runtime,
        carrier: C,
        (front, back): (&str, &str),
        seed: u64,
        draw: impl FnMut(&mut fastrand::Rng) -> Fate + Send + 'static,
    ) -> Proxy {
        let mut listener = carrier.listen(front).await.expect("the proxy's address is free");
        let state = State {
            draw: Box::new(draw),
            random: fastrand::Rng::with_seed(seed),
            tally: Tally::default(),
            live: Vec::new(),
        };
        let shared = Arc::new(Shared { state: Mutex::new(state) });
        let (address, back) = (C::address(&listener), back.to_owned());
        let (accepting, accepting_on) = (Arc::clone(&shared), runtime.clone());
        let accepting = async move {
            // A dialler that has gone already is no reason to stop.
            loop {
                let Ok(client) = C::accept(&mut listener).await else { continue };
                let (shared, runtime) = (Arc::clone(&accepting), accepting_on.clone());
                let (carrier, back) = (carrier.clone(), back.clone());
                let serving = async move {
                    // A target that is not there shows as a connection that ends.
                    let Ok(server) = carrier.connect(&back).await else { return };
                    let (fate, valve) = shared.begin();
                    let told = |harm| shared.note(harm);
                    let outcome = connection::run::<C>(&runtime, client, server, &fate, &valve, told).await;
                    let tally = &mut shared.lock().tally;
                    tally.passed += outcome.passed;
                    tally.late += u64::from(outcome.late > 0);
                };
                accepting_on.spawn(serving).detach();
            }
        };
        Proxy { address, shared, _accepting: runtime.spawn(accepting) }
    }

    /// As [`Proxy::start`], with the same fate for every connection.
    pub async fn start_with<C: Carrier>(
        runtime: &Runtime,
        carrier: C,
        ways: (&str, &str),
        fate: Fate,
    ) -> Proxy {
        Proxy::start(runtime, carrier, ways, 0, move |_| fate.clone()).await
    }

    /// Where it listens.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// What it has done so far.
    pub fn tally(&self) -> Tally {
        self.shared.lock().tally.clone()
    }

    /// How many connections it has broken so far.
    pub fn broken(&self) -> u64 {
        self.shared.lock().tally.broken
    }

    /// From now on nothing goes wrong.
    pub fn calm(&self) {
        let live = {
            let mut state = self.shared.lock();
            state.draw = Box::new(|_| Fate::default());
            state.live()
        };
        live.iter().for_each(|valve| valve.calm());
    }

    /// Sets what becomes of the bytes of all connections under way, in one direction; new ones are not concerned.
    pub fn set(&self, way: Way, flow: Flow) {
        let live = self.shared.lock().live();
        live.iter().for_each(|valve| valve.set(way, flow));
    }

    /// As [`Proxy::set`], in both directions.
    pub fn set_both(&self, flow: Flow) {
        self.set(Way::Forth, flow);
        self.set(Way::Back, flow);
    }
}

impl Shared {
    fn begin(&self) -> (Fate, Arc<Valve>) {
        let mut state = self.lock();
        let State { draw, random, .. } = &mut *state;
        let fate = draw(random);
        let valve = Arc::new(Valve::default());
        state.live.retain(|valve| valve.strong_count() > 0);
        state.live.push(Arc::downgrade(&valve));
        state.tally.connections += 1;
        (fate, valve)
    }

    fn note(&self, harm: Harm) {
        let tally = &mut self.lock().tally;
        *tally.harms.entry((harm.kind.name(), harm.way)).or_default() += 1;
        tally.broken += u64::from(harm.kind.breaks());
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn live(&self) -> Vec<Arc<Valve>> {
        self.live.iter().filter_map(Weak::upgrade).collect()
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proxy").field("address", &self.address).finish_non_exhaustive()
    }
}
