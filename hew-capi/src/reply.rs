//! Reply channels as C sees them: the asking end, the answering end, and waiting for the first of several.

use crate::boundary::{bytes, read_all, to_malloc};
use crate::channel::{Channel, wait_for_first};
use crate::error::{Failure, HEW_ERR_CLOSED, HEW_ERR_TIMEOUT, value, void};
use crate::handle::{Kind, Table, pointer};
use crate::types::HewReplyChannel;
use hew_actor::{AskError, RawReply};
use std::ffi::c_void;
use std::ptr::null_mut;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Most channels that one `hew_select_first` waits for.
const SELECT_MAX: i32 = 65_536;

/// Both ends have handles of this kind: a handler must not care whether its asker is in this process.
static CHANNELS: Table<End> = Table::new(Kind::ReplyChannel, "reply channel");

enum End {
    /// Made by `hew_reply_channel_new`: an answer given to it arrives at it.
    Asking(Arc<Channel>),
    /// Given to a handler, for as long as it runs.
    Answering(Mutex<Option<RawReply>>),
}

/// The answering end of a question while its handler runs.
pub(crate) struct Answering {
    handle: usize,
}

impl Answering {
    /// # Errors
    /// The table is full; the asker has been told so.
    pub(crate) fn open(reply: RawReply) -> Result<Answering, Failure> {
        let end = Arc::new(End::Answering(Mutex::new(Some(reply))));
        match CHANNELS.insert(Arc::clone(&end)) {
            Ok(handle) => Ok(Answering { handle }),
            Err(failure) => {
                if let End::Answering(reply) = &*end
                    && let Some(reply) = take(reply)
                {
                    reply.fail(AskError::Full);
                }
                Err(failure)
            }
        }
    }

    pub(crate) fn handle(&self) -> usize {
        self.handle
    }

    /// The handler is over; if it has not answered, the asker hears `otherwise`.
    pub(crate) fn close(self, otherwise: AskError) {
        // Removed already if it answered.
        if let Ok(end) = CHANNELS.remove(self.handle)
            && let End::Answering(reply) = &*end
            && let Some(reply) = take(reply)
        {
            reply.fail(otherwise);
        }
    }
}

fn take(reply: &Mutex<Option<RawReply>>) -> Option<RawReply> {
    reply.lock().unwrap_or_else(PoisonError::into_inner).take()
}

/// The asking end of a handle.
pub(crate) fn asking(channel: *mut HewReplyChannel) -> Result<Arc<Channel>, Failure> {
    match &*CHANNELS.find(channel.addr())? {
        End::Asking(channel) => Ok(Arc::clone(channel)),
        End::Answering(_) => Err(Failure::invalid("this reply channel is for answering only")),
    }
}

/// A time from now in milliseconds; negative: never.
pub(crate) fn deadline(ms: i32) -> Option<Instant> {
    u64::try_from(ms).ok().and_then(|ms| Instant::now().checked_add(Duration::from_millis(ms)))
}

/// A channel for one answer. The caller frees it with `hew_reply_channel_free`. NULL if there are too many.
#[unsafe(no_mangle)]
pub extern "C" fn hew_reply_channel_new() -> *mut HewReplyChannel {
    value("hew_reply_channel_new", null_mut(), || {
        CHANNELS.insert(Arc::new(End::Asking(Channel::new()))).map(pointer)
    })
}

/// Answers with a copy of `size` bytes. Only the first answer counts; after it, and after its handler has returned,
/// the channel that a handler was given is freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hew_reply(channel: *mut HewReplyChannel, value: *mut c_void, size: usize) {
    void("hew_reply", || {
        // SAFETY: hew.h, Conventions: `value` is NULL or has `size` bytes.
        let answer = unsafe { bytes("value", value, size) }?;
        let end = CHANNELS.find(channel.addr())?;
        match &*end {
            End::Asking(channel) => {
                let first = channel.complete(Ok(answer.to_vec()));
                if first { Ok(()) } else { Err(answered()) }
            }
            End::Answering(reply) => {
                let reply = take(reply).ok_or_else(answered)?;
                // May be gone: another thread answers at the same time as the handler ends.
                let _ = CHANNELS.remove(channel.addr());
                reply.send_bytes(answer);
                Ok(())
            }
        }
    });
}

fn answered() -> Failure {
    Failure::new(HEW_ERR_CLOSED, "this question was answered already")
}

/// Waits for the answer: a copy from `malloc`. NULL if the answer is empty, or if there will be none because the actor
/// ended or its handler did not answer; `hew_last_error` tells the two apart after `hew_clear_error`.
#[unsafe(no_mangle)]
pub extern "C" fn hew_reply_wait(channel: *mut HewReplyChannel) -> *mut c_void {
    wait("hew_reply_wait", channel, -1)
}

/// As `hew_reply_wait`, for at most `ms` milliseconds; negative: for ever. After a timeout it may be called again.
#[unsafe(no_mangle)]
pub extern "C" fn hew_reply_wait_timeout(channel: *mut HewReplyChannel, ms: i32) -> *mut c_void {
    wait("hew_reply_wait_timeout", channel, ms)
}

fn wait(function: &str, channel: *mut HewReplyChannel, ms: i32) -> *mut c_void {
    value(function, null_mut(), || {
        let channel = asking(channel)?;
        channel.want();
        to_malloc(&channel.wait(deadline(ms))?)
    })
}

/// Frees a channel. An answer that comes later is dropped.
#[unsafe(no_mangle)]
pub extern "C" fn hew_reply_channel_free(channel: *mut HewReplyChannel) {
    if channel.is_null() {
        return;
    }
    void("hew_reply_channel_free", || {
        asking(channel)?;
        CHANNELS.remove(channel.addr()).map(drop)
    });
}

/// Waits until one of `count` channels has an answer (or will never have one) and says which, the first of several; -1
/// after `ms` milliseconds (negative: waits for ever). Take its answer with `hew_reply_wait`, then free it. The others,
/// after a timeout all of them, are cancelled: each is freed when its answer comes, or by `hew_reply_channel_free`,
/// whichever is first; freeing it twice does no harm. NULL and freed channels in the list are passed over.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hew_select_first(channels: *mut *mut HewReplyChannel, count: i32, ms: i32) -> i32 {
    value("hew_select_first", -1, || {
        if !(1..=SELECT_MAX).contains(&count) {
            return Err(Failure::invalid(format!("count is {count}, not 1 to {SELECT_MAX}")));
        }
        // SAFETY: hew.h, Conventions: `channels` is NULL or has `count` elements; positive by the line above.
        let handles = unsafe { read_all("channels", channels, count as usize) }?;
        let channels: Vec<Option<Arc<Channel>>> = handles.iter().map(|handle| asking(*handle).ok()).collect();
        if channels.iter().all(Option::is_none) {
            return Err(Failure::new(HEW_ERR_CLOSED, "none of the channels is one that can be waited for"));
        }
        channels.iter().flatten().for_each(|channel| channel.want());
        let waiting: Vec<Option<&Channel>> = channels.iter().map(Option::as_deref).collect();
        let first = wait_for_first(&waiting, deadline(ms))?;
        let losers = handles.iter().zip(&channels).enumerate().filter(|(index, _)| Some(*index) != first);
        for (_, (handle, channel)) in losers {
            let handle = handle.addr();
            if let Some(channel) = channel {
                channel.abandon(move || drop(CHANNELS.remove(handle)));
            }
        }
        // Fits: less than `count`.
        first
            .map(|first| first as i32)
            .ok_or_else(|| Failure::new(HEW_ERR_TIMEOUT, format!("no answer within {ms} ms")))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn select(channels: &mut [*mut HewReplyChannel], ms: i32) -> i32 {
        // SAFETY: a slice of that length.
        unsafe { hew_select_first(channels.as_mut_ptr(), channels.len() as i32, ms) }
    }

    fn reply(channel: *mut HewReplyChannel, byte: u8) {
        let mut value = [byte];
        // SAFETY: an array of one byte.
        unsafe { hew_reply(channel, value.as_mut_ptr().cast(), 1) }
    }

    #[test]
    fn the_losers_of_a_selection_are_freed_by_their_late_answer() {
        let mut channels = [hew_reply_channel_new(), hew_reply_channel_new(), hew_reply_channel_new()];
        reply(channels[1], 7);
        assert_eq!(select(&mut channels, -1), 1);
        assert!(asking(channels[0]).is_ok(), "not answered yet");
        reply(channels[0], 8);
        assert!(asking(channels[0]).is_err(), "answered and freed");
        hew_reply_channel_free(channels[2]);
        hew_reply_channel_free(channels[2]);
        assert!(asking(channels[2]).is_err());
        assert!(!hew_reply_wait(channels[1]).is_null());
        hew_reply_channel_free(channels[1]);
        assert!(asking(channels[1]).is_err());
    }

    #[test]
    fn after_a_timeout_all_are_losers_that_may_be_asked_again() {
        let mut channels = [hew_reply_channel_new(), null_mut()];
        assert_eq!(select(&mut channels, 1), -1);
        // Waiting again, here in a selection, takes the cancellation back.
        let channel = channels[0];
        let addr = channel.addr();
        let answering = std::thread::spawn(move || reply(pointer(addr), 9));
        let again = select(&mut channels, 10_000);
        answering.join().unwrap();
        // The answer came before the second selection and freed it, or after and was found.
        assert!(again == 0 || asking(channel).is_err());
        hew_reply_channel_free(channel);
        assert_eq!(select(&mut channels, 1), -1, "nothing to wait for");
    }

    #[test]
    fn a_second_answer_has_no_effect() {
        let channel = hew_reply_channel_new();
        reply(channel, 1);
        reply(channel, 2);
        assert!(crate::error::last().unwrap().contains("answered already"));
        hew_reply_channel_free(channel);
    }
}
