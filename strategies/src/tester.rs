//! A test bench for strategies: feed events, advance the time and inspect what the strategy sends. No thread,
//! no bus, no wall clock.

use crate::host::{Host, HostedStrategy};
use crate::registry::{Registry, StrategyKind};
use stele_bus::{ControlPublisher, EventSink, SessionBeginning};
use stele_wire::bounds::{FRAME_LENGTH_MAX, FRAME_VERSION, HEADER_LENGTH};
use stele_wire::codec::{Message, MessageHeader, View, text_field};
use stele_wire::frame::frame_length;
use stele_wire::messages::{
    CancelOrder, InstrumentDefinition, MarketFlags, NewOrder, OrderAccepted, OrderCancelled, OrderFilled,
    OrderRejected, OrderStatus, ReplaceOrder, SCHEMA_ID, SCHEMA_VERSION, StrategyAct, StrategyCommand,
    StrategyDefinition, TimerFired, TimerSet, TopOfBook, Trade, block_length,
};
use stele_wire::{Epoch, Frame, FrameHeader, Nanos, Quantity, Sequence};
use zerocopy::little_endian::{I64, U16, U32, U64};
use zerocopy::{FromZeros, IntoBytes};

/// The source id of the tester's market data.
pub const TEST_SOURCE: u16 = 1;

/// A log in memory, and a host with one strategy on it. What the strategy sends becomes events of the log,
/// after the event that caused it, as in a live run.
///
/// Methods that feed an event return the tester, so that calls can be chained.
///
/// # Examples
///
/// ```
/// use stele_strategies::StrategyTester;
///
/// let mut tester = StrategyTester::start("ma-cross", "fast = 2\nslow = 5").unwrap();
/// for price in 100..110 {
///     tester.quote(1, (price, 10), (price + 2, 10));
/// }
/// let orders = tester.take_orders();
/// tester.fill(&orders[0], 107, 1);
/// assert_eq!(tester.position(1), 1);
/// ```
pub struct StrategyTester {
    host: Host,
    frame: Vec<u8>,
    now: Nanos,
    sequence: u64,
    submitted: Vec<(u16, Vec<u8>)>,
    orders: Vec<NewOrder>,
    replacements: Vec<ReplaceOrder>,
    cancels: Vec<CancelOrder>,
    others: Vec<(u16, Vec<u8>)>,
    timers: Vec<(Nanos, u64)>,
}

/// The header of a message of Stele's schema.
fn own(template_id: u16, block_length: u16) -> MessageHeader {
    MessageHeader {
        block_length: U16::new(block_length),
        template_id: U16::new(template_id),
        schema_id: U16::new(SCHEMA_ID),
        version: U16::new(SCHEMA_VERSION),
    }
}

/// The strategy's id on the tester's log.
pub const TEST_STRATEGY: u16 = 7;

impl StrategyTester {
    /// Starts a built-in strategy with these parameters (TOML), at 1,000,000 s after the Unix epoch.
    ///
    /// # Errors
    /// The reason why the strategy could not be started.
    pub fn start(name: &str, parameters: &str) -> Result<Self, String> {
        Self::start_of(Registry::built_in(), name, parameters)
    }

    /// Starts a strategy that is not in a registry. It may have the name of a built-in strategy.
    ///
    /// # Errors
    /// The reason why the strategy could not be started.
    pub fn of(kind: StrategyKind, parameters: &str) -> Result<Self, String> {
        let mut registry = Registry::built_in();
        registry.replace(kind).map_err(|error| error.to_string())?;
        Self::start_of(registry, kind.name, parameters)
    }

    /// Starts a strategy of the caller's registry.
    ///
    /// # Errors
    /// The reason why the strategy could not be started.
    pub fn start_of(registry: Registry, name: &str, parameters: &str) -> Result<Self, String> {
        let mut tester = Self {
            host: Host::new(registry),
            frame: Vec::with_capacity(FRAME_LENGTH_MAX),
            now: Nanos(1_000_000_000_000_000),
            sequence: 0,
            submitted: Vec::new(),
            orders: Vec::new(),
            replacements: Vec::new(),
            cancels: Vec::new(),
            others: Vec::new(),
            timers: Vec::new(),
        };
        tester.begin_session(Epoch(1)).define_strategy(name, parameters, false);
        match tester.host.failures() {
            [] => Ok(tester),
            [failure, ..] => Err(failure.reason.clone()),
        }
    }

    /// Feeds the beginning of an epoch.
    pub fn begin_session(&mut self, epoch: Epoch) -> &mut Self {
        let begun = self.control().begin(&SessionBeginning::of_epoch(epoch));
        begun.expect("a tester takes every event");
        self
    }

    /// Feeds control events.
    fn control(&mut self) -> ControlPublisher<impl EventSink> {
        ControlPublisher::new(|template_id: u16, body: &[u8]| {
            let block_length = block_length(template_id).expect("a message of the schema");
            self.body(template_id, block_length, body);
            Ok(())
        })
    }

    /// Feeds the definition of the strategy, as a new instance or to be resumed.
    pub fn define_strategy(&mut self, name: &str, parameters: &str, is_resumed: bool) -> &mut Self {
        let definition = StrategyDefinition {
            strategy: U16::new(TEST_STRATEGY),
            order_publisher: U16::new(3),
            account: U32::new(4),
            algorithm: U32::new(5),
            is_resumed: stele_wire::messages::Boolean(is_resumed.into()),
            seed: U64::new(6),
            name: text_field(name).expect("a strategy's name has at most 32 bytes"),
            ..StrategyDefinition::NULL
        };
        let defined = self.control().publish_text(&definition, parameters.as_bytes());
        defined.expect("the parameters fit an event");
        self
    }

    /// Feeds a command of an operator for the strategy; `parameters` is empty unless it sets them. It
    /// replaces the parameters that the strategy runs with.
    pub fn command(&mut self, act: StrategyAct, parameters: &str) -> &mut Self {
        let sets = act == StrategyAct::SET_PARAMETERS;
        let previous = if sets { self.strategy().standing.parameters_at.0 } else { 0 };
        let command = StrategyCommand {
            strategy: U16::new(TEST_STRATEGY),
            party: U32::new(1),
            act,
            previous: U64::new(previous),
            ..StrategyCommand::NULL
        };
        let logged = self.control().publish(&command, |writer| {
            writer.data::<U16>(parameters.as_bytes())?;
            writer.data::<U16>(b"a test")
        });
        logged.expect("the parameters fit an event");
        self
    }

    /// Feeds a message without groups and data, of Stele's schema or of another one.
    pub fn event<M: Message>(&mut self, message: &M) -> &mut Self {
        self.submit(&MessageHeader::of::<M>(), message.as_bytes())
    }

    /// Feeds any message of Stele's schema.
    pub fn body(&mut self, template_id: u16, block_length: u16, body: &[u8]) -> &mut Self {
        self.submit(&own(template_id, block_length), body)
    }

    fn submit(&mut self, header: &MessageHeader, body: &[u8]) -> &mut Self {
        self.feed(header, body);
        while !self.submitted.is_empty() {
            for (template_id, body) in std::mem::take(&mut self.submitted) {
                let block_length = block_length(template_id).expect("a message of the schema");
                self.keep(template_id, block_length, &body);
                self.feed(&own(template_id, block_length), &body);
            }
        }
        self
    }

    fn feed(&mut self, message: &MessageHeader, body: &[u8]) {
        self.sequence += 1;
        let length = frame_length(body.len());
        let header = FrameHeader {
            length: U16::new(length as u16),
            version: FRAME_VERSION,
            sequence: U64::new(self.sequence),
            timestamp: U64::new(self.now.0),
            block_length: message.block_length,
            template_id: message.template_id,
            schema_id: message.schema_id,
            schema_version: message.version,
            ..FrameHeader::new_zeroed()
        };
        self.frame.clear();
        self.frame.resize(length, 0);
        self.frame[..HEADER_LENGTH].copy_from_slice(header.as_bytes());
        self.frame[HEADER_LENGTH..HEADER_LENGTH + body.len()].copy_from_slice(body);
        let frame = Frame::read(&self.frame).expect("the header was just written");
        let submitted = &mut self.submitted;
        self.host.handle(&frame, &mut |template_id: u16, body: &[u8]| {
            submitted.push((template_id, body.to_vec()))
        });
    }

    fn keep(&mut self, template_id: u16, block_length: u16, body: &[u8]) {
        let whole = "the host submits whole messages";
        match template_id {
            NewOrder::TEMPLATE_ID => {
                self.orders.push(*View::<NewOrder>::read(block_length, SCHEMA_VERSION, body).expect(whole));
            }
            ReplaceOrder::TEMPLATE_ID => {
                self.replacements
                    .push(*View::<ReplaceOrder>::read(block_length, SCHEMA_VERSION, body).expect(whole));
            }
            CancelOrder::TEMPLATE_ID => {
                self.cancels
                    .push(*View::<CancelOrder>::read(block_length, SCHEMA_VERSION, body).expect(whole));
            }
            TimerSet::TEMPLATE_ID => {
                let set = View::<TimerSet>::read(block_length, SCHEMA_VERSION, body).expect(whole);
                self.timers.retain(|(_, timer_id)| *timer_id != set.timer_id.get());
                if set.due.get() != TimerSet::NULL.due.get() {
                    self.timers.push((Nanos(set.due.get()), set.timer_id.get()));
                }
            }
            _ => self.others.push((template_id, body.to_vec())),
        }
    }

    /// Advances the time; timers that become due fire in the order of their times.
    pub fn advance(&mut self, by: Nanos) -> &mut Self {
        let end = Nanos(self.now.0 + by.0);
        while let Some(at) = (0..self.timers.len()).min_by_key(|at| self.timers[*at])
            && self.timers[at].0 <= end
        {
            let (due, timer_id) = self.timers.remove(at);
            self.now = self.now.max(due);
            self.event(&TimerFired {
                timer_id: U64::new(timer_id),
                due: U64::new(due.0),
                strategy: U16::new(TEST_STRATEGY),
                ..TimerFired::NULL
            });
        }
        self.now = end;
        self
    }

    /// Feeds the definition of an instrument.
    pub fn define(&mut self, instrument: u32, symbol: &str) -> &mut Self {
        let venue_symbol = text_field(symbol).expect("a symbol has at most 72 bytes");
        let definition = InstrumentDefinition {
            instrument: U32::new(instrument),
            source: U16::new(TEST_SOURCE),
            venue_symbol,
            ..InstrumentDefinition::NULL
        };
        let mut body = vec![0; size_of::<InstrumentDefinition>() + 4];
        let body = definition.encode(&mut body, []).expect("the buffer has room");
        self.body(InstrumentDefinition::TEMPLATE_ID, InstrumentDefinition::BLOCK_LENGTH, body)
    }

    /// Feeds a best bid and offer: price (in 1e-9) and quantity of each.
    pub fn quote(&mut self, instrument: u32, bid: (i64, u64), ask: (i64, u64)) -> &mut Self {
        self.event(&TopOfBook {
            instrument: U32::new(instrument),
            source: U16::new(TEST_SOURCE),
            flags: MarketFlags::LAST,
            bid_price: I64::new(bid.0),
            bid_quantity: U64::new(bid.1),
            ask_price: I64::new(ask.0),
            ask_quantity: U64::new(ask.1),
            ..TopOfBook::NULL
        })
    }

    /// Feeds a trade of the market; the price is in 1e-9.
    pub fn trade(&mut self, instrument: u32, price: i64, quantity: u64) -> &mut Self {
        self.event(&Trade {
            instrument: U32::new(instrument),
            source: U16::new(TEST_SOURCE),
            flags: MarketFlags::LAST,
            price: I64::new(price),
            quantity: U64::new(quantity),
            ..Trade::NULL
        })
    }

    /// Reports that the venue accepted an order.
    pub fn accept(&mut self, order: &NewOrder) -> &mut Self {
        self.event(&OrderAccepted {
            instrument: order.instrument,
            side: order.side,
            client_order_id: order.client_order_id,
            strategy: order.strategy,
            leaves_quantity: order.quantity,
            cumulative_quantity: U64::ZERO,
            status: OrderStatus::ACTIVE,
            price: order.limit_price,
            quantity: order.quantity,
            ..OrderAccepted::NULL
        })
    }

    /// Reports an execution of an order; the price is in 1e-9.
    pub fn fill(&mut self, order: &NewOrder, price: i64, quantity: u64) -> &mut Self {
        let open = self.strategy().record.orders().get(order.client_order_id.get()).copied();
        let (leaves, done) = open.map_or((0, 0), |open| (open.leaves.0, open.cumulative.0));
        self.event(&OrderFilled {
            instrument: order.instrument,
            side: order.side,
            client_order_id: order.client_order_id,
            strategy: order.strategy,
            leaves_quantity: U64::new(leaves.saturating_sub(quantity)),
            cumulative_quantity: U64::new(done + quantity),
            status: if leaves > quantity { OrderStatus::ACTIVE } else { OrderStatus::DONE },
            execution_id: U64::new(self.sequence + 1),
            last_price: I64::new(price),
            last_quantity: U64::new(quantity),
            ..OrderFilled::NULL
        })
    }

    /// Reports that an order was rejected.
    pub fn reject(&mut self, order: &NewOrder) -> &mut Self {
        let rejected = OrderRejected {
            instrument: order.instrument,
            side: order.side,
            client_order_id: order.client_order_id,
            strategy: order.strategy,
            leaves_quantity: U64::ZERO,
            status: OrderStatus::DONE,
            ..OrderRejected::NULL
        };
        let mut body = vec![0; size_of::<OrderRejected>() + 2];
        let body = rejected.encode(&mut body, &[]).expect("the buffer has room");
        self.body(OrderRejected::TEMPLATE_ID, OrderRejected::BLOCK_LENGTH, body)
    }

    /// Reports that the rest of an order was cancelled.
    pub fn cancelled(&mut self, order: &NewOrder) -> &mut Self {
        self.event(&OrderCancelled {
            instrument: order.instrument,
            side: order.side,
            client_order_id: order.client_order_id,
            strategy: order.strategy,
            leaves_quantity: U64::ZERO,
            status: OrderStatus::DONE,
            ..OrderCancelled::NULL
        })
    }

    /// The orders sent since the last call.
    pub fn take_orders(&mut self) -> Vec<NewOrder> {
        std::mem::take(&mut self.orders)
    }

    /// The replacements sent since the last call.
    pub fn take_replacements(&mut self) -> Vec<ReplaceOrder> {
        std::mem::take(&mut self.replacements)
    }

    /// The cancels sent since the last call.
    pub fn take_cancels(&mut self) -> Vec<CancelOrder> {
        std::mem::take(&mut self.cancels)
    }

    /// Everything else that was submitted since the last call: template id and body.
    pub fn take_others(&mut self) -> Vec<(u16, Vec<u8>)> {
        std::mem::take(&mut self.others)
    }

    /// The strategy's position in an instrument.
    pub fn position(&self, instrument: u32) -> i64 {
        self.strategy().record.account().position(instrument)
    }

    /// The quantity of an order that remains open; `None` when the order is not open.
    pub fn working(&self, order: &NewOrder) -> Option<Quantity> {
        self.strategy().record.orders().get(order.client_order_id.get()).map(|open| open.leaves)
    }

    /// The strategy under test.
    ///
    /// # Panics
    /// Never: a tester always has a strategy.
    pub fn strategy(&self) -> HostedStrategy<'_> {
        self.host.strategies().next().expect("the tester starts with a strategy")
    }

    /// The host of the strategy.
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// The host, to save or restore its state.
    pub fn host_mut(&mut self) -> &mut Host {
        &mut self.host
    }

    /// The current time of the log.
    pub fn now(&self) -> Nanos {
        self.now
    }

    /// The sequence of the last event.
    pub fn sequence(&self) -> Sequence {
        Sequence(self.sequence)
    }
}
