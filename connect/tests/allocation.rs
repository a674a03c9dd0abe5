//! After warm-up no feed allocates or gives memory back: the player shares a core with the journal.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::io::Cursor;
use stele_bus::feed::{Batch, Feed, Step};
use stele_connect::generate::{FileFormat, generate};
use stele_connect::generator::{Config, Generator};
use stele_connect::{dbn, itch};

struct Counting;

thread_local! {
    static CALLS: Cell<u64> = const { Cell::new(0) };
}

// SAFETY: every call goes on to the system's allocator as it came; counting touches a thread-local cell that
// needs no allocation.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        CALLS.set(CALLS.get() + 1);
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        CALLS.set(CALLS.get() + 1);
        // SAFETY: the caller keeps the contract of `dealloc`.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const EVENTS: u64 = 300_000;

/// Calls of the allocator while the feed makes its events, the first 10,000 and the end left out.
fn calls(feed: &mut dyn Feed) -> (u64, usize) {
    let (mut batch, mut made, mut calls) = (Batch::new(), 0, 0);
    loop {
        let before = CALLS.get();
        let step = feed.fill(&mut batch).unwrap();
        if step == Step::End {
            return (calls, made);
        }
        if made > 10_000 {
            calls += CALLS.get() - before;
        }
        made += batch.len();
        batch.clear();
    }
}

fn config() -> Config {
    Config { events: Some(EVENTS), ..Config::default() }
}

fn file(format: FileFormat, name: &str) -> Cursor<Vec<u8>> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    generate(&config(), format, &path).unwrap();
    Cursor::new(std::fs::read(path).unwrap())
}

#[test]
fn the_generator_does_not_allocate() {
    let (calls, made) = calls(&mut Generator::new(config()).unwrap());
    assert_eq!((calls, made > EVENTS as usize / 2), (0, true));
}

#[test]
fn an_itch_feed_does_not_allocate() {
    let source = Box::new(file(FileFormat::Itch, "flow.itch50"));
    let mut feed = itch::ItchFeed::from_reader("flow", source, itch::Options::default()).unwrap();
    let (calls, made) = calls(&mut feed);
    assert_eq!((calls, made > EVENTS as usize / 2), (0, true));
}

#[test]
fn a_dbn_feed_does_not_allocate_compressed_or_not() {
    for name in ["flow.dbn", "flow.dbn.zst"] {
        let source = Box::new(file(FileFormat::Dbn, name));
        let mut feed = dbn::DbnFeed::from_reader(name, source, dbn::Options::default()).unwrap();
        let (calls, made) = calls(&mut feed);
        assert_eq!((calls, made > EVENTS as usize / 2), (0, true), "{name}");
    }
}
