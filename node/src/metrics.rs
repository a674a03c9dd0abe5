//! Serves the counters of a run to Prometheus, over HTTP, on a background thread.

use crate::failure::Failure;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};
use stele_bus::CounterReader;
use stele_bus::counters::CounterReading;
use stele_bus::counters::histogram::{BUCKETS, Distribution, lower_bound};
use stele_bus::counters::table::{ALL, CounterDefinition, CounterKind, CounterScope, CounterUnit};
use tiny_http::{Header, Method, Response, Server};

/// The HTTP server, which serves until it is dropped.
pub(crate) struct MetricsServer {
    server: Arc<Server>,
    thread: Option<JoinHandle<()>>,
}

impl MetricsServer {
    /// Listens at `address` and answers on a thread that runs on `cpus` only.
    ///
    /// # Errors
    /// [`Failure`]: the address is invalid or in use.
    pub(crate) fn start(address: &str, reader: CounterReader, cpus: &[usize]) -> Result<Self, Failure> {
        let refused = |error: &dyn std::fmt::Display| {
            Failure::environment(format!("cannot serve metrics at {address}: {error}")).help(
                "set [metrics] listen to an address of this machine and a free port, such as 127.0.0.1:9464",
            )
        };
        let cpus = cpus.to_vec();
        let wanted = address.to_owned();
        let (made, server) = std::sync::mpsc::channel();
        let serve = move || {
            // The server's own threads inherit the CPUs of the thread that creates it.
            let _ = stele_bus::set_affinity(&cpus);
            let server = match Server::http(&wanted) {
                Ok(server) => Arc::new(server),
                Err(error) => return drop(made.send(Err(error.to_string()))),
            };
            if made.send(Ok(server.clone())).is_ok() {
                answer(&server, &reader);
            }
        };
        let thread = Builder::new().name("metrics".into()).spawn(serve).map_err(|error| refused(&error))?;
        match server.recv() {
            Ok(Ok(server)) => Ok(Self { server, thread: Some(thread) }),
            Ok(Err(error)) => Err(refused(&error)),
            Err(error) => Err(refused(&error)),
        }
    }

    /// The address that it listens at.
    pub(crate) fn address(&self) -> Option<SocketAddr> {
        self.server.server_addr().to_ip()
    }
}

impl Drop for MetricsServer {
    fn drop(&mut self) {
        self.server.unblock();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Answers requests until the server is unblocked. A client that closed its connection is not a failure.
fn answer(server: &Server, reader: &CounterReader) {
    let kind = Header::from_bytes("Content-Type", "text/plain; version=0.0.4; charset=utf-8");
    let kind = kind.expect("the header is ASCII");
    for request in server.incoming_requests() {
        let path = request.url().split('?').next().unwrap_or_default();
        let _ = match (request.method(), path) {
            (Method::Get, "/metrics") => {
                let page = render(&reader.readings().collect::<Vec<_>>());
                request.respond(Response::from_string(page).with_header(kind.clone()))
            }
            (Method::Get, _) => {
                request.respond(Response::from_string("the metrics are at /metrics\n").with_status_code(404))
            }
            _ => request.respond(Response::from_string("only GET\n").with_status_code(405)),
        };
    }
}

/// Formats the readings in Prometheus' text format, version 0.0.4, grouped by definition.
pub(crate) fn render(readings: &[CounterReading]) -> String {
    let mut page = String::new();
    for definition in ALL {
        let own = || readings.iter().filter(|reading| reading.definition == *definition);
        if own().next().is_none() {
            continue;
        }
        let name = metric_name(definition);
        let kind = match definition.kind {
            CounterKind::Total => "counter",
            CounterKind::Gauge => "gauge",
            CounterKind::Histogram => "histogram",
        };
        let _ = writeln!(page, "# HELP {name} {}\n# TYPE {name} {kind}", definition.help);
        for reading in own() {
            let labels = labels(reading);
            match &reading.distribution {
                Some(distribution) => histogram(&mut page, &name, &labels, distribution),
                None => {
                    let _ = writeln!(page, "{name}{{{labels}}} {}", value(definition.unit, reading.value));
                }
            }
        }
    }
    page
}

fn metric_name(definition: &CounterDefinition) -> String {
    let unit = match definition.unit {
        CounterUnit::Pieces => "",
        CounterUnit::Bytes => "_bytes",
        CounterUnit::Nanoseconds => "_seconds",
    };
    let total = if definition.kind == CounterKind::Total { "_total" } else { "" };
    format!("stele_{}{unit}{total}", definition.name)
}

fn value(unit: CounterUnit, value: u64) -> String {
    match unit {
        CounterUnit::Pieces | CounterUnit::Bytes => value.to_string(),
        CounterUnit::Nanoseconds => (value as f64 / 1e9).to_string(),
    }
}

fn labels(reading: &CounterReading) -> String {
    let label = reading.label.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    let shard = format!("shard=\"{}\"", reading.shard);
    match reading.definition.per {
        CounterScope::Process => String::new(),
        CounterScope::Shard => shard,
        CounterScope::Publisher => format!("{shard},publisher=\"{label}\""),
        CounterScope::Consumer => {
            format!("{shard},consumer=\"{label}\",contract=\"{}\"", reading.contract.name())
        }
        CounterScope::Core => format!("core=\"{label}\""),
        CounterScope::Reason => format!("{shard},reason=\"{label}\""),
        CounterScope::Strategy => format!("{shard},number=\"{}\",strategy=\"{label}\"", reading.instance),
        CounterScope::Table => format!("{shard},table=\"{label}\""),
    }
}

/// How many buckets of a histogram are one bucket in the text: those of a power of two.
const MERGED: usize = 8;
/// The first bound in the text, in merged buckets: all values below 128 ns are in one bucket.
const FIRST: usize = 5;

fn histogram(page: &mut String, name: &str, labels: &str, distribution: &Distribution) {
    for bound in (FIRST * MERGED..BUCKETS).step_by(MERGED).map(lower_bound) {
        let below = distribution.count_below(bound);
        let seconds = bound as f64 / 1e9;
        let _ = writeln!(page, "{name}_bucket{{{labels},le=\"{seconds}\"}} {below}");
    }
    let (count, sum) = (distribution.count(), distribution.sum as f64 / 1e9);
    let _ = writeln!(page, "{name}_bucket{{{labels},le=\"+Inf\"}} {count}");
    let _ = writeln!(page, "{name}_sum{{{labels}}} {sum}\n{name}_count{{{labels}}} {count}");
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read as _, Write as _};
    use std::net::TcpStream;
    use stele_bus::counters::{ConsumerContract, table};
    use stele_bus::{CounterLabels, Counters};

    fn get(address: SocketAddr, request: &str) -> String {
        let mut stream = TcpStream::connect(address).unwrap();
        write!(stream, "{request} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    #[test]
    fn a_counter_is_printed_with_its_meaning_its_unit_and_its_labels() {
        let counters = Counters::create().unwrap();
        counters.register(table::EVENTS, CounterLabels::shard(1)).unwrap().set(42);
        counters.register(table::CORE_BUSY, CounterLabels::named(0, 0, "seq")).unwrap().set(1_500_000_000);
        let consumer = CounterLabels::consumer(1, 3, "a \"b\"", ConsumerContract::CatchUp);
        counters.register(table::CONSUMER_POSITION, consumer).unwrap().set(7);
        let page = render(&counters.reader().readings().collect::<Vec<_>>());
        let lines: Vec<&str> = page.lines().collect();
        assert_eq!(lines[0], "# HELP stele_events_total Events put on the log, the sequencer's own included");
        assert_eq!(lines[1..3], ["# TYPE stele_events_total counter", "stele_events_total{shard=\"1\"} 42"]);
        assert!(page.contains(
            r#"stele_consumer_position_bytes{shard="1",consumer="a \"b\"",contract="catch-up"} 7"#
        ));
        assert!(page.contains("stele_core_busy_seconds_total{core=\"seq\"} 1.5\n"));
    }

    #[test]
    fn a_histogram_has_cumulative_buckets_that_end_with_its_count() {
        let counters = Counters::create().unwrap();
        let mut latency = counters.histogram(table::PUBLISH_TO_DURABLE, CounterLabels::shard(0)).unwrap();
        [50, 300, 40_000, 40_000].into_iter().for_each(|value| latency.record(value));
        let page = render(&counters.reader().readings().collect::<Vec<_>>());
        let counts: Vec<u64> = page
            .lines()
            .filter(|line| line.contains("_bucket"))
            .map(|line| line.rsplit(' ').next().unwrap().parse().unwrap())
            .collect();
        assert_eq!((counts[0], *counts.last().unwrap()), (1, 4));
        assert!(counts.is_sorted() && counts.contains(&2));
        assert!(page.contains("_bucket{shard=\"0\",le=\"0.000000512\"} 2\n"), "{page}");
        assert!(page.contains("stele_publish_to_durable_seconds_count{shard=\"0\"} 4\n"));
        assert!(page.contains("stele_publish_to_durable_seconds_sum{shard=\"0\"} 0.00008035\n"), "{page}");
    }

    #[test]
    fn the_server_answers_at_its_address_until_it_is_dropped() {
        let counters = Counters::create().unwrap();
        let mut events = counters.register(table::EVENTS, CounterLabels::shard(0)).unwrap();
        let server = MetricsServer::start("127.0.0.1:0", counters.reader(), &[]).unwrap();
        let address = server.address().unwrap();
        for count in [1, 2] {
            events.set(count);
            let answer = get(address, "GET /metrics");
            assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("version=0.0.4"), "{answer}");
            assert!(answer.contains(&format!("stele_events_total{{shard=\"0\"}} {count}")), "{answer}");
        }
        assert!(get(address, "GET /").starts_with("HTTP/1.1 404"));
        assert!(get(address, "POST /metrics").starts_with("HTTP/1.1 405"));
        let taken = MetricsServer::start(&address.to_string(), counters.reader(), &[]).err().unwrap();
        assert!(taken.to_string().contains("cannot serve metrics"), "{taken}");
        drop(server);
        // The kernel may still accept a connection that was being opened, but no thread answers it.
        let is_answered = || TcpStream::connect(address).is_ok();
        assert!((0..1_000).any(|_| {
            std::thread::sleep(std::time::Duration::from_millis(5));
            !is_answered()
        }));
    }
}
