//! The results of a backtest as a self-contained HTML file.

use super::plots::plots;
use super::report::{BacktestReport, BacktestRun};
use super::table::{COLUMNS, columns, failures, rows};
use std::fmt::Write as _;

const STYLE: &str = "body{font:15px/1.45 system-ui,sans-serif;max-width:62rem;margin:2rem auto;padding:0 1rem;color:#222}\
h1{font-size:1.5rem}h2{font-size:1.1rem;margin:2rem 0 .3rem}table{border-collapse:collapse;font-variant-numeric:tabular-nums}\
td,th{padding:.2rem .7rem;border-bottom:1px solid #ddd;text-align:right}td:first-child,th:first-child{text-align:left}\
svg{max-width:100%;height:auto}pre{background:#f6f6f6;padding:.7rem;overflow-x:auto}.note{color:#b22222}";

/// Returns the page: the table of a sweep, and the figures and plots of the most profitable run.
pub(super) fn page(report: &BacktestReport) -> String {
    let mut out = String::from("<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">");
    let Some(best) = report.runs.first() else { return out };
    let title = format!("{} over {}", best.outcome.strategy, report.feed);
    let title = escaped(&title);
    let _ = write!(out, "<title>{title}</title><style>{STYLE}</style></head><body><h1>{title}</h1>");
    for failure in failures(report) {
        let _ = write!(out, "<p class=\"note\">{}</p>", escaped(&failure));
    }
    if report.runs.len() > 1 {
        sweep(&report.runs, &mut out);
        let _ = write!(out, "<h2>The most profitable run: {}</h2>", escaped(&best.swept.join(" ")));
    }
    one(best, &mut out);
    out.push_str("</body></html>\n");
    out
}

fn sweep(runs: &[BacktestRun], out: &mut String) {
    let _ =
        write!(out, "<h2>{} runs, the most profitable first</h2><table><tr><th>parameters</th>", runs.len());
    COLUMNS.iter().for_each(|column| {
        let _ = write!(out, "<th>{column}</th>");
    });
    out.push_str("</tr>");
    for run in runs {
        let _ = write!(out, "<tr><td>{}</td>", escaped(&run.swept.join(" ")));
        columns(&run.outcome.figures).iter().for_each(|value| {
            let _ = write!(out, "<td>{value}</td>");
        });
        out.push_str("</tr>");
    }
    out.push_str("</table>");
}

fn one(run: &BacktestRun, out: &mut String) {
    out.push_str("<table>");
    for (name, value) in rows(&run.outcome.figures) {
        let _ = write!(out, "<tr><td>{name}</td><td>{}</td></tr>", escaped(&value));
    }
    let _ = write!(out, "</table><h2>Parameters</h2><pre>{}</pre>", escaped(&run.outcome.parameters));
    for plot in plots(&run.outcome.series) {
        let _ = write!(out, "<h2>{}</h2>{}", escaped(&plot.title), plot.svg);
    }
}

/// Escapes text for HTML.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_in_a_file_name_is_escaped() {
        assert_eq!(escaped("a<b>&\"c\""), "a&lt;b&gt;&amp;&quot;c&quot;");
    }
}
