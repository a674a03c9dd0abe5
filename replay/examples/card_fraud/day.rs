//! A simulated day of payments with known frauds; the same seed gives the same day.

use super::cards::CardPayment;
use stele_strategies::Random;

/// The kinds of fraud.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Fraud {
    /// A payment far above what the holder ever pays.
    Amount,
    /// Many payments within a short time.
    Velocity,
    /// Two places too far apart for the time between the payments.
    Travel,
}

impl Fraud {
    pub(crate) const ALL: [Self; 3] = [Self::Amount, Self::Velocity, Self::Travel];

    /// Returns the code of the pattern in an alert.
    pub(crate) const fn pattern(self) -> u16 {
        self as u16 + 1
    }

    pub(crate) fn of_pattern(code: u16) -> Option<Self> {
        Self::ALL.into_iter().find(|fraud| fraud.pattern() == code)
    }
}

/// Payments in order of their times, and the ids of those that reveal a fraud.
pub(crate) struct Day {
    pub(crate) payments: Vec<CardPayment>,
    pub(crate) frauds: Vec<(Fraud, u64)>,
}

/// Cards in use.
const CARDS: u64 = 300;
/// Cards per kind of fraud.
const CARDS_A_FRAUD: u64 = 5;
/// Payments of a card before its fraud.
const PAYMENTS_BEFORE: usize = 25;

const SECOND: u64 = 1_000_000_000;
const MINUTE: u64 = 60 * SECOND;
/// 2026-03-02, midnight UTC.
const MIDNIGHT: u64 = 1_772_409_600 * SECOND;

/// Cities by latitude and longitude, in units of 1e-6 degrees.
const CITIES: [(i32, i32); 4] =
    [(48_208_000, 16_372_000), (52_520_000, 13_405_000), (45_464_000, 9_190_000), (50_075_000, 14_438_000)];
const TOKYO: (i32, i32) = (35_676_000, 139_650_000);

/// Returns the day of `seed`.
pub(crate) fn with_frauds(seed: u64) -> Day {
    let mut random = Random::new(seed);
    let mut payments = Vec::new();
    for card in 0..CARDS {
        let mut own = holder(card, &mut random);
        match card / CARDS_A_FRAUD {
            0 => unusual(&mut own[PAYMENTS_BEFORE]),
            1 => burst(&mut own),
            2 => abroad(own.last_mut().expect("a holder pays all day")),
            _ => {}
        }
        payments.extend(own);
    }
    payments.sort_by_key(|(payment, _)| (payment.time.get(), payment.card.get()));
    let mut frauds = Vec::new();
    for (number, (payment, fraud)) in (1..).zip(&mut payments) {
        payment.payment = number.into();
        frauds.extend(fraud.map(|fraud| (fraud, number)));
    }
    Day { payments: payments.into_iter().map(|(payment, _)| payment).collect(), frauds }
}

type Labelled = (CardPayment, Option<Fraud>);

/// Returns the payments of a card's holder: every 20 to 60 minutes, near home, of similar amounts.
fn holder(card: u64, random: &mut Random) -> Vec<Labelled> {
    let home = CITIES[random.below(CITIES.len() as u64) as usize];
    let usual = 1_000 + random.below(9_000);
    let mut time = MIDNIGHT + random.below(60 * MINUTE);
    let mut payments = Vec::new();
    while time < MIDNIGHT + 24 * 60 * MINUTE {
        let mut near = |degrees: i32| degrees + random.below(200_000) as i32 - 100_000;
        let (latitude, longitude) = (near(home.0), near(home.1));
        let payment = CardPayment {
            time: time.into(),
            card: (card + 1).into(),
            amount: (usual / 2 + random.below(usual)).into(),
            latitude: latitude.into(),
            longitude: longitude.into(),
            merchant: (1 + random.below(5_000) as u32).into(),
            currency: *b"EUR",
            ..CardPayment::NULL
        };
        payments.push((payment, None));
        time += 20 * MINUTE + random.below(40 * MINUTE);
    }
    payments
}

/// Multiplies the amount by thirty.
fn unusual((payment, fraud): &mut Labelled) {
    payment.amount = (payment.amount.get() * 30).into();
    *fraud = Some(Fraud::Amount);
}

/// Moves the payment to the other side of the world, within an hour.
fn abroad((payment, fraud): &mut Labelled) {
    (payment.latitude, payment.longitude) = (TOKYO.0.into(), TOKYO.1.into());
    *fraud = Some(Fraud::Travel);
}

/// Adds five payments within half a minute; the fourth of them is the fifth payment within a minute.
fn burst(own: &mut Vec<Labelled>) {
    let (first, _) = own[PAYMENTS_BEFORE];
    for step in 1..=5 {
        let payment = CardPayment { time: (first.time.get() + step * 5 * SECOND).into(), ..first };
        own.push((payment, (step == 4).then_some(Fraud::Velocity)));
    }
}
