//! The trait that a strategy implements, and the context that it acts through.

mod context;
mod record;
mod timers;

pub use context::{
    Context, EVIDENCE_MAX, EXPLANATION_LENGTH_MAX, OrderSink, SUBMISSION_LENGTH_MAX,
    SUBMISSIONS_PER_EVENT_MAX,
};
pub(crate) use record::Numbers;
pub use record::{OrderIds, Profit, StrategyRecord};
pub use stele_bus::bounds::TIMERS_PER_STRATEGY_MAX;
pub(crate) use timers::Timers;

use crate::market::TradePrint;
use crate::parameters::{ParameterError, Parameters};
use crate::report::OrderReport;
use crate::snapshot::RestoreError;
use stele_wire::Frame;
use stele_wire::messages::TradingStatus;

/// A trading strategy: it sees every event of the log, in log order, and acts through the [`Context`].
///
/// Everything that a strategy does must follow from the events, its parameters and its seed. It must not read
/// a clock, a file or another source of randomness, and must not iterate over a hash map: only then do the
/// recorded events give the same orders again.
///
/// For one event, the methods are called in the order in which they are declared here, each only where it
/// applies. Books, positions and open orders already include the event when the first of them is called.
///
/// # Examples
///
/// A strategy that buys one unit at the best offer, once:
///
/// ```
/// use stele_strategies::{
///     Context, Parameters, Registry, RestoreError, SnapshotReader, SnapshotWrite, Strategy, StrategyKind,
///     StrategyTester,
/// };
/// use stele_wire::Quantity;
/// use stele_wire::messages::Side;
///
/// #[derive(Default)]
/// struct BuyOnce {
///     has_bought: bool,
/// }
///
/// impl Strategy for BuyOnce {
///     fn on_book(&mut self, instrument: u32, context: &mut Context<'_>) {
///         if !self.has_bought {
///             self.has_bought = context.take(instrument, Side::BUY, Quantity(1)).is_some();
///         }
///     }
///
///     fn snapshot(&self, out: &mut Vec<u8>) {
///         out.put_u64(self.has_bought.into());
///     }
///
///     fn restore(&mut self, state: &[u8]) -> Result<(), RestoreError> {
///         let mut reader = SnapshotReader::new(state);
///         self.has_bought = reader.at_most("flag", 1)? == 1;
///         reader.finish()
///     }
/// }
///
/// const BUY_ONCE: StrategyKind = StrategyKind {
///     name: "buy-once",
///     about: "buys one unit at the best offer",
///     parameters: &[],
///     make: |_: &Parameters| Ok(Box::new(BuyOnce::default())),
/// };
///
/// let mut registry = Registry::built_in();
/// registry.register(BUY_ONCE).unwrap();
/// let mut tester = StrategyTester::start_of(registry, "buy-once", "").unwrap();
/// tester.quote(1, (100, 10), (102, 10)).quote(1, (100, 10), (103, 10));
/// let orders = tester.take_orders();
/// assert_eq!(orders.len(), 1);
/// assert_eq!(orders[0].limit_price.get(), 102);
/// ```
pub trait Strategy: Send {
    /// Trading may begin: called once at the start, and again when a kill switch that stopped the strategy is
    /// released.
    fn on_start(&mut self, context: &mut Context<'_>) {
        let _ = context;
    }

    /// Any event, of Stele's schema or of another one: [`Frame::message`] reads both.
    fn on_event(&mut self, event: &Frame<'_>, context: &mut Context<'_>) {
        let _ = (event, context);
    }

    /// An instrument was defined or redefined. Instruments that were defined before the strategy started are
    /// in [`Context::market`].
    fn on_definition(&mut self, instrument: u32, context: &mut Context<'_>) {
        let _ = (instrument, context);
    }

    /// Trading begins, halts or changes its phase, in one instrument or in the whole market (instrument 0).
    fn on_status(&mut self, status: &TradingStatus, context: &mut Context<'_>) {
        let _ = (status, context);
    }

    /// A trade at the venue. The documentation of [`crate::market`] says which trades count.
    fn on_trade(&mut self, trade: &TradePrint, context: &mut Context<'_>) {
        let _ = (trade, context);
    }

    /// A report about an order of this strategy: accepted, filled, cancelled, rejected and so on.
    fn on_report(&mut self, report: &OrderReport, context: &mut Context<'_>) {
        let _ = (report, context);
    }

    /// A timer of [`Context::set_timer`] fired: the event's time is at or after the time that was asked for.
    fn on_timer(&mut self, timer_id: u64, context: &mut Context<'_>) {
        let _ = (timer_id, context);
    }

    /// A venue event that changed this instrument's book is complete. The documentation of [`crate::market`]
    /// says when that is.
    fn on_book(&mut self, instrument: u32, context: &mut Context<'_>) {
        let _ = (instrument, context);
    }

    /// Trading ends, by a kill switch or because the session ends. After a kill switch the sequencer cancels
    /// every open order; at the end of the session nothing can be sent any more.
    fn on_stop(&mut self, context: &mut Context<'_>) {
        let _ = context;
    }

    /// Takes other parameters while it runs, because an operator set them. They are within their ranges, and
    /// an instance could be made with them. Nothing can be sent from here; the next event finds the strategy
    /// with them.
    ///
    /// Afterwards the strategy must equal an instance that was made with the new parameters and has its
    /// state, because [`Strategy::restore`] reads a snapshot into such an instance. Whether it takes them may
    /// depend on the old and the new parameters only: the command is checked with a new instance before it
    /// is logged.
    ///
    /// # Errors
    /// Why it does not take them; it is then unchanged. Without this method, a strategy takes none:
    /// [`ParameterError::NotWhileRunning`].
    fn set_parameters(&mut self, parameters: &Parameters) -> Result<(), ParameterError> {
        let _ = parameters;
        Err(ParameterError::NotWhileRunning)
    }

    /// Appends the strategy's own state to `out`. The host saves everything that the context holds.
    fn snapshot(&self, out: &mut Vec<u8>);

    /// Restores the state that [`Strategy::snapshot`] wrote, into an instance made with the same parameters.
    ///
    /// # Errors
    /// When `state` was not written by [`Strategy::snapshot`].
    fn restore(&mut self, state: &[u8]) -> Result<(), RestoreError>;
}
