//! Comments and Markdown are wrapped at 100 columns: rustfmt does not wrap them.

use std::fs;
use std::path::{Path, PathBuf};

/// Columns of a comment with its indentation, and of a line of Markdown.
const COLUMNS: usize = 100;

/// Files whose text is written by hand.
const ROOTS: [&str; 9] =
    ["src", "shaders", "tests", "benches", "examples", "fuzz", "docs", "README.md", "CHANGELOG.md"];

fn files(path: &Path, found: &mut Vec<PathBuf>) {
    if path.is_dir() {
        let entries = fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path());
        entries.filter(|entry| !entry.ends_with("target")).for_each(|entry| files(&entry, found));
    } else if path.extension().is_some_and(|extension| ["rs", "wgsl", "md"].iter().any(|known| extension == *known)) {
        found.push(path.into());
    }
}

/// The numbers of the lines that are too long. Tables, headings, displayed formulas and code, and
/// lines that hold one long word, such as an address or a command in the text, cannot be wrapped.
fn too_long(text: &str, markdown: bool) -> Vec<usize> {
    let mut fenced = false;
    let mut found = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let body = match line.trim_start().strip_prefix("//") {
            _ if markdown => line,
            Some(comment) => comment.trim_start_matches(['/', '!']),
            None => {
                fenced = false;
                continue;
            }
        };
        let prose = body.trim_start();
        if prose.starts_with("```") {
            fenced = !fenced;
        }
        let displayed = fenced || body.len() >= prose.len() + 4;
        let command = prose.starts_with('`') && prose.trim_end_matches([':', ',', '.']).ends_with('`');
        let whole = prose.starts_with(['|', '#']) || command || prose.split_whitespace().count() <= 2;
        let wrappable = !displayed && !whole;
        // Combining marks, as of Q̄, have no column of their own.
        let columns = line.chars().filter(|c| !('\u{300}'..='\u{36f}').contains(c)).count();
        if wrappable && columns > COLUMNS {
            found.push(number + 1);
        }
    }
    found
}

#[test]
fn comments_and_markdown_are_wrapped() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut all = Vec::new();
    ROOTS.iter().map(|name| root.join(name)).filter(|path| path.exists()).for_each(|path| files(&path, &mut all));
    assert!(all.len() > 200, "only {} files are looked at", all.len());
    let mut offending = Vec::new();
    for path in all {
        let text = fs::read_to_string(&path).unwrap();
        let markdown = path.extension().is_some_and(|extension| extension == "md");
        let name = path.strip_prefix(root).unwrap().display().to_string();
        offending.extend(too_long(&text, markdown).into_iter().map(|line| format!("{name}:{line}")));
    }
    assert!(offending.is_empty(), "beyond {COLUMNS} columns:\n{}", offending.join("\n"));
}

#[test]
fn a_long_comment_is_seen_and_what_cannot_be_wrapped_is_left() {
    let long = "word ".repeat(30);
    let code = format!("let x = 1;\n    /// {long}\n//! short\n// | {long} |\n// ```\n// {long}\n// ```\n//{long}\n");
    assert_eq!(too_long(&code, false), [2, 8]);
    assert_eq!(too_long(&format!("{long}\n\n| {long} |\n\n```\n{long}\n```\n"), true), [1]);
    assert_eq!(too_long(&format!("// https://{}\n", "x".repeat(120)), false), [] as [usize; 0]);
    assert_eq!(too_long(&format!("// {}\n", "Q\u{304} ".repeat(40)), false), [] as [usize; 0]);
}
