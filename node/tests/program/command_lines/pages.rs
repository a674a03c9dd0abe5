//! The command lines of the pages.

use std::fs;
use std::path::{Path, PathBuf};

/// The lines under one heading of a page.
pub(super) struct Section {
    /// The page, from the root of the repository.
    pub(super) page: String,
    /// Each without its comment.
    pub(super) lines: Vec<String>,
}

/// The repository.
pub(super) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate is in the workspace")
}

/// Sections with command lines, of every page.
pub(super) fn sections() -> Vec<Section> {
    let mut pages: Vec<PathBuf> =
        ["README.md", "CONTRIBUTING.md", "journal/FORMAT.md"].map(PathBuf::from).into();
    pages.retain(|page| root().join(page).exists());
    below(Path::new("docs"), &mut pages);
    pages.sort();
    pages.iter().flat_map(|page| sections_of(page)).collect()
}

fn below(folder: &Path, pages: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(root().join(folder)).unwrap() {
        let path = folder.join(entry.unwrap().file_name());
        if root().join(&path).is_dir() {
            below(&path, pages);
        } else if path.extension().is_some_and(|extension| extension == "md") {
            pages.push(path);
        }
    }
}

fn sections_of(page: &Path) -> Vec<Section> {
    let text = fs::read_to_string(root().join(page)).unwrap();
    let page = page.display().to_string();
    let new = || Section { page: page.clone(), lines: Vec::new() };
    let mut sections = vec![new()];
    // The language of the block that the line is in.
    let mut block: Option<&str> = None;
    let mut broken = String::new();
    for line in text.lines() {
        if let Some(language) = line.trim_start().strip_prefix("```") {
            block = if block.is_some() { None } else { Some(language.trim()) };
            continue;
        }
        match block {
            None if line.starts_with('#') => sections.push(new()),
            // Without a language it may be output as well, whose lines do not begin with a command.
            Some("sh" | "bash" | "console" | "") => {
                let line = without_comment(line);
                if let Some(first) = line.strip_suffix('\\') {
                    broken += first;
                    continue;
                }
                let whole = format!("{broken}{line}");
                broken.clear();
                if whole.starts_with("stele ") || whole.starts_with("cargo run") {
                    let last = sections.last_mut().expect("there is one at the beginning");
                    last.lines.push(whole);
                }
            }
            _ => {}
        }
    }
    sections.retain(|section| !section.lines.is_empty());
    sections
}

/// The line up to a `#` that follows a blank, outside of quotes.
fn without_comment(line: &str) -> &str {
    let (mut quote, mut before) = (None, ' ');
    for (at, letter) in line.char_indices() {
        match quote {
            Some(open) if letter == open => quote = None,
            None if ['"', '\''].contains(&letter) => quote = Some(letter),
            None if letter == '#' && before == ' ' => return line[..at].trim_end(),
            _ => {}
        }
        before = letter;
    }
    line.trim_end()
}

#[test]
fn a_comment_begins_after_a_blank_and_outside_of_quotes() {
    assert_eq!(without_comment("stele verify trail   # every frame"), "stele verify trail");
    assert_eq!(
        without_comment("stele dump t --reason \"case #17 # x\" #"),
        "stele dump t --reason \"case #17 # x\""
    );
    assert_eq!(without_comment("stele dump t#1"), "stele dump t#1");
}
