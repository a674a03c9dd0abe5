//! How the journal makes its writes durable: as configured, or as measured on the trail's own file system.

use crate::config::JournalConfig;
use crate::failure::Failure;
use crate::layout::{Job, Layout, isolated_cpus};
use crate::readable::grouped;
use serde::Serialize;
use std::path::Path;
use stele_journal::{FlushMethod, FlushTrial, FlushTrials, JournalCpus};

/// What the journal goes by, and why.
#[derive(Clone, Debug)]
pub(crate) struct FlushPlan {
    pub(crate) method: FlushMethod,
    /// Whether the journal's thread yields its CPU while a flush is outstanding.
    pub(crate) yields: bool,
    reason: Reason,
}

#[derive(Clone, Debug)]
enum Reason {
    Measured(FlushTrials),
    Configured,
    /// The engine has one method only, or what came in the way of measuring.
    NotMeasured(String),
}

/// A plan as `--json` shows it.
#[derive(Serialize, Clone, Debug)]
pub struct FlushReport {
    method: &'static str,
    yields: bool,
    reason: String,
    trials: Vec<TrialReport>,
}

#[derive(Serialize, Clone, Debug)]
pub(crate) struct TrialReport {
    method: &'static str,
    yields: bool,
    samples: usize,
    p50_ns: u64,
    p90_ns: u64,
    bytes_per_second: u64,
}

impl FlushPlan {
    /// The method that `[journal] flush` names, or the best of those tried in `directory`.
    pub(crate) fn make(config: &JournalConfig, directory: &Path, layout: &Layout) -> Result<Self, Failure> {
        let yields = true;
        if config.flush != "measured" {
            let method = FlushMethod::from_name(&config.flush).ok_or_else(|| {
                Failure::usage(format!("[journal] flush is `{}`", config.flush))
                    .help("one of measured, flushed-writes, linked-sync, sync-thread")
            })?;
            return Ok(Self { method, yields, reason: Reason::Configured });
        }
        let not_measured = |why: String| {
            // Immune to threads that spin, and needs no thread of its own.
            Self { method: FlushMethod::LinkedSync, yields, reason: Reason::NotMeasured(why) }
        };
        if config.engine == "plain" {
            return Ok(not_measured("the plain engine syncs after its writes".into()));
        }
        // What is wrong with the directory is the journal's to say when it opens the trail.
        Ok(match FlushTrials::make(directory, cpus(layout)) {
            Ok(Some(trials)) => {
                let FlushTrial { method, yields, .. } = *trials.chosen();
                Self { method, yields, reason: Reason::Measured(trials) }
            }
            Ok(None) => not_measured("io_uring or direct I/O is not to be had here".into()),
            Err(error) => not_measured(error.to_string()),
        })
    }

    /// A sentence for a person.
    pub(crate) fn describe(&self) -> String {
        let name = self.method.name();
        match &self.reason {
            Reason::Measured(trials) => format!("flush method, measured: {trials}"),
            Reason::Configured => format!("flush method, as configured: {name}"),
            Reason::NotMeasured(why) => {
                format!("flush method, not measured ({why}): {name} where there is a choice")
            }
        }
    }

    pub(crate) fn report(&self) -> FlushReport {
        let trials: &[FlushTrial] = match &self.reason {
            Reason::Measured(trials) => &trials.trials,
            Reason::Configured | Reason::NotMeasured(_) => &[],
        };
        let reason = match &self.reason {
            Reason::Measured(_) => "measured".into(),
            Reason::Configured => "configured".into(),
            Reason::NotMeasured(why) => format!("not measured: {why}"),
        };
        let (method, yields) = (self.method.name(), self.yields);
        FlushReport { method, yields, reason, trials: trials.iter().map(TrialReport::from).collect() }
    }
}

impl FlushReport {
    /// A line a method.
    pub fn page(&self) -> String {
        let mut page = format!("flush method: {} ({})\n", self.method, self.reason);
        for TrialReport { method, yields, samples, p50_ns, p90_ns, bytes_per_second } in &self.trials {
            let without = if *yields { "" } else { ", without yielding" };
            page += &format!(
                "  {method:<26} p50 {:>9} ns  p90 {:>11} ns  {:>13} bytes/s  ({samples} samples{without})\n",
                grouped(*p50_ns),
                grouped(*p90_ns),
                grouped(*bytes_per_second)
            );
        }
        page
    }
}

impl From<&FlushTrial> for TrialReport {
    fn from(trial: &FlushTrial) -> Self {
        let FlushTrial { method, yields, samples, p50_ns, p90_ns, bytes_per_second } = *trial;
        Self { method: method.name(), yields, samples, p50_ns, p90_ns, bytes_per_second }
    }
}

/// Where the journal will run, and where the sequencer will spin beside it.
fn cpus(layout: &Layout) -> JournalCpus {
    let journal = layout.cpu_of(Job::Journal(0));
    let spinning = layout.cpu_of(Job::Sequencer(0)).filter(|cpu| Some(*cpu) != journal);
    let is_isolated = journal.is_some_and(|cpu| isolated_cpus().contains(&cpu));
    JournalCpus { journal, spinning, is_isolated }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::ShardAgents;

    fn layout() -> Layout {
        Layout::choose(&[0].into(), &[0].into(), &[ShardAgents::default()])
    }

    fn config(flush: &str) -> JournalConfig {
        JournalConfig { flush: flush.into(), ..JournalConfig::default() }
    }

    #[test]
    fn a_configured_method_is_obeyed_and_an_unknown_one_refused() {
        let folder = tempfile::tempdir().unwrap();
        let plan = FlushPlan::make(&config("sync-thread"), folder.path(), &layout()).unwrap();
        assert_eq!((plan.method, plan.yields), (FlushMethod::SyncThread, true));
        assert!(plan.describe().contains("as configured: sync-thread"), "{}", plan.describe());
        let failure =
            FlushPlan::make(&config("sometimes"), folder.path(), &layout()).unwrap_err().to_string();
        assert!(failure.contains("sync-thread"), "{failure}");
    }

    #[test]
    fn a_measured_method_comes_with_the_numbers_of_all() {
        let folder = tempfile::tempdir().unwrap();
        let plan = FlushPlan::make(&config("measured"), folder.path(), &layout()).unwrap();
        let report = plan.report();
        if report.reason != "measured" {
            return stele_testkit::skip::skip("io_uring and direct I/O");
        }
        assert_eq!(report.trials.len(), FlushMethod::ALL.len());
        assert!(report.trials.iter().any(|trial| trial.method == report.method));
        assert!(plan.describe().contains("p90"), "{}", plan.describe());
    }

    #[test]
    fn the_plain_engine_has_no_choice_and_no_trial() {
        let plain = JournalConfig { engine: "plain".into(), ..JournalConfig::default() };
        let plan = FlushPlan::make(&plain, Path::new("/nowhere"), &layout()).unwrap();
        assert!(plan.report().trials.is_empty());
    }
}
