//! `stele new-strategy`: a crate with a strategy of its own, its tests and its program, to start from.
//!
//! What is written are the files of `examples/own-strategy`, which are built and tested as they are, with
//! another name.

mod name;
mod templates;

use crate::cli::NewStrategyArgs;
use crate::failure::Failure;
use crate::own_name::program_name;
use crate::report::quoted;
use serde::Serialize;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use stele_strategies::Registry;
use templates::{EXAMPLE_NAMES, TEMPLATES, Template};

/// The example's dependency on Stele.
const EXAMPLE_DEPENDENCY: &str = r#"stele = { path = "../../stele" }"#;

/// Where the sources are that this program was built from.
const BUILT_FROM: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// What a crate depends on Stele by.
#[derive(Debug)]
enum Dependency {
    /// The crate `stele`, in a directory.
    Path(PathBuf),
    /// This version, wherever it is found: the person completes it.
    Version,
}

#[derive(Serialize)]
struct Outcome {
    name: String,
    directory: String,
    files: Vec<&'static str>,
    /// The line of Cargo.toml that names Stele.
    dependency: String,
    /// What is left to do before the crate builds.
    #[serde(skip_serializing_if = "Option::is_none")]
    notice: Option<String>,
}

/// Writes the crate and says what to do with it.
///
/// # Errors
/// [`Failure`]: usage when the name is not one for a crate or is taken, the directory is not empty, or
/// `--stele` does not lead to Stele; environment when a file cannot be written.
pub(crate) fn new_strategy(args: &NewStrategyArgs, strategies: &Registry) -> Result<(), Failure> {
    name::check(&args.name, strategies)?;
    check_directory(&args.dir)?;
    let dependency = Dependency::find(args.stele.as_deref())?;
    for template in TEMPLATES {
        let (path, text) = (args.dir.join(template.path), template.text_of(&args.name, &dependency));
        write(&path, &text)
            .map_err(|error| Failure::environment(format!("cannot write {}: {error}", path.display())))?;
    }
    let outcome = Outcome {
        name: args.name.clone(),
        directory: args.dir.display().to_string(),
        files: TEMPLATES.iter().map(|template| template.path).collect(),
        dependency: dependency.line(),
        notice: dependency.notice(),
    };
    if args.output.json { super::print_json(&outcome) } else { super::print_page(&outcome.page()) }
}

/// Nothing is overwritten.
fn check_directory(directory: &Path) -> Result<(), Failure> {
    let refused = |what: &str| {
        Err(Failure::usage(format!("{} {what}", directory.display()))
            .help("name a new or an empty directory"))
    };
    match fs::read_dir(directory).map(|mut entries| entries.next().is_none()) {
        Ok(true) => Ok(()),
        Ok(false) => refused("is not empty"),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => refused("is not a directory"),
        Err(error) => Err(Failure::environment(format!("cannot read {}: {error}", directory.display()))),
    }
}

fn write(path: &Path, text: &str) -> io::Result<()> {
    path.parent().map_or(Ok(()), fs::create_dir_all)?;
    fs::write(path, text)
}

impl Template {
    /// The file in a crate of that name.
    fn text_of(&self, name: &str, dependency: &Dependency) -> String {
        let [example, strategy] = EXAMPLE_NAMES;
        // In one pass over each, so that a name which has one of the example's in it is not replaced again.
        let text = self.text.replace(example, strategy).replace(strategy, name);
        text.replace(EXAMPLE_DEPENDENCY, &dependency.line())
    }
}

impl Dependency {
    /// Stele in the sources that were named, or in those that this program was built from, where they still
    /// are.
    fn find(named: Option<&Path>) -> Result<Self, Failure> {
        match named {
            Some(sources) => crate_in(sources).map(Self::Path).ok_or_else(|| {
                Failure::usage(format!("{} does not hold the sources of Stele", sources.display()))
                    .help("give --stele the directory with Stele's README.md, which has the crate in stele/")
            }),
            None => Ok(crate_in(Path::new(BUILT_FROM)).map_or(Self::Version, Self::Path)),
        }
    }

    fn line(&self) -> String {
        match self {
            Self::Path(path) => {
                format!("stele = {{ path = {} }}", toml::Value::String(path.display().to_string()))
            }
            Self::Version => concat!("stele = \"", env!("CARGO_PKG_VERSION"), "\"").into(),
        }
    }

    fn notice(&self) -> Option<String> {
        let missing = "the sources that this program was built from are not on this machine: in Cargo.toml, name \
                       those of Stele by `path` or `git`, or write the crate again with --stele PATH";
        matches!(self, Self::Version).then(|| missing.into())
    }
}

/// The crate `stele` in the sources of Stele.
fn crate_in(sources: &Path) -> Option<PathBuf> {
    let folder = sources.join("stele").canonicalize().ok()?;
    let manifest: toml::Table = fs::read_to_string(folder.join("Cargo.toml")).ok()?.parse().ok()?;
    (manifest.get("package")?.get("name")?.as_str()? == "stele").then_some(folder)
}

impl Outcome {
    fn page(&self) -> String {
        let Self { name, directory, files, dependency, notice } = self;
        let mut page = format!("{name}: a crate in {directory}, with {dependency}\n");
        files.iter().for_each(|file| page += &format!("  {file}\n"));
        if let Some(notice) = notice {
            page += &format!("{notice}\n");
        }
        let run = "cargo run --release -- run --feed generator --pace real-time --seconds 10";
        page += &format!(
            "try next\n  cd {}\n  cargo test    # the strategy alone, then the program\n  {run} --strategy {name} --dir trail\n\
             the strategy is src/strategy.rs; its program knows every command of {}\n",
            quoted(directory),
            program_name()
        );
        page
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crate_has_its_own_name_and_the_way_to_stele_in_place_of_the_examples() {
        let dependency = Dependency::Path("/a \"b\"/stele".into());
        for template in TEMPLATES {
            let text = template.text_of("my-alpha", &dependency);
            for known in EXAMPLE_NAMES {
                assert!(!text.contains(known), "{}: {text}", template.path);
            }
            assert!(text.len() > 10, "{}", template.path);
        }
        let text = |path| {
            let template = TEMPLATES.iter().find(|template| template.path == path).unwrap();
            template.text_of("my-alpha", &dependency)
        };
        let manifest: toml::Table = text("Cargo.toml").parse().unwrap();
        assert_eq!(manifest["package"]["name"].as_str(), Some("my-alpha"));
        assert_eq!(manifest["dependencies"]["stele"]["path"].as_str(), Some("/a \"b\"/stele"));
        assert!(text("src/strategy.rs").contains("name: \"my-alpha\""));
    }

    #[test]
    fn every_file_of_the_example_is_a_template() {
        let example = Path::new(BUILT_FROM).join("examples/own-strategy");
        let mut folders = vec![example.clone()];
        let mut found = Vec::new();
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(&folder).unwrap() {
                let path = entry.unwrap().path();
                let name = path.strip_prefix(&example).unwrap().to_str().unwrap().to_owned();
                match path.is_dir() {
                    _ if name == "target" || name == "trail" => {}
                    true => folders.push(path),
                    false => found.push(name),
                }
            }
        }
        let mut templates: Vec<_> = TEMPLATES.iter().map(|template| template.path.to_owned()).collect();
        found.sort();
        templates.sort();
        assert_eq!(templates, found);
    }

    #[test]
    fn without_stele_on_the_machine_the_version_is_named_and_the_notice_says_what_to_do() {
        let dependency = Dependency::Version;
        assert_eq!(dependency.line(), format!("stele = \"{}\"", env!("CARGO_PKG_VERSION")));
        assert!(dependency.notice().unwrap().contains("--stele PATH"));
        assert!(crate_in(Path::new("/")).is_none());
        assert!(Dependency::Path("/x".into()).notice().is_none());
    }
}
