//! What the engine is asked again and again: each listing is kept for a moment and shared by everybody who asks meanwhile, so that
//! no number of requests takes more than a small part of the engine's time.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

use super::problem::Problem;
use crate::daemon::Client;
use crate::engine::{AgentView, CallView, Command, QueueView, RegistrationView, Reply, Status};

/// How long the engine may think.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long a listing is kept at least.
const FRESH: Duration = Duration::from_millis(100);

/// And how many times as long as it took to make: the engine gives no more than a tenth of its time to one listing.
const TIMES: u32 = 9;

/// But never longer than this: an engine that was held up once is no reason to show for minutes what is long over.
const OLDEST: Duration = Duration::from_secs(2);

/// The engine, asked for listings.
#[derive(Debug)]
pub(super) struct Listings {
    client: Client,
    calls: Slot<Vec<CallView>>,
    agents: Slot<Vec<AgentView>>,
    registrations: Slot<Vec<RegistrationView>>,
    queue: Slot<Vec<QueueView>>,
    status: Slot<Status>,
}

impl Listings {
    pub(super) fn new(client: Client) -> Listings {
        Listings {
            client,
            calls: Slot::default(),
            agents: Slot::default(),
            registrations: Slot::default(),
            queue: Slot::default(),
            status: Slot::default(),
        }
    }

    /// Gives the engine a command.
    ///
    /// # Errors
    /// It is gone, or does not answer.
    pub(super) async fn command(&self, command: Command) -> Result<Reply, Problem> {
        match timeout(PATIENCE, self.client.command(command)).await {
            Ok(Ok(reply)) => Ok(reply),
            Ok(Err(gone)) => Err(Problem::unavailable(gone.to_string())),
            Err(_) => Err(Problem::unavailable(format!("the engine gave no answer for {} s", PATIENCE.as_secs()))),
        }
    }

    pub(super) async fn calls(&self) -> Result<Arc<Vec<CallView>>, Problem> {
        let ask = || async {
            match self.command(Command::Calls).await? {
                Reply::Calls(calls) => Ok(calls),
                other => Err(unexpected(&other)),
            }
        };
        self.calls.kept(ask).await
    }

    pub(super) async fn agents(&self) -> Result<Arc<Vec<AgentView>>, Problem> {
        let ask = || async {
            match self.command(Command::Agents).await? {
                Reply::Agents(agents) => Ok(agents),
                other => Err(unexpected(&other)),
            }
        };
        self.agents.kept(ask).await
    }

    /// One user, as it is this moment.
    ///
    /// # Errors
    /// There is none of that name, or the engine does not answer.
    pub(super) async fn agent(&self, company: &str, extension: &str) -> Result<AgentView, Problem> {
        match self.command(Command::Agent { user: format!("{extension}@{company}") }).await? {
            Reply::Agents(agents) => {
                let mut found = agents.into_iter();
                found.next().ok_or_else(|| Problem::unknown("user"))
            }
            // It was configured a moment ago.
            Reply::Refused(_) => Err(Problem::unknown("user")),
            other => Err(unexpected(&other)),
        }
    }

    /// A user was changed: whoever asks next sees it, in the listing that is kept too. Everybody else in that stays as old as it
    /// is, so that no number of changes makes the engine list them all again.
    ///
    /// # Errors
    /// As [`Listings::agent`].
    pub(super) async fn changed(&self, company: &str, extension: &str) -> Result<AgentView, Problem> {
        // Held while the engine is asked: of two changes, what the later one found is what is kept.
        let mut kept = self.agents.kept.lock().await;
        let agent = self.agent(company, extension).await?;
        if let Some(kept) = kept.as_mut() {
            let mut users = Arc::make_mut(&mut kept.value).iter_mut();
            if let Some(old) = users.find(|old| old.company == agent.company && old.extension == agent.extension) {
                *old = agent.clone();
            }
        }
        Ok(agent)
    }

    pub(super) async fn registrations(&self) -> Result<Arc<Vec<RegistrationView>>, Problem> {
        let ask = || async {
            match self.command(Command::Registrations).await? {
                Reply::Registrations(registrations) => Ok(registrations),
                other => Err(unexpected(&other)),
            }
        };
        self.registrations.kept(ask).await
    }

    pub(super) async fn queue(&self) -> Result<Arc<Vec<QueueView>>, Problem> {
        let ask = || async {
            match self.command(Command::Queue).await? {
                Reply::Queue(queue) => Ok(queue),
                other => Err(unexpected(&other)),
            }
        };
        self.queue.kept(ask).await
    }

    pub(super) async fn status(&self) -> Result<Arc<Status>, Problem> {
        self.status_of(OLDEST).await
    }

    /// The engine's state, of this moment: for who asks whether it answers at all.
    ///
    /// # Errors
    /// It does not.
    pub(super) async fn fresh_status(&self) -> Result<Arc<Status>, Problem> {
        self.status_of(FRESH).await
    }

    async fn status_of(&self, oldest: Duration) -> Result<Arc<Status>, Problem> {
        let ask = || async {
            match self.command(Command::Status).await? {
                Reply::Status(status) => Ok(*status),
                other => Err(unexpected(&other)),
            }
        };
        self.status.kept_at_most(oldest, ask).await
    }

    /// The configuration was changed: whoever asks next sees it.
    pub(super) async fn forget(&self) {
        self.calls.forget().await;
        self.agents.forget().await;
        self.registrations.forget().await;
        self.queue.forget().await;
        self.status.forget().await;
    }
}

/// Every command has its one kind of reply.
pub(super) fn unexpected(reply: &Reply) -> Problem {
    match reply {
        Reply::Refused(refusal) => Problem::unavailable(refusal.why.clone()),
        _ => Problem::defect("the engine gave the reply of another command"),
    }
}

/// How long a listing is kept that took so long to make.
fn lasts(took: Duration) -> Duration {
    (took * TIMES).clamp(FRESH, OLDEST)
}

#[derive(Debug)]
struct Slot<T> {
    /// Held while one asks, so that the others wait for the same answer.
    kept: Mutex<Option<Kept<T>>>,
}

#[derive(Debug)]
struct Kept<T> {
    value: Arc<T>,
    answered_at: Instant,
    /// How long it is kept.
    lasts: Duration,
}

impl<T> Default for Slot<T> {
    fn default() -> Slot<T> {
        Slot { kept: Mutex::new(None) }
    }
}

impl<T> Slot<T> {
    async fn kept<F>(&self, ask: impl FnOnce() -> F) -> Result<Arc<T>, Problem>
    where
        F: Future<Output = Result<T, Problem>>,
    {
        self.kept_at_most(OLDEST, ask).await
    }

    /// What is kept, unless it is older than that.
    async fn kept_at_most<F>(&self, oldest: Duration, ask: impl FnOnce() -> F) -> Result<Arc<T>, Problem>
    where
        F: Future<Output = Result<T, Problem>>,
    {
        let mut kept = self.kept.lock().await;
        let asked_at = Instant::now();
        if let Some(kept) = kept.as_ref()
            && asked_at < kept.answered_at + kept.lasts.min(oldest)
        {
            return Ok(Arc::clone(&kept.value));
        }
        let value = Arc::new(ask().await?);
        let answered_at = Instant::now();
        *kept = Some(Kept { value: Arc::clone(&value), answered_at, lasts: lasts(answered_at - asked_at) });
        Ok(value)
    }

    async fn forget(&self) {
        *self.kept.lock().await = None;
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[test]
    fn a_listing_is_shared_until_it_is_old_or_forgotten() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let asked = Cell::new(0);
            let slot = Slot::default();
            let ask = || async {
                asked.set(asked.get() + 1);
                Ok(asked.get())
            };
            // A problem is nobody's to share.
            slot.kept(|| async { Err(Problem::unavailable("not now")) }).await.unwrap_err();
            assert_eq!(*slot.kept(ask).await.unwrap(), 1);
            slot.forget().await;
            assert_eq!(*slot.kept(ask).await.unwrap(), 2);
            // As old as it may be, whatever this test took.
            let age = |lasts, age| {
                let slot = &slot;
                async move {
                    let mut kept = slot.kept.lock().await;
                    let kept = kept.as_mut().unwrap();
                    (kept.lasts, kept.answered_at) = (lasts, Instant::now() - age);
                }
            };
            let long = Duration::from_secs(3600);
            age(long, Duration::ZERO).await;
            assert_eq!(*slot.kept_at_most(long, ask).await.unwrap(), 2);
            age(long, OLDEST).await;
            assert_eq!(*slot.kept_at_most(long, ask).await.unwrap(), 2);
            assert_eq!(*slot.kept(ask).await.unwrap(), 3, "nobody is shown anything older");
            age(OLDEST, FRESH).await;
            assert_eq!(*slot.kept_at_most(FRESH, ask).await.unwrap(), 4, "who wants it fresh has it fresh");
        });
    }

    #[test]
    fn a_listing_lasts_as_its_making_did_and_never_long() {
        let millis = Duration::from_millis;
        for (took, expected) in [(0, 100), (11, 100), (100, 900), (222, 1998), (223, 2000), (10_000, 2000)] {
            assert_eq!(lasts(millis(took)), millis(expected), "{took}");
        }
    }
}
