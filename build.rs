//! Embeds the rules, the saved queries and the base events of rule tests into the binary.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

/// Folder, extension, and the generated file: an expression of type `&[(&str, &str)]`, (path below the folder, text),
/// sorted by path, for `include!(concat!(env!("OUT_DIR"), "/<file>"))`.
const FOLDERS: [(&str, &str, &str); 3] = [
    ("detections", "toml", "detections.rs"),
    ("queries", "sql", "queries.rs"),
    ("sample-data/base", "json", "base.rs"),
];

fn main() -> io::Result<()> {
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default());
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default());
    println!("cargo:rerun-if-changed=build.rs");
    for (folder, extension, generated) in FOLDERS {
        println!("cargo:rerun-if-changed={folder}");
        let top = root.join(folder);
        let mut files = Vec::new();
        collect(&top, extension, &mut files)?;
        files.sort();
        let mut code = String::from("&[\n");
        for file in &files {
            let name = file.strip_prefix(&top).unwrap_or(file).to_string_lossy().replace('\\', "/");
            let _ = writeln!(code, "    ({name:?}, include_str!({:?})),", file.to_string_lossy());
        }
        code.push_str("]\n");
        fs::write(out.join(generated), code)?;
    }
    Ok(())
}

/// Adds the files with `extension` below `folder`; a folder that does not exist has none.
fn collect(folder: &Path, extension: &str, files: &mut Vec<PathBuf>) -> io::Result<()> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    for entry in entries {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, extension, files)?;
        } else if path.extension().is_some_and(|found| found == extension) {
            files.push(path);
        }
    }
    Ok(())
}
