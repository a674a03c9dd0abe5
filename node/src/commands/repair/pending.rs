//! The plan of a repair, stored before the repair begins so that an interrupted one can be completed.

use crate::cli::RepairArgs;
use crate::failure::Failure;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fs;
use std::io;
use stele_journal::repair::{Diagnosis, RepairPlan, RepairStep};
use stele_journal::{CUT_FOLDER, Directory, Storage as _, TrailReader};
use stele_wire::messages::RecoveryReport;

/// The file name of the plan, in the folder `cut` of the trail.
const FILE: &str = "repair.toml";

/// Everything needed to complete a repair and to record it on the trail.
#[derive(Serialize, Deserialize, Clone, PartialEq, Debug)]
pub(super) struct PendingRepair {
    pub(super) command: String,
    pub(super) reason: String,
    pub(super) person: u32,
    /// The position at which the log ends after a cut.
    pub(super) end: Option<u64>,
    /// The epoch that records the repair has a number greater than this.
    pub(super) later_than: u32,
    pub(super) restored: Vec<u64>,
    pub(super) set_aside: Vec<SetAsideFile>,
    steps: Vec<StoredStep>,
}

/// Bytes of a segment that the repair sets aside.
#[derive(Serialize, Deserialize, Clone, PartialEq, Debug)]
pub(super) struct SetAsideFile {
    pub(super) segment: u64,
    pub(super) offset: u64,
    pub(super) bytes: u64,
    pub(super) events: Option<u64>,
    pub(super) sha256: String,
    pub(super) kept: String,
}

#[derive(Serialize, Deserialize, Clone, PartialEq, Debug)]
#[serde(rename_all = "kebab-case", tag = "step")]
enum StoredStep {
    SetAside { from: String, to: String },
    CutOff { file: String, offset: u64, to: String },
    Place { from: String, to: String },
}

impl PendingRepair {
    pub(super) fn new(args: &RepairArgs, diagnosis: &Diagnosis, plan: &RepairPlan) -> Self {
        let trail = args.act.trail.display();
        let command = match &args.restore {
            Some(copies) => format!("stele repair {trail} --restore {}", copies.display()),
            None => format!("stele repair {trail} --cut"),
        };
        let steps = plan.steps.iter().cloned().map(|step| match step {
            RepairStep::SetAside { from, to } => StoredStep::SetAside { from, to },
            RepairStep::CutOff { file, offset, to } => StoredStep::CutOff { file, offset, to },
            RepairStep::Place { from, to } => StoredStep::Place { from, to },
        });
        let set_aside = plan.aside.iter().map(|aside| SetAsideFile {
            segment: aside.segment,
            offset: aside.offset,
            bytes: aside.bytes,
            events: aside.events,
            sha256: hex(&aside.sha256),
            kept: aside.kept.clone(),
        });
        Self {
            command,
            reason: args.reason.clone().unwrap_or_default(),
            person: args.by.unwrap_or_default(),
            end: plan.end.map(|end| end.0),
            later_than: if plan.restored.is_empty() { diagnosis.epoch.0 } else { 0 },
            restored: plan.restored.clone(),
            set_aside: set_aside.collect(),
            steps: steps.collect(),
        }
    }

    /// Loads the plan of an interrupted repair, if there is one.
    pub(super) fn load(directory: &Directory) -> Result<Option<Self>, Failure> {
        let path = directory.root().join(CUT_FOLDER).join(FILE);
        let text = match fs::read_to_string(&path) {
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                return Ok(None);
            }
            text => text
                .map_err(|error| Failure::environment(format!("cannot read {}: {error}", path.display())))?,
        };
        toml::from_str(&text)
            .map(Some)
            .map_err(|error| Failure::environment(format!("{}: {error}", path.display())))
    }

    pub(super) fn store(&self, directory: &Directory) -> Result<(), Failure> {
        let failed =
            |error: String| Failure::environment(format!("cannot write the plan of the repair: {error}"));
        let text = toml::to_string(self).map_err(|error| failed(error.to_string()))?;
        directory
            .keep(&format!("{CUT_FOLDER}/{FILE}"), &mut text.as_bytes())
            .map_err(|error| failed(error.to_string()))
    }

    /// Removes the plan, once the repair is performed and recorded.
    pub(super) fn remove(directory: &Directory) -> Result<(), Failure> {
        let name = format!("{CUT_FOLDER}/{FILE}");
        directory
            .remove(&name)
            .map_err(|error| Failure::environment(format!("cannot remove {name}: {error}")))
    }

    pub(super) fn steps(&self) -> Vec<RepairStep> {
        let steps = self.steps.iter().cloned().map(|step| match step {
            StoredStep::SetAside { from, to } => RepairStep::SetAside { from, to },
            StoredStep::CutOff { file, offset, to } => RepairStep::CutOff { file, offset, to },
            StoredStep::Place { from, to } => RepairStep::Place { from, to },
        });
        steps.collect()
    }

    /// Returns whether bytes of this restored segment are set aside.
    pub(super) fn keeps(&self, segment: u64) -> bool {
        self.set_aside.iter().any(|aside| aside.segment == segment)
    }

    /// Returns the set-aside files that the trail already records, if the repair was interrupted after its
    /// events.
    pub(super) fn recorded(&self, directory: &Directory, now: u32) -> Result<BTreeSet<String>, Failure> {
        let mut recorded = BTreeSet::new();
        let mut reader = TrailReader::open(directory.root()).map_err(Failure::environment)?;
        let segments = reader.segments();
        let recent = segments.get(segments.len().wrapping_sub(2));
        let Some(recent) = recent.filter(|recent| recent.header.identity.epoch.0 < now) else {
            return Ok(recorded);
        };
        reader.seek(recent.header.base_sequence).map_err(Failure::environment)?;
        while let Some(entry) = reader.read_next().map_err(Failure::environment)? {
            if let Some(report) = entry.frame.message::<RecoveryReport>()
                && entry.frame.template_id() == RecoveryReport::TEMPLATE_ID
            {
                recorded.insert(String::from_utf8_lossy(report.set_aside()).into_owned());
            }
        }
        Ok(recorded)
    }
}

impl SetAsideFile {
    pub(super) fn hash(&self) -> Result<[u8; 32], Failure> {
        let bytes: Vec<u8> = (0..self.sha256.len() / 2)
            .filter_map(|at| u8::from_str_radix(self.sha256.get(2 * at..2 * at + 2)?, 16).ok())
            .collect();
        bytes.try_into().map_err(|_| Failure::environment(format!("`{}` is not a SHA-256 hash", self.sha256)))
    }
}

/// Formats bytes in hexadecimal.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
