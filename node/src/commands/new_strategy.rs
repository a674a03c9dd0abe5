//! `stele new-strategy`: creates a crate with a strategy, its tests and its program, to start from.
//!
//! The files are those of `examples/own-strategy`, which is itself built and tested, under a new name.

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

/// The line of the example's Cargo.toml that depends on Stele.
const EXAMPLE_DEPENDENCY: &str = r#"stele = { path = "../../stele" }"#;

/// The checkout that this program was built from.
const BUILT_FROM: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// How the crate depends on Stele.
#[derive(Debug)]
enum Dependency {
    /// On the crate `stele` in this directory.
    Path(PathBuf),
    /// On this version of Stele; the user has to complete the source.
    Version,
}

#[derive(Serialize)]
struct Outcome {
    name: String,
    directory: String,
    files: Vec<&'static str>,
    /// The line of Cargo.toml that depends on Stele.
    dependency: String,
    /// What the user has to do before the crate builds.
    #[serde(skip_serializing_if = "Option::is_none")]
    notice: Option<String>,
}

/// Writes the crate and prints the next steps.
///
/// # Errors
/// [`Failure`]: usage if the name is invalid or taken, the directory is not empty, or `--stele` is not a
/// checkout of Stele; environment if a file cannot be written.
pub(crate) fn new_strategy(args: &NewStrategyArgs, strategies: &Registry) -> Result<(), Failure> {
    name::check(&args.name, strategies)?;
    check_directory(&args.dir)?;
    let dependency = Dependency::find(args.stele.as_deref())?;
    let existed = args.dir.exists();
    if let Err(failure) = write_all(args, &dependency) {
        remove_written(&args.dir, existed);
        return Err(failure);
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

/// Checks that the directory is new or empty, so that nothing is overwritten.
fn check_directory(directory: &Path) -> Result<(), Failure> {
    let refused = |what: &str| {
        Err(Failure::usage(format!("{} {what}", directory.display())).help("choose a new or empty directory"))
    };
    match fs::read_dir(directory).map(|mut entries| entries.next().is_none()) {
        Ok(true) => Ok(()),
        Ok(false) => refused("is not empty"),
        Err(error) if error.kind() == io::ErrorKind::NotFound => match directory.is_symlink() {
            true => refused("is a symbolic link to a directory that does not exist"),
            false => Ok(()),
        },
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => refused("is not a directory"),
        Err(error) => Err(Failure::environment(format!("cannot read {}: {error}", directory.display()))),
    }
}

fn write_all(args: &NewStrategyArgs, dependency: &Dependency) -> Result<(), Failure> {
    TEMPLATES.iter().try_for_each(|template| {
        let (path, text) = (args.dir.join(template.path), template.text_of(&args.name, dependency));
        write(&path, &text)
            .map_err(|error| Failure::environment(format!("cannot write {}: {error}", path.display())))
    })
}

/// Removes the files that were written, the folders that are then empty, and the crate's directory if it did
/// not exist before. What cannot be removed stays: the error that is reported is that of the writing.
fn remove_written(directory: &Path, existed: bool) {
    for template in TEMPLATES {
        let path = directory.join(template.path);
        let _ = fs::remove_file(&path);
        for folder in path.ancestors().skip(1).take_while(|folder| *folder != directory) {
            let _ = fs::remove_dir(folder);
        }
    }
    if !existed {
        let _ = fs::remove_dir(directory);
    }
}

fn write(path: &Path, text: &str) -> io::Result<()> {
    path.parent().map_or(Ok(()), fs::create_dir_all)?;
    fs::write(path, text)
}

impl Template {
    /// Returns the text of the file for a crate with this name.
    fn text_of(&self, name: &str, dependency: &Dependency) -> String {
        let [example, strategy] = EXAMPLE_NAMES;
        // Each name is replaced in one pass, so that a new name containing one of the example's stays intact.
        let text = self.text.replace(example, strategy).replace(strategy, name);
        text.replace(EXAMPLE_DEPENDENCY, &dependency.line())
    }
}

impl Dependency {
    /// Returns the crate in the given checkout, or in the one that this program was built from if it still
    /// exists.
    fn find(named: Option<&Path>) -> Result<Self, Failure> {
        match named {
            Some(sources) => crate_in(sources).map(Self::Path).ok_or_else(|| {
                Failure::usage(format!("{} is not a checkout of Stele", sources.display()))
                    .help("give --stele the root of the checkout, or the folder stele/ in it")
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
        let missing = "the checkout that this program was built from is not on this machine: complete the dependency in \
                       Cargo.toml with a `path` or `git` key, or create the crate again with --stele PATH";
        matches!(self, Self::Version).then(|| missing.into())
    }
}

/// Returns the directory of the crate `stele`, for the root of a checkout of Stele or that directory itself.
fn crate_in(sources: &Path) -> Option<PathBuf> {
    [sources.join("stele"), sources.into()].into_iter().find_map(|folder| checked_crate(&folder))
}

/// Returns the absolute path of this directory if it is the crate `stele`.
fn checked_crate(folder: &Path) -> Option<PathBuf> {
    let folder = folder.canonicalize().ok()?;
    let manifest: toml::Table = fs::read_to_string(folder.join("Cargo.toml")).ok()?.parse().ok()?;
    (manifest.get("package")?.get("name")?.as_str()? == "stele").then_some(folder)
}

impl Outcome {
    fn page(&self) -> String {
        let Self { name, directory, files, dependency, notice } = self;
        let mut page = format!("created `{name}` in {directory}, which depends on {dependency}\n");
        files.iter().for_each(|file| page += &format!("  {file}\n"));
        if let Some(notice) = notice {
            page += &format!("{notice}\n");
        }
        let run = "cargo run --release -- run --feed generator --pace real-time --seconds 10";
        page += &format!(
            "try next\n  cd {}\n  cargo test    # tests the strategy, then the program\n  {run} --strategy {name} --dir trail\n\
             edit the strategy in src/strategy.rs; the program has every command of {}\n",
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
    fn a_crate_gets_its_own_name_and_its_own_path_to_stele() {
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
    fn without_a_checkout_the_crate_depends_on_the_version_and_a_notice_explains_what_to_do() {
        let dependency = Dependency::Version;
        assert_eq!(dependency.line(), format!("stele = \"{}\"", env!("CARGO_PKG_VERSION")));
        assert!(dependency.notice().unwrap().contains("--stele PATH"));
        assert!(crate_in(Path::new("/")).is_none());
        assert!(Dependency::Path("/x".into()).notice().is_none());
    }
}
