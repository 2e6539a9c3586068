//! `cargo xtask tidy`: the rules of this workspace that neither the compiler nor clippy knows, one file each.

mod attacks;
mod calls;
mod dependencies;
mod finding;
mod forbid;
mod foreign;
mod guide;
mod layers;
mod ledger;
mod lexer;
mod paths;
mod semantics;
mod shape;
mod source;
mod words;

use crate::{Failure, workspace};
use finding::Finding;
use ledger::Ledger;
use source::Source;

/// Crates in which the compiler does not forbid unsafe code; the ledger says in which files it is.
const MAY_BE_UNSAFE: [&str; 2] = ["hew-capi", "hew-actor"];

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Write the numbers found into docs/unsafe.md, for review, instead of comparing.
    #[arg(long)]
    bless_unsafe: bool,
}

pub(crate) fn run(options: &Options) -> Result<(), Failure> {
    let metadata = workspace::load()?;
    let sources = source::load(&metadata).map_err(Failure::Broken)?;
    let text = sources.iter().find(|source| source.path == ledger::PATH).map_or("", |source| &source.text);
    let ledger = Ledger::parse(text).map_err(|cause| Failure::broken(ledger::PATH, cause))?;
    if options.bless_unsafe {
        let path = metadata.workspace_root.join(ledger::PATH);
        let blessed = ledger::bless(text, &sources, &ledger);
        return std::fs::write(&path, blessed).map_err(|cause| Failure::broken(path, cause));
    }
    report(
        &sources,
        vec![
            ("layers", layers::check(&metadata)),
            ("forbid", forbid::check(&metadata, &sources)),
            ("foreign", foreign::check(&sources, &ledger)),
            ("ledger", ledger::check(&sources, &ledger)),
            ("calls", calls::check(&sources)),
            ("shape", shape::check(&sources)),
            ("words", words::check(&sources)),
            ("dependencies", dependencies::check(&metadata, &sources)),
            ("semantics", semantics::check(&sources)),
            ("attacks", attacks::check(&sources)),
            ("guide", guide::check(&sources)),
        ],
    )
}

/// Prints what each rule found.
fn report(sources: &[Source], rules: Vec<(&str, Vec<Finding>)>) -> Result<(), Failure> {
    let (number, mut total) = (rules.len(), 0);
    for (rule, mut findings) in rules {
        findings.sort();
        total += findings.len();
        for finding in findings {
            println!("{rule}: {finding}");
        }
    }
    if total == 0 {
        println!("tidy: {number} rules hold in {} files", sources.len());
        return Ok(());
    }
    println!("tidy: {total} findings");
    Err(Failure::Reported)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_finding_is_enough_to_fail() {
        assert!(report(&[], vec![("a", Vec::new()), ("b", Vec::new())]).is_ok());
        assert!(report(&[], vec![("a", Vec::new()), ("b", vec![Finding::new("c", 1, "d")])]).is_err());
    }
}
