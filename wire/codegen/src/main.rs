//! Generates Rust from an SBE schema: `stele-codegen [--foreign] SCHEMA FOLDER`.
//!
//! The project's codecs: `cargo run -p stele-codegen -- wire/schema/stele.xml wire/src/messages`. With
//! `--foreign` before the schema, it generates code for use outside `stele-wire`, without the schema's
//! descriptions.
#![forbid(unsafe_code)]

use std::path::Path;
use std::process::ExitCode;
use stele_codegen::{CodegenOptions, generate, parse};

fn main() -> ExitCode {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    let is_foreign = arguments.first().is_some_and(|first| first == "--foreign");
    arguments.drain(..usize::from(is_foreign));
    let [schema, folder] = &arguments[..] else {
        eprintln!("usage: stele-codegen [--foreign] SCHEMA FOLDER");
        return ExitCode::from(2);
    };
    match write(Path::new(schema), Path::new(folder), is_foreign) {
        Ok(files) => {
            println!("{files} files written to {folder}");
            ExitCode::SUCCESS
        }
        Err(why) => {
            eprintln!("stele-codegen: {schema}: {why}; nothing was generated");
            ExitCode::FAILURE
        }
    }
}

fn write(schema: &Path, folder: &Path, is_foreign: bool) -> Result<usize, Box<dyn std::error::Error>> {
    let text = std::fs::read_to_string(schema)?;
    let beside = schema.parent().unwrap_or(Path::new("."));
    let parsed = parse(&text, |href| std::fs::read_to_string(beside.join(href)).ok())?;
    let sources = if is_foreign {
        generate(&parsed.without_descriptions(), CodegenOptions::FOREIGN)?
    } else {
        generate(&parsed, CodegenOptions::OWN)?
    };
    for (name, source) in &sources {
        let path = folder.join(name);
        std::fs::create_dir_all(path.parent().unwrap_or(folder))?;
        std::fs::write(path, source)?;
    }
    Ok(sources.len())
}
