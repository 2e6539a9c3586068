//! The handle of a spawned future.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

/// A future that runs on a [`Runtime`](crate::Runtime). Await it for its result; drop it to cancel it.
///
/// Awaiting a task that panicked resumes that panic in the awaiting one.
///
/// # Panics
/// Awaiting panics when the runtime was shut down before the task finished; see [`Task::fallible`].
#[must_use = "dropping a task cancels it: await it or detach it"]
pub struct Task<T> {
    // None: the runtime had been shut down before the spawn, so the future was dropped without running.
    task: Option<async_task::Task<T>>,
}

impl<T> Task<T> {
    pub(crate) fn new(task: async_task::Task<T>) -> Task<T> {
        Task { task: Some(task) }
    }

    pub(crate) fn never() -> Task<T> {
        Task { task: None }
    }

    /// Lets the task run to its end on its own.
    pub fn detach(self) {
        if let Some(task) = self.task {
            task.detach();
        }
    }

    /// Cancels the task and waits until its future is dropped; the result if it had already finished.
    pub async fn cancel(self) -> Option<T> {
        self.task?.cancel().await
    }

    /// Waits for the result; `None` if the runtime was shut down before the task finished.
    pub async fn fallible(self) -> Option<T> {
        self.task?.fallible().await
    }

    /// Whether the task has finished or was cancelled.
    pub fn is_finished(&self) -> bool {
        self.task.as_ref().is_none_or(|task| task.is_finished())
    }
}

impl<T> Future for Task<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        match &mut self.task {
            Some(task) => Pin::new(task).poll(cx),
            None => panic!("awaited a task of a runtime that was shut down"),
        }
    }
}

impl<T> fmt::Debug for Task<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Task").field("finished", &self.is_finished()).finish()
    }
}
