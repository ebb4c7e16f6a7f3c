//! What was computed from what, for everybody: it names inputs and the report by digests and shows none of them.

use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::market::Market;
use crate::positions::Book;
use crate::report::Report;

/// The statement.
#[derive(Debug, PartialEq, Serialize)]
pub struct Statement {
    version: u32,
    market_sha256: String,
    sources: Vec<Source>,
    simulation: Simulation,
    borrowers: usize,
    report_sha256: String,
}

/// An institution's part.
#[derive(Debug, PartialEq, Serialize)]
pub struct Source {
    institution: String,
    positions: u64,
    /// SHA-256 of the netted book, which the institution can compute itself (`credit-scoring digest positions`).
    pub book_sha256: String,
}

#[derive(Debug, PartialEq, Serialize)]
struct Simulation {
    paths: usize,
    seed: u64,
}

impl Source {
    /// An institution's book.
    pub fn of(institution: &str, book: &Book) -> Self {
        let mut hash = Sha256::new();
        hash.update((book.borrowers() as u64).to_le_bytes());
        hash.update((book.instruments as u64).to_le_bytes());
        hash.update(book.count.to_le_bytes());
        for quantity in book.net.iter().chain(&book.gross) {
            hash.update(quantity.to_bits().to_le_bytes());
        }
        Self {
            institution: institution.to_owned(),
            positions: book.count,
            book_sha256: hex::encode(hash.finalize()),
        }
    }
}

impl Statement {
    /// The statement about a report.
    pub fn new(market: &Market, sources: Vec<Source>, report: &Report, paths: usize, seed: u64) -> Self {
        Self {
            version: 1,
            market_sha256: market.sha256(),
            sources,
            simulation: Simulation { paths, seed },
            borrowers: report.borrowers.len(),
            report_sha256: report.sha256(),
        }
    }
}
