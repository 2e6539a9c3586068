//! Rule: the compiler itself refuses unsafe code in every crate that has no business with it.

use super::MAY_BE_UNSAFE;
use super::finding::Finding;
use super::source::Source;
use cargo_metadata::{Metadata, Target};

const ATTRIBUTE: [&str; 8] = ["#", "!", "[", "forbid", "(", "unsafe_code", ")", "]"];

/// Looks at the root of every library and command.
pub(super) fn check(metadata: &Metadata, sources: &[Source]) -> Vec<Finding> {
    let is_product = |target: &&Target| {
        target.is_lib() || target.is_bin() || target.is_cdylib() || target.is_staticlib() || target.is_rlib()
    };
    let packages = metadata.packages.iter().filter(|package| !MAY_BE_UNSAFE.contains(&package.name.as_str()));
    packages
        .flat_map(|package| package.targets.iter().filter(is_product))
        .filter_map(|target| {
            let path = target.src_path.strip_prefix(&metadata.workspace_root).unwrap_or(&target.src_path);
            sources.iter().find(|source| source.path == path.as_str())
        })
        .filter_map(check_root)
        .collect()
}

fn check_root(root: &Source) -> Option<Finding> {
    let tokens = root.tokens();
    let present =
        tokens.windows(ATTRIBUTE.len()).any(|window| window.iter().map(|token| token.text).eq(ATTRIBUTE));
    (!present).then(|| Finding::new(&root.path, 1, "the root of this crate lacks #![forbid(unsafe_code)]"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_refused(text: &str) -> bool {
        check_root(&Source::fixture("hew-wire/src/lib.rs", text)).is_some()
    }

    #[test]
    fn the_attribute_must_be_there_and_be_code() {
        assert!(!is_refused("//! x\n\n#![forbid(unsafe_code)]\nmod a;"));
        assert!(is_refused("//! x\nmod a;"));
        assert!(is_refused("//! x\n// #![forbid(unsafe_code)]\nmod a;"));
        assert!(is_refused("#![deny(unsafe_code)]"));
        assert!(is_refused("const A: &str = \"#![forbid(unsafe_code)]\";"));
    }

    #[test]
    fn the_root_of_this_crate_is_among_those_looked_at() {
        let metadata = crate::workspace::load().unwrap();
        let broken = [Source::fixture("xtask/src/main.rs", "fn main() {}")];
        assert_eq!(check(&metadata, &broken).len(), 1);
    }
}
