//! The laws of the house: who imports whom, lists, first lines, sizes, one DataFusion.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Rooms from left to right, and what stands left of them all. A room may use what stands before it, and itself.
const ORDER: [&str; 13] = [
    "error", "table", "config", "intake", "logs", "lake", "engine", "findings", "detect", "outputs", "pipeline",
    "commands", "main",
];

/// Pairs that stand in order but must not know each other.
const STRANGERS: [(&str, &str); 5] =
    [("logs", "intake"), ("engine", "logs"), ("engine", "intake"), ("outputs", "engine"), ("detect", "intake")];

/// Longest file, without its tests.
const LONGEST_FILE: usize = 450;
/// Longest first line.
const LONGEST_PURPOSE: usize = 120;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn sources() -> BTreeMap<PathBuf, String> {
    let mut found = BTreeMap::new();
    collect(&root().join("src"), &mut found);
    found
}

fn collect(folder: &Path, found: &mut BTreeMap<PathBuf, String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            let text = std::fs::read_to_string(&path).unwrap();
            found.insert(path.strip_prefix(root().join("src")).unwrap().to_owned(), text);
        }
    }
}

/// The room that a file belongs to.
fn room(path: &Path) -> String {
    let first = path.components().next().unwrap().as_os_str().to_string_lossy().into_owned();
    first.trim_end_matches(".rs").to_owned()
}

fn place(room: &str) -> Option<usize> {
    ORDER.iter().position(|known| *known == room)
}

/// The part of a file before its tests.
fn without_tests(text: &str) -> &str {
    let starts = ["#[cfg(test)]", "#[cfg(all(test,"].into_iter().filter_map(|mark| text.find(mark));
    starts.min().map_or(text, |end| &text[..end])
}

#[test]
fn data_walks_one_way() {
    for (path, text) in sources() {
        let here = room(&path);
        if here == "lib" {
            continue;
        }
        let own = place(&here).unwrap_or_else(|| panic!("{}: room {here} is not in ORDER", path.display()));
        for (number, line) in without_tests(&text).lines().enumerate() {
            let code = line.split("//").next().unwrap_or_default();
            for used in code.split("crate::").skip(1) {
                let used: String = used.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
                let Some(other) = place(&used) else { continue };
                let at = format!("{}:{}", path.display(), number + 1);
                assert!(other <= own, "{at}: {here} uses {used}, which stands to its right");
                assert!(!STRANGERS.contains(&(here.as_str(), used.as_str())), "{at}: {here} must not know {used}");
            }
        }
    }
}

#[test]
fn walls_against_libraries_hold() {
    let allowed: [(&str, &[&str]); 4] = [
        ("clap", &["commands", "config", "main", "outputs"]),
        ("deltalake_core", &["lake"]),
        ("aws_sdk_s3", &["intake"]),
        ("SessionStateBuilder", &["engine"]),
    ];
    for (path, text) in sources() {
        let here = room(&path);
        for (library, rooms) in allowed {
            let code: Vec<&str> = without_tests(&text).lines().filter(|l| !l.trim_start().starts_with("//")).collect();
            let used = code
                .iter()
                .any(|line| line.contains(&format!("{library}::")) || line.contains(&format!("use {library}")));
            assert!(!used || rooms.contains(&here.as_str()), "{}: {library} belongs to {rooms:?}", path.display());
        }
    }
}

#[test]
fn every_file_says_its_purpose_first_and_stays_small() {
    let mut wrong = Vec::new();
    for (path, text) in sources() {
        let first = text.lines().next().unwrap_or_default();
        if !first.starts_with("//! ") || first.chars().count() > LONGEST_PURPOSE {
            wrong.push(format!("{}: the first line is not a short purpose", path.display()));
        }
        let lines = without_tests(&text).lines().count();
        if lines > LONGEST_FILE {
            wrong.push(format!("{}: {lines} lines", path.display()));
        }
        let name = path.file_stem().unwrap().to_string_lossy();
        if ["util", "utils", "common", "helpers", "misc", "prelude"].contains(&name.as_ref()) {
            wrong.push(format!("{}: a drawer", path.display()));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_file_of_a_kind_is_on_its_list() {
    for (path, text) in sources() {
        if path.file_name().is_some_and(|name| name == "mod.rs" || name == "main.rs" || name == "lib.rs") {
            continue;
        }
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let parent = path.parent().unwrap();
        let lists = [
            root().join("src").join(parent).join("mod.rs"),
            root().join("src").join(parent).with_extension("rs"),
            root().join("src/lib.rs"),
        ];
        let listed = lists
            .iter()
            .filter_map(|list| std::fs::read_to_string(list).ok())
            .any(|list| list.lines().any(|line| line.trim_end_matches(';').ends_with(&format!("mod {name}"))));
        assert!(listed, "{} is compiled by nobody ({} bytes)", path.display(), text.len());
    }
}

#[test]
fn nothing_reachable_from_input_panics() {
    let mut wrong = Vec::new();
    for (path, text) in sources() {
        for (number, line) in without_tests(&text).lines().enumerate() {
            let (code, reason) = line.split_once("//").unwrap_or((line, ""));
            if reason.contains("compile time") {
                continue;
            }
            for word in [".unwrap()", ".expect(", "panic!(", "todo!(", "unimplemented!("] {
                if code.contains(word) {
                    wrong.push(format!("{}:{}: {word}", path.display(), number + 1));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn there_is_one_datafusion_one_arrow_and_one_object_store() {
    let lock = std::fs::read_to_string(root().join("Cargo.lock")).unwrap();
    for name in ["datafusion", "arrow", "parquet", "object_store"] {
        let count = lock.lines().filter(|line| *line == format!("name = \"{name}\"")).count();
        assert_eq!(count, 1, "{count} versions of {name} in Cargo.lock");
    }
}

#[test]
fn nothing_names_a_machine() {
    let mut wrong = Vec::new();
    let places = ["/home/", "/root/", "/work/", "artifactory", "localhost:8"];
    for folder in ["src", "detections", "queries", "docs", ".ci", "benches"] {
        walk(&root().join(folder), &mut |path, text| {
            for place in places {
                if text.contains(place) {
                    wrong.push(format!("{}: {place}", path.display()));
                }
            }
        });
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

fn walk(folder: &Path, look: &mut dyn FnMut(&Path, &str)) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries {
        let path = entry.unwrap().path();
        if path.is_dir() {
            walk(&path, look);
        } else if let Ok(text) = std::fs::read_to_string(&path) {
            look(&path, &text);
        }
    }
}
