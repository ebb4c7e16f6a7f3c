//! Profits and losses over scenarios, and what they say: value at risk and expected shortfall.

use serde::Serialize;

use crate::market::Market;
use crate::positions::Book;
use crate::pricing::{World, price};

/// Losses of each borrower over scenarios, in the market's currency; gains are negative.
pub struct Losses {
    /// Prices today.
    today: Vec<f64>,
    /// A row for each borrower.
    rows: Vec<Vec<f64>>,
    /// Prices of the scenario at hand.
    prices: Vec<f64>,
}

impl Losses {
    /// No scenario yet.
    pub fn new(market: &Market, borrowers: usize, scenarios: usize) -> Self {
        let mut today = Vec::new();
        price(&market.instruments, &World::today(market), &mut today);
        Self { today, rows: vec![Vec::with_capacity(scenarios); borrowers], prices: Vec::new() }
    }

    /// Values every book in one more world.
    pub fn add(&mut self, market: &Market, book: &Book, world: &World) {
        price(&market.instruments, world, &mut self.prices);
        self.prices.iter_mut().zip(&self.today).for_each(|(price, today)| *price = today - *price);
        for (row, net) in self.rows.iter_mut().zip(book.net.chunks_exact(book.instruments)) {
            row.push(dot(net, &self.prices));
        }
    }

    /// What the losses of each borrower say.
    pub fn risks(self) -> Vec<Risk> {
        self.rows.into_iter().map(Risk::of).collect()
    }
}

/// A sum of products in eight strands: one strand would wait for each addition, and the order, hence the result, is
/// the same whether the compiler uses vectors or not.
pub fn dot(a: &[f64], b: &[f64]) -> f64 {
    const STRANDS: usize = 8;
    let (a_strands, a_rest) = a.as_chunks::<STRANDS>();
    let (b_strands, b_rest) = b.as_chunks::<STRANDS>();
    let mut sums = [0.0; STRANDS];
    for (a, b) in a_strands.iter().zip(b_strands) {
        for strand in 0..STRANDS {
            sums[strand] += a[strand] * b[strand];
        }
    }
    let rest: f64 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
    sums.iter().sum::<f64>() + rest
}

/// Risk over a day.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Risk {
    /// A loss that one day in twenty exceeds.
    pub var_95: f64,
    /// A loss that one day in a hundred exceeds.
    pub var_99: f64,
    /// The mean of the worst 2.5 % of days.
    pub es_97_5: f64,
    /// Standard deviation of a day.
    pub deviation: f64,
    /// The worst day.
    pub worst: f64,
}

impl Risk {
    fn of(mut losses: Vec<f64>) -> Self {
        if losses.is_empty() {
            return Self::default();
        }
        losses.sort_unstable_by(|a, b| b.total_cmp(a));
        let count = losses.len();
        // The smallest number of worst days that makes up the share, at least one.
        let tail = |share: f64| ((count as f64 * share).ceil() as usize).clamp(1, count);
        let mean = losses.iter().sum::<f64>() / count as f64;
        let variance = losses.iter().map(|loss| (loss - mean) * (loss - mean)).sum::<f64>() / count as f64;
        let worst = &losses[..tail(0.025)];
        Self {
            var_95: losses[tail(0.05) - 1],
            var_99: losses[tail(0.01) - 1],
            es_97_5: worst.iter().sum::<f64>() / worst.len() as f64,
            deviation: libm::sqrt(variance),
            worst: losses[0],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_of_a_hundred_days() {
        let risk = Risk::of((1..=100).map(f64::from).collect());
        assert_eq!((risk.var_95, risk.var_99, risk.worst), (96.0, 100.0, 100.0));
        assert_eq!(risk.es_97_5, 99.0);
    }

    #[test]
    fn no_scenarios_no_risk() {
        assert_eq!(Risk::of(Vec::new()), Risk::default());
    }

    #[test]
    fn products_are_added_whatever_the_length() {
        for len in 0..40 {
            let numbers: Vec<f64> = (0..len).map(f64::from).collect();
            assert_eq!(dot(&numbers, &numbers), numbers.iter().map(|n| n * n).sum::<f64>());
        }
    }
}
