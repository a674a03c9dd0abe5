//! The parameter values of a sweep.

use crate::failure::Failure;

/// The maximum number of runs of a sweep.
const RUNS_MAX: usize = 10_000;

/// Decimal places of a swept value.
const DECIMALS: u32 = 9;

/// One parameter and its values, in the form of the command line.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Axis {
    key: String,
    values: Vec<String>,
}

/// Returns every combination of the values of all `--sweep` options, each as `key=value` for `--param`.
/// Without a sweep it is one empty combination.
pub(super) fn grid(sweeps: &[String]) -> Result<Vec<Vec<String>>, Failure> {
    let axes = sweeps.iter().map(|sweep| axis(sweep)).collect::<Result<Vec<_>, _>>()?;
    let runs = axes.iter().try_fold(1_usize, |runs, axis| runs.checked_mul(axis.values.len()));
    if runs.is_none_or(|runs| runs > RUNS_MAX) {
        let counts = axes.iter().map(|axis| format!("{} of {}", axis.values.len(), axis.key));
        let counts = counts.collect::<Vec<_>>().join(" × ");
        return Err(Failure::usage(format!(
            "the sweep has more than the maximum of {RUNS_MAX} runs: {counts}"
        ))
        .help("use larger steps, as in --sweep key=a..b:step"));
    }
    let mut runs = vec![Vec::new()];
    for Axis { key, values } in &axes {
        let longer = |run: Vec<String>| {
            values.iter().map(move |value| {
                let mut run = run.clone();
                run.push(format!("{key}={value}"));
                run
            })
        };
        runs = runs.into_iter().flat_map(longer).collect();
    }
    Ok(runs)
}

/// Parses `key=a..b`, `key=a..b:step` or `key=a,b,c`.
fn axis(sweep: &str) -> Result<Axis, Failure> {
    let wrong = |what: String| {
        let what = Failure::usage(format!("--sweep {sweep}: {what}"));
        what.help("examples: key=5..20, key=0.1..0.5:0.1, key=100ms..2s:100ms, key=a,b,c")
    };
    let (key, values) = sweep.split_once('=').ok_or_else(|| wrong("missing `=` and values".into()))?;
    let values = match values.split_once("..") {
        Some((from, rest)) => range(from, rest).map_err(wrong)?,
        None => values.split(',').map(|value| value.trim().to_owned()).collect(),
    };
    if key.is_empty() || values.iter().any(String::is_empty) {
        return Err(wrong("the key or a value is empty".into()));
    }
    Ok(Axis { key: key.to_owned(), values })
}

/// Returns the values of a range, both ends included. `rest` is the upper end, with `:step` after it or not.
fn range(from: &str, rest: &str) -> Result<Vec<String>, String> {
    let (to, step) = rest.split_once(':').map_or((rest, None), |(to, step)| (to, Some(step)));
    let numbers = [Some(from), Some(to), step].map(|text| text.map(number).transpose());
    let [from, to, step] = numbers;
    let (from, to) = (from?.expect("it was given"), to?.expect("it was given"));
    let unit = [&from, &to].map(|number| number.unit).into_iter().find(|unit| !unit.is_empty());
    let unit = unit.unwrap_or_default();
    let scale = |number: &Number<'_>| -> Result<i128, String> {
        let own = if number.unit.is_empty() { unit } else { number.unit };
        let nanos = |unit: &str| UNITS.iter().find(|(name, _)| *name == unit).map(|(_, nanos)| *nanos);
        let nanos = nanos(own).ok_or_else(|| format!("`{own}` is not a unit of time"))?;
        Ok(number.value * nanos)
    };
    let whole = 10_i128.pow(DECIMALS);
    let (from, to) = (scale(&from)?, scale(&to)?);
    let step = match step? {
        Some(step) => scale(&step)?,
        None if unit.is_empty() && from % whole == 0 && to % whole == 0 => whole,
        None => return Err("the step is missing".into()),
    };
    if step <= 0 || to < from {
        return Err("the range must ascend in steps above 0".into());
    }
    let count = (to - from) / step + 1;
    if count > RUNS_MAX as i128 {
        return Err(format!("the range has {count} values, more than the maximum of {RUNS_MAX}"));
    }
    Ok((0..count).map(|at| formatted(from + at * step, unit)).collect())
}

/// Units of duration in nanoseconds, and the empty unit of plain numbers.
const UNITS: [(&str, i128); 6] =
    [("", 1), ("ns", 1), ("us", 1_000), ("ms", 1_000_000), ("s", 1_000_000_000), ("m", 60_000_000_000)];

struct Number<'a> {
    /// In 1e-9 of `unit`.
    value: i128,
    unit: &'a str,
}

fn number(text: &str) -> Result<Number<'_>, String> {
    let text = text.trim();
    let end = text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len());
    let (digits, unit) = text.split_at(end);
    let (sign, digits) = digits.strip_prefix('-').map_or((1, digits), |digits| (-1, digits));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let wrong = || format!("`{text}` is not a number");
    let is_number = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() && fraction.is_empty() || !is_number(whole) || !is_number(fraction) {
        return Err(wrong());
    }
    if fraction.len() > DECIMALS as usize || whole.len() > 18 {
        return Err(format!("`{text}` has too many digits"));
    }
    let padded = format!("{whole}{fraction:0<width$}", width = DECIMALS as usize);
    let value = padded.parse::<i128>().map_err(|_| wrong())?;
    Ok(Number { value: sign * value, unit })
}

/// Formats a value for `--param`: as a plain number, or as a whole number of the largest unit that fits.
fn formatted(value: i128, unit: &str) -> String {
    let whole = 10_i128.pow(DECIMALS);
    if !unit.is_empty() {
        let nanos = value / whole;
        let unit =
            UNITS.iter().rev().find(|(name, size)| !name.is_empty() && nanos % size == 0 && nanos != 0);
        let (name, size) = unit.copied().unwrap_or(("ns", 1));
        return format!("{}{name}", nanos / size);
    }
    let sign = if value < 0 { "-" } else { "" };
    let (integer, fraction) = (value.abs() / whole, value.abs() % whole);
    if fraction == 0 {
        return format!("{sign}{integer}");
    }
    let digits = format!("{fraction:0width$}", width = DECIMALS as usize);
    format!("{sign}{integer}.{}", digits.trim_end_matches('0'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(sweep: &str) -> Vec<String> {
        axis(sweep).unwrap().values
    }

    #[test]
    fn a_range_includes_both_ends() {
        assert_eq!(values("fast=5..8"), ["5", "6", "7", "8"]);
        assert_eq!(values("fast=-2..2:2"), ["-2", "0", "2"]);
        assert_eq!(values("dip=0.1..0.35:0.1"), ["0.1", "0.2", "0.3"]);
        assert_eq!(values("x=1..2:0.5"), ["1", "1.5", "2"]);
        assert_eq!(values("wait=500ms..2s:500ms"), ["500ms", "1s", "1500ms", "2s"]);
        assert_eq!(values("wait=1..3s:1"), ["1s", "2s", "3s"]);
        assert_eq!(values("side=buy,sell"), ["buy", "sell"]);
    }

    #[test]
    fn several_sweeps_are_combined() {
        let runs = grid(&["a=1..2".into(), "b=x,y".into()]).unwrap();
        assert_eq!(runs, [["a=1", "b=x"], ["a=1", "b=y"], ["a=2", "b=x"], ["a=2", "b=y"]]);
        assert_eq!(grid(&[]).unwrap(), [Vec::<String>::new()]);
    }

    #[test]
    fn an_invalid_sweep_is_rejected_with_examples_of_valid_ones() {
        for (sweep, what) in [
            ("fast", "missing `=` and values"),
            ("=1..2", "the key or a value is empty"),
            ("a=1,,2", "the key or a value is empty"),
            ("a=1..x", "`x` is not a number"),
            ("a=0.5..1", "the step is missing"),
            ("a=1s..5s", "the step is missing"),
            ("a=5..1", "must ascend"),
            ("a=1..5:0", "must ascend"),
            ("a=1h..5h:1h", "`h` is not a unit"),
            ("a=1..1.0000000001:1", "too many digits"),
            ("a=0..100000", "the range has 100001 values"),
        ] {
            let failure = axis(sweep).unwrap_err().to_string();
            assert!(failure.contains(what) && failure.contains("examples: key=5..20"), "{failure}");
        }
        let many = grid(&["a=1..200".into(), "b=1..200".into()]).unwrap_err().to_string();
        assert!(many.contains("200 of a × 200 of b"), "{many}");
    }
}
