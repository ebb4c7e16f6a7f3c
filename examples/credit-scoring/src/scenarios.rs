//! Worlds of tomorrow: those of the past, simulated ones, and those that people are afraid of.

use rand_distr::{Distribution, StandardNormal};
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::SeedableRng;

use crate::error::Error;
use crate::market::Market;
use crate::normal::LANES;
use crate::pricing::{Pricer, Worlds};

/// A shock that people agree on, applied to every asset.
pub struct Stress {
    /// Its name in reports.
    pub name: &'static str,
    /// Factor on prices.
    price: f64,
    /// Factor on volatilities.
    volatility: f64,
    /// Added to the interest.
    rate: f64,
}

/// The shocks of every report.
pub const STRESSES: [Stress; 6] = [
    Stress { name: "prices fall by 20 %", price: 0.8, volatility: 1.3, rate: 0.0 },
    Stress { name: "prices fall by 50 %", price: 0.5, volatility: 2.0, rate: 0.0 },
    Stress { name: "prices rise by 30 %", price: 1.3, volatility: 1.2, rate: 0.0 },
    Stress { name: "volatility doubles", price: 1.0, volatility: 2.0, rate: 0.0 },
    Stress { name: "interest rises by 3 points", price: 1.0, volatility: 1.0, rate: 0.03 },
    Stress {
        name: "crisis: prices halve, interest rises by 5 points",
        price: 0.5,
        volatility: 2.5,
        rate: 0.05,
    },
];

impl Stress {
    /// The values of all instruments after it.
    pub fn values(&self, market: &Market) -> Vec<f64> {
        let mut worlds = Worlds::today(market);
        worlds.moved(market, 1, |_, returns| returns.fill(libm::log(self.price)));
        Pricer::new(market, self.volatility, market.rate + self.rate).price_one(&worlds)
    }
}

/// Calls `each` with a world for every day of the past, several at a time.
pub fn historical(market: &Market, mut each: impl FnMut(&Worlds)) {
    let mut worlds = Worlds::today(market);
    for first in (0..market.days()).step_by(LANES) {
        let days = first..market.days().min(first + LANES);
        worlds.moved(market, days.len(), |asset, returns| {
            returns[..days.len()].copy_from_slice(&market.assets[asset].returns[days.clone()]);
        });
        each(&worlds);
    }
}

/// Calls `each` with `paths` simulated worlds, several at a time: normal returns with the covariances of the past.
pub fn simulated(
    market: &Market,
    paths: usize,
    seed: u64,
    mut each: impl FnMut(&Worlds),
) -> Result<(), Error> {
    let factor = cholesky(covariances(market), market.assets.len())?;
    let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
    let mut worlds = Worlds::today(market);
    let mut independent = vec![[0.0; LANES]; market.assets.len()];
    for first in (0..paths).step_by(LANES) {
        let count = LANES.min(paths - first);
        for path in 0..count {
            independent.iter_mut().for_each(|numbers| numbers[path] = StandardNormal.sample(&mut random));
        }
        worlds.moved(market, count, |asset, returns| {
            for (weight, numbers) in factor[asset][..=asset].iter().zip(&independent) {
                returns.iter_mut().zip(numbers).for_each(|(sum, number)| *sum += weight * number);
            }
        });
        each(&worlds);
    }
    Ok(())
}

/// Covariances of daily returns.
fn covariances(market: &Market) -> Vec<Vec<f64>> {
    let days = market.days() as f64;
    let centred: Vec<Vec<f64>> = market
        .assets
        .iter()
        .map(|asset| {
            let mean = asset.returns.iter().sum::<f64>() / days;
            asset.returns.iter().map(|r| r - mean).collect()
        })
        .collect();
    let covariance =
        |a: &Vec<f64>, b: &Vec<f64>| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>() / (days - 1.0);
    centred.iter().map(|a| centred.iter().map(|b| covariance(a, b)).collect()).collect()
}

/// The lower triangular root of a covariance matrix. Assets that follow others exactly get a tiny life of their own,
/// without which there is no root.
fn cholesky(mut matrix: Vec<Vec<f64>>, size: usize) -> Result<Vec<Vec<f64>>, Error> {
    for (at, row) in matrix.iter_mut().enumerate() {
        row[at] *= 1.0 + 1e-9;
    }
    let mut root = vec![vec![0.0; size]; size];
    for row in 0..size {
        for column in 0..=row {
            let known: f64 = (0..column).map(|k| root[row][k] * root[column][k]).sum();
            let rest = matrix[row][column] - known;
            root[row][column] = match row == column {
                true if rest > 0.0 => libm::sqrt(rest),
                true => return Err(Error::Model("the history's covariances have no root; give more days")),
                false => rest / root[column][column],
            };
        }
    }
    Ok(root)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_of_a_matrix() {
        let root = cholesky(vec![vec![4.0, 2.0], vec![2.0, 5.0]], 2).unwrap();
        for (found, expected) in root.concat().iter().zip([2.0, 0.0, 1.0, 2.0]) {
            assert!((found - expected).abs() < 1e-6, "{root:?}");
        }
        assert!(cholesky(vec![vec![1.0, 2.0], vec![2.0, 1.0]], 2).is_err());
    }
}
