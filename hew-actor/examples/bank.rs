//! A bank: transfers between two accounts, one of which crashes in the middle of them and is restarted.
//!
//! Shows supervision, and what it takes to lose nothing in a crash. A supervisor starts the account again, but with a
//! new value: what the old one knew is gone, and so are the requests that waited in its mailbox. Therefore
//! - an account writes each change of its balance to a journal before it confirms it, and reads the journal when it
//!   starts: that is the state that survives;
//! - a teller that hears no answer asks again, since it cannot know whether the change was made;
//! - each transfer has a number, which the journal keeps too, so that a change that is asked for twice is made once.
//!
//! Run it with `cargo run -p hew-actor --example bank`.

use hew_actor::{
    Actor, AskError, ChildRef, ChildSpec, Context, Outcome, ReplyTo, Runtime, RuntimeConfig, Strategy,
    Supervisor, System, SystemConfig,
};
use std::collections::BTreeMap;
use std::error::Error;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// What is in each account at first.
const BALANCE: i64 = 100;
/// Tellers that work at the same time, and the transfers that each of them makes.
const TELLERS: u64 = 4;
const TRANSFERS: u64 = 50;
/// How often a teller asks for the same change before it gives up.
const ATTEMPTS_MAX: u32 = 10;
/// Changes that a life of the fragile account makes before it crashes, and the lives that end so.
const CHANGES_PER_LIFE: usize = 10;
pub(crate) const CRASHES: u32 = 2;

/// The changes of one account by the numbers of their transfers. Stands for a file or a database.
type Journal = Arc<Mutex<BTreeMap<u64, i64>>>;

fn opened() -> Journal {
    Journal::new(Mutex::new(BTreeMap::from([(0, BALANCE)])))
}

enum Request {
    /// Adds `amount`, which may be negative. Answers whether the account allows it.
    Change {
        transfer: u64,
        amount: i64,
        reply: ReplyTo<bool>,
    },
    Balance(ReplyTo<i64>),
}

struct Account {
    journal: Journal,
    /// Which life of this account it is, from 1; `None` for one that never crashes.
    life: Option<u32>,
    balance: i64,
    changes: usize,
}

impl Account {
    fn new(journal: &Journal, life: Option<u32>) -> Account {
        Account { journal: journal.clone(), life, balance: 0, changes: 0 }
    }

    /// Makes the change, unless it was made before; whether the account allows it. Or crashes, and why.
    fn change(&mut self, transfer: u64, amount: i64) -> Result<bool, &'static str> {
        let mut journal = self.journal.lock().unwrap_or_else(PoisonError::into_inner);
        if journal.contains_key(&transfer) {
            return Ok(true);
        }
        if self.balance + amount < 0 {
            return Ok(false);
        }
        self.changes += 1;
        let crashes = self.changes == CHANGES_PER_LIFE;
        // The two moments that matter: nothing has been done, and everything but the answer.
        if crashes && self.life == Some(1) {
            return Err("power cut before the change was in the journal");
        }
        journal.insert(transfer, amount);
        if crashes && self.life == Some(2) {
            return Err("power cut before the change was confirmed");
        }
        self.balance += amount;
        Ok(true)
    }
}

impl Actor for Account {
    type Message = Request;

    async fn started(&mut self, _: &mut Context<Request>) -> Outcome {
        self.balance = self.journal.lock().unwrap_or_else(PoisonError::into_inner).values().sum();
        Outcome::Continue
    }

    async fn handle(&mut self, request: Request, _: &mut Context<Request>) -> Outcome {
        match request {
            Request::Change { transfer, amount, reply } => match self.change(transfer, amount) {
                Ok(allowed) => reply.send(allowed),
                Err(why) => return Outcome::Crash(why.to_string()),
            },
            Request::Balance(reply) => reply.send(self.balance),
        }
        Outcome::Continue
    }
}

/// Asks for a change until it is confirmed or refused. While the account is being restarted, `ask` waits for it.
async fn change(account: &ChildRef<Request>, transfer: u64, amount: i64) -> Result<bool, AskError> {
    let mut attempts = 1;
    loop {
        match account.ask(|reply| Request::Change { transfer, amount, reply }).await {
            Err(_) if attempts < ATTEMPTS_MAX => attempts += 1,
            result => return result,
        }
    }
}

/// Makes transfers to and fro; how much went from the first account to the second in all.
async fn serve(teller: u64, first: ChildRef<Request>, second: ChildRef<Request>) -> Result<i64, AskError> {
    let mut moved = 0;
    for transfer in (teller + 1..).step_by(TELLERS as usize).take(TRANSFERS as usize) {
        let amount = 1 + (transfer % 17) as i64;
        let forth = transfer % 3 != 0;
        let (source, target) = if forth { (&first, &second) } else { (&second, &first) };
        if change(source, transfer, -amount).await? {
            // An account takes whatever it gets. Until it has, the money is in the hands of the teller.
            change(target, transfer, amount).await?;
            moved += if forth { amount } else { -amount };
        }
    }
    Ok(moved)
}

/// What is in the accounts at the end, and how often the fragile one was started again.
#[derive(Debug, PartialEq)]
pub(crate) struct Summary {
    pub(crate) alice: i64,
    pub(crate) bob: i64,
    pub(crate) restarts: u32,
}

/// Lets tellers make transfers while an account crashes. Compares the accounts with what the tellers say they moved.
pub(crate) async fn run(system: &System) -> Result<Summary, Box<dyn Error>> {
    let lives = Arc::new(AtomicU32::new(0));
    let (of_alice, of_bob, lived) = (opened(), opened(), lives.clone());
    // What makes an account is called again for each of its lives. The journal is the same in all of them.
    let fragile = move || Account::new(&of_alice, Some(1 + lived.fetch_add(1, Ordering::SeqCst)));
    let solid = move || Account::new(&of_bob, None);
    let mut supervisor = Supervisor::new(Strategy::OneForOne);
    let alice = supervisor.add(system, ChildSpec::new("alice", fragile))?;
    let bob = supervisor.add(system, ChildSpec::new("bob", solid))?;
    supervisor.spawn(system);

    let serve = |teller| system.runtime().spawn(serve(teller, alice.clone(), bob.clone()));
    let tellers: Vec<_> = (0..TELLERS).map(serve).collect();
    let mut moved = 0;
    for teller in tellers {
        moved += teller.await?;
    }
    let restarts = lives.load(Ordering::SeqCst) - 1;
    let (alice, bob) = (alice.ask(Request::Balance).await?, bob.ask(Request::Balance).await?);
    let summary = Summary { alice, bob, restarts };
    if summary != (Summary { alice: BALANCE - moved, bob: BALANCE + moved, restarts: CRASHES }) {
        return Err(format!("{summary:?} after {moved} went from alice to bob").into());
    }
    Ok(summary)
}

#[allow(clippy::print_stdout, reason = "it is what an example is for")]
fn main() -> Result<(), Box<dyn Error>> {
    let runtime = Runtime::start(RuntimeConfig::default())?;
    let system = System::new(runtime.clone(), SystemConfig::default());
    println!("alice and bob have {BALANCE} each; {TELLERS} tellers make {TRANSFERS} transfers each");
    let Summary { alice, bob, restarts } = runtime.block_on(run(&system))?;
    println!("alice crashed and was started again {restarts} times");
    println!("now alice has {alice} and bob has {bob}: {} in all", alice + bob);
    runtime.block_on(system.shutdown(Duration::from_secs(5)));
    runtime.shutdown();
    Ok(())
}
