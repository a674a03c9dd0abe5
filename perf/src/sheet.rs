//! Collects the results of the repetitions and computes the figures from them.

use crate::figure::Figure;
use crate::{Percentiles, Route};

/// The results by name, in the order in which the names were first added.
#[derive(Default)]
pub(crate) struct Sheet {
    lines: Vec<Line>,
}

struct Line {
    name: String,
    route: Option<Route>,
    unit: &'static str,
    seen: Seen,
    baseline: Option<String>,
}

enum Seen {
    Latency(Vec<Percentiles>),
    Single(Vec<f64>),
}

impl Sheet {
    /// Adds the latencies of one repetition.
    pub(crate) fn latency<'r>(&mut self, name: &str, seen: Percentiles, route: impl Into<Option<&'r Route>>) {
        let line = self.line(name, "ns", route.into(), || Seen::Latency(Vec::new()));
        let Seen::Latency(all) = &mut line.seen else { panic!("{name} is not a latency") };
        all.push(seen);
    }

    /// Adds the value of one repetition.
    pub(crate) fn single(&mut self, name: &str, unit: &'static str, value: f64, route: Option<&Route>) {
        let line = self.line(name, unit, route, || Seen::Single(Vec::new()));
        let Seen::Single(all) = &mut line.seen else { panic!("{name} is a latency") };
        all.push(value);
    }

    /// Compares `name` with `baseline`, repetition by repetition.
    pub(crate) fn beside(&mut self, name: &str, baseline: &str) {
        let line = self.lines.iter_mut().find(|line| line.name == name).expect("the line was added");
        line.baseline = Some(baseline.into());
    }

    fn line(
        &mut self,
        name: &str,
        unit: &'static str,
        route: Option<&Route>,
        seen: fn() -> Seen,
    ) -> &mut Line {
        let at = self.lines.iter().position(|line| line.name == name).unwrap_or_else(|| {
            let line = Line { name: name.into(), route: route.cloned(), unit, seen: seen(), baseline: None };
            self.lines.push(line);
            self.lines.len() - 1
        });
        &mut self.lines[at]
    }

    /// Returns the figures: the medians of the repetitions.
    pub(crate) fn figures(&self) -> Vec<Figure> {
        self.lines.iter().filter_map(|line| self.figure(line)).collect()
    }

    fn figure(&self, line: &Line) -> Option<Figure> {
        let base = line.baseline.as_ref().and_then(|name| self.lines.iter().find(|line| line.name == *name));
        let mut figure = match &line.seen {
            Seen::Latency(seen) => Figure::latency(&line.name, seen)?,
            Seen::Single(seen) => Figure::single(&line.name, line.unit, seen)?,
        };
        figure = match (&line.seen, base.map(|base| (&base.name, &base.seen))) {
            (Seen::Latency(own), Some((name, Seen::Latency(base)))) => figure.beside(name.clone(), own, base),
            (Seen::Single(own), Some((name, Seen::Single(base)))) => {
                let ratios: Vec<f64> = own.iter().zip(base).map(|(own, base)| own / base).collect();
                figure.over(name.clone(), &ratios)
            }
            _ => figure,
        };
        Some(match &line.route {
            Some(route) => figure.along(route.clone()),
            None => figure,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_compared_with_its_baseline_repetition_by_repetition() {
        let mut sheet = Sheet::default();
        for (own, rival) in [(10.0, 5.0), (30.0, 10.0), (20.0, 20.0)] {
            sheet.single("ours", "events/s", own, None);
            sheet.single("rival", "events/s", rival, None);
            sheet.beside("ours", "rival");
        }
        let figures = sheet.figures();
        assert_eq!((figures[0].value, figures[0].ratios.ratio), (Some(20.0), Some(2.0)));
        assert_eq!((figures[0].baseline.as_deref(), figures[1].repeats), (Some("rival"), 3));
    }
}
