//! Messages as bytes between two systems: references and reply addresses cross and keep working.
#![allow(clippy::unwrap_used, reason = "a test may, in its helpers too")]

mod common;

use common::{Gate, simulated};
use hew_actor::*;
use hew_wire::payload::{decode_payload, encode_payload};
use hew_wire::{ExitReason, NodeId, Pid};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

/// A node without a network: what it sends arrives at its peer by a function call.
struct Node {
    system: System,
    peer: Mutex<Weak<Node>>,
    /// Questions to the peer that wait for their answers.
    questions: Mutex<(u64, BTreeMap<u64, ReplySink>)>,
    /// While set, nothing leaves.
    full: AtomicBool,
    room: Gate,
    own: Mutex<Weak<Node>>,
}

impl Node {
    fn pair(runtime: &Runtime) -> (Arc<Node>, Arc<Node>) {
        let node = |id| {
            let config = SystemConfig { node: NodeId::new(id).unwrap(), ..SystemConfig::default() };
            let node = Arc::new(Node {
                system: System::new(runtime.clone(), config),
                peer: Mutex::default(),
                questions: Mutex::default(),
                full: AtomicBool::new(false),
                room: Gate::default(),
                own: Mutex::default(),
            });
            *node.own.lock().unwrap() = Arc::downgrade(&node);
            node
        };
        let (a, b) = (node(1), node(2));
        *a.peer.lock().unwrap() = Arc::downgrade(&b);
        *b.peer.lock().unwrap() = Arc::downgrade(&a);
        (a, b)
    }

    fn peer(&self) -> Arc<Node> {
        self.peer.lock().unwrap().upgrade().unwrap()
    }

    fn own(&self) -> Arc<Node> {
        self.own.lock().unwrap().upgrade().unwrap()
    }

    fn reference<M: Serialize + Send + 'static>(&self, actor: &ActorRef<M>) -> ActorRef<M> {
        ActorRef::remote_encoded(&self.system, actor.pid(), self.own())
    }

    /// The way of one frame: encode under a boundary, decode under one of the receiver's.
    fn send(
        &self,
        target: Pid,
        encode: impl FnOnce(&Frame, &mut Vec<u8>) -> Result<i32, String>,
    ) -> Result<(), Refused> {
        if self.full.load(Ordering::SeqCst) {
            return Err(Refused::Full);
        }
        let frame = Arc::new(Frame { node: self.own(), reply: Mutex::default() });
        let mut payload = Vec::new();
        let msg_type =
            boundary::enter(&*frame, || encode(&frame, &mut payload)).map_err(Refused::Unencodable)?;
        let reply = frame.reply.lock().unwrap().take();
        let arrived = Frame { node: self.peer(), reply: Mutex::new(reply) };
        let peer = self.peer();
        let delivered = boundary::enter(&arrived, || peer.system.deliver(target, None, msg_type, &payload));
        if let (Err(error), Some(reference)) = (delivered, reply) {
            let error = match error {
                DeliverError::NoProcess => AskError::Ended(ExitReason::NoProcess),
                DeliverError::Full => AskError::Full,
                DeliverError::Undecodable(text) => AskError::Undecodable(text),
                DeliverError::NotRemote => AskError::NotAllowed,
            };
            self.answered(reference, Err(error));
        }
        Ok(())
    }

    fn answered(&self, reference: u64, answer: Result<Vec<u8>, AskError>) {
        let sink = self.questions.lock().unwrap().1.remove(&reference);
        let Some(sink) = sink else { return };
        let entered = Frame { node: self.own(), reply: Mutex::default() };
        boundary::enter(&entered, || sink.complete(answer.as_deref().map_err(Clone::clone)));
    }

    fn open_questions(&self) -> usize {
        self.questions.lock().unwrap().1.len()
    }
}

/// One frame, on its way out or in.
struct Frame {
    node: Arc<Node>,
    /// The frame's own reply address.
    reply: Mutex<Option<u64>>,
}

impl Boundary for Frame {
    fn export_reply(&self, sink: ReplySink) -> Result<ExportedReply, String> {
        let mut questions = self.node.questions.lock().unwrap();
        questions.0 += 1;
        let reference = questions.0;
        let node = Arc::downgrade(&self.node);
        let awaited = sink.on_abandoned(move || {
            let node = node.upgrade().unwrap();
            let sink = node.questions.lock().unwrap().1.remove(&reference);
            drop(sink);
        });
        if awaited {
            questions.1.insert(reference, sink);
        }
        if self.reply.lock().unwrap().is_none() {
            *self.reply.lock().unwrap() = Some(reference);
            return Ok(ExportedReply::Frame);
        }
        Ok(ExportedReply::Address(ReplyAddress { node: self.node.system.node(), reference }))
    }

    fn import_frame_reply(&self) -> Result<Arc<dyn RemoteReply>, String> {
        let reference = self.reply.lock().unwrap().take().ok_or("no reply address")?;
        self.import_reply(ReplyAddress { node: self.node.peer().system.node(), reference })
    }

    fn import_reply(&self, address: ReplyAddress) -> Result<Arc<dyn RemoteReply>, String> {
        Ok(Arc::new(Answering { node: self.node.clone(), reference: address.reference }))
    }

    fn export_actor(&self, pid: Pid) -> Result<Pid, String> {
        Ok(pid)
    }

    fn import_actor(&self, pid: Pid) -> Result<ImportedActor, String> {
        let system = self.node.system.clone();
        if pid.node() == system.node() {
            return Ok(ImportedActor::Local(system));
        }
        Ok(ImportedActor::Remote(system, self.node.clone()))
    }
}

struct Answering {
    node: Arc<Node>,
    reference: u64,
}

impl RemoteReply for Answering {
    fn send(&self, answer: Result<Vec<u8>, AskError>) {
        // As it crosses a link.
        let answer = answer.map_err(|error| {
            let (code, text) = error.to_code();
            AskError::from_code(code, text)
        });
        self.node.peer().answered(self.reference, answer);
    }

    fn encoding(&self, encode: &mut dyn FnMut()) {
        boundary::enter(&Frame { node: self.node.clone(), reply: Mutex::default() }, encode);
    }
}

impl RemoteMailbox for Node {
    fn try_send(&self, target: Pid, message: &dyn Outgoing) -> Result<(), Refused> {
        self.send(target, |_, payload| message.encode(payload))
    }

    fn ready(&self) -> BoxFuture<'_, ()> {
        Box::pin(self.room.wait())
    }

    fn stop(&self, target: Pid) {
        self.peer().system.stop(target);
    }

    fn kill(&self, target: Pid) {
        self.peer().system.kill(target);
    }
}

impl RemoteActor<RawMessage> for Node {
    fn try_send(&self, target: Pid, message: RawMessage) -> Result<(), TrySendError<RawMessage>> {
        let sent = self.send(target, |frame, payload| {
            payload.extend(&message.payload);
            if let Some(sink) = message.reply.as_ref().and_then(RawReply::sink) {
                frame.export_reply(sink)?;
            }
            Ok(message.msg_type)
        });
        match sent {
            Ok(()) => Ok(()),
            Err(_) => Err(TrySendError::Full(message)),
        }
    }

    fn ready(&self) -> BoxFuture<'_, ()> {
        Box::pin(self.room.wait())
    }

    fn stop(&self, target: Pid) {
        RemoteMailbox::stop(self, target);
    }

    fn kill(&self, target: Pid) {
        RemoteMailbox::kill(self, target);
    }
}

#[derive(Serialize, Deserialize)]
enum Cell {
    Set(u64),
    Get(ReplyTo<u64>),
    /// Two addresses in one message: the frame's and another.
    Both(ReplyTo<u64>, ReplyTo<String>),
    /// Answers with a reference to itself.
    Whoami(ReplyTo<ActorRef<Cell>>),
    /// Asks another for its value on behalf of the asker: the address travels on.
    Forward(ActorRef<Cell>, ReplyTo<u64>),
    Forget(ReplyTo<u64>),
    Die(ReplyTo<u64>),
    Wait(ReplyTo<u64>),
}

#[derive(Default)]
struct CellActor {
    value: u64,
    waiting: Vec<ReplyTo<u64>>,
}

impl Actor for CellActor {
    type Message = Cell;
    async fn handle(&mut self, message: Cell, context: &mut Context<Cell>) -> Outcome {
        match message {
            Cell::Set(value) => self.value = value,
            Cell::Get(reply) => reply.send(self.value),
            Cell::Both(number, text) => {
                text.send(format!("value {}", self.value));
                number.send(self.value);
            }
            Cell::Whoami(reply) => reply.send(context.this()),
            Cell::Forward(to, reply) => {
                if let Err(error) = to.send(Cell::Get(reply)).await {
                    return Outcome::Crash(error.to_string());
                }
            }
            Cell::Forget(reply) => drop(reply),
            Cell::Die(reply) => {
                self.waiting.push(reply);
                return Outcome::Crash("died".into());
            }
            Cell::Wait(reply) => self.waiting.push(reply),
        }
        Outcome::Continue
    }
}

fn spawn(node: &Node, value: u64) -> ActorRef<Cell> {
    let decoder: Decoder<Cell> =
        Arc::new(|msg_type, payload| decode_payload(msg_type, payload).map_err(|error| error.to_string()));
    let options = SpawnOptions { decoder: Some(decoder), ..SpawnOptions::default() };
    node.system.spawn_with(CellActor { value, waiting: Vec::new() }, options).unwrap()
}

fn two_nodes<T, F: Future<Output = T>>(story: impl FnOnce(Arc<Node>, Arc<Node>) -> F) -> T {
    simulated(1, |system| {
        let (a, b) = Node::pair(system.runtime());
        story(a, b)
    })
}

#[test]
fn a_question_crosses_and_its_answer_comes_back() {
    two_nodes(|a, b| async move {
        let remote = a.reference(&spawn(&b, 7));
        assert!(!remote.is_local());
        remote.send(Cell::Set(9)).await.unwrap();
        assert_eq!(remote.ask(Cell::Get).await, Ok(9));
        assert_eq!(a.open_questions(), 0);
    });
}

#[test]
fn two_addresses_in_one_message_both_work() {
    two_nodes(|a, b| async move {
        let remote = a.reference(&spawn(&b, 7));
        let number = Mutex::new(None);
        let asked = remote.ask(|reply| {
            *number.lock().unwrap() = Some(reply);
            Cell::Set(7)
        });
        let both = async {
            while number.lock().unwrap().is_none() {
                futures_lite::future::yield_now().await;
            }
            let first = number.lock().unwrap().take().unwrap();
            remote.ask(|second| Cell::Both(first, second)).await
        };
        assert_eq!(futures_lite::future::zip(asked, both).await, (Ok(7), Ok("value 7".to_owned())));
        // One of them has no asker any more: the other works, and nothing is left over.
        let unawaited = unawaited(&spawn(&a, 0));
        let text = remote.ask(|reply| Cell::Both(unawaited, reply));
        assert_eq!(text.await, Ok("value 7".to_owned()));
        assert_eq!(a.open_questions(), 0);
    });
}

/// A reply address whose asker has stopped waiting.
fn unawaited(actor: &ActorRef<Cell>) -> ReplyTo<u64> {
    let mut taken = None;
    {
        let mut ask = std::pin::pin!(actor.ask(|reply| {
            taken = Some(reply);
            Cell::Set(0)
        }));
        // The first poll makes the address and sends.
        assert!(
            ask.as_mut().poll(&mut std::task::Context::from_waker(std::task::Waker::noop())).is_pending()
        );
    }
    taken.unwrap()
}

#[test]
fn references_cross_both_ways_and_mean_the_same_actor() {
    two_nodes(|a, b| async move {
        let there = spawn(&b, 7);
        let remote = a.reference(&there);
        // An answer that holds a reference.
        let back: ActorRef<Cell> = remote.ask(Cell::Whoami).await.unwrap();
        assert_eq!(back, there);
        assert!(!back.is_local());
        assert_eq!(back.ask(Cell::Get).await, Ok(7));
        // A message that holds a reference to an actor of the sender: the question comes back home through the other
        // node, and so does its answer.
        let here = spawn(&a, 41);
        assert_eq!(remote.ask(|reply| Cell::Forward(here.clone(), reply)).await, Ok(41));
        assert_eq!((a.open_questions(), b.open_questions()), (0, 0));
        // A reference to a dead actor of the receiver decodes, and is dead.
        let dead = spawn(&b, 0);
        let dead_remote = a.reference(&dead);
        dead.stop();
        b.system.ended(dead.pid()).await;
        let pid = there.pid();
        let lost = remote.ask(|reply| Cell::Forward(dead_remote, reply)).await;
        assert!(matches!(lost, Err(AskError::Ended(_) | AskError::NoReply)), "{lost:?}");
        assert!(matches!(b.system.ended(pid).await, ExitReason::Crashed(_) | ExitReason::NoProcess));
    });
}

#[test]
fn why_there_is_no_answer_crosses_too() {
    two_nodes(|a, b| async move {
        let there = spawn(&b, 7);
        let remote = a.reference(&there);
        assert_eq!(remote.ask(Cell::Forget).await, Err(AskError::NoReply));
        assert_eq!(remote.ask(Cell::Die).await, Err(AskError::Ended(ExitReason::crashed("died"))));
        assert_eq!(remote.ask(Cell::Get).await, Err(AskError::Ended(ExitReason::NoProcess)));
        assert_eq!(b.system.dead_letters().no_process, 1);
        let no_decoder = b.system.spawn(CellActor::default());
        assert_eq!(a.reference(&no_decoder).ask(Cell::Get).await, Err(AskError::NotAllowed));
        assert_eq!(b.system.dead_letters().not_remote, 1);
        assert_eq!(a.open_questions(), 0);
    });
}

#[test]
fn an_asker_that_gives_up_leaves_nothing_at_its_node() {
    two_nodes(|a, b| async move {
        let remote = a.reference(&spawn(&b, 7));
        let second = Duration::from_secs(1);
        assert_eq!(remote.ask_within(second, Cell::Wait).await, Err(AskError::Timeout));
        assert_eq!(a.open_questions(), 0);
    });
}

#[test]
fn a_message_that_found_the_link_full_comes_back_whole() {
    two_nodes(|a, b| async move {
        let remote = a.reference(&spawn(&b, 7));
        a.full.store(true, Ordering::SeqCst);
        let Err(TrySendError::Full(Cell::Set(3))) = remote.try_send(Cell::Set(3)) else { panic!("sent") };
        // An ask waits for room; its address, written once in vain, still works.
        let ask = a.system.runtime().spawn({
            let remote = remote.clone();
            async move { remote.ask(Cell::Get).await }
        });
        a.system.runtime().sleep(Duration::from_secs(1)).await;
        a.full.store(false, Ordering::SeqCst);
        a.room.open();
        assert_eq!(ask.await, Ok(7));
    });
}

#[test]
fn a_revoked_sink_gives_the_question_back() {
    two_nodes(|a, _| async move {
        let local = spawn(&a, 7);
        let frame = Frame { node: a.clone(), reply: Mutex::default() };
        let answer = local.ask(|reply| {
            let message = Cell::Get(reply);
            let encoded = boundary::enter(&frame, || encode_payload(&message, &mut Vec::new()));
            assert_eq!(encoded.unwrap(), 1);
            let sink = a.questions.lock().unwrap().1.pop_first().unwrap().1;
            assert!(sink.is_awaited());
            sink.revoke();
            message
        });
        assert_eq!(answer.await, Ok(7));
        // Revoked after the message is gone: nobody is left to answer.
        let lost = local.ask(|reply| {
            let message = Cell::Get(reply);
            boundary::enter(&frame, || encode_payload(&message, &mut Vec::new())).unwrap();
            let sink = a.questions.lock().unwrap().1.pop_first().unwrap().1;
            drop(message);
            assert!(sink.is_awaited(), "the sink still could");
            sink.revoke();
            Cell::Set(1)
        });
        assert_eq!(lost.await, Err(AskError::NoReply));
    });
}

#[test]
fn outside_a_boundary_nothing_is_encoded_or_decoded() {
    two_nodes(|a, _| async move {
        let local = spawn(&a, 7);
        let answer = local.ask(|reply| {
            let message = Cell::Get(reply);
            let error = encode_payload(&message, &mut Vec::new()).unwrap_err();
            assert!(error.to_string().contains("reply address"), "{error}");
            message
        });
        assert_eq!(answer.await, Ok(7));
        let Err(error) = decode_payload::<Cell>(1, b"\xc0") else { panic!("decoded") };
        assert!(error.to_string().contains("reply address"), "{error}");
        let error = hew_wire::payload::encode_value(&local, &mut Vec::new()).unwrap_err();
        assert!(error.to_string().contains("actor reference"), "{error}");
        // What is not a message of the actor is refused and counted.
        let refused = a.system.deliver(local.pid(), None, 99, b"");
        assert!(matches!(refused, Err(DeliverError::Undecodable(_))), "{refused:?}");
        let refused = a.system.deliver(local.pid(), None, 1, b"\xc0");
        assert!(matches!(refused, Err(DeliverError::Undecodable(_))), "{refused:?}");
        assert_eq!(a.system.dead_letters().undecodable, 2);
        assert_eq!(local.ask(Cell::Get).await, Ok(7));
    });
}

#[test]
fn raw_messages_cross_verbatim_with_their_answers() {
    struct Echo;
    impl Actor for Echo {
        type Message = RawMessage;
        async fn handle(&mut self, message: RawMessage, _: &mut Context<RawMessage>) -> Outcome {
            if let Some(reply) = message.reply {
                reply.send_bytes(&[&message.payload[..], &[message.msg_type as u8]].concat());
            }
            Outcome::Continue
        }
    }
    two_nodes(|a, b| async move {
        let options = || SpawnOptions { decoder: Some(RawMessage::decoder()), ..SpawnOptions::default() };
        let echo = b.system.spawn_with(Echo, options()).unwrap();
        let remote: ActorRef<RawMessage> = ActorRef::remote(&a.system, echo.pid(), a.clone());
        let answer =
            remote.ask(|reply| RawMessage { msg_type: 3, payload: vec![0xFF, 0], reply: Some(reply) }).await;
        assert_eq!(answer, Ok(Raw(vec![0xFF, 0, 3])));
        remote.send(RawMessage::new(1, vec![1])).await.unwrap();
        // A typed asker and a raw actor that answers in MessagePack understand each other.
        let typed: ActorRef<Cell> = ActorRef::remote_encoded(&a.system, echo.pid(), a.clone());
        // The payload is nil for the frame's own address; the raw answer `[nil, 1]` is not a number.
        let odd = typed.ask(Cell::Get).await;
        assert!(matches!(odd, Err(AskError::Undecodable(_))), "{odd:?}");
        assert_eq!(a.open_questions(), 0);
    });
}

#[test]
fn stop_and_kill_reach_the_other_node() {
    two_nodes(|a, b| async move {
        for kill in [false, true] {
            let there = spawn(&b, 7);
            let ended = common::watched(&b.system, there.pid());
            let remote = a.reference(&there);
            if kill {
                remote.kill()
            } else {
                remote.stop()
            }
            assert_eq!(ended.await, if kill { ExitReason::Killed } else { ExitReason::Normal });
        }
    });
}
