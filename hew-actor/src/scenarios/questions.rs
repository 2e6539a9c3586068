//! Questions with deadlines, to actors that answer, pass on, forget, crash, and are stopped.

use super::*;

const ASKERS: usize = 2;
const QUESTIONS: usize = 2;

struct Oracle {
    alone: Alone,
    kept: Vec<ReplyTo<u64>>,
    next: Option<ActorRef<Question>>,
    answers: Tally,
}

struct Question {
    counted: Counted,
    reply: ReplyTo<u64>,
    fate: Fate,
}

/// What becomes of a question.
#[derive(Clone, Copy, PartialEq)]
enum Fate {
    Answer,
    /// Kept for as long as the actor lives: only a deadline helps.
    Keep,
    Drop,
    Crash,
    /// The next one answers.
    PassOn,
}

impl Actor for Oracle {
    type Message = Question;

    async fn handle(&mut self, question: Question, _: &mut Context<Question>) -> Outcome {
        let _inside = self.alone.enter();
        let Question { counted, reply, fate } = question;
        match (fate, &self.next) {
            (Fate::Keep, _) => self.kept.push(reply),
            (Fate::Drop, _) => drop(reply),
            (Fate::Crash, _) => return Outcome::Crash("asked too much".into()),
            (Fate::PassOn, Some(next)) => {
                // A question that comes back is dropped, which tells the asker.
                next.try_send(Question { counted, reply, fate: Fate::Answer }).ok();
            }
            (Fate::Answer | Fate::PassOn, _) => {
                self.answers.add();
                reply.send(7);
            }
        }
        Outcome::Continue
    }
}

fn asks() {
    let stage = Stage::new();
    let answers = Tally::default();
    let oracle = |next: Option<ActorRef<Question>>| {
        let alone = Alone::new(&stage.census);
        stage.system.spawn(Oracle { alone, kept: Vec::new(), next, answers: answers.clone() })
    };
    let second = oracle(None);
    let first = oracle(Some(second.clone()));
    let askers: Vec<_> = (0..ASKERS)
        .map(|_| {
            let (first, census) = (first.clone(), stage.census.clone());
            thread(move || {
                let mut answered = 0;
                for _ in 0..QUESTIONS {
                    let fate =
                        [Fate::Answer, Fate::Answer, Fate::Keep, Fate::Drop, Fate::Crash, Fate::PassOn]
                            [pick(6)];
                    let patient = fate != Fate::Keep && pick(2) == 0;
                    let deadline = if patient { ASK_DEADLINE } else { Duration::from_millis(pick(4) as u64) };
                    let make = |reply| Question { counted: census.one(), reply, fate };
                    match wait(first.ask_within(deadline, make)) {
                        Err(AskError::Timeout) if patient => panic!("nobody answers"),
                        Ok(7) => answered += 1,
                        Err(AskError::Timeout | AskError::NoReply | AskError::Ended(_)) => {}
                        other => panic!("{other:?}"),
                    }
                }
                answered
            })
        })
        .collect();
    match pick(3) {
        0 => first.stop(),
        1 => second.kill(),
        _ => {}
    }
    let answered: u64 = askers.into_iter().map(|asker| asker.join().unwrap()).sum();
    first.kill();
    second.kill();
    wait(stage.system.ended(first.pid()));
    wait(stage.system.ended(second.pid()));
    // Each answer reached its asker, or is counted as late.
    assert_eq!(answered + stage.system.dead_letters().late_replies, answers.count());
    drop((first, second));
    stage.close();
}

#[test]
fn asks_random() {
    check(asks);
}

#[test]
fn asks_priorities() {
    check_priorities(asks);
}
