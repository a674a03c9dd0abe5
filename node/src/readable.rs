//! Numbers formatted for people.

/// Formats a number with its digits grouped by thousands.
///
/// # Examples
///
/// ```
/// assert_eq!(stele_node::measuring::grouped(1_234_567), "1,234,567");
/// ```
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() * 4 / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// Formats nanoseconds with three significant digits and a unit: `45.7 µs`.
pub(crate) fn duration(nanos: u64) -> String {
    match nanos {
        0..1_000 => format!("{nanos} ns"),
        1_000..1_000_000 => format!("{} µs", three_digits(nanos as f64 / 1e3)),
        1_000_000..1_000_000_000 => format!("{} ms", three_digits(nanos as f64 / 1e6)),
        _ => format!("{} s", three_digits(nanos as f64 / 1e9)),
    }
}

fn three_digits(value: f64) -> String {
    match value {
        ..10.0 => format!("{value:.2}"),
        ..100.0 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}

/// Text from the log for a terminal: control characters, such as line ends and escape sequences, are escaped,
/// so that a text cannot forge a line of a report.
pub(crate) fn one_line(text: &str) -> String {
    let escaped = |character: char| match character.is_control() {
        true => character.escape_default().to_string(),
        false => character.to_string(),
    };
    text.chars().map(escaped).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_by_thousands() {
        assert_eq!(
            ["0", "999", "1,000", "1,234,567"],
            [0, 999, 1_000, 1_234_567].map(grouped).each_ref().map(String::as_str)
        );
    }

    #[test]
    fn durations_keep_three_digits() {
        assert_eq!(
            [999, 1_234, 45_678, 7_890_123, 12_000_000_000].map(duration),
            ["999 ns", "1.23 µs", "45.7 µs", "7.89 ms", "12.0 s"]
        );
    }

    #[test]
    fn a_text_from_the_log_stays_on_its_line_and_moves_no_cursor() {
        assert_eq!(one_line("a\nb\u{1b}[31mRED"), "a\\nb\\u{1b}[31mRED");
        assert_eq!(one_line("größer als 5 \"Lose\""), "größer als 5 \"Lose\"");
    }
}
