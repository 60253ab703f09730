//! What the program says of itself while it runs: logs to standard error, and traces over OTLP if a
//! collector is configured.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider};
use serde::Deserialize;
use tokio::runtime::Handle;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::prelude::*;
use tracing_subscriber::{EnvFilter, fmt};

use crate::config::LogFormat;

/// Where traces go. Without this table there are none.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Traces {
    /// Address of the collector; `/v1/traces` is added.
    pub endpoint: String,
    /// Name under which this installation appears.
    #[serde(default = "service")]
    pub service: String,
    /// Share of the requests that are traced, 0 to 1.
    #[serde(default = "all")]
    pub share: f64,
    /// Headers that the collector asks for.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
}

fn service() -> String {
    "miyun".into()
}

fn all() -> f64 {
    1.0
}

/// Longest that an export and the last flush may take.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Keeps traces going; what is left goes out when it ends.
pub struct Telemetry {
    provider: Option<SdkTracerProvider>,
}

impl Telemetry {
    /// Begins to log: warnings and what was answered, unless RUST_LOG says otherwise. Begins to
    /// trace if `traces` says where to; otherwise spans cost nothing.
    pub fn begin(format: LogFormat, traces: Option<&Traces>, runtime: &Handle) -> Result<Self> {
        let provider = traces.map(|t| provider(t, runtime)).transpose()?;
        if provider.is_some() {
            opentelemetry::global::set_text_map_propagator(TraceContextPropagator::new());
        }
        let trace = provider.as_ref().map(|p| {
            tracing_opentelemetry::layer()
                .with_tracer(p.tracer("miyun"))
                .with_location(false)
                .with_threads(false)
                .with_filter(Targets::new().with_target(miyun_web::TRACE, tracing::Level::INFO))
        });
        let filter = EnvFilter::try_from_default_env()
            .unwrap_or_else(|_| "warn,miyun=info,miyun_web=info".into());
        // Spans are for the collector; a log line says what it has to say by itself.
        let filter = filter.add_directive(format!("{}=off", miyun_web::TRACE).parse()?);
        let lines = fmt::layer().with_writer(std::io::stderr);
        let logs = match format {
            LogFormat::Text => lines.boxed(),
            LogFormat::Json => lines.json().flatten_event(true).boxed(),
        };
        tracing_subscriber::registry()
            .with(logs.with_filter(filter))
            .with(trace)
            .init();
        Ok(Self { provider })
    }

    /// Sends what is left. The runtime must still run.
    pub fn end(self) {
        if let Some(p) = self.provider
            && let Err(e) = p.shutdown_with_timeout(TIMEOUT)
        {
            tracing::warn!(error = %e, "the last traces were not sent");
        }
    }
}

fn provider(t: &Traces, runtime: &Handle) -> Result<SdkTracerProvider> {
    let endpoint = format!("{}/v1/traces", t.endpoint.trim_end_matches('/'));
    let bad = || format!("traces.endpoint = {:?}", t.endpoint);
    reqwest::Url::parse(&endpoint)
        .ok()
        .filter(|u| ["http", "https"].contains(&u.scheme()))
        .with_context(|| format!("{}: write http://HOST:4318", bad()))?;
    anyhow::ensure!(
        (0.0..=1.0).contains(&t.share),
        "traces.share = {}: from 0 to 1",
        t.share
    );
    let client = Client {
        http: reqwest::Client::builder().timeout(TIMEOUT).build()?,
        runtime: runtime.clone(),
        down: AtomicBool::new(false),
    };
    let exporter = SpanExporter::builder()
        .with_http()
        .with_protocol(Protocol::HttpBinary)
        .with_endpoint(endpoint)
        .with_timeout(TIMEOUT)
        .with_headers(t.headers.clone().into_iter().collect::<HashMap<_, _>>())
        .with_http_client(client)
        .build()
        .with_context(bad)?;
    let version = opentelemetry::KeyValue::new("service.version", env!("CARGO_PKG_VERSION"));
    let resource = Resource::builder_empty()
        .with_service_name(t.service.clone())
        .with_attribute(version)
        .build();
    Ok(SdkTracerProvider::builder()
        .with_sampler(Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(
            t.share,
        ))))
        .with_resource(resource)
        .with_batch_exporter(exporter)
        .build())
}

/// Sends by the HTTP client that the program has anyway. The exporter's own thread knows no runtime,
/// so requests run on the program's.
#[derive(Debug)]
struct Client {
    http: reqwest::Client,
    runtime: Handle,
    down: AtomicBool,
}

#[async_trait::async_trait]
impl HttpClient for Client {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let (http, request) = (self.http.clone(), reqwest::Request::try_from(request)?);
        let sent = self.runtime.spawn(async move {
            let mut answer = http.execute(request).await?;
            let (status, headers) = (answer.status(), std::mem::take(answer.headers_mut()));
            let mut out = Response::new(answer.bytes().await?);
            *out.status_mut() = status;
            *out.headers_mut() = headers;
            Ok::<_, reqwest::Error>(out)
        });
        let out = sent.await?;
        // The exporter says nothing by itself; a collector that is away is said once.
        let down = !matches!(&out, Ok(r) if r.status().is_success());
        if self.down.swap(down, Ordering::Relaxed) != down {
            match &out {
                Ok(r) if down => {
                    tracing::warn!(status = %r.status(), "the collector refuses traces")
                }
                Err(e) => tracing::warn!(error = %e, "the collector of traces does not answer"),
                Ok(_) => tracing::info!("the collector of traces answers again"),
            }
        }
        Ok(out?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_setting_that_cannot_be_is_named() {
        let of = |endpoint: &str, share| {
            let t = Traces {
                endpoint: endpoint.into(),
                service: service(),
                share,
                headers: BTreeMap::new(),
            };
            provider(&t, &Handle::current())
        };
        let says = |r: Result<SdkTracerProvider>| format!("{:#}", r.unwrap_err());
        assert!(says(of("collector:4318", 1.0)).contains("http://HOST:4318"));
        assert!(says(of("", 1.0)).contains("traces.endpoint"));
        assert!(says(of("http://127.0.0.1:4318", 1.5)).contains("traces.share"));
        assert!(of("http://127.0.0.1:4318/", 0.1).is_ok());
    }
}
