//! An exchange that outlives its gateway: the gateway runs in a second process, which is killed.
//!
//! The second process is this test program again, with a test that does something only when it finds the
//! socket. It trades through an [`OrderGateway`] whose venue writes each order to the socket.
#![allow(clippy::disallowed_methods, reason = "the test kills a process, and processes take time")]

use crate::rig::{Rig, START, order, order_body};
use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use stele_bus::{Agent, Event, Grants, Watermark};
use stele_venue::paper_exchange::{PaperExchange, PaperOptions};
use stele_venue::{OrderGateway, Venue, VenueBusy};
use stele_wire::bounds::{FRAME_LENGTH_MAX, HEADER_LENGTH};
use stele_wire::messages::{InstrumentDefinition, NewOrder, OrderType, Side, TimeInForce};
use stele_wire::{Frame, Nanos};

const ORDERS: usize = 500;
const SOCKET: &str = "STELE_TEST_EXCHANGE_SOCKET";

/// The gateway's end of a connection to an exchange.
struct Connection(UnixStream);

impl Venue for Connection {
    fn submit(&mut self, order: Event<'_>, _now: Nanos) -> Result<(), VenueBusy> {
        self.0.write_all(order.frame().bytes()).map_err(|_| VenueBusy)
    }
}

/// Not a test by itself: the process that is killed.
#[test]
fn a_gateway_in_a_process_of_its_own() {
    let Some(path) = std::env::var_os(SOCKET) else { return };
    let mut rig = Rig::new();
    let mut strategy = rig.sequencer.publisher(1, "strategy", 1 << 14, Grants::all());
    let releases = rig.sequencer.publisher(2, "gateway", 1 << 14, Grants::all());
    let consumer = rig.sequencer.gating_consumer("gateway");
    let (venue, clock) = (Connection(UnixStream::connect(path).unwrap()), rig.clock.clone());
    let mut gateway = OrderGateway::new("gateway", consumer, releases, Watermark::Durable, venue, clock);
    for id in 1..=ORDERS as u64 {
        let order = NewOrder {
            account: 7.into(),
            instrument: 1.into(),
            side: Side::BUY,
            order_type: OrderType::LIMIT,
            time_in_force: TimeInForce::DAY,
            ..order(id, 10)
        };
        strategy.offer(NewOrder::TEMPLATE_ID, &order_body(&order), START).unwrap();
        rig.settle();
        rig.flush();
        gateway.do_work().unwrap();
    }
    loop {
        std::thread::sleep(Duration::from_secs(1));
    }
}

/// Reads the next frame into `buffer`; false when the connection is closed.
fn read_frame(stream: &mut UnixStream, buffer: &mut Vec<u8>) -> bool {
    buffer.resize(HEADER_LENGTH, 0);
    if stream.read_exact(buffer).is_err() {
        return false;
    }
    let length = usize::from(u16::from_le_bytes([buffer[4], buffer[5]]));
    buffer.resize(length, 0);
    stream.read_exact(&mut buffer[HEADER_LENGTH..]).is_ok()
}

#[test]
fn a_second_after_kill_9_none_of_500_orders_works() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("exchange");
    let listener = UnixListener::bind(&path).unwrap();
    let mut gateway = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "disconnect::a_gateway_in_a_process_of_its_own", "--nocapture"])
        .env(SOCKET, &path)
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let (mut stream, _) = listener.accept().unwrap();
    let mut exchange = PaperExchange::new(PaperOptions::default());
    define_instrument(&mut exchange);
    let mut buffer = Vec::with_capacity(FRAME_LENGTH_MAX);
    while exchange.open_orders() < ORDERS {
        assert!(read_frame(&mut stream, &mut buffer), "the gateway ended early");
        exchange.on_order(&Frame::read(&buffer).unwrap());
    }
    // SIGKILL: the process has no chance to say anything.
    gateway.kill().unwrap();
    let killed = Instant::now();
    while read_frame(&mut stream, &mut buffer) {}
    exchange.on_disconnect(Nanos(START.0 + 1_000_000_000));
    assert_eq!(exchange.open_orders(), 0);
    assert!(killed.elapsed() < Duration::from_secs(1), "after {:?}", killed.elapsed());
    gateway.wait().unwrap();
    let mut reports = 0;
    while let Some(report) = exchange.pop_report() {
        reports += usize::from(matches!(report, stele_venue::paper_exchange::PaperReport::Cancelled(_)));
    }
    assert_eq!(reports, ORDERS, "each is reported cancelled");
}

#[test]
fn an_exchange_without_cancel_on_disconnect_lets_orders_work() {
    let mut exchange =
        PaperExchange::new(PaperOptions { cancel_on_disconnect: false, ..PaperOptions::default() });
    define_instrument(&mut exchange);
    let mut rig = Rig::new();
    let mut strategy = rig.sequencer.publisher(1, "strategy", 1 << 14, Grants::all());
    let mut reader = rig.sequencer.gating_consumer("reader");
    let order = NewOrder {
        instrument: 1.into(),
        side: Side::BUY,
        order_type: OrderType::LIMIT,
        time_in_force: TimeInForce::DAY,
        account: 7.into(),
        ..order(1, 10)
    };
    strategy.offer(NewOrder::TEMPLATE_ID, &order_body(&order), START).unwrap();
    rig.settle();
    reader.poll(10, |event| exchange.on_order(&event.frame()));
    exchange.on_disconnect(START);
    assert_eq!(exchange.open_orders(), 1);
}

/// The exchange learns its instrument from a log of its own.
fn define_instrument(exchange: &mut PaperExchange) {
    let mut rig = Rig::new();
    let mut publisher = rig.sequencer.publisher(1, "definitions", 4096, Grants::all());
    let mut reader = rig.sequencer.gating_consumer("reader");
    let mut buffer = [0; 1024];
    let definition = InstrumentDefinition { instrument: 1.into(), ..InstrumentDefinition::NULL };
    let body = definition.encode(&mut buffer, []).unwrap();
    publisher.offer(InstrumentDefinition::TEMPLATE_ID, body, START).unwrap();
    rig.settle();
    reader.poll(10, |event| exchange.on_market(&event.frame()));
}
