//! `stele replay`: replays a recorded market to the terminal or into a new run.

use crate::access::{Access, Form, record};
use crate::cli::ReplayArgs;
use crate::config::{Config, StrategyConfig};
use crate::event_text::{push_json_frame, push_line};
use crate::failure::Failure;
use crate::notices::say;
use crate::signals::StopRequest;
use std::io::{self, BufWriter, Write as _};
use std::ops::ControlFlow;
use stele_feed::Pace;
use stele_replay::pacer::play;
use stele_strategies::Registry;
use stele_wire::messages::AccessKind;

/// Replays the trail as `args` describe.
pub(crate) fn replay(args: &ReplayArgs, strategies: &Registry) -> Result<(), Failure> {
    let is_speed = args.speed.is_finite() && args.speed >= 0.0;
    if !is_speed {
        return Err(Failure::usage(format!("invalid speed {}", args.speed))
            .help("give a number of at least 0; 0 means as fast as possible"));
    }
    let reader = super::open_trail(&args.read.trail)?;
    let access = Access { trail: &args.read.trail, kind: AccessKind::REPLAY, from: 0, to: 0 };
    let recorded = record(&args.read.access, &access, &reader)?;
    drop(reader);
    match &args.into {
        Some(_) => {
            recorded.print();
            into_run(args, strategies)
        }
        None => {
            to_terminal(args, &recorded.stream_notice(if args.output.json { Form::Json } else { Form::Text }))
        }
    }
}

fn into_run(args: &ReplayArgs, strategies: &Registry) -> Result<(), Failure> {
    let named = args.strategy.iter();
    let mut config = Config {
        strategy: named.map(|name| StrategyConfig { name: name.clone(), ..Default::default() }).collect(),
        ..Config::default()
    };
    config.feed.spec = format!("trail:{}", args.read.trail.display());
    config.feed.pace = if args.speed == 0.0 { "fast".into() } else { format!("{}x", args.speed) };
    config.trail.dir = args.into.clone().expect("the caller checked `into`");
    config.apply_parameters(&args.param)?;
    super::run::run_session(&config, strategies, args.output.json)
}

fn to_terminal(args: &ReplayArgs, head: &str) -> Result<(), Failure> {
    let stop = StopRequest::listen()?;
    let pace = if args.speed == 0.0 { Pace::Fast } else { Pace::Times(args.speed) };
    let mut out = BufWriter::with_capacity(1 << 16, io::stdout().lock());
    if let Err(error) = out.write_all(head.as_bytes()) {
        return super::ended_by_reader(Err(error));
    }
    let (mut line, mut broken) = (String::new(), None);
    let played = play(
        &args.read.trail,
        pace,
        || stop.is_asked(),
        |event| {
            line.clear();
            if args.output.json {
                push_json_frame(event, &mut line)
            } else {
                push_line(event, None, &mut line)
            }
            line.push('\n');
            // At a recorded pace each line is flushed; at full speed only whole buffers are.
            let written = out
                .write_all(line.as_bytes())
                .and_then(|()| if pace == Pace::Fast { Ok(()) } else { out.flush() });
            match written {
                Ok(()) if !stop.is_asked() => ControlFlow::Continue(()),
                Ok(()) => ControlFlow::Break(()),
                Err(error) => {
                    broken = Some(error);
                    ControlFlow::Break(())
                }
            }
        },
    );
    super::ended_by_reader(broken.map_or_else(|| out.flush(), Err))?;
    let shown = played.map_err(|error| Failure::not_so(error).help("`stele verify` shows what is intact"))?;
    say(format_args!("replayed {shown} market events"));
    Ok(())
}
