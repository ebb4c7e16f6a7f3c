//! What instruments are worth in many worlds at once: a loop over worlds is one that compilers make vectors of.

use crate::market::{Instrument, Market};
use crate::normal::{LANES, Lanes, Scratch, exp, tails};

/// Worlds that differ in the prices of assets.
pub struct Worlds {
    /// How many of the lanes are worlds.
    pub count: usize,
    /// Prices of each asset.
    prices: Vec<Lanes>,
    /// Their logarithms.
    logarithms: Vec<Lanes>,
}

impl Worlds {
    /// Nothing has moved.
    pub fn today(market: &Market) -> Self {
        let rows = vec![[0.0; LANES]; market.assets.len()];
        let mut worlds = Self { count: 1, prices: rows.clone(), logarithms: rows };
        worlds.moved(market, 1, |_, _| {});
        worlds
    }

    /// `count` worlds after logarithmic returns, which `returns` adds up for an asset in each world.
    pub fn moved(&mut self, market: &Market, count: usize, mut returns: impl FnMut(usize, &mut Lanes)) {
        self.count = count;
        let mut scratch = [[0.0; LANES]; 2];
        let rows = self.prices.iter_mut().zip(&mut self.logarithms);
        for (number, (asset, (prices, logarithms))) in market.assets.iter().zip(rows).enumerate() {
            let mut changes = [0.0; LANES];
            returns(number, &mut changes);
            let today = libm::log(asset.price);
            exp(&changes, prices, &mut scratch);
            prices.iter_mut().for_each(|price| *price *= asset.price);
            logarithms.iter_mut().zip(&changes).for_each(|(logarithm, change)| *logarithm = today + change);
        }
    }
}

/// Everything about the instruments that is the same in worlds which differ in prices only.
pub struct Pricer {
    terms: Vec<Term>,
}

/// An instrument in such worlds.
enum Term {
    /// Worth the price less something.
    Price { asset: usize, less: f64 },
    /// Worth the same in all of them.
    Known(f64),
    /// An option.
    Option { contract: Contract, call: bool },
}

/// What an option and its counterpart are about.
#[derive(PartialEq)]
struct Contract {
    asset: usize,
    /// The strike today.
    discounted: f64,
    /// Its logarithm.
    logarithm: f64,
    /// Volatility over its life.
    deviation: f64,
}

impl Pricer {
    /// With volatilities times `volatility` and interest per year.
    pub fn new(market: &Market, volatility: f64, rate: f64) -> Self {
        let term = |instrument: &Instrument| match *instrument {
            Instrument::Spot { asset } => Term::Price { asset, less: 0.0 },
            Instrument::Forward { asset, strike, years } => {
                Term::Price { asset, less: strike * libm::exp(-rate * years) }
            }
            Instrument::Option { asset, strike, years, call } => {
                let contract = Contract {
                    asset,
                    discounted: strike * libm::exp(-rate * years),
                    logarithm: libm::log(strike) - rate * years,
                    deviation: market.assets[asset].volatility * volatility * libm::sqrt(years),
                };
                Term::Option { contract, call }
            }
            // Owed, hence negative; a unit with its coupons, paid at the end.
            Instrument::Loan { coupon, years } => Term::Known(-libm::exp((coupon - rate) * years)),
        };
        Self { terms: market.instruments.iter().map(term).collect() }
    }

    /// Calls `each` with the values of every instrument.
    pub fn price(&self, worlds: &Worlds, mut each: impl FnMut(usize, &Lanes)) {
        let mut values = [0.0; LANES];
        let mut legs = Legs::default();
        let mut priced = None;
        for (number, term) in self.terms.iter().enumerate() {
            match term {
                Term::Price { asset, less } => lower(&worlds.prices[*asset], *less, &mut values),
                Term::Known(value) => values.fill(*value),
                Term::Option { contract, call } => {
                    // Calls and puts on the same, one after the other, have the same legs.
                    if priced != Some(contract) {
                        legs.compute(contract, worlds);
                        priced = Some(contract);
                    }
                    if *call {
                        legs.call(&mut values);
                    } else {
                        legs.put(&worlds.prices[contract.asset], contract.discounted, &mut values);
                    }
                }
            }
            each(number, &values);
        }
    }

    /// Values of all instruments in the first of these worlds.
    pub fn price_one(&self, worlds: &Worlds) -> Vec<f64> {
        let mut all = Vec::with_capacity(self.terms.len());
        self.price(worlds, |_, values| all.push(values[0]));
        all
    }
}

// The loops below are functions of their own: what a loop needs stays in registers only where it is alone.

/// Prices less something.
#[inline(never)]
fn lower(prices: &Lanes, less: f64, values: &mut Lanes) {
    for lane in 0..LANES {
        values[lane] = prices[lane] - less;
    }
}

/// What the holder of a European call can expect to receive and to pay (Black and Scholes 1973), as of today.
struct Legs {
    received: Lanes,
    paid: Lanes,
    d1: Lanes,
    d2: Lanes,
    /// Of the distribution's tails beyond these, as fractions.
    above: [Lanes; 2],
    below: [Lanes; 2],
    exponents: Lanes,
    density: Lanes,
    scratch: Scratch,
}

impl Default for Legs {
    fn default() -> Self {
        let none = [0.0; LANES];
        Self {
            received: none,
            paid: none,
            d1: none,
            d2: none,
            above: [none; 2],
            below: [none; 2],
            exponents: none,
            density: none,
            scratch: [none; 2],
        }
    }
}

impl Legs {
    #[inline(never)]
    #[allow(clippy::needless_range_loop, reason = "by lanes, as its neighbours")]
    fn call(&self, values: &mut Lanes) {
        for lane in 0..LANES {
            values[lane] = self.received[lane] - self.paid[lane];
        }
    }

    /// A put is a call less a forward.
    #[inline(never)]
    fn put(&self, prices: &Lanes, less: f64, values: &mut Lanes) {
        for lane in 0..LANES {
            values[lane] = (self.received[lane] - self.paid[lane]) - (prices[lane] - less);
        }
    }

    fn compute(&mut self, contract: &Contract, worlds: &Worlds) {
        let (prices, logarithms) = (&worlds.prices[contract.asset], &worlds.logarithms[contract.asset]);
        let (per_deviation, half) = (1.0 / contract.deviation, 0.5 * contract.deviation);
        let Self { received, paid, d1, d2, above: [above_1, above_2], below: [below_1, below_2], .. } = self;
        for lane in 0..LANES {
            d1[lane] = (logarithms[lane] - contract.logarithm) * per_deviation + half;
            d2[lane] = d1[lane] - contract.deviation;
            self.exponents[lane] = -0.5 * d1[lane] * d1[lane];
        }
        let sizes = &mut self.scratch[0];
        tails(d1, above_1, below_1, sizes);
        tails(d2, above_2, below_2, sizes);
        exp(&self.exponents, &mut self.density, &mut self.scratch);
        // Three loops, so that what each needs stays in registers.
        let weights = &mut self.scratch[0];
        // Price times density at d1 is strike times density at d2. One division serves both fractions.
        for lane in 0..LANES {
            weights[lane] = prices[lane] * self.density[lane] / (below_1[lane] * below_2[lane]);
        }
        for lane in 0..LANES {
            let outside = weights[lane] * (above_1[lane] * below_2[lane]);
            received[lane] = if d1[lane] > 0.0 { prices[lane] - outside } else { outside };
        }
        for lane in 0..LANES {
            let outside = weights[lane] * (above_2[lane] * below_1[lane]);
            paid[lane] = if d2[lane] > 0.0 { contract.discounted - outside } else { outside };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::market::Asset;

    fn values(price: f64, volatility: f64, rate: f64, instruments: Vec<Instrument>) -> Vec<f64> {
        let asset = Asset { name: "A".to_owned(), price, volatility, returns: vec![0.0; 2] };
        let market = Market { assets: vec![asset], instruments, rate };
        Pricer::new(&market, 1.0, rate).price_one(&Worlds::today(&market))
    }

    fn option(strike: f64, years: f64, call: bool) -> Instrument {
        Instrument::Option { asset: 0, strike, years, call }
    }

    /// Hull, "Options, Futures, and Other Derivatives", example of the Black-Scholes formula: 42, 40, 10 %, 20 %,
    /// half a year.
    #[test]
    fn textbook_option() {
        let found = values(42.0, 0.2, 0.1, vec![option(40.0, 0.5, true), option(40.0, 0.5, false)]);
        assert!((found[0] - 4.76).abs() < 0.005 && (found[1] - 0.81).abs() < 0.005, "{found:?}");
    }

    /// The formula as it is written, with libm's functions.
    #[test]
    fn options_are_those_of_the_formula() {
        let cdf = |x: f64| 0.5 * libm::erfc(-x * std::f64::consts::FRAC_1_SQRT_2);
        for (strike, years) in
            [(1.0, 0.01), (50.0, 0.25), (93.0, 1.0), (110.0, 0.4), (400.0, 3.0), (9_000.0, 0.1)]
        {
            let (price, volatility, rate): (f64, f64, f64) = (93.0, 0.7, 0.03);
            let found = values(
                price,
                volatility,
                rate,
                vec![option(strike, years, false), option(strike, years, true)],
            );
            let (deviation, discounted) = (volatility * years.sqrt(), strike * libm::exp(-rate * years));
            let d1 = libm::log(price / discounted) / deviation + 0.5 * deviation;
            let call = price * cdf(d1) - discounted * cdf(d1 - deviation);
            let put = discounted * cdf(deviation - d1) - price * cdf(-d1);
            let tolerance = 1e-13 * price.max(strike);
            assert!((found[0] - put).abs() < tolerance, "put {strike} {years}: {} {put}", found[0]);
            assert!((found[1] - call).abs() < tolerance, "call {strike} {years}: {} {call}", found[1]);
        }
    }

    #[test]
    fn a_forward_and_a_loan() {
        let forward = Instrument::Forward { asset: 0, strike: 100.0, years: 2.0 };
        let loan = Instrument::Loan { coupon: 0.08, years: 0.5 };
        let found = values(93.0, 0.7, 0.03, vec![Instrument::Spot { asset: 0 }, forward, loan]);
        assert_eq!(found, [93.0, 93.0 - 100.0 * libm::exp(-0.06), -libm::exp(0.025)]);
    }
}
