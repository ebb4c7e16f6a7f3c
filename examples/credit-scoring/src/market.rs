//! The market: assets with their history, and the instruments on them. Public data.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::error::{Error, io, malformed};
use crate::statement::sha256;

/// Everything that is priced with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Market {
    /// What has a price of its own.
    pub assets: Vec<Asset>,
    /// What positions are in, by number.
    pub instruments: Vec<Instrument>,
    /// Interest per year, continuously compounded.
    pub rate: f64,
}

/// A currency, coin, share or commodity.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asset {
    /// Its name.
    pub name: String,
    /// Price today.
    pub price: f64,
    /// Implied volatility per year.
    pub volatility: f64,
    /// Daily logarithmic returns, oldest first; as many for every asset.
    pub returns: Vec<f64>,
}

/// What one can hold.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Instrument {
    /// The asset itself.
    Spot {
        /// Number of the asset.
        asset: usize,
    },
    /// A claim to buy at a price at a time.
    Forward {
        /// Number of the asset.
        asset: usize,
        /// Price agreed.
        strike: f64,
        /// Time until then in years.
        years: f64,
    },
    /// A right to buy or sell at a price at a time.
    Option {
        /// Number of the asset.
        asset: usize,
        /// Price agreed.
        strike: f64,
        /// Time until then in years.
        years: f64,
        /// To buy, else to sell.
        call: bool,
    },
    /// Money owed by the borrower, in units of one, due at a time.
    Loan {
        /// Interest per year.
        coupon: f64,
        /// Time until then in years.
        years: f64,
    },
}

impl Instrument {
    /// The asset it depends on.
    pub fn asset(&self) -> Option<usize> {
        match *self {
            Self::Spot { asset } | Self::Forward { asset, .. } | Self::Option { asset, .. } => Some(asset),
            Self::Loan { .. } => None,
        }
    }

    fn numbers(&self) -> [f64; 2] {
        match *self {
            Self::Spot { .. } => [1.0, 1.0],
            Self::Forward { strike, years, .. } | Self::Option { strike, years, .. } => [strike, years],
            Self::Loan { years, .. } => [1.0, years],
        }
    }
}

impl Market {
    /// Reads and checks a market; the file's SHA-256 with it.
    pub fn read(path: &Path) -> Result<(Self, String), Error> {
        let bytes = std::fs::read(path).map_err(io(path))?;
        let market: Self = serde_json::from_slice(&bytes).map_err(|error| malformed(path, error))?;
        market.check().map_err(|why| malformed(path, why))?;
        Ok((market, sha256(&bytes)))
    }

    fn check(&self) -> Result<(), String> {
        let days = self.days();
        if self.assets.is_empty() || self.instruments.is_empty() || days < 2 {
            return Err("a market has assets, instruments and at least two days of history".to_owned());
        }
        for asset in &self.assets {
            let finite = asset.returns.iter().all(|r| r.is_finite());
            if !(asset.price > 0.0 && asset.volatility > 0.0) || asset.returns.len() != days || !finite {
                return Err(format!("asset {}: price, volatility or history is unusable", asset.name));
            }
        }
        let unusable = |instrument: &Instrument| {
            instrument.asset().is_some_and(|asset| asset >= self.assets.len())
                || instrument.numbers().iter().any(|number| !(*number > 0.0 && number.is_finite()))
        };
        match self.instruments.iter().position(unusable) {
            Some(number) => Err(format!("instrument {number}: its asset, strike or time is unusable")),
            None => Ok(()),
        }
    }

    /// Days of history.
    pub fn days(&self) -> usize {
        self.assets.first().map_or(0, |asset| asset.returns.len())
    }
}
