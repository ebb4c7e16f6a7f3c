//! From risk to a score.

use serde::Serialize;

use crate::normal;

/// Trading days of a year.
const DAYS: f64 = 252.0;

/// How good a borrower is.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Score {
    /// Standard deviations of a year between the borrower's net worth and nothing (Merton 1974).
    pub distance_to_default: f64,
    /// The chance that net worth is gone within a year.
    pub default_probability: f64,
    /// From 300, worst, to 850, best: 65 points for each halving of the odds of default.
    pub points: u16,
    /// In words.
    pub grade: &'static str,
}

/// Lower ends of the grades.
const GRADES: [(u16, &str); 5] =
    [(800, "very good"), (700, "good"), (600, "fair"), (500, "poor"), (300, "very poor")];

impl Score {
    /// The score of somebody with this net worth, whose value has this standard deviation a day and this loss under
    /// the worst stress.
    pub fn of(worth: f64, deviation: f64, stress_loss: f64) -> Self {
        // Who would not survive the worst stress is as good as what is left of him after half of it.
        let cushion = worth.min(worth - 0.5 * stress_loss);
        let yearly = deviation * libm::sqrt(DAYS);
        let distance_to_default = match yearly > 0.0 {
            true => (cushion / yearly).clamp(-10.0, 10.0),
            false if cushion > 0.0 => 10.0,
            false => -10.0,
        };
        let default_probability = normal::distribution(-distance_to_default);
        let odds = default_probability.max(1e-12) / (1.0 - default_probability).max(1e-12);
        let points = (450.0 - 65.0 * libm::log2(odds)).clamp(300.0, 850.0) as u16;
        let grade = GRADES.iter().find(|(least, _)| points >= *least).map_or("very poor", |(_, name)| name);
        Self { distance_to_default, default_probability, points, grade }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_worth_is_better_and_more_risk_is_worse() {
        let base = Score::of(1000.0, 30.0, 500.0);
        assert!(Score::of(2000.0, 30.0, 500.0).points > base.points);
        assert!(Score::of(1000.0, 60.0, 500.0).points < base.points);
        assert!(Score::of(1000.0, 30.0, 1500.0).points < base.points);
    }

    #[test]
    fn ends_of_the_scale() {
        assert_eq!(Score::of(1000.0, 0.0, 0.0).points, 850);
        assert_eq!(Score::of(-1000.0, 0.0, 0.0).points, 300);
    }
}
