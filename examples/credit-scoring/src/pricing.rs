//! What an instrument is worth.

use crate::market::{Instrument, Market};

/// The state of the world that an instrument is priced in.
#[derive(Clone, Debug, PartialEq)]
pub struct World {
    /// Price of each asset.
    pub prices: Vec<f64>,
    /// Implied volatility of each asset, per year.
    pub volatilities: Vec<f64>,
    /// Interest per year.
    pub rate: f64,
}

impl World {
    /// Today's.
    pub fn today(market: &Market) -> Self {
        Self {
            prices: market.assets.iter().map(|asset| asset.price).collect(),
            volatilities: market.assets.iter().map(|asset| asset.volatility).collect(),
            rate: market.rate,
        }
    }
}

/// Prices of all instruments, into `prices`.
pub fn price(instruments: &[Instrument], world: &World, prices: &mut Vec<f64>) {
    prices.clear();
    prices.extend(instruments.iter().map(|instrument| one(instrument, world)));
}

fn one(instrument: &Instrument, world: &World) -> f64 {
    match *instrument {
        Instrument::Spot { asset } => world.prices[asset],
        Instrument::Forward { asset, strike, years } => {
            world.prices[asset] - strike * libm::exp(-world.rate * years)
        }
        Instrument::Option { asset, strike, years, call } => {
            let discounted = strike * libm::exp(-world.rate * years);
            option(world.prices[asset], discounted, world.volatilities[asset] * libm::sqrt(years), call)
        }
        // Owed, hence negative; a unit with its coupons, paid at the end.
        Instrument::Loan { coupon, years } => -libm::exp((coupon - world.rate) * years),
    }
}

/// A European option (Black and Scholes 1973): `deviation` is the volatility over its life.
fn option(price: f64, discounted_strike: f64, deviation: f64, call: bool) -> f64 {
    let d1 = libm::log(price / discounted_strike) / deviation + 0.5 * deviation;
    let d2 = d1 - deviation;
    match call {
        true => price * normal_cdf(d1) - discounted_strike * normal_cdf(d2),
        false => discounted_strike * normal_cdf(-d2) - price * normal_cdf(-d1),
    }
}

/// The distribution function of the standard normal distribution.
pub fn normal_cdf(x: f64) -> f64 {
    0.5 * libm::erfc(-x * std::f64::consts::FRAC_1_SQRT_2)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Hull, "Options, Futures, and Other Derivatives", example of the Black-Scholes formula: 42, 40, 10 %, 20 %,
    /// half a year.
    #[test]
    fn textbook_option() {
        let discounted = 40.0 * libm::exp(-0.1 * 0.5);
        let deviation = 0.2 * libm::sqrt(0.5);
        assert!((option(42.0, discounted, deviation, true) - 4.76).abs() < 0.005);
        assert!((option(42.0, discounted, deviation, false) - 0.81).abs() < 0.005);
    }

    #[test]
    fn put_call_parity() {
        let world = World { prices: vec![93.0], volatilities: vec![0.7], rate: 0.03 };
        let at = |call| one(&Instrument::Option { asset: 0, strike: 110.0, years: 0.4, call }, &world);
        let forward = one(&Instrument::Forward { asset: 0, strike: 110.0, years: 0.4 }, &world);
        assert!((at(true) - at(false) - forward).abs() < 1e-9);
    }
}
