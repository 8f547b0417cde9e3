//! What a call's record adds to the metrics. The engine's thread takes the few words that count out of a record and
//! hands them on; adding them up is another thread's work.

use std::collections::BTreeMap;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use smallvec::SmallVec;
use tokio::sync::mpsc;

use super::histogram::{Histogram, PATIENCE};
use crate::engine::CallRecord;
use crate::id::CompanyId;
use crate::routing::{MemberRecord, OfferOutcome, Plan, SkipReason};

/// How many calls may wait to be counted; what comes then is not counted, and that is.
const WAITING: usize = 8192;

/// What counts of one call.
#[derive(Clone, Debug, PartialEq)]
pub struct Tally {
    company: Option<CompanyId>,
    cause: &'static str,
    status: u16,
    /// Seconds from the first INVITE to the answer.
    answer: Option<f64>,
    offers: SmallVec<[&'static str; 4]>,
    skips: SmallVec<[SkipReason; 8]>,
    /// Seconds in the lines of departments.
    waits: SmallVec<[f64; 1]>,
}

impl Tally {
    /// Of a call that is over.
    pub(in crate::daemon) fn of(record: &CallRecord) -> Tally {
        let decision = &record.decision;
        let members = || decision.steps.iter().flat_map(|step| &step.members);
        let own = decision.steps.iter().filter_map(|step| step.offered.as_ref());
        let offered = own.chain(members().filter_map(|member| member.offered.as_ref()));
        let seconds = |at: crate::time::WallTime| {
            // Milliseconds of one call; a clock set back meanwhile counts as no time.
            let millis = at.unix_millis().saturating_sub(record.started_at.unix_millis()).max(0);
            std::time::Duration::from_millis(millis.unsigned_abs()).as_secs_f64()
        };
        // One who was offered the call here and is passed over since is written with both: that is no reason not to ring.
        let skip = |member: &MemberRecord| member.skip.filter(|reason| *reason != SkipReason::AlreadyOffered);
        Tally {
            company: record.company.clone(),
            cause: decision.answer.as_ref().map_or("none", |answer| answer.cause.as_str()),
            status: record.status,
            answer: record.answered_at.map(seconds),
            offers: offered.map(|offer| offer.outcome.map_or("none", OfferOutcome::as_str)).collect(),
            skips: members().filter_map(skip).collect(),
            waits: decision.steps.iter().filter_map(|step| step.wait).collect(),
        }
    }
}

/// Where the engine's thread puts what it has seen. Until it is opened nobody counts, and nothing is lost.
#[derive(Debug, Default)]
pub(in crate::daemon) struct Tallying {
    tallies: OnceLock<mpsc::Sender<Tally>>,
    lost: AtomicU64,
}

impl Tallying {
    /// Where they arrive: once. A second time gives what nothing arrives at.
    pub(in crate::daemon) fn open(&self) -> mpsc::Receiver<Tally> {
        let (tallies, taken) = mpsc::channel(WAITING);
        let _ = self.tallies.set(tallies);
        taken
    }

    /// Never waits.
    pub(in crate::daemon) fn add(&self, record: &CallRecord) {
        if self.tallies.get().is_some() {
            self.put(Tally::of(record));
        }
    }

    fn put(&self, tally: Tally) {
        if self.tallies.get().is_some_and(|tallies| tallies.try_send(tally).is_err()) {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Calls that were not counted.
    pub(super) fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }
}

/// Everything counted since the start. Labels are names of the configuration and of closed sets.
#[derive(Clone, Debug, Default)]
pub struct Tallies {
    /// Company, cause, status.
    pub(super) calls: BTreeMap<(String, &'static str, u16), u64>,
    /// Company, outcome.
    pub(super) offers: BTreeMap<(String, &'static str), u64>,
    /// Company, reason.
    pub(super) skips: BTreeMap<(String, &'static str), u64>,
    /// By company.
    pub(super) waits: BTreeMap<String, Histogram>,
    /// By company.
    pub(super) answers: BTreeMap<String, Histogram>,
}

impl Tallies {
    /// One more call. A call for a number that is nobody's counts under the company without a name.
    pub fn add(&mut self, tally: &Tally) {
        let company = tally.company.as_ref().map_or("", CompanyId::as_str).to_owned();
        *self.calls.entry((company.clone(), tally.cause, tally.status)).or_default() += 1;
        for outcome in &tally.offers {
            *self.offers.entry((company.clone(), outcome)).or_default() += 1;
        }
        for reason in &tally.skips {
            *self.skips.entry((company.clone(), reason.as_str())).or_default() += 1;
        }
        for (histograms, seconds) in
            [(&mut self.waits, tally.waits.as_slice()), (&mut self.answers, tally.answer.as_slice())]
        {
            for seconds in seconds {
                let histogram = histograms.entry(company.clone()).or_insert_with(|| Histogram::new(&PATIENCE));
                histogram.observe(*seconds);
            }
        }
    }

    /// Forgets companies that are gone, so that the metrics do not grow with every company there ever was.
    pub fn retain(&mut self, plan: &Plan) {
        let stays = |company: &str| company.is_empty() || plan.companies.contains_key(company);
        self.calls.retain(|(company, ..), _| stays(company));
        self.offers.retain(|(company, _), _| stays(company));
        self.skips.retain(|(company, _), _| stays(company));
        self.waits.retain(|company, _| stays(company));
        self.answers.retain(|company, _| stays(company));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(company: Option<&str>) -> Tally {
        Tally {
            company: company.map(CompanyId::new),
            cause: "answered",
            status: 200,
            answer: Some(4.0),
            offers: ["busy", "answered"].into_iter().collect(),
            skips: [SkipReason::Away, SkipReason::Away].into_iter().collect(),
            waits: [3.0].into_iter().collect(),
        }
    }

    #[test]
    fn a_company_that_is_gone_leaves_nothing() {
        let mut tallies = Tallies::default();
        tallies.add(&tally(Some("acme")));
        tallies.add(&tally(None));
        assert_eq!(tallies.skips[&("acme".to_owned(), "away")], 2);
        assert_eq!(tallies.waits["acme"].count(), 1);
        tallies.retain(&Plan::default());
        assert_eq!(tallies.calls.keys().map(|(company, ..)| company.as_str()).collect::<Vec<_>>(), [""]);
        assert_eq!(
            (tallies.offers.len(), tallies.skips.len(), tallies.waits.len(), tallies.answers.len()),
            (2, 1, 1, 1)
        );
    }

    #[test]
    fn what_cannot_be_counted_in_time_is_counted_as_lost() {
        let tallying = Tallying::default();
        tallying.put(tally(None));
        assert_eq!(tallying.lost(), 0, "nobody counts");
        let mut taken = tallying.open();
        for _ in 0..WAITING + 2 {
            tallying.put(tally(None));
        }
        assert_eq!(tallying.lost(), 2);
        assert_eq!(taken.try_recv().unwrap(), tally(None));
        tallying.put(tally(None));
        assert_eq!(tallying.lost(), 2, "there is room again");
    }
}
