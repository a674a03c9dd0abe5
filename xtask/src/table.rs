//! The table that the gate prints at its end.

use std::time::Duration;

/// The result of a step.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// The check passed.
    Passed,
    /// The step could not run on this machine, for the given reason.
    Skipped(String),
    /// The check failed.
    Failed,
}

/// A step that ran.
#[derive(Debug)]
pub(crate) struct Row {
    /// The name of the step.
    pub(crate) name: &'static str,
    /// The time from its beginning to its end.
    pub(crate) wall: Duration,
    /// The processor time of its programs.
    pub(crate) cpu: Duration,
    /// Its result.
    pub(crate) verdict: Verdict,
    /// The time limit of a campaign in seconds, without building.
    pub(crate) budget_s: Option<u64>,
}

/// Prints the rows, their sum, and the number of skipped steps.
pub(crate) fn print(rows: &[Row], wall: Duration) {
    println!("\n{}", text(rows, wall));
}

fn text(rows: &[Row], wall: Duration) -> String {
    let mut lines = vec![format!("{:<13} {:>6} {:>7} {:>8}", "step", "wall s", "cpu s", "budget s")];
    for Row { name, wall, cpu, verdict, budget_s } in rows {
        let budget = budget_s.map_or_else(String::new, |budget| budget.to_string());
        let verdict = match verdict {
            Verdict::Passed => String::new(),
            Verdict::Skipped(why) => format!("  skipped: {why}"),
            Verdict::Failed => "  FAILED".to_owned(),
        };
        let line = format!("{name:<13} {:>6.0} {:>7.0} {budget:>8}", wall.as_secs_f64(), cpu.as_secs_f64());
        lines.push(format!("{}{verdict}", line.trim_end()));
    }
    let cpu: Duration = rows.iter().map(|row| row.cpu).sum();
    lines.push(format!("{:<13} {:>6.0} {:>7.0}", "the gate", wall.as_secs_f64(), cpu.as_secs_f64()));
    match rows.iter().filter(|row| matches!(row.verdict, Verdict::Skipped(_))).count() {
        0 => {}
        1 => lines.push("skipped 1 step: see above".to_owned()),
        count => lines.push(format!("skipped {count} steps: see above")),
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_a_line_for_each_step_and_the_number_of_skipped_steps() {
        let row = |name, verdict, budget_s| {
            let (wall, cpu) = (Duration::from_secs(61), Duration::from_millis(119_600));
            Row { name, wall, cpu, verdict, budget_s }
        };
        let rows = [
            row("lints", Verdict::Passed, None),
            row("miri", Verdict::Skipped("no toolchain".to_owned()), Some(120)),
            row("tests", Verdict::Failed, None),
        ];
        let expected = "\
step          wall s   cpu s budget s
lints             61     120
miri              61     120      120  skipped: no toolchain
tests             61     120  FAILED
the gate         100     359
skipped 1 step: see above";
        assert_eq!(text(&rows, Duration::from_secs(100)), expected);
    }
}
