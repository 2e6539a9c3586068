//! The text files of the workspace, each with the package it belongs to.

use super::lexer::{self, Token};
use cargo_metadata::Metadata;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Hidden folders that belong to the project; every other one is somebody's private matter.
const HIDDEN_FOLDERS: [&str; 3] = [".cargo", ".ci", ".github"];

/// A text file.
pub(super) struct Source {
    /// From the root of the workspace, with `/`.
    pub(super) path: String,
    /// The package whose folder holds it; empty for files beside the packages.
    pub(super) package: String,
    pub(super) text: String,
    /// The whole file is compiled into tests, benchmarks or examples only.
    pub(super) is_test: bool,
}

impl Source {
    pub(super) fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    /// The code of the whole file.
    pub(super) fn tokens(&self) -> Vec<Token<'_>> {
        lexer::tokens(&self.text)
    }

    /// The code that is compiled into the product.
    pub(super) fn production_tokens(&self) -> Vec<Token<'_>> {
        if self.is_test { Vec::new() } else { lexer::without_tests(&self.tokens()).0 }
    }

    /// Number and text of each line that is not test code.
    pub(super) fn production_lines(&self) -> impl Iterator<Item = (usize, &str)> {
        let tests = if self.is_rust() { lexer::without_tests(&self.tokens()).1 } else { Vec::new() };
        self.lines()
            .filter(move |(number, _)| !self.is_test && !tests.iter().any(|range| range.contains(number)))
    }

    /// Number, from 1, and text of each line.
    pub(super) fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text.lines().enumerate().map(|(index, line)| (index + 1, line))
    }

    /// A file for the tests of a rule.
    #[cfg(test)]
    pub(super) fn fixture(path: &str, text: &str) -> Source {
        let package = path.split('/').next().unwrap_or_default().to_string();
        Source { path: path.into(), package, text: text.into(), is_test: is_test_path(path) }
    }
}

/// Reads every text file below the root of the workspace, in the order of their paths.
///
/// # Errors
/// Names the file or folder that cannot be read.
pub(super) fn load(metadata: &Metadata) -> Result<Vec<Source>, String> {
    let root = metadata.workspace_root.as_std_path();
    let mut paths = Vec::new();
    walk(root, metadata.target_directory.as_std_path(), &mut paths)?;
    let mut sources = Vec::new();
    for path in paths {
        let bytes = std::fs::read(&path).map_err(|cause| format!("{}: {cause}", path.display()))?;
        // What is not UTF-8 is a test vector, not a text.
        let Ok(text) = String::from_utf8(bytes) else { continue };
        let relative = path.strip_prefix(root).unwrap_or(&path).to_string_lossy().replace('\\', "/");
        let is_test = is_test_path(&relative);
        sources.push(Source { package: package_of(metadata, &path), path: relative, text, is_test });
    }
    mark_test_modules(&mut sources);
    sources.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(sources)
}

fn walk(folder: &Path, target: &Path, paths: &mut Vec<PathBuf>) -> Result<(), String> {
    let describe = |cause: std::io::Error| format!("{}: {cause}", folder.display());
    for entry in std::fs::read_dir(folder).map_err(describe)? {
        let entry = entry.map_err(describe)?;
        let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
        let kind = entry.file_type().map_err(describe)?;
        if kind.is_dir() {
            let foreign = name.starts_with('.') && !HIDDEN_FOLDERS.contains(&name.as_str());
            if !foreign && name != "target" && path != target {
                walk(&path, target, paths)?;
            }
        } else if kind.is_file() && !name.ends_with(".lock") {
            paths.push(path);
        }
    }
    Ok(())
}

fn package_of(metadata: &Metadata, path: &Path) -> String {
    let holds = |package: &&cargo_metadata::Package| {
        package.manifest_path.parent().is_some_and(|folder| path.starts_with(folder.as_std_path()))
    };
    let packages = metadata.packages.iter().filter(holds);
    packages.max_by_key(|p| p.manifest_path.as_str().len()).map(|p| p.name.to_string()).unwrap_or_default()
}

fn is_test_path(path: &str) -> bool {
    let mut folders: Vec<_> = path.split('/').collect();
    let file = folders.pop().unwrap_or_default();
    file == "tests.rs"
        || folders.iter().any(|folder| matches!(*folder, "tests" | "benches" | "examples" | "fuzz"))
}

/// Marks the files of modules that are declared under `#[cfg(test)]` elsewhere.
fn mark_test_modules(sources: &mut [Source]) {
    let mut stems = BTreeSet::new();
    for source in sources.iter().filter(|source| source.is_rust()) {
        let folder = module_folder(&source.path);
        stems.extend(lexer::test_modules(&source.tokens()).iter().map(|name| format!("{folder}/{name}")));
    }
    for source in sources {
        let within = |stem: &String| {
            source.path.strip_prefix(stem.as_str()).is_some_and(|rest| rest == ".rs" || rest.starts_with('/'))
        };
        source.is_test |= stems.iter().any(within);
    }
}

/// The folder in which the submodules of the file at `path` are looked for.
fn module_folder(path: &str) -> String {
    let (folder, file) = path.rsplit_once('/').unwrap_or(("", path));
    match file.trim_end_matches(".rs") {
        "lib" | "main" | "mod" => folder.to_string(),
        stem => format!("{folder}/{stem}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_code_is_known_by_its_path() {
        for path in ["tests/src/lib.rs", "hew-wire/tests/golden.rs", "a/benches/local.rs", "a/src/x/tests.rs"]
        {
            assert!(is_test_path(path), "{path}");
        }
        for path in ["hew-wire/src/lib.rs", "xtask/src/test.rs", "a/src/latest.rs"] {
            assert!(!is_test_path(path), "{path}");
        }
    }

    #[test]
    fn test_code_is_known_by_its_declaration() {
        let mut sources = [
            Source::fixture("a/src/lib.rs", "mod swim;"),
            Source::fixture("a/src/swim.rs", "#[cfg(test)] mod pair;"),
            Source::fixture("a/src/swim/pair.rs", "fn f() {}"),
            Source::fixture("a/src/swim/pairing.rs", "fn f() {}"),
        ];
        mark_test_modules(&mut sources);
        assert_eq!(sources.map(|source| source.is_test), [false, false, true, false]);
    }

    #[test]
    fn lines_of_tests_are_not_production() {
        let source = Source::fixture("a/src/lib.rs", "fn a() {}\n#[cfg(test)]\nmod tests {\n}\nfn b() {}\n");
        assert_eq!(source.production_lines().collect::<Vec<_>>(), [(1, "fn a() {}"), (5, "fn b() {}")]);
        assert_eq!(Source::fixture("a/tests/b.rs", "x").production_lines().count(), 0);
    }

    #[test]
    fn this_workspace_is_read_and_its_products_are_not() {
        let metadata = crate::workspace::load().unwrap();
        let sources = load(&metadata).unwrap();
        let this = sources.iter().find(|source| source.path == "xtask/src/tidy/source.rs").unwrap();
        assert_eq!(this.package, "xtask");
        assert!(
            sources
                .iter()
                .all(|source| !source.path.starts_with("target/") && !source.path.starts_with(".git/"))
        );
    }
}
