//! A series of bounded length, for a plot.

use serde::Serialize;

/// The number of points that are kept before every other one is dropped.
const POINTS_MAX: usize = 4_096;

/// An evenly thinned series: every first, second, fourth … point of those pushed, at most 4,096 of them,
/// and the last one.
#[derive(Clone, PartialEq, Debug, Serialize)]
#[serde(transparent)]
pub struct Thinned<T> {
    points: Vec<T>,
    #[serde(skip)]
    stride: usize,
    #[serde(skip)]
    pushed: usize,
    #[serde(skip)]
    last: Option<T>,
}

impl<T> Default for Thinned<T> {
    fn default() -> Self {
        Self { points: Vec::new(), stride: 1, pushed: 0, last: None }
    }
}

impl<T: Copy> Thinned<T> {
    /// Adds a point at the end.
    pub(super) fn push(&mut self, point: T) {
        if self.pushed.is_multiple_of(self.stride) {
            self.points.push(point);
            self.last = None;
        } else {
            self.last = Some(point);
        }
        self.pushed += 1;
        if self.points.len() > POINTS_MAX {
            let mut at = 0;
            self.points.retain(|_| {
                at += 1;
                at % 2 == 1
            });
            self.stride *= 2;
        }
    }

    /// Keeps the last point at the end, even if thinning had dropped it.
    pub(super) fn close(&mut self) {
        self.points.extend(self.last.take());
    }

    /// Returns the points that were kept, in order.
    pub fn points(&self) -> &[T] {
        &self.points
    }

    /// The number of points that were pushed.
    pub fn pushed(&self) -> usize {
        self.pushed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_evenly_spaced_and_ends_with_the_last_point() {
        for count in [0, 1, 2, POINTS_MAX, POINTS_MAX + 1, 3 * POINTS_MAX, 100_003] {
            let mut series = Thinned::default();
            (0..count).for_each(|point| series.push(point));
            series.close();
            let points = series.points();
            assert_eq!(series.pushed(), count);
            assert!(points.len() <= POINTS_MAX + 1);
            assert_eq!(points.last().copied(), count.checked_sub(1));
            let gaps: Vec<usize> = points.windows(2).map(|pair| pair[1] - pair[0]).collect();
            if let Some((last, even)) = gaps.split_last() {
                assert!(even.iter().all(|gap| *gap == even[0]) && (even.is_empty() || *last <= even[0]));
            }
            assert!(count <= POINTS_MAX || points.len() >= POINTS_MAX / 2);
        }
    }
}
