//! Three real processes, a counter, a crash and what the others make of it.

mod child;
mod processes;
mod protocol;
mod report;
mod story;
mod supervisor;

pub(crate) use child::run as run_node;

use crate::cli::DemoOptions;
use crate::failure::Failure;
use crate::output;
use report::Report;
use std::time::Instant;
use story::{Narrator, Story};

/// Runs the demo; its node processes log as verbosely as this one.
pub(crate) fn run(options: &DemoOptions, verbose: u8) -> Result<(), Failure> {
    let mut report = Report::default();
    let begin = Instant::now();
    let narrator = Narrator::new(begin, !options.json);
    let told = Story::begin(narrator, &mut report, options.messages, verbose).and_then(Story::tell);
    report.elapsed_ms = begin.elapsed().as_millis() as u64;
    report.ok = told.is_ok();
    report.error = told.as_ref().err().map(|failure| failure.text.clone());
    if options.json {
        output::json(&report);
    } else if told.is_ok() {
        output::line(report.summary());
    }
    told.map_err(|failure| failure.of("the demo failed"))
}
