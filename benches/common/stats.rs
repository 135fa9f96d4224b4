//! Medians and quartiles of a handful of rounds.
//!
//! The machines that run the benches are shared, and disturb single rounds, sometimes badly. That has hardly
//! any effect on a median, and the interquartile range says how far apart the undisturbed rounds are.

/// The results of one contender on one piece of work, with one number for each round.
#[derive(Clone, Debug, Default)]
pub(crate) struct Samples(Vec<f64>);

impl Samples {
    pub(crate) fn push(&mut self, sample: f64) {
        self.0.push(sample);
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn median(&self) -> f64 {
        quantile(&self.0, 0.5)
    }

    /// Returns the interquartile range as a fraction of the median.
    pub(crate) fn spread(&self) -> f64 {
        (quantile(&self.0, 0.75) - quantile(&self.0, 0.25)) / self.median()
    }

    /// Returns the ratios of these samples to `other`'s, round by round.
    ///
    /// The two were measured right after one another, so what slows a whole round has no effect.
    pub(crate) fn over(&self, other: &Samples) -> Samples {
        Samples(self.0.iter().zip(&other.0).map(|(mine, theirs)| mine / theirs).collect())
    }
}

/// Returns the `q` quantile of `samples`, interpolated between neighbours, or 0 if there are none.
pub(crate) fn quantile(samples: &[f64], q: f64) -> f64 {
    if samples.is_empty() {
        return 0.0;
    }
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    let position = q * (sorted.len() - 1) as f64;
    let below = position.floor() as usize;
    let above = position.ceil() as usize;
    sorted[below] + (sorted[above] - sorted[below]) * position.fract()
}
