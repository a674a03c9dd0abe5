//! `stele top`: shows the counters of a running bus.

use super::{print_json, print_page};
use crate::bus_stats::{BusStats, CounterSample};
use crate::cli::TopArgs;
use crate::failure::Failure;
use crate::running_bus;
use crate::screen::lines;
use ratatui::crossterm::event::{Event, KeyCode, KeyEventKind, KeyModifiers, poll, read};
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::Line;
use ratatui::widgets::Paragraph;
use ratatui::{DefaultTerminal, Frame};
use std::io::{IsTerminal as _, stdout};
use std::thread::sleep;
use std::time::Duration;
use stele_bus::counters::{CounterReader, CounterWriterState};
use stele_bus::{Clock as _, UtcClock};

/// The time between two updates.
const INTERVAL: Duration = Duration::from_millis(250);

/// Shows the bus until it ends or `q` is pressed; with `--once` or `--json`, prints its figures once.
pub(crate) fn top(args: &TopArgs) -> Result<(), Failure> {
    let door = running_bus::find(args.name.as_deref())?;
    let reader = door.counters().map_err(running_bus::failed)?;
    let mut watch = Watch { name: door.welcome().bus.clone(), reader, clock: UtcClock::new(), last: None };
    if args.output.json || args.once {
        watch.look();
        sleep(INTERVAL);
        let view = watch.look();
        return if args.output.json { print_json(&view) } else { print_page(&plain(&view)) };
    }
    if !stdout().is_terminal() {
        return Err(Failure::usage("standard output is not a terminal")
            .help("`stele top --once` prints the figures once"));
    }
    let mut terminal = ratatui::try_init()
        .map_err(|error| Failure::environment(format!("cannot draw on this terminal: {error}")))?;
    let shown = show(&mut terminal, &mut watch);
    ratatui::restore();
    let last =
        shown.map_err(|error| Failure::environment(format!("cannot draw on this terminal: {error}")))?;
    print_page(&plain(&last))
}

/// Reads the counters and draws them until the end. Returns the last view.
fn show(terminal: &mut DefaultTerminal, watch: &mut Watch) -> std::io::Result<BusStats> {
    let mut scrolled = 0_u16;
    loop {
        let view = watch.look();
        terminal.draw(|frame| draw(frame, &view, &mut scrolled))?;
        if watch.is_over() {
            return Ok(view);
        }
        // Handle all keys pressed since the last update.
        let mut patience = INTERVAL;
        while poll(patience)? {
            patience = Duration::ZERO;
            let Event::Key(key) = read()? else { continue };
            if key.kind != KeyEventKind::Press {
                continue;
            }
            match key.code {
                KeyCode::Char('q') | KeyCode::Esc => return Ok(view),
                KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => return Ok(view),
                KeyCode::Down | KeyCode::Char('j') => scrolled = scrolled.saturating_add(1),
                KeyCode::Up | KeyCode::Char('k') => scrolled = scrolled.saturating_sub(1),
                KeyCode::PageDown => scrolled = scrolled.saturating_add(20),
                KeyCode::PageUp => scrolled = scrolled.saturating_sub(20),
                _ => {}
            }
        }
    }
}

/// Draws the view from line `scrolled` on, which is limited to its length, with the keys below it.
fn draw(frame: &mut Frame<'_>, view: &BusStats, scrolled: &mut u16) {
    let [body, foot]: [Rect; 2] =
        Layout::vertical([Constraint::Min(1), Constraint::Length(1)]).areas(frame.area());
    let lines = lines(view);
    *scrolled = (*scrolled).min((lines.len() as u16).saturating_sub(body.height));
    frame.render_widget(Paragraph::new(lines).scroll((*scrolled, 0)), body);
    frame.render_widget(Line::raw("q: quit   up/down: scroll"), foot);
}

/// Returns the view as text without colours.
fn plain(view: &BusStats) -> String {
    lines(view).iter().map(|line| format!("{line}\n")).collect()
}

/// A bus whose counters are read repeatedly.
struct Watch {
    name: String,
    reader: CounterReader,
    clock: UtcClock,
    last: Option<CounterSample>,
}

impl Watch {
    fn look(&mut self) -> BusStats {
        let look = CounterSample::take(&self.reader, self.clock.now().0);
        let view = look.stats(&self.name, self.last.as_ref());
        self.last = Some(look);
        view
    }

    fn is_over(&self) -> bool {
        self.last.as_ref().is_some_and(|look| look.writer() != CounterWriterState::Running)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;
    use stele_bus::counters::{ConsumerContract, table};
    use stele_bus::{CounterLabels, Counters};

    /// An idle bus of one shard with a value of every kind.
    fn watched() -> (Counters, Watch) {
        let counters = Counters::create().unwrap();
        let set = |definition, place: CounterLabels<'_>, value| {
            counters.register(definition, place).unwrap().set(value)
        };
        let shard = CounterLabels::shard(0);
        for (definition, value) in [
            (table::EVENTS, 1_234_567),
            (table::BATCHES, 4_321),
            (table::PUBLISHED, 10_000_000),
            (table::BATCHED, 9_999_872),
            (table::WRITTEN, 9_990_144),
            (table::DURABLE, 9_986_048),
            (table::ORDERS_REFUSED, 3),
            (table::VENUE_ORDERS, 45),
            (table::VENUE_FILLS, 40),
            (table::FREE_SPACE, 5 << 30),
            (table::BEHIND, 1),
        ] {
            set(definition, shard, value);
        }
        set(table::REFUSALS, CounterLabels::named(0, 5, "PriceCollar"), 3);
        for (number, name, used, size) in [(1, "instruments", 8, 32_768), (5, "open_orders", 12, 16_384)] {
            set(table::RISK_TABLE_USED, CounterLabels::named(0, number, name), used);
            set(table::RISK_TABLE_SIZE, CounterLabels::named(0, number, name), size);
        }
        set(table::REFUSED_SUBMISSIONS, CounterLabels::named(0, 1, "RingFull"), 12_000);
        set(table::QUEUE_LENGTH, CounterLabels::named(0, 2, "feed"), 524_288);
        set(table::QUEUE_DEPTH, CounterLabels::named(0, 2, "feed"), 1_024);
        set(
            table::CONSUMER_POSITION,
            CounterLabels::consumer(0, 1, "strategies", ConsumerContract::Gating),
            9_999_000,
        );
        set(
            table::CONSUMER_POSITION,
            CounterLabels::consumer(0, 2, "console", ConsumerContract::Lossy),
            5_000_000,
        );
        set(table::CONSUMER_LOST, CounterLabels::named(0, 2, "console"), 17);
        set(table::TURNS_WORKING, CounterLabels::named(0, 0, "sequencer"), 100);
        set(table::CORE_CPU, CounterLabels::named(0, 0, "sequencer"), 1);
        set(table::CORE_STALL_MAX, CounterLabels::named(0, 0, "sequencer"), 12_345);
        let mut latency = counters.histogram(table::PUBLISH_TO_DURABLE, shard).unwrap();
        (0..1_000).for_each(|value| latency.record(40_000 + value));
        let reader = counters.reader();
        (counters, Watch { name: "demo".into(), reader, clock: UtcClock::new(), last: None })
    }

    fn golden(shown: &str, name: &str) {
        let path = format!("{}/src/commands/top/{name}", env!("CARGO_MANIFEST_DIR"));
        if std::env::var("STELE_GOLDEN").is_ok_and(|mode| mode == "write") {
            std::fs::create_dir_all(std::path::Path::new(&path).parent().unwrap()).unwrap();
            std::fs::write(&path, shown).unwrap();
        }
        let expected = std::fs::read_to_string(&path).unwrap_or_default();
        assert_eq!(shown, expected, "STELE_GOLDEN=write updates {path}");
    }

    #[test]
    fn the_screen_shows_what_the_counters_say() {
        let (_counters, mut watch) = watched();
        let mut view = watch.look();
        (view.process, view.seconds) = (4_242, 12.5);
        let shard = &mut view.shards[0];
        (shard.events_per_second, shard.batches_per_second) = (98_765.4, 321.0);
        view.cores[0].turns_per_second = 1_000_000.0;
        let mut terminal = Terminal::new(TestBackend::new(100, 32)).unwrap();
        let mut scrolled = 0;
        terminal.draw(|frame| draw(frame, &view, &mut scrolled)).unwrap();
        golden(&terminal.backend().to_string(), "screen.txt");
        // A low terminal shows the end of the view when it is scrolled too far.
        let mut terminal = Terminal::new(TestBackend::new(100, 6)).unwrap();
        let mut scrolled = 1_000;
        terminal.draw(|frame| draw(frame, &view, &mut scrolled)).unwrap();
        assert!(terminal.backend().to_string().contains("12,345"), "{}", terminal.backend());
    }

    #[test]
    fn rates_and_latencies_cover_the_time_since_the_last_update() {
        let (counters, mut watch) = watched();
        let mut timers = counters.register(table::TIMERS, CounterLabels::shard(0)).unwrap();
        assert_eq!(watch.look().shards[0].latencies[0].count, 1_000);
        timers.add(5);
        let view = watch.look();
        assert_eq!((view.shards[0].latencies[0].count, view.shards[0].latencies[0].p50), (0, None));
        assert_eq!((view.shards[0].timers, view.shards[0].events_per_second), (5, 0.0));
    }

    #[test]
    fn a_paused_strategy_is_shown_with_the_orders_that_it_did_not_send() {
        let (counters, mut watch) = watched();
        let of_strategy = |id, name, is_paused, suppressed| {
            let labels = CounterLabels::named(0, id, name);
            counters.register(table::STRATEGY_PAUSED, labels).unwrap().set(is_paused);
            counters.register(table::ORDERS_SUPPRESSED, labels).unwrap().set(suppressed);
        };
        of_strategy(1, "ma-cross", 1, 1_234);
        of_strategy(2, "dip-buyer", 0, 7);
        let view = watch.look();
        let shown = plain(&view);
        assert!(shown.contains("strategy 1 ma-cross is paused: 1,234 orders not sent"), "{shown}");
        assert!(!shown.contains("dip-buyer") && !shown.contains("did not apply"), "{shown}");
        let strategies = &view.shards[0].strategies;
        assert_eq!((strategies.len(), strategies[1].is_paused, strategies[1].suppressed), (2, false, 7));
    }

    #[test]
    fn a_bus_that_ended_is_noticed() {
        let (counters, mut watch) = watched();
        assert_eq!((watch.look().state, watch.is_over()), ("running", false));
        counters.end();
        assert_eq!((watch.look().state, watch.is_over()), ("ended", true));
        assert!(plain(&watch.look()).contains("ended"));
    }
}
