//! The states of an actor and the legal steps between them.

/// Where an actor is in its life.
///
/// `Idle ⇄ Runnable ⇄ Running` alternate while it lives; `Stopping` runs its end; `Stopped` and `Crashed` are final.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Lifecycle {
    /// It waits for a message.
    Idle,
    /// It has something to do and waits for a worker.
    Runnable,
    /// A worker runs it, or its handler waits for something.
    Running,
    /// It takes no more messages and is running its end.
    Stopping,
    /// It ended normally or was killed.
    Stopped,
    /// It ended by a failure: its own, or that of a linked actor.
    Crashed,
}

impl Lifecycle {
    /// Whether the step from `self` to `next` is legal. This is the whole table.
    pub const fn allows(self, next: Lifecycle) -> bool {
        use Lifecycle::{Crashed, Idle, Runnable, Running, Stopped, Stopping};
        match (self, next) {
            (Idle, Runnable) => true,
            (Runnable, Running) => true,
            // Runnable again: its turn was over before its messages were, or what its handler waited for has come.
            (Running, Idle | Runnable | Stopping) => true,
            (Stopping, Stopped | Crashed) => true,
            (Idle | Runnable | Running | Stopping | Stopped | Crashed, _) => false,
        }
    }

    /// Whether it takes messages.
    pub const fn is_alive(self) -> bool {
        matches!(self, Lifecycle::Idle | Lifecycle::Runnable | Lifecycle::Running)
    }

    /// Whether it has ended.
    pub const fn is_over(self) -> bool {
        matches!(self, Lifecycle::Stopped | Lifecycle::Crashed)
    }
}

#[cfg(test)]
mod tests {
    use super::Lifecycle::{self, *};

    const ALL: [Lifecycle; 6] = [Idle, Runnable, Running, Stopping, Stopped, Crashed];

    #[test]
    fn the_end_is_final_and_reached_only_through_stopping() {
        for state in ALL {
            for next in ALL {
                let legal = state.allows(next);
                if state.is_over() {
                    assert!(!legal, "{state:?} -> {next:?}");
                }
                if next.is_over() {
                    assert_eq!(legal, state == Stopping, "{state:?} -> {next:?}");
                }
                if next == Stopping {
                    assert_eq!(legal, state == Running, "{state:?} -> {next:?}");
                }
                assert!(!(legal && state == next), "{state:?} -> {next:?}");
            }
        }
    }

    #[test]
    fn an_idle_actor_is_scheduled_before_it_runs() {
        assert!(!Idle.allows(Running));
        assert!(Idle.allows(Runnable) && Runnable.allows(Running) && Running.allows(Idle));
    }
}
