//! Writes the project's codecs anew: `cargo run -p stele-codegen -- wire/schema/stele.xml wire/src/messages`.
#![forbid(unsafe_code)]

use std::path::Path;
use std::process::ExitCode;
use stele_codegen::{FAMILIES, Options, generate, parse};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [schema, folder] = &arguments[..] else {
        eprintln!("usage: stele-codegen SCHEMA FOLDER");
        return ExitCode::from(2);
    };
    match write(Path::new(schema), Path::new(folder)) {
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

fn write(schema: &Path, folder: &Path) -> Result<usize, Box<dyn std::error::Error>> {
    let text = std::fs::read_to_string(schema)?;
    let beside = schema.parent().unwrap_or(Path::new("."));
    let parsed = parse(&text, |href| std::fs::read_to_string(beside.join(href)).ok())?;
    let sources = generate(&parsed, Options { runtime: "crate", families: FAMILIES })?;
    for (name, source) in &sources {
        let path = folder.join(name);
        std::fs::create_dir_all(path.parent().unwrap_or(folder))?;
        std::fs::write(path, source)?;
    }
    Ok(sources.len())
}
