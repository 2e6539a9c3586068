//! Supervision trees of actors written in C.

use crate::actor::{self, Template};
use crate::boundary::{bytes, read, text_or_null};
use crate::error::{Failure, HEW_ERR_ACTOR_STOPPED, HEW_ERR_CLOSED, HEW_ERR_OOM, status, value, void};
use crate::handle::{Kind, Table, pointer};
use crate::process::{Process, process};
use crate::subtree::{Init, Subtree, SubtreeActor};
use crate::types::{HewActor, HewActorOpts, HewChildSpec, HewSupervisor, HewSupervisorInitFn};
use crate::workers::wait;
use hew_actor::{ChildSpec, RawMessage, Restart, Strategy, Supervisor, SupervisorRef};
use std::ffi::c_int;
use std::ptr::null_mut;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Only the child that ended is started again.
pub const HEW_STRATEGY_ONE_FOR_ONE: c_int = 0;
/// All children are stopped, and all are started again.
pub const HEW_STRATEGY_ONE_FOR_ALL: c_int = 1;
/// The children that were started after it are stopped, and started again after it.
pub const HEW_STRATEGY_REST_FOR_ONE: c_int = 2;

/// Started again after every end.
pub const HEW_RESTART_PERMANENT: c_int = 0;
/// Started again after every end but a normal one.
pub const HEW_RESTART_TRANSIENT: c_int = 1;
/// Never started again.
pub const HEW_RESTART_TEMPORARY: c_int = 2;

/// Most children of one supervisor.
const CHILDREN_MAX: usize = 1 << 20;

static SUPERVISORS: Table<SupervisorEntry> = Table::new(Kind::Supervisor, "supervisor");

/// What the handle of a supervisor stands for: a plan, and what runs by it.
pub(crate) struct SupervisorEntry {
    strategy: Strategy,
    restarts_max: u32,
    window: Duration,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// In the order of their start.
    children: Vec<Child>,
    /// For names that are unique, whatever C calls its children.
    added: u64,
    running: Option<SupervisorRef>,
}

#[derive(Clone)]
enum Child {
    Actor(Arc<Seat>),
    Subtree(Arc<Subtree>),
}

/// The place of one supervised actor.
struct Seat {
    /// What the supervisor knows it by.
    name: String,
    template: Template,
    restart: Restart,
    /// The handle of the actor that fills it, 0 before the first start.
    handle: Arc<Mutex<usize>>,
}

impl Seat {
    fn spec(self: &Arc<Self>, process: &Arc<Process>) -> ChildSpec<RawMessage> {
        let (seat, process) = (Arc::clone(self), Arc::clone(process));
        let make = move || seat.template.actor(&process, &seat.handle);
        ChildSpec::new(self.name.clone(), make).restart(self.restart).options(self.template.spawn_options())
    }

    /// Frees the handle of the last actor.
    fn vacate(&self) {
        actor::forget(std::mem::take(&mut *self.handle.lock().unwrap_or_else(PoisonError::into_inner)));
    }
}

impl SupervisorEntry {
    fn state(&self) -> MutexGuard<'_, State> {
        // Lists and options, changed in single steps.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The running supervisor.
    pub(crate) fn running(&self) -> Option<SupervisorRef> {
        self.state().running.clone()
    }

    /// Starts what is planned and waits until every child has been started. A supervisor that runs is as good.
    pub(crate) async fn start(&self, process: &Arc<Process>) -> Result<SupervisorRef, Failure> {
        let supervisor = {
            let mut state = self.state();
            if let Some(running) = &state.running
                && process.system.is_alive(running.pid())
            {
                return Ok(running.clone());
            }
            let mut supervisor = Supervisor::new(self.strategy).budget(self.restarts_max, self.window);
            for child in &state.children {
                let added = match child {
                    Child::Actor(seat) => supervisor.with(seat.spec(process)),
                    Child::Subtree(subtree) => supervisor.with(subtree_spec(subtree, process)),
                };
                supervisor = added.map_err(|error| Failure::invalid(error.to_string()))?;
            }
            let running = supervisor.spawn(&process.system);
            state.running = Some(running.clone());
            running
        };
        // It answers when the start of its children is over.
        supervisor.children().await.map_err(|error| {
            Failure::new(HEW_ERR_ACTOR_STOPPED, format!("the supervisor did not start: {error}"))
        })?;
        Ok(supervisor)
    }

    /// Stops what runs, children last started first, and waits for the end.
    pub(crate) async fn stop(&self) {
        let Some(running) = self.state().running.take() else { return };
        running.stop();
        running.actor().system().ended(running.pid()).await;
    }

    /// Frees the handles of everything below.
    fn vacate(&self) {
        for child in std::mem::take(&mut self.state().children) {
            match child {
                Child::Actor(seat) => seat.vacate(),
                Child::Subtree(subtree) => free(subtree.handle()),
            }
        }
    }

    fn add(&self, make: impl FnOnce(String) -> Child) -> Result<c_int, Failure> {
        let mut state = self.state();
        if state.running.is_some() {
            return Err(Failure::invalid("the supervisor runs; hew_supervisor_add_child_dynamic adds to it"));
        }
        push(&mut state, make)
    }

    fn seats(&self) -> Vec<Arc<Seat>> {
        let state = self.state();
        let seats = state.children.iter().filter_map(|child| match child {
            Child::Actor(seat) => Some(Arc::clone(seat)),
            Child::Subtree(_) => None,
        });
        seats.collect()
    }

    fn subtrees(&self) -> Vec<Arc<Subtree>> {
        let state = self.state();
        let subtrees = state.children.iter().filter_map(|child| match child {
            Child::Subtree(subtree) => Some(Arc::clone(subtree)),
            Child::Actor(_) => None,
        });
        subtrees.collect()
    }
}

/// Appends a child; its index among those of its kind.
fn push(state: &mut State, make: impl FnOnce(String) -> Child) -> Result<c_int, Failure> {
    if state.children.len() == CHILDREN_MAX {
        return Err(Failure::new(
            HEW_ERR_OOM,
            format!("there are {CHILDREN_MAX} children, which is the limit"),
        ));
    }
    state.added += 1;
    let child = make(state.added.to_string());
    let same = |other: &&Child| std::mem::discriminant(*other) == std::mem::discriminant(&child);
    // At most CHILDREN_MAX.
    let index = state.children.iter().filter(same).count() as c_int;
    state.children.push(child);
    Ok(index)
}

fn subtree_spec(subtree: &Arc<Subtree>, process: &Arc<Process>) -> ChildSpec<()> {
    let (made, process) = (Arc::clone(subtree), Arc::clone(process));
    ChildSpec::new(subtree.name.clone(), move || SubtreeActor::new(&made, &process))
}

/// The supervisor of a handle.
pub(crate) fn find(handle: usize) -> Result<Arc<SupervisorEntry>, Failure> {
    SUPERVISORS.find(handle)
}

/// Frees the handle of a supervisor that has stopped, and of everything below it.
pub(crate) fn free(handle: usize) {
    // Freed by somebody else meanwhile, or now.
    if let Ok(entry) = SUPERVISORS.remove(handle) {
        entry.vacate();
    }
}

/// Frees all handles.
pub(crate) fn free_all() {
    SUPERVISORS.all().into_iter().for_each(|(handle, _)| free(handle));
}

/// # Safety
/// `spec` is NULL or a structure whose `name` is NULL or a text and whose `init_state` has `init_state_size` bytes.
unsafe fn seat(spec: *const HewChildSpec) -> Result<impl FnOnce(String) -> Arc<Seat>, Failure> {
    // SAFETY: the condition of this function, for each of its parts.
    let (spec, label, state) = unsafe {
        let spec = read("spec", spec)?;
        let label = text_or_null("the child's name", spec.name)?;
        (spec, label, bytes("the child's state", spec.init_state, spec.init_state_size)?)
    };
    let restart = match spec.restart_policy {
        HEW_RESTART_PERMANENT => Restart::Permanent,
        HEW_RESTART_TRANSIENT => Restart::Transient,
        HEW_RESTART_TEMPORARY => Restart::Temporary,
        other => return Err(Failure::invalid(format!("{other} is no restart policy (0 to 2)"))),
    };
    let options = HewActorOpts {
        init_state: null_mut(),
        state_size: 0,
        dispatch: spec.dispatch,
        mailbox_capacity: spec.mailbox_capacity,
        overflow: spec.overflow,
        coalesce_key_fn: None,
        coalesce_fallback: 0,
        budget: 0,
    };
    let template = Template::new(label, state, &options)?;
    Ok(move |name| Arc::new(Seat { name, template, restart, handle: Arc::default() }))
}

/// A supervisor without children: `HEW_STRATEGY_…`, and how many restarts within how many seconds are too many. It does
/// nothing before `hew_supervisor_start`; `hew_supervisor_stop` frees it. NULL on failure.
#[unsafe(no_mangle)]
pub extern "C" fn hew_supervisor_new(
    strategy: c_int,
    max_restarts: c_int,
    window_secs: c_int,
) -> *mut HewSupervisor {
    value("hew_supervisor_new", null_mut(), || {
        let strategy = match strategy {
            HEW_STRATEGY_ONE_FOR_ONE => Strategy::OneForOne,
            HEW_STRATEGY_ONE_FOR_ALL => Strategy::OneForAll,
            HEW_STRATEGY_REST_FOR_ONE => Strategy::RestForOne,
            other => return Err(Failure::invalid(format!("{other} is no strategy (0 to 2)"))),
        };
        let negative = |what: &str, number: c_int| Failure::invalid(format!("{what} is {number}"));
        let restarts_max = u32::try_from(max_restarts).map_err(|_| negative("max_restarts", max_restarts))?;
        let window = u64::try_from(window_secs).map_err(|_| negative("window_secs", window_secs))?;
        let entry = SupervisorEntry {
            strategy,
            restarts_max,
            window: Duration::from_secs(window),
            state: Mutex::default(),
        };
        SUPERVISORS.insert(Arc::new(entry)).map(pointer)
    })
}

/// Plans a child; its state and name are copied. 0, or a negative code.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hew_supervisor_add_child_spec(
    supervisor: *mut HewSupervisor,
    spec: *const HewChildSpec,
) -> c_int {
    status("hew_supervisor_add_child_spec", || {
        let entry = find(supervisor.addr())?;
        // SAFETY: hew.h, Conventions: `spec` is NULL or a structure, and so are the memory and the text in it.
        let seat = unsafe { seat(spec) }?;
        entry.add(|name| Child::Actor(seat(name))).map(drop)
    })
}

/// Plans a supervisor as a child; it may run already. Its handle belongs to the parent from now on. When it gives up it
/// is made anew from its plan. 0, or a negative code.
#[unsafe(no_mangle)]
pub extern "C" fn hew_supervisor_add_child_supervisor(
    supervisor: *mut HewSupervisor,
    child: *mut HewSupervisor,
) -> c_int {
    status("hew_supervisor_add_child_supervisor", || add_subtree(supervisor, child, None))
}

/// As `hew_supervisor_add_child_supervisor`; when the child gives up, the parent calls `init` for another one, which may
/// run already or not, as often as the parent's own budget allows.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hew_supervisor_add_child_supervisor_with_init(
    supervisor: *mut HewSupervisor,
    child: *mut HewSupervisor,
    init: HewSupervisorInitFn,
) -> c_int {
    status("hew_supervisor_add_child_supervisor_with_init", || {
        let init = init.ok_or_else(|| Failure::null("init"))?;
        // SAFETY: hew.h gives the type of `init`; it may be called whenever the child has given up.
        add_subtree(supervisor, child, Some(unsafe { Init::new(init) }))
    })
}

fn add_subtree(
    supervisor: *mut HewSupervisor,
    child: *mut HewSupervisor,
    init: Option<Init>,
) -> Result<(), Failure> {
    let (entry, below) = (find(supervisor.addr())?, find(child.addr())?);
    if contains(&below, &entry) {
        return Err(Failure::invalid("a supervisor cannot be below itself"));
    }
    entry.add(|name| Child::Subtree(Arc::new(Subtree::new(name, child.addr(), init)))).map(drop)
}

/// Whether `looked_for` is `tree` or below it.
fn contains(tree: &Arc<SupervisorEntry>, looked_for: &Arc<SupervisorEntry>) -> bool {
    let below = || tree.subtrees().into_iter().filter_map(|subtree| find(subtree.handle()).ok());
    Arc::ptr_eq(tree, looked_for) || below().any(|subtree| contains(&subtree, looked_for))
}

/// Starts the children in the order in which they were planned, and waits for it. A supervisor that runs: no effect.
#[unsafe(no_mangle)]
pub extern "C" fn hew_supervisor_start(supervisor: *mut HewSupervisor) -> c_int {
    status("hew_supervisor_start", || {
        let entry = find(supervisor.addr())?;
        wait(entry.start(&process()?))?.map(drop)
    })
}

/// Stops the children, last started first, and frees the tree with the handles of its actors and supervisors. Waits; a
/// child that does not stop within 5 seconds is ended. Not for handlers of the tree.
#[unsafe(no_mangle)]
pub extern "C" fn hew_supervisor_stop(supervisor: *mut HewSupervisor) {
    if supervisor.is_null() {
        return;
    }
    void("hew_supervisor_stop", || {
        let entry = find(supervisor.addr())?;
        wait(entry.stop())?;
        free(supervisor.addr());
        Ok(())
    });
}

/// The actor that fills the place of child `index` (of those that are actors, from 0) now. The handle belongs to the
/// supervisor, and is freed when the child is started again. NULL if there is none at the moment.
#[unsafe(no_mangle)]
pub extern "C" fn hew_supervisor_get_child(supervisor: *mut HewSupervisor, index: c_int) -> *mut HewActor {
    value("hew_supervisor_get_child", null_mut(), || {
        let seat = at(find(supervisor.addr())?.seats(), index)?;
        let handle = *seat.handle.lock().unwrap_or_else(PoisonError::into_inner);
        let nobody = || Failure::new(HEW_ERR_CLOSED, format!("child {index} was not started"));
        if handle == 0 { Err(nobody()) } else { Ok(pointer(handle)) }
    })
}

/// Child supervisor `index` (of those that are supervisors, from 0). The handle belongs to the parent. NULL on failure.
#[unsafe(no_mangle)]
pub extern "C" fn hew_supervisor_get_child_supervisor(
    supervisor: *mut HewSupervisor,
    index: c_int,
) -> *mut HewSupervisor {
    value("hew_supervisor_get_child_supervisor", null_mut(), || {
        at(find(supervisor.addr())?.subtrees(), index).map(|subtree| pointer(subtree.handle()))
    })
}

fn at<T>(list: Vec<T>, index: c_int) -> Result<T, Failure> {
    let count = list.len();
    let found = usize::try_from(index).ok().and_then(|index| list.into_iter().nth(index));
    found.ok_or_else(|| Failure::invalid(format!("there is no child {index}, only {count}")))
}

/// Children that are actors; a negative code on failure.
#[unsafe(no_mangle)]
pub extern "C" fn hew_supervisor_child_count(supervisor: *mut HewSupervisor) -> c_int {
    let mut count = 0;
    let code = status("hew_supervisor_child_count", || {
        // At most CHILDREN_MAX.
        count = find(supervisor.addr())?.seats().len() as c_int;
        Ok(())
    });
    if code == 0 { count } else { code }
}

/// 1 if the supervisor runs: it was started, and neither stopped nor gave up; else 0.
#[unsafe(no_mangle)]
pub extern "C" fn hew_supervisor_is_running(supervisor: *mut HewSupervisor) -> c_int {
    value("hew_supervisor_is_running", 0, || {
        let running = find(supervisor.addr())?.running();
        Ok(running.map_or(0, |running| c_int::from(running.actor().system().is_alive(running.pid()))))
    })
}

/// Adds a child to a supervisor that runs, and starts it: its index, or a negative code.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hew_supervisor_add_child_dynamic(
    supervisor: *mut HewSupervisor,
    spec: *const HewChildSpec,
) -> c_int {
    let mut index = 0;
    let code = status("hew_supervisor_add_child_dynamic", || {
        let entry = find(supervisor.addr())?;
        // SAFETY: hew.h, Conventions: `spec` is NULL or a structure, and so are the memory and the text in it.
        let seat = unsafe { seat(spec) }?;
        let (seat, running) = {
            let mut state = entry.state();
            state.added += 1;
            (seat(state.added.to_string()), state.running.clone())
        };
        let running =
            running.ok_or_else(|| Failure::new(HEW_ERR_CLOSED, "the supervisor was not started"))?;
        wait(running.add(seat.spec(&process()?)))?
            .map_err(|error| Failure::new(HEW_ERR_ACTOR_STOPPED, error.to_string()))?;
        let mut state = entry.state();
        index = push(&mut state, |_| Child::Actor(seat))?;
        Ok(())
    });
    if code == 0 { index } else { code }
}

/// Stops child `index` and forgets it; the later ones move down by one. 0, or a negative code.
#[unsafe(no_mangle)]
pub extern "C" fn hew_supervisor_remove_child(supervisor: *mut HewSupervisor, index: c_int) -> c_int {
    status("hew_supervisor_remove_child", || {
        let entry = find(supervisor.addr())?;
        let seat = at(entry.seats(), index)?;
        if let Some(running) = entry.running() {
            wait(running.remove(seat.name.clone()))?
                .map_err(|error| Failure::new(HEW_ERR_ACTOR_STOPPED, error.to_string()))?;
        }
        let same = |child: &Child| matches!(child, Child::Actor(other) if Arc::ptr_eq(other, &seat));
        entry.state().children.retain(|child| !same(child));
        seat.vacate();
        Ok(())
    })
}
