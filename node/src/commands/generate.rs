//! `stele generate`: writes generated order flow to a market-data file.

use crate::cli::GenerateArgs;
use crate::failure::Failure;
use crate::own_name::program_name;
use crate::readable::grouped;
use stele_connect::generate::{FileFormat, GenerateError, generate};
use stele_connect::generator;

/// Writes the file and prints what it contains.
pub(crate) fn generate_file(args: &GenerateArgs) -> Result<(), Failure> {
    let flow = generator::GeneratorConfig {
        seed: args.seed,
        events: Some(args.events),
        ..generator::GeneratorConfig::default()
    };
    let written = generate(&flow, args.format, &args.file).map_err(|error| match error {
        GenerateError::Config(_) | GenerateError::Endless | GenerateError::DoesNotFit { .. } => {
            Failure::usage(error)
        }
        GenerateError::Exists(_) | GenerateError::Io { .. } | GenerateError::Encoder(_) => {
            Failure::environment(error)
        }
    })?;
    let kind = match args.format {
        FileFormat::Itch => "itch",
        FileFormat::Dbn => "dbn",
    };
    let (records, messages) = (grouped(written.records), grouped(written.flow_messages));
    let (file, program) = (args.file.display(), program_name());
    super::print_page(&format!(
        "wrote {records} records from {messages} generated messages to {file}\n\
         try next\n  {program} run --feed {kind}:{file} --strategy ma-cross --dir trail\n"
    ))
}
