//! Modules use only what lies below them: the order of `src/lib.rs`, read from the imports.

use std::fs;
use std::path::{Path, PathBuf};

/// From the bottom to the top.
const ORDER: [&str; 18] = [
    "remedy",
    "host",
    "numerics",
    "stats",
    "model",
    "data",
    "theory",
    "backend",
    "sampler",
    "config",
    "observables",
    "compare",
    "results",
    "session",
    "studies",
    "report",
    "store",
    "cli",
];

/// Every Rust file below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

/// The lines of a text that name a module above `module`, each with its number. Tests may look
/// wherever they like.
fn climbs(module: &str, text: &str) -> Vec<String> {
    let rank = |name: &str| ORDER.iter().position(|other| *other == name);
    let own = rank(module).unwrap_or_else(|| panic!("{module} has no place in the order"));
    let mut found = Vec::new();
    let mut lines = text.lines().enumerate();
    while let Some((number, line)) = lines.next() {
        if line.trim() == "#[cfg(test)]" {
            // One declaration, or a block up to the bracket that closes it.
            let end = format!("{}}}", &line[..line.len() - line.trim_start().len()]);
            let declaration = lines.next().is_some_and(|(_, item)| item.ends_with(';') || item.ends_with('}'));
            if !declaration {
                lines.by_ref().find(|(_, line)| *line == end);
            }
            continue;
        }
        if line.trim_start().starts_with("//") {
            continue;
        }
        for path in line.split("crate::").skip(1) {
            let name: String = path.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
            if rank(&name).is_some_and(|other| other > own) {
                found.push(format!("{}: {}", number + 1, line.trim()));
            }
        }
    }
    found
}

#[test]
fn modules_use_only_what_lies_below_them() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    let mut seen = 0;
    for path in files(&src).into_iter().filter(|path| path.extension().is_some_and(|e| e == "rs")) {
        let place = path.strip_prefix(&src).unwrap();
        let module = place.iter().next().unwrap().to_str().unwrap().trim_end_matches(".rs");
        // The crate's root names all modules, and files of tests may use any.
        if ["lib", "main"].contains(&module) || path.file_stem().is_some_and(|stem| stem == "tests") {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        found.extend(climbs(module, &text).into_iter().map(|line| format!("src/{}:{line}", place.display())));
        seen += 1;
    }
    assert!(seen > 150, "{seen} files");
    assert!(found.is_empty(), "{} lines use what lies above them:\n{}", found.len(), found.join("\n"));
}

/// The control: an import that climbs is named with its line, one that goes down or stands among
/// tests is not.
#[test]
fn an_import_that_climbs_is_named() {
    let text = "#[cfg(test)]\nmod tests;\nuse crate::numerics::noise;\n// crate::cli\nuse crate::cli::main;\n\
                #[cfg(test)]\nmod more {\n    use crate::cli;\n}\nfn f() -> crate::report::Page {}\n";
    assert_eq!(climbs("theory", text), ["5: use crate::cli::main;", "10: fn f() -> crate::report::Page {}"]);
    assert_eq!(climbs("store", text), ["5: use crate::cli::main;"]);
}

#[test]
fn the_root_lists_the_modules_in_their_order() {
    let root = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/lib.rs")).unwrap();
    let rows = root.lines().filter_map(|line| line.strip_prefix("//! | [`")?.split('`').next());
    assert_eq!(rows.collect::<Vec<_>>(), ORDER);
}
