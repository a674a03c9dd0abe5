//! The rules as a strategy: pipelines of streaming operators that raise alerts.

use super::cards::CardPayment;
use super::day::Fraud;
use stele_strategies::operators::{
    Count, Either, Keys, Mean, MovingMin, Operator, State, StateValue, Stream, minutes, stream,
};
use stele_strategies::{
    Context, Parameter, Parameters, RestoreError, SnapshotReader, Strategy, StrategyKind,
};
use stele_wire::messages::Alert;
use stele_wire::{Frame, Nanos, Sequence};

/// The strategy's name and parameters.
pub(crate) const KIND: StrategyKind = StrategyKind {
    name: "card-fraud",
    about: "raises an alert for unusual amounts, many payments in a minute, and impossible travel",
    parameters: &[
        Parameter::integer(
            "amount-times",
            6,
            (2, 1_000),
            "multiple of the card's mean that counts as unusual",
        ),
        Parameter::integer("payments-a-minute", 4, (1, 60), "the most payments of a card in a minute"),
        Parameter::integer("speed-kmh", 1_000, (1, 100_000), "the highest speed that is possible"),
    ],
    make: |parameters| Ok(Box::new(CardFraud { findings: findings(Limits::of(parameters)) })),
};

/// The codes of the patterns in alerts.
pub(crate) const PATTERNS: [(u16, &str); 3] = [
    (Fraud::Amount.pattern(), "card: unusual amount"),
    (Fraud::Velocity.pattern(), "card: many payments in a minute"),
    (Fraud::Travel.pattern(), "card: impossible travel"),
];

/// The number of cards that are tracked: those used last.
const CARDS_MAX: usize = 4_096;
/// The number of payments in a card's mean.
const USUAL: usize = 20;
/// The most payments in a minute that are counted.
const MINUTE_MAX: usize = 64;
/// The distance in metres that never counts as travel.
const NEAR: f64 = 50_000.0;

#[derive(Clone, Copy)]
struct Limits {
    amount_times: u64,
    payments: u64,
    speed_kmh: i64,
}

impl Limits {
    fn of(parameters: &Parameters) -> Self {
        Self {
            amount_times: parameters.integer("amount-times") as u64,
            payments: parameters.integer("payments-a-minute") as u64,
            speed_kmh: parameters.integer("speed-kmh"),
        }
    }
}

/// The fields of a payment that the rules use.
#[derive(Clone, Copy)]
struct Payment {
    sequence: u64,
    time: u64,
    card: u64,
    amount: u64,
    latitude: i64,
    longitude: i64,
}

/// The result of a rule.
#[derive(Clone, Copy)]
enum Finding {
    /// The cents paid, and the mean of the last payments.
    Amount(u64, u64),
    /// The number of payments in a minute, and the sequence of the first.
    Velocity(u64, u64),
    /// The distance in metres, the time in nanoseconds, and the sequence of the earlier payment.
    Travel(u64, u64, u64),
}

/// Returns a pipeline of all rules, by card.
fn findings(limits: Limits) -> Stream<Payment, impl Operator<Payment, Out = (u64, Finding)> + Send> {
    stream::<Payment>().key_by(
        Keys::newest(CARDS_MAX),
        |payment| payment.card,
        |payments| {
            payments
                .fork(
                    |each| amount(each, limits),
                    |each| each.fork(|each| velocity(each, limits), |each| travel(each, limits)),
                )
                .map(|found| match found {
                    Either::Left(found) | Either::Right(Either::Left(found) | Either::Right(found)) => found,
                })
        },
    )
}

/// An operator that follows a stream of payments.
type Payments<O> = Stream<Payment, O>;

/// Finds a payment of more than a multiple of the mean of the card's last payments, this one included.
fn amount<O: Operator<Payment, Out = Payment> + Clone + Send>(
    payments: Payments<O>,
    limits: Limits,
) -> Payments<impl Operator<Payment, Out = Finding> + Clone + Send> {
    payments
        .map(|payment| payment.amount)
        .zip(|amounts| amounts, |amounts| amounts.recent(USUAL, Mean::default()))
        .filter(move |(amount, mean)| *amount > mean.saturating_mul(limits.amount_times))
        .map(|(amount, mean)| Finding::Amount(amount, mean))
}

/// Finds more than the allowed payments within a minute; reports once until there are fewer again.
fn velocity<O: Operator<Payment, Out = Payment> + Clone + Send>(
    payments: Payments<O>,
    limits: Limits,
) -> Payments<impl Operator<Payment, Out = Finding> + Clone + Send> {
    payments
        .map(|payment| payment.sequence)
        .sliding(minutes(1), MINUTE_MAX, (Count::default(), MovingMin::<u64>::new(MINUTE_MAX)))
        .in_time()
        .map(|window| window.value)
        .zip(
            |counts| counts.map(move |(count, _)| count > limits.payments).changed().filter(|above| *above),
            |counts| counts,
        )
        .map(|(_, (count, first))| Finding::Velocity(count, first))
}

/// Finds a payment farther from the place of the one before than the highest speed allows.
fn travel<O: Operator<Payment, Out = Payment> + Clone + Send>(
    payments: Payments<O>,
    limits: Limits,
) -> Payments<impl Operator<Payment, Out = Finding> + Clone + Send> {
    payments
        .map(|payment| (payment.time, payment.latitude, payment.longitude, payment.sequence))
        .then(Pairs { last: None })
        .filter_map(move |(from, to)| {
            let metres = distance((from.1, from.2), (to.1, to.2));
            let took = to.0.saturating_sub(from.0);
            let reach = limits.speed_kmh as f64 / 3.6 * (took as f64 / 1e9);
            (metres > NEAR + reach).then_some(Finding::Travel(metres as u64, took, from.3))
        })
}

/// Pairs each event with the one before it: an example of a custom operator.
#[derive(Clone, Copy)]
struct Pairs<T> {
    last: Option<T>,
}

impl<T: StateValue> State for Pairs<T> {
    fn reset(&mut self) {
        self.last = None;
    }

    fn snapshot(&self, out: &mut Vec<u8>) {
        self.last.put(out);
    }

    fn restore(&mut self, reader: &mut SnapshotReader<'_>) -> Result<(), RestoreError> {
        self.last = StateValue::take(reader)?;
        Ok(())
    }
}

impl<T: StateValue> Operator<T> for Pairs<T> {
    type Out = (T, T);

    fn on_event(&mut self, at: Nanos, input: T, emit: &mut impl FnMut(Nanos, (T, T))) {
        if let Some(last) = self.last.replace(input) {
            emit(at, (last, input));
        }
    }
}

/// Returns the metres between two places in units of 1e-6 degrees, along a great circle of a sphere: the
/// haversine formula (Sinnott, Virtues of the Haversine, Sky and Telescope 68, 1984), computed in the same
/// way on every machine.
fn distance(from: (i64, i64), to: (i64, i64)) -> f64 {
    const RADIUS: f64 = 6_371_008.8;
    let radians = |degrees: i64| (degrees as f64 / 1e6).to_radians();
    let (half_north, half_east) = (radians(to.0 - from.0) / 2.0, radians(to.1 - from.1) / 2.0);
    let (north, east) = (libm::sin(half_north), libm::sin(half_east));
    let haversine = north * north + libm::cos(radians(from.0)) * libm::cos(radians(to.0)) * east * east;
    2.0 * RADIUS * libm::asin(libm::sqrt(haversine))
}

struct CardFraud<O> {
    findings: Stream<Payment, O>,
}

impl<O: Operator<Payment, Out = (u64, Finding)> + Send> Strategy for CardFraud<O> {
    fn on_event(&mut self, event: &Frame<'_>, context: &mut Context<'_>) {
        let Some(payment) = event.message::<CardPayment>() else { return };
        let seen = Payment {
            sequence: event.sequence().0,
            time: payment.time.get(),
            card: payment.card.get(),
            amount: payment.amount.get(),
            latitude: payment.latitude.get().into(),
            longitude: payment.longitude.get().into(),
        };
        self.findings.on_event(Nanos(seen.time), seen, &mut |at, (card, finding)| {
            let (fraud, evidence, what) = describe(finding);
            let alert = Alert {
                event_time: at.0.into(),
                pattern: fraud.pattern().into(),
                severity: 2,
                ..Alert::NULL
            };
            let evidence = evidence.map(Sequence);
            context.raise(alert, evidence.as_slice(), &format!("card {card}: {what}"));
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

/// Returns the fraud, the sequence of the event that is evidence besides the payment itself, and the
/// alert's text.
fn describe(finding: Finding) -> (Fraud, Option<u64>, String) {
    match finding {
        Finding::Amount(cents, mean) => {
            let euros = |cents: u64| format!("{}.{:02}", cents / 100, cents % 100);
            (Fraud::Amount, None, format!("{} paid, {} on average", euros(cents), euros(mean)))
        }
        Finding::Velocity(count, first) => {
            (Fraud::Velocity, Some(first), format!("{count} payments within a minute"))
        }
        Finding::Travel(metres, took, from) => {
            let (km, minutes) = (metres / 1_000, took / 60_000_000_000);
            (Fraud::Travel, Some(from), format!("{km} km in {minutes} minutes"))
        }
    }
}
