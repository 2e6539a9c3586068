//! Banking: a teller lets accounts transfer money to each other.
//!
//! An account that sends money asks the receiver to take it, and does nothing else until the answer comes. Money goes
//! from lower to higher numbers only, as in Savina, so that no accounts ever wait for each other in a circle: the
//! highest of those that wait waits for one that does not.

use crate::measure::Failure;
use crate::program::{Clock, DEADLINE, Played, crash, expect, gone, sent};
use fastrand::Rng;
use hew_actor::{Actor, ActorRef, Context, MailboxOptions, Outcome, ReplyTo, SpawnOptions, System};
use hew_wire::ExitReason;
use std::sync::mpsc::Sender;

/// What is in each account at first. There is no limit to how far it may be overdrawn.
const BALANCE: i64 = 1_000_000;
/// Most that one transfer moves.
const AMOUNT_MAX: i64 = 1_000;

/// Makes `count` transfers between `accounts`.
pub(crate) fn play(system: &System, accounts: u64, count: u64) -> Result<Played, Failure> {
    let (clock, report) = Clock::start();
    let open = |number| system.spawn(Account { number, balance: BALANCE, report: report.clone() });
    let all = (0..accounts as usize).map(open).collect();
    let teller = Teller { accounts: all, transfers: count, done: 0, _alive: report };
    // The teller hands out all transfers while it handles one message, and each is confirmed by a message that waits
    // meanwhile. With less room than that, the teller could wait for an account that waits for the teller.
    let mailbox = MailboxOptions { capacity: Some(count as usize), ..MailboxOptions::default() };
    let teller = system.spawn_with(teller, SpawnOptions { mailbox, ..SpawnOptions::default() })?;
    teller.try_send(ToTeller::Start).map_err(gone)?;
    drop(teller);
    let (took, mut balances) = clock.stop()?;
    balances.sort_unstable();
    check(&balances, accounts as usize, count)?;
    Ok(Played { took, messages: 1 + 4 * count })
}

/// No money was lost or created, and each account has what the transfers leave it with.
fn check(balances: &[(usize, i64)], accounts: usize, count: u64) -> Result<(), Failure> {
    let total = balances.iter().map(|(_, balance)| balance).sum();
    expect("money in all accounts", total, accounts as i64 * BALANCE)?;
    let mut expected: Vec<_> = (0..accounts).map(|number| (number, BALANCE)).collect();
    for Transfer { source, target, amount } in transfers(accounts, count) {
        expected[source].1 -= amount;
        expected[target].1 += amount;
    }
    let wrong = balances.iter().zip(&expected).find(|(found, expected)| found != expected);
    expect("the first wrong balance", wrong, None)
}

struct Transfer {
    source: usize,
    target: usize,
    amount: i64,
}

/// The same ones each time.
fn transfers(accounts: usize, count: u64) -> impl Iterator<Item = Transfer> {
    let mut random = Rng::with_seed(1);
    (0..count).map(move |_| {
        let source = random.usize(..accounts / 10 * 8);
        Transfer { source, target: random.usize(source + 1..accounts), amount: random.i64(1..=AMOUNT_MAX) }
    })
}

enum ToTeller {
    Start,
    Transferred,
}

struct Teller {
    accounts: Vec<ActorRef<ToAccount>>,
    transfers: u64,
    done: u64,
    _alive: Sender<(usize, i64)>,
}

impl Actor for Teller {
    type Message = ToTeller;

    async fn handle(&mut self, message: ToTeller, context: &mut Context<ToTeller>) -> Outcome {
        match message {
            ToTeller::Start => {
                for Transfer { source, target, amount } in transfers(self.accounts.len(), self.transfers) {
                    let (target, teller) = (self.accounts[target].clone(), context.this());
                    let transfer = ToAccount::Transfer { amount, target, teller };
                    if let Err(error) = self.accounts[source].send(transfer).await {
                        return sent(Err(error));
                    }
                }
            }
            ToTeller::Transferred => self.done += 1,
        }
        if self.done < self.transfers {
            return Outcome::Continue;
        }
        self.accounts.iter().for_each(ActorRef::stop);
        Outcome::Stop
    }
}

enum ToAccount {
    /// Sends money away.
    Transfer { amount: i64, target: ActorRef<ToAccount>, teller: ActorRef<ToTeller> },
    /// Takes money.
    Deposit { amount: i64, reply: ReplyTo<()> },
}

struct Account {
    number: usize,
    balance: i64,
    report: Sender<(usize, i64)>,
}

impl Actor for Account {
    type Message = ToAccount;

    async fn handle(&mut self, message: ToAccount, _: &mut Context<ToAccount>) -> Outcome {
        match message {
            ToAccount::Transfer { amount, target, teller } => {
                self.balance -= amount;
                match target.ask_within(DEADLINE, |reply| ToAccount::Deposit { amount, reply }).await {
                    Ok(()) => sent(teller.send(ToTeller::Transferred).await),
                    Err(error) => crash(&format!("a deposit was not confirmed: {error}")),
                }
            }
            ToAccount::Deposit { amount, reply } => {
                self.balance += amount;
                reply.send(());
                Outcome::Continue
            }
        }
    }

    async fn stopped(&mut self, _: &ExitReason, _: &mut Context<ToAccount>) {
        let _ = self.report.send((self.number, self.balance));
    }
}
