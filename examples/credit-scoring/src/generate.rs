//! Data to try it on: a market of correlated assets and books that look like those of leveraged traders.
//!
//! * 24 assets whose daily returns over 750 days follow one common factor, one factor of four groups, and a part of
//!   their own, all normal; volatilities of 30 % to 120 % a year.
//! * For each asset: spot, 4 forwards, and calls and puts at 11 strikes and 4 maturities; 16 loans. 2,248 instruments.
//! * Each borrower owns spot, worth more the lower its number, and trades around it: forwards and options of both
//!   signs; it owes loans, a share of its spot that grows with its number, so that the first are safe and the last are not.
//! * Positions go to the institutions in turn.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;

use rand_core::{RngCore, SeedableRng};
use rand_distr::{Distribution, StandardNormal};
use rand_xoshiro::Xoshiro256PlusPlus;

use crate::error::{Error, io, json, write};
use crate::market::{Asset, Instrument, Market};
use crate::positions::MAGIC;

const ASSETS: usize = 24;
const GROUPS: usize = 4;
const DAYS: usize = 750;
const MATURITIES: [f64; 4] = [1.0 / 52.0, 1.0 / 12.0, 0.25, 1.0];
const STRIKES: usize = 11;
const LOANS: usize = 16;
/// Instruments of one asset: spot, forwards, calls and puts.
const PER_ASSET: usize = 1 + MATURITIES.len() + 2 * STRIKES * MATURITIES.len();

/// Writes a market and each institution's positions.
pub fn generate(options: &super::Generate) -> Result<(), Error> {
    if options.borrowers == 0 || options.institutions.is_empty() {
        return Err(Error::Model("there is nothing to make without borrowers or institutions"));
    }
    fs::create_dir_all(&options.out).map_err(io(&options.out))?;
    let mut random = Xoshiro256PlusPlus::seed_from_u64(options.seed);
    let market = market(&mut random);
    let path = options.out.join("market.json");
    write(&path, &json(&path, &market)?)?;
    let files = options.institutions.iter().map(|name| options.out.join(format!("{name}.positions")));
    let mut outputs =
        files.map(|path| Output::create(&path, options.borrowers)).collect::<Result<Vec<_>, _>>()?;
    for borrower in 0..options.borrowers {
        let trader = Trader::new(borrower, options.borrowers, options.positions);
        for position in 0..options.positions {
            let (instrument, quantity) = trader.position(position, &market, &mut random);
            let institution = position as usize % outputs.len();
            outputs[institution].write(borrower, instrument, quantity)?;
        }
    }
    outputs.into_iter().try_for_each(Output::finish)
}

fn market(random: &mut Xoshiro256PlusPlus) -> Market {
    let mut normal = || -> f64 { StandardNormal.sample(random) };
    let common: Vec<f64> = (0..DAYS).map(|_| normal()).collect();
    let groups: Vec<Vec<f64>> = (0..GROUPS).map(|_| (0..DAYS).map(|_| normal()).collect()).collect();
    let assets: Vec<Asset> = (0..ASSETS)
        .map(|number| {
            let volatility = 0.3 + 0.9 * number as f64 / (ASSETS - 1) as f64;
            let daily = volatility / libm::sqrt(252.0);
            let group = &groups[number % GROUPS];
            // The squares of the three weights add up to one.
            let returns =
                common.iter().zip(group).map(|(c, g)| daily * (0.7 * c + 0.5 * g + 0.509_9 * normal()));
            Asset {
                name: format!("A{number:02}"),
                price: libm::exp(2.0 + number as f64 * 0.35),
                volatility,
                returns: returns.collect(),
            }
        })
        .collect();
    let mut instruments: Vec<Instrument> = assets.iter().enumerate().flat_map(listed).collect();
    instruments.extend((0..LOANS).map(|number| Instrument::Loan {
        coupon: 0.04 + 0.005 * number as f64,
        years: 0.25 * (number + 1) as f64,
    }));
    Market { assets, instruments, rate: 0.03 }
}

/// What is listed on an asset.
fn listed((asset, what): (usize, &Asset)) -> Vec<Instrument> {
    let forwards = MATURITIES.map(|years| Instrument::Forward { asset, strike: what.price, years });
    let options = MATURITIES.iter().flat_map(|&years| {
        (0..STRIKES).flat_map(move |step| {
            // Strikes lie within two standard deviations of the price.
            let away = (step as f64 / (STRIKES - 1) as f64 - 0.5) * 4.0;
            let strike = what.price * libm::exp(away * what.volatility * libm::sqrt(years));
            [true, false].map(|call| Instrument::Option { asset, strike, years, call })
        })
    });
    std::iter::once(Instrument::Spot { asset }).chain(forwards).chain(options).collect()
}

/// How a borrower trades.
struct Trader {
    /// Money in one position.
    size: f64,
    /// Share of positions that are loans.
    debt: f64,
}

impl Trader {
    fn new(number: u16, of: u16, positions: u64) -> Self {
        let place = f64::from(number) / f64::from(of);
        Self { size: 1e9 * (1.5 - place) / positions as f64, debt: 0.05 + 0.5 * place }
    }

    /// One position: a fifth is spot, the others trade around it, loans come in between.
    fn position(&self, number: u64, market: &Market, random: &mut Xoshiro256PlusPlus) -> (u32, f64) {
        let uniform = (random.next_u64() >> 11) as f64 / (1_u64 << 53) as f64;
        let normal: f64 = StandardNormal.sample(random);
        let size = self.size * libm::exp(0.5 * normal - 0.125);
        let asset = (random.next_u64() % ASSETS as u64) as usize;
        let price = market.assets[asset].price;
        let first = asset * PER_ASSET;
        match number % 5 {
            0 => (first as u32, 5.0 * size / price),
            1 if uniform < 2.0 * self.debt => {
                ((ASSETS * PER_ASSET) as u32 + (random.next_u64() % LOANS as u64) as u32, 2.5 * size)
            }
            _ => {
                let which = first + 1 + (random.next_u64() % (PER_ASSET - 1) as u64) as usize;
                (which as u32, size / price * if uniform < 0.5 { 1.0 } else { -1.0 })
            }
        }
    }
}

/// A file of positions.
struct Output {
    path: std::path::PathBuf,
    file: BufWriter<File>,
}

impl Output {
    fn create(path: &Path, borrowers: u16) -> Result<Self, Error> {
        let mut file = BufWriter::with_capacity(1 << 20, File::create(path).map_err(io(path))?);
        file.write_all(MAGIC)
            .and_then(|()| file.write_all(&u64::from(borrowers).to_le_bytes()))
            .map_err(io(path))?;
        Ok(Self { path: path.to_owned(), file })
    }

    fn write(&mut self, borrower: u16, instrument: u32, quantity: f64) -> Result<(), Error> {
        let mut record = [0; 16];
        record[..2].copy_from_slice(&borrower.to_le_bytes());
        record[4..8].copy_from_slice(&instrument.to_le_bytes());
        record[8..].copy_from_slice(&quantity.to_le_bytes());
        self.file.write_all(&record).map_err(io(&self.path))
    }

    fn finish(self) -> Result<(), Error> {
        let file = self.file.into_inner().map_err(|error| io(&self.path)(error.into_error()))?;
        file.sync_all().map_err(io(&self.path))
    }
}
