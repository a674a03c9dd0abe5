//! The strategy path does not allocate once it is warm: host, books, strategies, accounts.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use stele_strategies::book::{Book, BookKind, BookSide};
use stele_strategies::{Host, Registry};
use stele_wire::codec::{Message, View, text_field};
use stele_wire::frame::frame_length;
use stele_wire::messages::*;
use stele_wire::{Frame, FrameHeader, Price, Quantity};
use zerocopy::little_endian::{I64, U16, U32, U64};
use zerocopy::{FromZeros, IntoBytes};

struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

// SAFETY: every call goes to the system's allocator with the arguments it came with.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller keeps `alloc`'s contract, which is the system's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: `pointer` came from `alloc` above, so from the system.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: `pointer` came from `alloc` above, so from the system.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// A log in one buffer; submissions wait in a second one. Both are large enough from the start.
struct Log {
    host: Host,
    frame: Vec<u8>,
    submitted: Vec<u8>,
    sequence: u64,
    orders: u64,
    fills: u64,
}

impl Log {
    fn event<M: Message>(&mut self, message: &M) {
        self.feed(M::TEMPLATE_ID, M::BLOCK_LENGTH, message.as_bytes());
    }

    fn feed(&mut self, template_id: u16, block_length: u16, body: &[u8]) {
        self.sequence += 1;
        let length = frame_length(body.len());
        let header = FrameHeader {
            length: U16::new(length as u16),
            version: 1,
            sequence: U64::new(self.sequence),
            timestamp: U64::new(1_700_000_000_000_000_000 + self.sequence * 1_000_000),
            block_length: U16::new(block_length),
            template_id: U16::new(template_id),
            schema_id: U16::new(SCHEMA_ID),
            schema_version: U16::new(SCHEMA_VERSION),
            ..FrameHeader::new_zeroed()
        };
        self.frame.clear();
        self.frame.resize(length, 0);
        self.frame[..32].copy_from_slice(header.as_bytes());
        self.frame[32..32 + body.len()].copy_from_slice(body);
        let frame = Frame::read(&self.frame).unwrap();
        let submitted = &mut self.submitted;
        self.host.handle(&frame, &mut |template_id: u16, body: &[u8]| {
            // Books change often enough for a strategy whose timers never fire.
            if template_id == TimerSet::TEMPLATE_ID {
                return;
            }
            assert_eq!(template_id, NewOrder::TEMPLATE_ID);
            submitted.extend_from_slice(&body[..size_of::<NewOrder>()]);
        });
    }

    /// Every submitted order is executed completely.
    fn answer(&mut self) {
        while let Some(at) = self.submitted.len().checked_sub(size_of::<NewOrder>()) {
            let order = *View::<NewOrder>::read(NewOrder::BLOCK_LENGTH, 1, &self.submitted[at..]).unwrap();
            self.submitted.truncate(at);
            self.orders += 1;
            self.fills += 1;
            self.event(&OrderFilled {
                instrument: order.instrument,
                side: order.side,
                client_order_id: order.client_order_id,
                strategy: order.strategy,
                leaves_quantity: U64::ZERO,
                status: OrderStatus::DONE,
                last_price: order.limit_price,
                last_quantity: order.quantity,
                ..OrderFilled::NULL
            });
        }
    }
}

/// Changes the books of four instruments for `rounds`, each with adds, executions, a modify and a cancel.
fn market(log: &mut Log, rounds: u64) {
    for round in 0..rounds {
        let instrument = U32::new(1 + (round % 4) as u32);
        let centre = 1_000_000 + ((round * 7919) % 997) as i64 - 498;
        for (index, side) in [Side::BUY, Side::SELL, Side::BUY, Side::SELL].into_iter().enumerate() {
            let away = 600 + index as i64 + (round % 13) as i64;
            log.event(&BookAdd {
                instrument,
                source: U16::new(1),
                side,
                order_id: U64::new(1 + (round % 50) * 4 + index as u64),
                price: I64::new(if side == Side::BUY { centre - away } else { centre + away }),
                quantity: U64::new(10 + round % 7),
                flags: if index == 3 { MarketFlags::LAST } else { MarketFlags::EMPTY },
                ..BookAdd::NULL
            });
            log.answer();
        }
        log.event(&BookExecute {
            instrument,
            source: U16::new(1),
            side: Side::BUY,
            order_id: U64::new(1 + (round % 50) * 4),
            quantity: U64::new(3),
            book_effect: Boolean::TRUE,
            flags: MarketFlags::LAST,
            ..BookExecute::NULL
        });
        log.answer();
        log.event(&BookCancel {
            instrument,
            source: U16::new(1),
            side: Side::SELL,
            order_id: U64::new(2 + (round % 50) * 4),
            flags: MarketFlags::LAST,
            ..BookCancel::NULL
        });
        log.answer();
    }
}

#[test]
fn an_event_does_not_allocate_after_warm_up() {
    let mut log = Log {
        host: Host::new(Registry::built_in()),
        frame: Vec::with_capacity(4096),
        submitted: Vec::with_capacity(64 * 1024),
        sequence: 0,
        orders: 0,
        fills: 0,
    };
    for (id, kind) in (1..).zip(Registry::built_in().kinds()) {
        let parameters: &[u8] = match kind.name {
            // Its quotes are executed at once, so without the limit it would never finish.
            "market-maker" => b"orders-per-second = 100",
            "pairs" => b"orders-per-second = 10000\nwidth = 1",
            _ => b"orders-per-second = 10000",
        };
        let definition = StrategyDefinition {
            strategy: U16::new(id),
            is_resumed: Boolean::FALSE,
            name: text_field(kind.name).unwrap(),
            ..StrategyDefinition::NULL
        };
        let mut body = [0; 128];
        let body = definition.encode(&mut body, parameters).unwrap();
        log.feed(StrategyDefinition::TEMPLATE_ID, StrategyDefinition::BLOCK_LENGTH, body);
    }
    market(&mut log, 2_000);
    let (warm, orders, events) = (ALLOCATIONS.get(), log.orders, log.sequence);
    market(&mut log, 20_000);
    assert_eq!(ALLOCATIONS.get() - warm, 0);
    assert!(log.orders - orders > 100, "{} orders", log.orders - orders);
    assert!(log.sequence - events > 100_000);
    assert!(log.host.strategies().all(|hosted| hosted.record.account().holdings().next().is_some()));
}

/// Changes a book for `rounds`: orders or levels at moving prices, with clears and snapshots.
fn update(book: &mut Book, kind: BookKind, rounds: u64) {
    for round in 0..rounds {
        let side = if round % 2 == 0 { BookSide::Bid } else { BookSide::Ask };
        let price = Price(1_000 + ((round * 7_919) % 211) as i64);
        let quantity = Quantity(1 + round % 5);
        if round % 5_000 == 0 {
            book.clear();
        }
        assert!(book.admit(1, kind));
        let id = 1 + round % 400;
        match (kind, round % 4) {
            (BookKind::Orders, 0 | 1) => book.add(id, side, price, quantity),
            (BookKind::Orders, 2) => book.modify(id, Some(side), price, quantity),
            (BookKind::Orders, _) => drop(book.reduce(id, Some(quantity))),
            (_, 3) => book.set_level(side, price, Quantity(0), 0),
            _ => book.set_level(side, price, quantity, 1),
        }
    }
}

#[test]
fn no_book_allocates_for_an_update_after_warm_up() {
    for kind in [BookKind::Orders, BookKind::Levels] {
        let mut book = Book::with_capacity(16, 4);
        update(&mut book, kind, 20_000);
        let warm = ALLOCATIONS.get();
        update(&mut book, kind, 100_000);
        assert_eq!(ALLOCATIONS.get() - warm, 0, "{kind:?}");
        assert!(book.levels(BookSide::Bid).len() > 20, "{kind:?}");
    }
}
