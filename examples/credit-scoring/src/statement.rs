//! What was computed from what, for everybody: it names inputs and the report by digests and shows none of them.

use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::positions::Book;

/// SHA-256 in hexadecimal digits.
pub fn sha256(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

/// The statement.
#[derive(Debug, PartialEq, Serialize)]
pub struct Statement {
    /// Of this format.
    pub version: u32,
    /// Of the file.
    pub market_sha256: String,
    /// Whose positions were read, in this order.
    pub sources: Vec<Source>,
    /// Of the Monte-Carlo simulation.
    pub simulation: Simulation,
    /// How many were scored.
    pub borrowers: usize,
    /// Of the lender's file.
    pub report_sha256: String,
}

/// An institution's part.
#[derive(Debug, PartialEq, Serialize)]
pub struct Source {
    institution: String,
    positions: u64,
    /// SHA-256 of the netted book, which the institution can compute itself (`credit-scoring digest positions`).
    pub book_sha256: String,
}

/// What a simulation depends on.
#[derive(Debug, PartialEq, Serialize)]
pub struct Simulation {
    /// Number of paths.
    pub paths: usize,
    /// Of the random numbers.
    pub seed: u64,
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
