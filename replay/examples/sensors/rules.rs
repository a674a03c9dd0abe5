//! The rules as a strategy: pipelines of streaming operators that raise alerts.

use super::hour::Fault;
use super::plant::Reading;
use stele_strategies::indicators::Ewma;
use stele_strategies::operators::{
    Deviation, Either, Keys, Mean, Operator, State, StateValue, Stream, stream,
};
use stele_strategies::{
    Context, Parameter, Parameters, RestoreError, SnapshotReader, Strategy, StrategyKind,
};
use stele_wire::messages::Alert;
use stele_wire::{Frame, Nanos};

/// The strategy's name and parameters.
pub(crate) const KIND: StrategyKind = StrategyKind {
    name: "sensors",
    about: "raises an alert for readings above a limit, spikes, and drift",
    parameters: &[
        Parameter::integer(
            "limit",
            90_000,
            (1, 1_000_000_000),
            "the highest value allowed, in units of 1e-3",
        ),
        Parameter::integer(
            "spike-deviations",
            6,
            (2, 100),
            "standard deviations from the mean that are a spike",
        ),
        Parameter::integer("drift", 1_000, (1, 1_000_000_000), "distance of the averages, in units of 1e-3"),
    ],
    make: |parameters| Ok(Box::new(Sensors { findings: findings(Limits::of(parameters)) })),
};

/// The codes of the patterns in alerts.
pub(crate) const PATTERNS: [(u16, &str); 3] = [
    (Fault::Threshold.pattern(), "sensor: above its limit"),
    (Fault::Spike.pattern(), "sensor: spike"),
    (Fault::Drift.pattern(), "sensor: drift"),
];

/// The most sensors that are tracked.
const SENSORS_MAX: usize = 256;
/// The number of readings in a sensor's usual value; the rules report nothing before there are as many.
const USUAL: usize = 600;
/// The span of the average that follows the readings.
const RECENT: usize = 60;

#[derive(Clone, Copy)]
struct Limits {
    limit: i64,
    deviations: i64,
    drift: i64,
}

impl Limits {
    fn of(parameters: &Parameters) -> Self {
        Self {
            limit: parameters.integer("limit"),
            deviations: parameters.integer("spike-deviations"),
            drift: parameters.integer("drift"),
        }
    }
}

/// The result of a rule: the value or average, and what it should be near.
#[derive(Clone, Copy)]
enum Finding {
    Threshold(i64),
    Spike(i64, i64),
    Drift(i64, i64),
}

/// A sensor and its value.
type Measured = (u32, i64);

/// Returns a pipeline of all rules, by sensor. A value above the limit is reported by that rule only; the
/// others do not see it.
fn findings(limits: Limits) -> Stream<Measured, impl Operator<Measured, Out = (u32, Finding)> + Send> {
    stream::<Measured>().key_by(
        Keys::up_to(SENSORS_MAX),
        |(sensor, _)| *sensor,
        |readings| {
            readings
                .map(|(_, value)| value)
                .fork(
                    |values| threshold(values, limits),
                    |values| {
                        let allowed = values.filter(move |value| *value <= limits.limit);
                        allowed.fork(|values| spike(values, limits), |values| drift(values, limits))
                    },
                )
                .map(|found| match found {
                    Either::Left(found) | Either::Right(Either::Left(found) | Either::Right(found)) => found,
                })
        },
    )
}

/// Finds a value above the limit; reports once until a value is below it again.
fn threshold<In, O: Operator<In, Out = i64> + Clone + Send>(
    values: Stream<In, O>,
    limits: Limits,
) -> Stream<In, impl Operator<In, Out = Finding> + Clone + Send> {
    values
        .zip(
            |values| values.map(move |value| value > limits.limit).changed().filter(|above| *above),
            |values| values,
        )
        .map(|(_, value)| Finding::Threshold(value))
}

/// Finds a value farther from the mean than the given number of standard deviations of the last values.
fn spike<In, O: Operator<In, Out = i64> + Clone + Send>(
    values: Stream<In, O>,
    limits: Limits,
) -> Stream<In, impl Operator<In, Out = Finding> + Clone + Send> {
    values
        .zip(|values| values, |values| values.recent(USUAL, (Mean::default(), Deviation::default())))
        .filter(move |(value, (mean, deviation)): &(i64, (i64, i64))| {
            (value - mean).abs() > limits.deviations * deviation
        })
        .map(|(value, (mean, _))| Finding::Spike(value, mean))
}

/// Finds an average of recent readings that is far from their mean; reports once until it is near again.
fn drift<In, O: Operator<In, Out = i64> + Clone + Send>(
    values: Stream<In, O>,
    limits: Limits,
) -> Stream<In, impl Operator<In, Out = Finding> + Clone + Send> {
    values
        .zip(|values| values.then(Ewma::new(RECENT)), |values| values.recent(USUAL, Mean::default()))
        .then(Departures { far: limits.drift, near: limits.drift / 2, is_away: false })
        .map(|(recent, usual)| Finding::Drift(recent, usual))
}

/// Passes a pair on when its two values become farther apart than `far`, and the next one only after they
/// were nearer than `near`: an example of a custom operator.
#[derive(Clone, Copy)]
struct Departures {
    far: i64,
    near: i64,
    is_away: bool,
}

impl State for Departures {
    fn reset(&mut self) {
        self.is_away = false;
    }

    fn snapshot(&self, out: &mut Vec<u8>) {
        self.is_away.put(out);
    }

    fn restore(&mut self, reader: &mut SnapshotReader<'_>) -> Result<(), RestoreError> {
        self.is_away = StateValue::take(reader)?;
        Ok(())
    }
}

impl Operator<(i64, i64)> for Departures {
    type Out = (i64, i64);

    fn on_event(&mut self, at: Nanos, pair: (i64, i64), emit: &mut impl FnMut(Nanos, (i64, i64))) {
        let apart = (pair.0 - pair.1).abs();
        if self.is_away {
            self.is_away = apart >= self.near;
        } else if apart > self.far {
            self.is_away = true;
            emit(at, pair);
        }
    }
}

struct Sensors<O> {
    findings: Stream<Measured, O>,
}

impl<O: Operator<Measured, Out = (u32, Finding)> + Send> Strategy for Sensors<O> {
    fn on_event(&mut self, event: &Frame<'_>, context: &mut Context<'_>) {
        let Some(reading) = event.message::<Reading>() else { return };
        let (at, measured) = (Nanos(reading.time.get()), (reading.sensor.get(), reading.value.get()));
        self.findings.on_event(at, measured, &mut |at, (sensor, finding)| {
            let (fault, what) = describe(finding);
            let alert = Alert {
                event_time: at.0.into(),
                pattern: fault.pattern().into(),
                severity: if fault == Fault::Threshold { 3 } else { 1 },
                ..Alert::NULL
            };
            context.raise(alert, &[], &format!("sensor {sensor}: {what}"));
        });
    }

    fn snapshot(&self, out: &mut Vec<u8>) {
        self.findings.snapshot(out);
    }

    fn restore(&mut self, state: &[u8]) -> Result<(), RestoreError> {
        let mut reader = SnapshotReader::new(state);
        self.findings.restore(&mut reader)?;
        reader.finish()
    }
}

/// Returns the fault and the alert's text.
fn describe(finding: Finding) -> (Fault, String) {
    let shown = |value: i64| format!("{:.3}", value as f64 / 1e3);
    match finding {
        Finding::Threshold(value) => (Fault::Threshold, shown(value)),
        Finding::Spike(value, mean) => {
            (Fault::Spike, format!("{} where {} is usual", shown(value), shown(mean)))
        }
        Finding::Drift(recent, usual) => {
            (Fault::Drift, format!("{} of late, {} before", shown(recent), shown(usual)))
        }
    }
}
