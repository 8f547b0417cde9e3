//! The metrics as text: OpenMetrics 1.0, made of a snapshot and nothing else.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::{Registry, Unit};

use super::histogram::Histogram;
use super::tally::Tallies;
use crate::config::Config;
use crate::daemon::{ReloadOutcome, Report};
use crate::engine::{CallView, QueueView, Status};

/// What the text is, for Content-Type.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What a live call may be doing.
const STATES: [&str; 4] = ["ringing", "waiting", "talking", "ending"];

/// How the store is.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StoreHealth {
    /// Seconds since the oldest change happened that is not on the disk yet; zero where all are.
    pub lag: f64,
    /// Changes that are not on the disk yet.
    pub pending: u64,
    /// Whether the store or its journal refuses to write.
    pub failing: bool,
    /// Changes that could not be kept at all.
    pub lost: u64,
}

/// Everything there is to tell, at one moment.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// The running configuration: which companies, departments and trunks there are.
    pub config: Arc<Config>,
    /// The engine.
    pub status: Status,
    /// The daemon itself.
    pub report: Report,
    /// Live calls.
    pub calls: Arc<Vec<CallView>>,
    /// Calls that wait.
    pub queue: Arc<Vec<QueueView>>,
    /// Calls that are over.
    pub tallies: Tallies,
    /// Calls that were not counted.
    pub lost: u64,
    /// How long the engine's steps took.
    pub steps: Histogram,
    /// The store; `None` where there is none.
    pub store: Option<StoreHealth>,
}

impl Snapshot {
    /// The text.
    ///
    /// # Errors
    /// Never: it is written to memory.
    pub fn text(self) -> Result<String, fmt::Error> {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(self));
        let mut text = String::with_capacity(16 * 1024);
        prometheus_client::encoding::text::encode(&mut text, &registry)?;
        Ok(text)
    }

    /// Live calls by company and state, with a zero for every state of every company.
    fn live(&self) -> BTreeMap<(&str, &str), u64> {
        let companies = self.config.plan.companies.keys();
        let mut live: BTreeMap<(&str, &str), u64> =
            companies.flat_map(|company| STATES.map(|state| ((company.as_str(), state), 0))).collect();
        for call in self.calls.iter() {
            *live.entry((call.company.as_str(), call.state.as_str())).or_default() += 1;
        }
        live
    }

    /// Waiting calls by company and department, with a zero for every department.
    fn lines(&self) -> BTreeMap<(&str, &str), u64> {
        let companies = self.config.plan.companies.values();
        let mut lines: BTreeMap<(&str, &str), u64> = companies
            .flat_map(|company| company.departments.keys().map(|id| ((company.id.as_str(), id.as_str()), 0)))
            .collect();
        for call in self.queue.iter() {
            *lines.entry((call.company.as_str(), call.department.as_str())).or_default() += 1;
        }
        lines
    }

    /// Datagrams by what became of them, and everything else that was counted, by its name.
    fn named(&self) -> (BTreeMap<&str, u64>, BTreeMap<&str, u64>) {
        let daemon = self.report.counters.iter().filter(|(name, _)| !DATAGRAMS.iter().any(|(of, _)| of == name));
        let datagrams = DATAGRAMS
            .iter()
            .map(|(name, label)| (*label, self.report.counters.get(*name).copied().unwrap_or_default()))
            .collect();
        // The engine's own count of datagrams is that of the daemon's, but for what waits to be sent.
        let engine =
            self.status.counters.iter().filter(|(name, _)| !["datagrams-in", "datagrams-out"].contains(&name.as_str()));
        let others = daemon.chain(engine).map(|(name, count)| (name.as_str(), *count)).collect();
        (datagrams, others)
    }
}

/// The daemon's counters of datagrams, and the words for what became of them.
const DATAGRAMS: [(&str, &str); 4] = [
    ("datagrams-received", "received"),
    ("datagrams-sent", "sent"),
    ("send-buffer-full", "dropped"),
    ("undeliverable", "undeliverable"),
];

/// What goes into the text, one family after the other.
struct Page<'a>(DescriptorEncoder<'a>);

type Labels<'a, const N: usize> = [(&'a str, &'a str); N];

impl Page<'_> {
    fn family<const N: usize, V>(
        &mut self,
        (name, help, kind): (&str, &str, MetricType),
        unit: Option<&Unit>,
        values: impl IntoIterator<Item = (V, u64)>,
        labels: impl Fn(&V) -> Labels<'_, N>,
    ) -> fmt::Result {
        let mut family = self.0.encode_descriptor(name, help, unit, kind)?;
        for (value, count) in values {
            let labels = labels(&value);
            let mut one = family.encode_family(&labels)?;
            match kind {
                MetricType::Counter => one.encode_counter::<NoLabelSet, _, u64>(&count, None)?,
                MetricType::Gauge | MetricType::Histogram | MetricType::Info | MetricType::Unknown => {
                    one.encode_gauge(&whole(count))?;
                }
            }
        }
        Ok(())
    }

    fn gauge(&mut self, name: &str, help: &str, unit: Option<&Unit>, value: f64) -> fmt::Result {
        self.0.encode_descriptor(name, help, unit, MetricType::Gauge)?.encode_gauge(&value)
    }

    fn counter(&mut self, name: &str, help: &str, value: u64) -> fmt::Result {
        let mut counter = self.0.encode_descriptor(name, help, None, MetricType::Counter)?;
        counter.encode_counter::<NoLabelSet, _, u64>(&value, None)
    }

    fn waits(&mut self, name: &str, help: &str, by_company: &BTreeMap<String, Histogram>) -> fmt::Result {
        let mut family = self.0.encode_descriptor(name, help, Some(&Unit::Seconds), MetricType::Histogram)?;
        for (company, histogram) in by_company {
            let labels = [("company", company.as_str())];
            histogram_of(&mut family.encode_family(&labels)?, histogram)?;
        }
        Ok(())
    }
}

fn histogram_of(encoder: &mut MetricEncoder<'_>, histogram: &Histogram) -> fmt::Result {
    encoder.encode_histogram::<NoLabelSet>(histogram.sum, histogram.count(), &histogram.buckets, None)
}

/// A gauge's value: no table of ours holds 2^63 of anything.
fn whole(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// What a table holds, as a gauge's value: exact up to 2^53.
#[allow(clippy::cast_precision_loss)]
fn real(count: usize) -> f64 {
    count as f64
}

/// Seconds since 1970, of milliseconds.
#[allow(clippy::cast_precision_loss)]
fn since_1970(millis: i64) -> f64 {
    millis as f64 / 1000.0
}

impl Collector for Snapshot {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut page = Page(encoder);
        self.encode_calls(&mut page)?;
        self.encode_traffic(&mut page)?;
        self.encode_daemon(&mut page)
    }
}

impl Snapshot {
    fn encode_calls(&self, page: &mut Page<'_>) -> fmt::Result {
        let calls = self
            .tallies
            .calls
            .iter()
            .map(|((company, cause, status), count)| ((company.as_str(), *cause, status.to_string()), *count));
        page.family(
            ("switchboard_calls", "Calls that are over, by company, cause and final status", MetricType::Counter),
            None,
            calls,
            |(company, cause, status)| [("company", company), ("cause", cause), ("status", status)],
        )?;
        let offers = self.tallies.offers.iter().map(|((company, outcome), count)| ((company, *outcome), *count));
        page.family(
            ("switchboard_offers", "Offers of calls to people and outside numbers, by outcome", MetricType::Counter),
            None,
            offers,
            |(company, outcome)| [("company", company), ("outcome", outcome)],
        )?;
        let skips = self.tallies.skips.iter().map(|((company, reason), count)| ((company, *reason), *count));
        page.family(
            ("switchboard_skips", "Members of departments who were not rung, by reason", MetricType::Counter),
            None,
            skips,
            |(company, reason)| [("company", company), ("reason", reason)],
        )?;
        page.waits("switchboard_queue_wait", "How long callers waited in line", &self.tallies.waits)?;
        page.waits(
            "switchboard_answer_delay",
            "How long answered callers waited for the answer",
            &self.tallies.answers,
        )?;
        page.family(
            ("switchboard_live_calls", "Calls going on, by company and state", MetricType::Gauge),
            None,
            self.live(),
            |(company, state)| [("company", company), ("state", state)],
        )?;
        page.family(
            ("switchboard_queue_length", "Calls waiting in line, by company and department", MetricType::Gauge),
            None,
            self.lines(),
            |(company, department)| [("company", company), ("department", department)],
        )?;
        let trunks = self.status.trunks.iter().map(|(trunk, view)| (trunk, u64::from(view.calls)));
        page.family(
            ("switchboard_trunk_calls", "Calls going on, by trunk, in both directions", MetricType::Gauge),
            None,
            trunks,
            |trunk| [("trunk", trunk)],
        )
    }

    fn encode_traffic(&self, page: &mut Page<'_>) -> fmt::Result {
        let (datagrams, others) = self.named();
        page.family(
            ("switchboard_datagrams", "Datagrams, by what became of them", MetricType::Counter),
            None,
            datagrams,
            |outcome| [("outcome", outcome)],
        )?;
        page.family(
            (
                "switchboard_events",
                "Everything else that is counted by its name: faults, refusals, errors, defects",
                MetricType::Counter,
            ),
            None,
            others,
            |name| [("name", name)],
        )?;
        for (name, help, count) in [
            ("switchboard_registrations", "Registered devices", self.status.registrations),
            ("switchboard_transactions", "SIP transactions in any state", self.status.transactions),
            ("switchboard_claims", "Persons who ring or talk", self.status.claims),
            ("switchboard_timers", "Armed timers", self.status.timers),
            ("switchboard_companies", "Configured companies", self.status.companies),
            ("switchboard_numbers", "Configured numbers", self.status.numbers),
            ("switchboard_users", "Configured users", self.status.users),
        ] {
            page.gauge(name, help, None, real(count))?;
        }
        let help = "How long the engine took for one datagram, order or timer, with what it sent for it";
        let mut steps =
            page.0.encode_descriptor("switchboard_engine_step", help, Some(&Unit::Seconds), MetricType::Histogram)?;
        histogram_of(&mut steps, &self.steps)
    }

    fn encode_daemon(&self, page: &mut Page<'_>) -> fmt::Result {
        let seconds = Some(&Unit::Seconds);
        // What was loaded at the start succeeded, or there would be no daemon.
        let succeeded = self.report.last_reload.as_ref().is_none_or(ReloadOutcome::is_adopted);
        let tried_at = self.report.last_reload.as_ref().map_or(self.report.started_at, ReloadOutcome::at);
        page.gauge(
            "switchboard_reload_success",
            "1 where the last configuration that was loaded was adopted, 0 where it was refused",
            None,
            f64::from(u8::from(succeeded)),
        )?;
        page.gauge(
            "switchboard_reload_timestamp",
            "When a configuration was loaded last",
            seconds,
            since_1970(tried_at),
        )?;
        let adopted_at = since_1970(self.status.configured_at);
        page.gauge(
            "switchboard_configured_timestamp",
            "When the running configuration was adopted",
            seconds,
            adopted_at,
        )?;
        let draining = f64::from(u8::from(self.status.draining));
        page.gauge("switchboard_draining", "1 while no new calls are taken", None, draining)?;
        page.counter("switchboard_uncounted_calls", "Calls that the metrics missed: they ended too fast", self.lost)?;
        if let Some(store) = &self.store {
            let help = "Age of the oldest change that is not on the disk yet";
            page.gauge("switchboard_store_lag", help, seconds, store.lag)?;
            let pending = "Changes that are not on the disk yet";
            page.gauge(
                "switchboard_store_pending",
                pending,
                None,
                f64::from(u32::try_from(store.pending).unwrap_or(u32::MAX)),
            )?;
            let failing = "1 while the store or its journal cannot be written";
            page.gauge("switchboard_store_failing", failing, None, f64::from(u8::from(store.failing)))?;
            page.counter("switchboard_store_lost_changes", "Changes that could not be kept at all", store.lost)?;
        }
        let version = [("version", self.report.version.as_str())];
        let mut build = page.0.encode_descriptor("switchboard_build", "The program", None, MetricType::Info)?;
        build.encode_info(&version)?;
        page.gauge("process_start_time", "When the process started", seconds, since_1970(self.report.started_at))
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::config;
    use crate::daemon::metrics::StepTimes;
    use crate::engine::TrunkView;

    fn snapshot() -> Snapshot {
        let machine = "[sip]\nlisten = [\"udp:127.0.0.1:5060\"]\n";
        let company = "name = \"Acme\"\ndomain = \"acme.example\"\ntimezone = \"Asia/Kolkata\"\n\
                       [departments.sales]\nmembers = [\"221\"]\n[users.221]\nname = \"Asha\"\npassword = \"a password of hers\"\n";
        let files = [("d/switchboard.toml", machine), ("d/companies/acme.toml", company)];
        let files = files.map(|(path, text)| (PathBuf::from(path), text.as_bytes().to_vec()));
        let config = config::load_texts(&files).unwrap();
        let steps = StepTimes::default();
        steps.observe(std::time::Duration::from_micros(40));
        Snapshot {
            config: Arc::new(config),
            status: Status {
                registrations: 7,
                trunks: [("airtel".to_owned(), TrunkView { calls: 2, proxy: Vec::new() })].into(),
                counters: [("datagrams-in".to_owned(), 5), ("bad-via".to_owned(), 3)].into(),
                ..Status::default()
            },
            report: Report {
                version: "1.2.3".into(),
                counters: [("datagrams-received".to_owned(), 5), ("defects".to_owned(), 1)].into(),
                last_reload: Some(ReloadOutcome::Adopted {
                    at: 1500,
                    changes: String::new(),
                    warnings: Default::default(),
                }),
                ..Report::default()
            },
            calls: Arc::default(),
            queue: Arc::default(),
            tallies: Tallies::default(),
            lost: 0,
            steps: steps.read(),
            store: Some(StoreHealth { lag: 0.25, pending: 3, failing: true, lost: 2 }),
        }
    }

    #[track_caller]
    fn says(text: &str, line: &str) {
        assert!(text.lines().any(|said| said == line), "no line {line:?} in\n{text}");
    }

    #[test]
    fn the_text_tells_what_the_snapshot_holds() {
        let text = snapshot().text().unwrap();
        for line in [
            "switchboard_live_calls{company=\"acme\",state=\"talking\"} 0",
            "switchboard_queue_length{company=\"acme\",department=\"sales\"} 0",
            "switchboard_trunk_calls{trunk=\"airtel\"} 2",
            "switchboard_datagrams_total{outcome=\"received\"} 5",
            "switchboard_events_total{name=\"bad-via\"} 3",
            "switchboard_events_total{name=\"defects\"} 1",
            "switchboard_registrations 7.0",
            "switchboard_engine_step_seconds_bucket{le=\"0.00005\"} 1",
            "switchboard_engine_step_seconds_count 1",
            "switchboard_reload_success 1.0",
            "switchboard_reload_timestamp_seconds 1.5",
            "switchboard_store_lag_seconds 0.25",
            "switchboard_store_pending 3.0",
            "switchboard_store_failing 1.0",
            "switchboard_store_lost_changes_total 2",
            "switchboard_build_info{version=\"1.2.3\"} 1",
            "# EOF",
        ] {
            says(&text, line);
        }
        assert!(!text.contains("datagrams-in"), "nothing is told twice:\n{text}");
    }

    #[test]
    fn a_company_that_is_gone_is_gone_from_the_gauges() {
        let mut of = snapshot();
        let mut config = (*of.config).clone();
        config.plan = Arc::default();
        of.config = Arc::new(config);
        let text = of.text().unwrap();
        assert!(!text.contains("acme"), "{text}");
    }

    /// Every name a sample may have, from the families the text declares.
    fn sample_names(text: &str) -> std::collections::BTreeSet<String> {
        let families = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '));
        let names = families.flat_map(|(family, kind)| {
            let suffixes: &[&str] = match kind {
                "counter" => &["_total"],
                "histogram" => &["_bucket", "_sum", "_count"],
                "info" => &["_info"],
                _ => &[""],
            };
            suffixes.iter().map(move |suffix| format!("{family}{suffix}"))
        });
        names.collect()
    }

    #[test]
    fn the_dashboard_asks_for_what_there_is() {
        let dashboard: serde_json::Value =
            serde_json::from_str(include_str!("../../../docs/grafana/switchboard.json")).unwrap();
        let names = sample_names(&snapshot().text().unwrap());
        let panels = dashboard["panels"].as_array().unwrap();
        let targets = panels.iter().flat_map(|panel| panel["targets"].as_array().unwrap());
        let mut asked: Vec<&str> = targets.map(|target| target["expr"].as_str().unwrap()).collect();
        let variables = dashboard["templating"]["list"].as_array().unwrap();
        asked.extend(variables.iter().filter_map(|variable| variable["definition"].as_str()));
        assert!(asked.len() > 20, "{asked:?}");
        for expression in asked {
            let words = expression.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
            let metrics: Vec<&str> =
                words.filter(|word| word.starts_with("switchboard_") || word.starts_with("process_")).collect();
            assert!(!metrics.is_empty(), "{expression}");
            for metric in metrics {
                assert!(names.contains(metric), "{metric} in {expression} is none of {names:?}");
            }
        }
    }
}
