//! Counters for a Prometheus server.

use miyun_store::{Job, JobState};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Request {
    method: String,
    route: String,
    status: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Route {
    route: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct State {
    state: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Outcome {
    outcome: String,
}

/// What is counted.
pub(crate) struct Metrics {
    registry: Registry,
    requests: Family<Request, Counter>,
    seconds: Family<Route, Histogram, fn() -> Histogram>,
    jobs: Family<State, Gauge>,
    sign_ins: Family<Outcome, Counter>,
}

fn histogram() -> Histogram {
    Histogram::new([
        0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0,
    ])
}

impl Metrics {
    pub fn new() -> Self {
        let mut registry = Registry::with_prefix("miyun");
        let requests = Family::default();
        let seconds =
            Family::<Route, Histogram, fn() -> Histogram>::new_with_constructor(histogram);
        let (jobs, sign_ins) = (Family::default(), Family::default());
        registry.register("http_requests", "Requests answered", requests.clone());
        registry.register(
            "http_request_seconds",
            "Time until a request was answered",
            seconds.clone(),
        );
        registry.register("jobs", "Jobs by state, of the last hundred", jobs.clone());
        registry.register("sign_ins", "Attempts to sign in", sign_ins.clone());
        Self {
            registry,
            requests,
            seconds,
            jobs,
            sign_ins,
        }
    }

    /// Counts a request. Methods that nobody defined share one label.
    pub fn request(&self, method: &str, route: &str, status: u16, seconds: f64) {
        let known = ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"];
        let method = known.iter().find(|m| **m == method).unwrap_or(&"other");
        self.requests
            .get_or_create(&Request {
                method: (*method).into(),
                route: route.into(),
                status,
            })
            .inc();
        self.seconds
            .get_or_create(&Route {
                route: route.into(),
            })
            .observe(seconds);
    }

    /// Counts an attempt to sign in.
    pub fn sign_in(&self, outcome: &str) {
        self.sign_ins
            .get_or_create(&Outcome {
                outcome: outcome.into(),
            })
            .inc();
    }

    /// Sets the numbers of jobs.
    pub fn jobs(&self, jobs: &[Job]) {
        for (state, word) in [
            (JobState::Queued, "queued"),
            (JobState::Running, "running"),
            (JobState::Done, "done"),
            (JobState::Failed, "failed"),
            (JobState::Cancelled, "cancelled"),
        ] {
            let n = jobs.iter().filter(|j| j.state == state).count();
            self.jobs
                .get_or_create(&State { state: word.into() })
                .set(i64::try_from(n).unwrap_or(i64::MAX));
        }
    }

    /// Everything as text.
    pub fn text(&self) -> String {
        let mut out = String::new();
        // Writing to a String does not fail.
        let _ = encode(&mut out, &self.registry);
        out
    }
}
