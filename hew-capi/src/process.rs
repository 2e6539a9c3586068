//! The process: its workers, its actors, its current node. `hew_sched_init`, `hew_sched_shutdown`, `hew_runtime_cleanup`.

use crate::any_node::AnyNode;
use crate::error::{Failure, HEW_ERR_CLOSED, HEW_ERR_NODE_DOWN, void};
use crate::workers::Workers;
use crate::{actor, node, registry, running, shutdown, supervisor};
use hew_actor::{MonitorRef, System, SystemConfig};
use hew_wire::{Incarnation, NodeId, Pid};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU16, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

/// How long `hew_sched_shutdown` gives handlers to return.
const SHUTDOWN_DEADLINE: Duration = Duration::from_secs(5);

static PHASE: RwLock<Phase> = RwLock::new(Phase::Idle);
/// The node id of PIDs of this process, as `hew_pid_local_node` says it.
static LOCAL_NODE: AtomicU16 = AtomicU16::new(0);
/// The millisecond of the latest start: serials of one start never come again in another.
static LATEST_START: AtomicU64 = AtomicU64::new(0);

enum Phase {
    Idle,
    Running(Arc<Process>),
    Stopped,
}

/// What one `hew_sched_init` makes.
pub(crate) struct Process {
    pub(crate) workers: Workers,
    pub(crate) system: System,
    current: Mutex<Option<Arc<dyn AnyNode>>>,
    /// Monitors of actors in C that have not fired: reference → watcher and monitor.
    monitors: Mutex<BTreeMap<u64, (Pid, MonitorRef)>>,
}

impl Process {
    fn start() -> Result<Process, Failure> {
        let workers = Workers::start(worker_count())?;
        let now = workers.runtime.unix_ms();
        let latest = |latest: u64| Some(now.max(latest + 1));
        // Never None, so never an error.
        let before = LATEST_START.fetch_update(Ordering::SeqCst, Ordering::SeqCst, latest).unwrap_or(now);
        let config = SystemConfig {
            node: local_node(),
            first_serial: Incarnation(now.max(before + 1)).first_serial(),
            ..SystemConfig::default()
        };
        let system = System::new(workers.runtime.clone(), config);
        Ok(Process { workers, system, current: Mutex::new(None), monitors: Mutex::new(BTreeMap::new()) })
    }

    /// The node that `hew_actor_send_by_id` and the current-node functions use.
    pub(crate) fn current_node(&self) -> Result<Arc<dyn AnyNode>, Failure> {
        let current = self.current.lock().unwrap_or_else(PoisonError::into_inner).clone();
        current.ok_or_else(|| Failure::new(HEW_ERR_NODE_DOWN, "no node runs in this process"))
    }

    /// The place of the current node; hold it while one is started, so that there is never a second.
    pub(crate) fn current_slot(&self) -> MutexGuard<'_, Option<Arc<dyn AnyNode>>> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn monitors(&self) -> MutexGuard<'_, BTreeMap<u64, (Pid, MonitorRef)>> {
        // Only map operations and the system's own bookkeeping happen under this lock.
        self.monitors.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether an actor of this process is meant.
    pub(crate) fn is_local(&self, pid: Pid) -> bool {
        pid.node().is_local() || pid.node() == self.system.node()
    }
}

/// The running process, started if it was not.
pub(crate) fn process() -> Result<Arc<Process>, Failure> {
    match &*PHASE.read().unwrap_or_else(PoisonError::into_inner) {
        Phase::Running(process) => return Ok(Arc::clone(process)),
        Phase::Stopped => return Err(stopped()),
        Phase::Idle => {}
    }
    let mut phase = PHASE.write().unwrap_or_else(PoisonError::into_inner);
    match &*phase {
        Phase::Running(process) => Ok(Arc::clone(process)),
        Phase::Stopped => Err(stopped()),
        Phase::Idle => {
            let process = Arc::new(Process::start()?);
            *phase = Phase::Running(Arc::clone(&process));
            Ok(process)
        }
    }
}

/// The running process, if there is one.
pub(crate) fn running_process() -> Option<Arc<Process>> {
    match &*PHASE.read().unwrap_or_else(PoisonError::into_inner) {
        Phase::Running(process) => Some(Arc::clone(process)),
        Phase::Idle | Phase::Stopped => None,
    }
}

fn stopped() -> Failure {
    Failure::new(HEW_ERR_CLOSED, "the scheduler was shut down; hew_sched_init starts it again")
}

/// `HEW_WORKERS`, or as many as there are processors.
fn worker_count() -> usize {
    let processors = || std::thread::available_parallelism().map_or(1, usize::from);
    match std::env::var("HEW_WORKERS") {
        Ok(text) => match text.trim().parse() {
            Ok(count @ 1..=hew_actor::WORKERS_MAX) => count,
            _ => {
                tracing::warn!(HEW_WORKERS = %text, "not a number from 1 to 256, ignored");
                processors()
            }
        },
        Err(_) => processors(),
    }
}

/// The node id that PIDs of this process have.
pub(crate) fn local_node() -> NodeId {
    // Relaxed: a number that nothing else depends on.
    NodeId::from_raw(LOCAL_NODE.load(Ordering::Relaxed))
}

/// Sets it, for actors that live already too.
pub(crate) fn set_local_node(node: NodeId) {
    LOCAL_NODE.store(node.raw(), Ordering::Relaxed);
    if let Some(process) = running_process() {
        process.system.set_node(node);
    }
}

/// Starts the workers: as many as there are processors, or `HEW_WORKERS` (1 to 256). Beside them 64 spare threads stand
/// by for handlers that wait. A second call has no effect; after `hew_sched_shutdown` it starts anew. Spawning an actor
/// or starting a node does this by itself. On failure `hew_last_error` says why.
#[unsafe(no_mangle)]
pub extern "C" fn hew_sched_init() {
    void("hew_sched_init", || {
        let mut phase = PHASE.write().unwrap_or_else(PoisonError::into_inner);
        if !matches!(&*phase, Phase::Running(_)) {
            *phase = Phase::Running(Arc::new(Process::start()?));
        }
        Ok(())
    });
}

/// Stops nodes, actors and workers, in this order, and joins the threads. Handlers have 5 seconds to return; the thread
/// of one that does not is left behind. Messages that wait are dropped. Not for handlers and callbacks.
#[unsafe(no_mangle)]
pub extern "C" fn hew_sched_shutdown() {
    void("hew_sched_shutdown", shut_down);
}

/// As `hew_sched_shutdown`, and frees all handles of actors and all names, so that `hew_sched_init` works again.
#[unsafe(no_mangle)]
pub extern "C" fn hew_runtime_cleanup() {
    void("hew_runtime_cleanup", || {
        shut_down()?;
        registry::clear();
        supervisor::free_all();
        actor::free_all();
        shutdown::reset();
        *PHASE.write().unwrap_or_else(PoisonError::into_inner) = Phase::Idle;
        Ok(())
    });
}

/// Stops nodes, actors and workers.
///
/// # Errors
/// This is a handler.
pub(crate) fn shut_down() -> Result<(), Failure> {
    if running::actor().is_some() {
        return Err(Failure::invalid("a handler cannot stop the threads that it runs on"));
    }
    node::stop_all();
    let process = {
        let mut phase = PHASE.write().unwrap_or_else(PoisonError::into_inner);
        match std::mem::replace(&mut *phase, Phase::Stopped) {
            Phase::Running(process) => process,
            other => {
                *phase = other;
                return Ok(());
            }
        }
    };
    let report = futures_lite::future::block_on(process.system.shutdown(SHUTDOWN_DEADLINE));
    if report.stuck == 0 {
        process.workers.stop();
    } else {
        // Dropping the runtime tells its threads to end without waiting for them.
        process.workers.release_all();
        tracing::warn!(stuck = report.stuck, "handlers did not return, their threads are left behind");
    }
    Ok(())
}

/// The version of this library, for example "0.1.0".
#[unsafe(no_mangle)]
pub extern "C" fn hew_version() -> *const std::ffi::c_char {
    const VERSION: &std::ffi::CStr =
        match std::ffi::CStr::from_bytes_with_nul(concat!(env!("CARGO_PKG_VERSION"), "\0").as_bytes()) {
            Ok(version) => version,
            Err(_) => panic!("a version has no NUL"),
        };
    VERSION.as_ptr()
}

/// Grows when a program must be compiled anew to work with this library.
#[unsafe(no_mangle)]
pub extern "C" fn hew_abi_version() -> u32 {
    1
}
