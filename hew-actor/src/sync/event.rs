//! `event_listener::Event` for schedules: it wakes without holding its lock, at which a thread of the system would hang.

use crate::lock::Lock;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

#[derive(Default)]
pub(crate) struct Event(Arc<Lock<List>>);

#[derive(Default)]
struct List {
    next: u64,
    /// In the order in which they came.
    entries: Vec<Entry>,
}

struct Entry {
    id: u64,
    notified: bool,
    waker: Option<Waker>,
}

impl Event {
    pub(crate) fn new() -> Event {
        Event::default()
    }

    pub(crate) fn listen(&self) -> EventListener {
        let mut list = self.0.lock();
        list.next += 1;
        let id = list.next;
        list.entries.push(Entry { id, notified: false, waker: None });
        EventListener { list: self.0.clone(), id }
    }

    pub(crate) fn total_listeners(&self) -> usize {
        self.0.lock().entries.len()
    }

    /// Makes it so many listeners that have been notified and have not gone yet.
    pub(crate) fn notify(&self, count: usize) {
        let mut list = self.0.lock();
        let wakers = list.notify(count);
        drop(list);
        wakers.into_iter().for_each(Waker::wake);
    }
}

impl List {
    fn notify(&mut self, count: usize) -> Vec<Waker> {
        let notified = self.entries.iter().filter(|entry| entry.notified).count();
        let mut wakers = Vec::new();
        for entry in
            self.entries.iter_mut().filter(|entry| !entry.notified).take(count.saturating_sub(notified))
        {
            entry.notified = true;
            wakers.extend(entry.waker.take());
        }
        wakers
    }

    fn remove(&mut self, id: u64) -> Option<Entry> {
        let place = self.entries.iter().position(|entry| entry.id == id)?;
        Some(self.entries.remove(place))
    }
}

/// The methods of a listener that block.
pub(crate) trait Listener {
    fn wait(self);
}

pub(crate) struct EventListener {
    list: Arc<Lock<List>>,
    id: u64,
}

impl Listener for EventListener {
    fn wait(self) {
        shuttle::future::block_on(self);
    }
}

impl Future for EventListener {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let waker = cx.waker().clone();
        let mut list = self.list.lock();
        let id = self.id;
        let Some(entry) = list.entries.iter_mut().find(|entry| entry.id == id) else {
            return Poll::Ready(());
        };
        if !entry.notified {
            let old = entry.waker.replace(waker);
            drop(list);
            drop(old);
            return Poll::Pending;
        }
        let entry = list.remove(id);
        drop(list);
        drop(entry);
        Poll::Ready(())
    }
}

impl Drop for EventListener {
    fn drop(&mut self) {
        let mut list = self.list.lock();
        let entry = list.remove(self.id);
        // Who was told and does not look passes it on.
        let wakers =
            if entry.as_ref().is_some_and(|entry| entry.notified) { list.notify(1) } else { Vec::new() };
        drop(list);
        drop(entry);
        wakers.into_iter().for_each(Waker::wake);
    }
}
