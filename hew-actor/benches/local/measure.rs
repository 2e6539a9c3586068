//! What a suite is called with, how often it repeats a measurement, and the lines it prints.

use std::error::Error;
use std::fmt::Write;
use std::time::Duration;

/// Why a suite ends with a failure.
pub(crate) type Failure = Box<dyn Error + Send + Sync>;

/// Repetitions behind each figure, after the warm-up; the figure is their median.
const REPETITIONS: usize = 5;
/// How long one repetition takes, roughly.
#[allow(dead_code, reason = "for the suites that do not measure in turns")]
const REPETITION: Duration = Duration::from_millis(250);
/// The same in a short run, which shows that a suite works and says nothing about speed.
#[allow(dead_code, reason = "for the suites that do not measure in turns")]
const REPETITION_QUICK: Duration = Duration::from_millis(10);
/// A suite that has not ended by then hangs.
const SUITE_DEADLINE: Duration = Duration::from_secs(300);

/// One run of a suite.
pub(crate) struct Run {
    quick: bool,
    filters: Vec<String>,
}

impl Run {
    /// Reads the command line: `--quick` makes the run short, a word selects the measurements whose names contain it,
    /// other options are for other harnesses (`--bench`, `--json`) and are ignored.
    pub(crate) fn from_arguments(arguments: impl Iterator<Item = String>) -> Run {
        let (options, filters): (Vec<_>, Vec<_>) = arguments.partition(|argument| argument.starts_with('-'));
        let quick = options.iter().any(|option| option == "--quick");
        Run { quick, filters }
    }

    /// Ends the process when it hangs, so that whoever waits for it gets an answer.
    pub(crate) fn start_watchdog(&self) {
        std::thread::spawn(|| {
            std::thread::sleep(SUITE_DEADLINE);
            complain(&format!("the suite has not ended after {} s", SUITE_DEADLINE.as_secs()));
            std::process::exit(1);
        });
    }

    /// Whether this measurement is to be made.
    pub(crate) fn wants(&self, name: &str) -> bool {
        self.filters.is_empty() || self.filters.iter().any(|filter| name.contains(filter.as_str()))
    }

    /// `usual`, or `quick` in a short run.
    pub(crate) fn scale(&self, usual: u64, quick: u64) -> u64 {
        if self.quick { quick } else { usual }
    }

    /// Repeats `once`, which does as many operations as it is told and says how long that took.
    ///
    /// The first calls find how many operations fill a repetition; they are the warm-up. Returns seconds per operation.
    #[allow(dead_code, reason = "for the suites that do not measure in turns")]
    pub(crate) fn time<F>(&self, at_first: u64, most: u64, mut once: F) -> Result<Samples, Failure>
    where
        F: FnMut(u64) -> Result<Duration, Failure>,
    {
        let wanted = if self.quick { REPETITION_QUICK } else { REPETITION };
        let mut count = at_first.min(most);
        loop {
            let took = once(count)?;
            let factor = wanted.as_secs_f64() / took.as_secs_f64().max(1e-9);
            let enough = factor < 8.0 || count >= most;
            count = ((count as f64 * factor.min(20.0)) as u64).clamp(1, most);
            if enough {
                break;
            }
        }
        self.repeat(|| Ok(once(count)?.as_secs_f64() / count as f64))
    }

    /// The values of several calls.
    pub(crate) fn repeat<F>(&self, once: F) -> Result<Samples, Failure>
    where
        F: FnMut() -> Result<f64, Failure>,
    {
        self.repeat_times(REPETITIONS, once)
    }

    /// The values of at most `times` calls.
    pub(crate) fn repeat_times<F>(&self, times: usize, once: F) -> Result<Samples, Failure>
    where
        F: FnMut() -> Result<f64, Failure>,
    {
        let times = if self.quick { 1 } else { times };
        let values: Result<Vec<f64>, Failure> = std::iter::repeat_with(once).take(times).collect();
        Ok(Samples::new(values?))
    }

    /// The values of several calls, each of which measures two things.
    #[allow(dead_code, reason = "not every suite measures in turns")]
    pub(crate) fn repeat_pairs<F>(&self, mut once: F) -> Result<(Samples, Samples), Failure>
    where
        F: FnMut() -> Result<(f64, f64), Failure>,
    {
        let mut others = Vec::new();
        let ones = self.repeat(|| {
            let (one, other) = once()?;
            others.push(other);
            Ok(one)
        })?;
        Ok((ones, Samples::new(others)))
    }

    /// The medians and the 99th percentiles of what several calls return, after one to warm up.
    #[allow(dead_code, reason = "not every suite has some")]
    pub(crate) fn latencies<F>(&self, mut once: F) -> Result<(Samples, Samples), Failure>
    where
        F: FnMut() -> Result<Vec<u64>, Failure>,
    {
        once()?;
        let mut tails = Vec::new();
        let medians = self.repeat(|| {
            let mut nanoseconds = once()?;
            tails.push(percentile(&mut nanoseconds, 0.99));
            Ok(percentile(&mut nanoseconds, 0.5))
        })?;
        Ok((medians, Samples::new(tails)))
    }
}

/// The repetitions of one measurement, sorted; at least one.
#[derive(Clone, Debug)]
pub(crate) struct Samples(Vec<f64>);

impl Samples {
    fn new(mut values: Vec<f64>) -> Samples {
        values.sort_by(f64::total_cmp);
        Samples(values)
    }

    pub(crate) fn median(&self) -> f64 {
        self.0[self.0.len() / 2]
    }

    /// Smallest and largest.
    fn range(&self) -> (f64, f64) {
        (self.0[0], self.0[self.0.len() - 1])
    }

    /// Each value as something else, for example a duration as a rate.
    pub(crate) fn map(&self, f: impl Fn(f64) -> f64) -> Samples {
        Samples::new(self.0.iter().copied().map(f).collect())
    }

    /// Seconds per operation as operations per second.
    #[allow(dead_code, reason = "not every suite has some")]
    pub(crate) fn rate(&self) -> Samples {
        self.map(|seconds| 1.0 / seconds)
    }
}

/// The value below which the share `p` of `values` lies.
#[allow(dead_code, reason = "for the suites that measure latencies")]
fn percentile(values: &mut [u64], p: f64) -> f64 {
    values.sort_unstable();
    let last = values.len().saturating_sub(1);
    values.get((last as f64 * p).round() as usize).map_or(0.0, |&value| value as f64)
}

/// One line of output.
pub(crate) struct Line<'a> {
    name: &'a str,
    unit: &'a str,
    samples: &'a Samples,
    limit: Option<Samples>,
    more: Vec<(&'static str, f64)>,
}

impl<'a> Line<'a> {
    pub(crate) fn new(name: &'a str, unit: &'a str, samples: &'a Samples) -> Line<'a> {
        Line { name, unit, samples, limit: None, more: Vec::new() }
    }

    /// What the machine allows, in the same unit. The ratio is the value through the limit, whichever way is better.
    pub(crate) fn limit(mut self, limit: Samples) -> Line<'a> {
        self.limit = Some(limit);
        self
    }

    /// A further member.
    #[allow(dead_code, reason = "not every suite has one")]
    pub(crate) fn with(mut self, member: &'static str, value: f64) -> Line<'a> {
        self.more.push((member, value));
        self
    }

    /// Prints the line. Names and units are ours and need no escapes.
    #[allow(clippy::print_stdout, reason = "it is what a suite is for")]
    pub(crate) fn print(&self) {
        let value = self.samples.median();
        let mut text = format!(r#"{{"name":"{}","value":{},"unit":"{}""#, self.name, short(value), self.unit);
        let mut members = Vec::new();
        if let Some(limit) = &self.limit {
            let median = limit.median();
            let (min, max) = limit.range();
            let spread = [("limit_min", min), ("limit_max", max)];
            members.extend([("limit", median), ("ratio", value / median)].into_iter().chain(spread));
        }
        members.extend(&self.more);
        let (min, max) = self.samples.range();
        members.extend([("min", min), ("max", max), ("runs", self.samples.0.len() as f64)]);
        for (member, value) in members {
            // Writing to a string cannot fail.
            let _ = write!(text, r#","{member}":{}"#, short(value));
        }
        println!("{text}}}");
    }
}

/// Four significant digits: more would be noise.
fn short(value: f64) -> String {
    if value == 0.0 || !value.is_finite() {
        return "0".into();
    }
    if value.fract() == 0.0 && value.abs() < 1e4 {
        return format!("{value:.0}");
    }
    let digits = 3 - value.abs().log10().floor() as i32;
    if digits > 0 {
        return format!("{value:.*}", digits as usize);
    }
    let unit = 10f64.powi(-digits);
    format!("{:.0}", (value / unit).round() * unit)
}

/// Says on standard error what is wrong.
#[allow(clippy::print_stderr, reason = "standard output is for measurements")]
pub(crate) fn complain(text: &str) {
    eprintln!("{text}");
}

/// Says once if the figures cannot be compared.
pub(crate) fn warn_of_debug_build() {
    if cfg!(debug_assertions) {
        complain("this is a debug build: its figures mean nothing");
    }
}
