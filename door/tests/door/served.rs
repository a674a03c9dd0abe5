//! A bus with a door, run by a thread until it is dropped.

use crate::rig::{Rig, notice};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use stele_bus::{CounterLabels, Counters, Grants, NOT_RECEIVED, Publisher, counters::table};
use stele_door::{DoorClient, DoorListener, DoorServer, People, ServedBus, ServedShard, SocketAddress};
use stele_risk::RiskLimits;
use stele_wire::Nanos;
use stele_wire::messages::VenueNotice;

pub(crate) const SHARD: u32 = 1;
pub(crate) const OUTSIDE: u16 = 100;
pub(crate) const CONTROLS: u16 = 6;
const AUDITORS: u16 = 7;

pub(crate) struct Served {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) door: Option<DoorServer>,
    address: SocketAddress,
    done: Arc<AtomicBool>,
    /// Returns the rig and what the bus's own publisher submitted.
    bus: Option<JoinHandle<(Rig, u64)>>,
}

impl Served {
    pub(crate) fn new() -> Self {
        Self::with(People::default(), RiskLimits::default())
    }

    pub(crate) fn with(people: People, limits: RiskLimits) -> Self {
        Self::around(Rig::shared_with(limits), people)
    }

    pub(crate) fn around(mut rig: Rig, people: People) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let address = SocketAddress::at(folder.path().join("test.sock"));
        let counters = Counters::create_shared().unwrap();
        counters.register(table::EVENTS, CounterLabels::shard(1)).unwrap().set(42);
        let publisher =
            |rig: &mut Rig, id, name: &str| rig.sequencer.publisher(id, name, 32 << 10, Grants::all());
        let own = publisher(&mut rig, 2, "inside");
        let shard = ServedShard {
            id: SHARD,
            ring: rig.ring.clone(),
            trail: folder.path().join("trail"),
            controls: Some(publisher(&mut rig, CONTROLS, "controls")),
            auditors: Some(publisher(&mut rig, AUDITORS, "auditors")),
            ports: vec![rig.sequencer.remote_publisher(OUTSIDE, "outside", 16 << 10, Grants::all())],
        };
        let listener = DoorListener::bind(&address).unwrap();
        let (name, cpus, shards) = ("test".into(), Vec::new(), vec![shard]);
        let served = ServedBus { name, counters: Some(counters), people, shards, cpus };
        let door = Some(DoorServer::serve(listener, served).unwrap());
        let done = Arc::new(AtomicBool::new(false));
        let bus = Some(std::thread::spawn({
            let done = done.clone();
            move || drive(rig, own, &done)
        }));
        Self { folder, door, address, done, bus }
    }

    pub(crate) fn socket(&self) -> &Path {
        self.address.path()
    }

    pub(crate) fn trail(&self) -> PathBuf {
        self.folder.path().join("trail")
    }

    pub(crate) fn client(&self) -> DoorClient {
        DoorClient::connect(&self.address).unwrap()
    }

    pub(crate) fn connect(&self) -> Result<DoorClient, stele_door::ClientError> {
        DoorClient::connect(&self.address)
    }

    /// Ends the bus. Returns it, with everything flushed, and what its own publisher submitted.
    pub(crate) fn end(mut self) -> (Rig, u64) {
        self.stop().expect("it is ended once")
    }

    /// Ends the bus and leaves the door open, for a client that is connected.
    pub(crate) fn end_bus(&mut self) -> (Rig, u64) {
        self.stop().expect("it is ended once")
    }

    fn stop(&mut self) -> Option<(Rig, u64)> {
        self.done.store(true, Ordering::Relaxed);
        self.bus.take().map(|bus| bus.join().unwrap())
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.stop();
    }
}

/// Duty cycles with market data of the bus's own, so that a client that disturbs the bus is noticed.
fn drive(mut rig: Rig, mut own: Publisher, done: &AtomicBool) -> (Rig, u64) {
    let mut submitted = 0;
    while !done.load(Ordering::Relaxed) {
        let body = notice(submitted as u32, 48);
        submitted += u64::from(own.offer(VenueNotice::TEMPLATE_ID, &body, NOT_RECEIVED).is_ok());
        rig.cycle();
        rig.clock.advance(Nanos(100_000));
        rig.flush();
        std::thread::sleep(std::time::Duration::from_micros(50));
    }
    for _ in 0..4 {
        rig.settle();
        rig.close_batch();
        rig.flush();
    }
    (rig, submitted)
}
