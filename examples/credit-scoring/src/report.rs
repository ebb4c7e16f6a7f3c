//! The lender's report.

use serde::Serialize;

use crate::error::Error;
use crate::market::{Instrument, Market};
use crate::positions::Books;
use crate::pricing::{Pricer, Worlds};
use crate::risk::{Losses, Risk, dot};
use crate::scenarios::{self, STRESSES};
use crate::score::Score;

/// Everything about every borrower. Money is in the market's currency.
#[derive(Debug, PartialEq, Serialize)]
pub struct Report {
    /// In the order of their numbers.
    pub borrowers: Vec<Borrower>,
}

/// Everything about one.
#[derive(Debug, PartialEq, Serialize)]
pub struct Borrower {
    /// Its number.
    pub borrower: usize,
    /// Value of what is owned less what is owed.
    pub net_worth: f64,
    /// Value of what is owed as loans.
    pub loans: f64,
    /// Sum of the absolute values of all positions before netting.
    pub gross_exposure: f64,
    /// Sum of the absolute values after netting.
    pub net_exposure: f64,
    /// From the days of the past.
    pub historical: Risk,
    /// From the simulation.
    pub simulated: Risk,
    /// Losses under each stress.
    pub stresses: Vec<StressLoss>,
    /// The judgement.
    pub score: Score,
}

/// A stress and its loss.
#[derive(Debug, PartialEq, Serialize)]
pub struct StressLoss {
    /// Its name.
    pub stress: &'static str,
    /// Its loss; gains are negative.
    pub loss: f64,
}

impl Report {
    /// Computes it.
    pub fn of(market: &Market, books: &Books, paths: usize, seed: u64) -> Result<Self, Error> {
        let book = &books.total;
        let pricer = Pricer::new(market, 1.0, market.rate);
        let prices = pricer.price_one(&Worlds::today(market));

        let mut historical = Losses::new(market, &pricer, book, market.days());
        scenarios::historical(market, |worlds| historical.add(worlds));
        let mut simulated = Losses::new(market, &pricer, book, paths);
        scenarios::simulated(market, paths, seed, |worlds| simulated.add(worlds))?;
        let stressed: Vec<Vec<f64>> = STRESSES
            .iter()
            .map(|stress| {
                stress.values(market).iter().zip(&prices).map(|(shocked, today)| today - shocked).collect()
            })
            .collect();

        let absolute: Vec<f64> = prices.iter().map(|price| price.abs()).collect();
        let net = book.net.chunks_exact(book.instruments);
        let gross = book.gross.chunks_exact(book.instruments);
        let risks = historical.risks().into_iter().zip(simulated.risks());
        let borrowers = net.zip(gross).zip(risks).enumerate();
        let borrowers = borrowers.map(|(borrower, ((net, gross), (historical, simulated)))| {
            let worth = dot(net, &prices);
            let stresses: Vec<StressLoss> = STRESSES
                .iter()
                .zip(&stressed)
                .map(|(stress, losses)| StressLoss { stress: stress.name, loss: dot(net, losses) })
                .collect();
            let worst = stresses.iter().fold(0.0, |worst: f64, stress| worst.max(stress.loss));
            let instruments = market.instruments.iter().zip(net).zip(&prices);
            let loans =
                instruments.filter(|((instrument, _), _)| matches!(instrument, Instrument::Loan { .. }));
            Borrower {
                borrower,
                net_worth: worth,
                loans: loans.map(|((_, quantity), price)| -quantity * price).sum(),
                gross_exposure: dot(gross, &absolute),
                net_exposure: net.iter().zip(&absolute).map(|(quantity, price)| quantity.abs() * price).sum(),
                historical,
                simulated,
                stresses,
                score: Score::of(worth, historical.deviation.max(simulated.deviation), worst),
            }
        });
        Ok(Self { borrowers: borrowers.collect() })
    }

    /// A line for each borrower.
    pub fn summary(&self) -> String {
        let mut lines = "borrower     net worth        VaR 99 %     ES 97.5 %   points\n".to_owned();
        for Borrower { borrower, net_worth, simulated: Risk { var_99, es_97_5, .. }, score, .. } in
            &self.borrowers
        {
            let Score { points, grade, .. } = score;
            lines +=
                &format!("{borrower:8} {net_worth:13.0} {var_99:15.0} {es_97_5:13.0}   {points:6} {grade}\n");
        }
        lines
    }
}
