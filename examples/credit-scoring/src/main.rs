//! Credit scoring on private portfolios.
//!
//! Banks and exchanges hold positions of the same borrowers and may not show them to each other, to the lender, or to
//! the machine that computes. Each gives its positions to this program; the lender gets exposures, risk and a score
//! for each borrower, and everybody gets a statement of what was computed from what.
//!
//! Reads top-down: [`market`] and [`positions`] are the input, [`pricing`], [`scenarios`] and [`risk`] the model,
//! [`score`] the judgement, [`report`] and [`statement`] the output. [`generate`] makes data to try it on.

mod error;
mod generate;
mod market;
mod normal;
mod positions;
mod pricing;
mod report;
mod risk;
mod scenarios;
mod score;
mod statement;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use error::Error;

/// Scores borrowers on positions that no two parties may show each other
#[derive(Parser)]
#[command(name = "credit-scoring", version)]
enum Command {
    /// Make a market and the positions of each institution
    Generate(Generate),
    /// Score all borrowers
    Score(Score),
    /// Print the digest under which a statement names an institution's positions
    #[command(subcommand)]
    Digest(Digest),
}

/// What [`generate`] makes.
#[derive(Args)]
struct Generate {
    /// Folder for market.json and INSTITUTION.positions
    out: PathBuf,
    /// Number of borrowers
    #[arg(long, default_value_t = 10)]
    borrowers: u16,
    /// Positions of each borrower, over all institutions
    #[arg(long, default_value_t = 50_000)]
    positions: u64,
    /// Names of the institutions
    #[arg(long, value_delimiter = ',', default_value = "alpha,beta,gamma")]
    institutions: Vec<String>,
    /// Equal seeds make equal data
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// What is scored, and on what.
#[derive(Args)]
struct Score {
    /// Prices, instruments and their history
    #[arg(long)]
    market: PathBuf,
    /// An institution's positions: NAME=FILE, once for each
    #[arg(long = "positions", value_name = "NAME=FILE", required = true, value_parser = named_file)]
    positions: Vec<(String, PathBuf)>,
    /// Where the lender's report goes
    #[arg(long)]
    report: PathBuf,
    /// Where everybody's statement goes
    #[arg(long)]
    statement: PathBuf,
    /// Where evidence over the statement goes: in Twine, anybody can check there that this program says it
    #[cfg(feature = "evidence")]
    #[arg(long)]
    evidence: Option<PathBuf>,
    /// The lender's number in that evidence, as hexadecimal digits: no older evidence has it
    #[cfg(feature = "evidence")]
    #[arg(long, env = "NONCE", requires = "evidence")]
    nonce: Option<String>,
    /// Paths of the Monte-Carlo simulation
    #[arg(long, default_value_t = 100_000)]
    paths: usize,
    /// Seed of the simulation, which the statement names
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// Digests.
#[derive(Subcommand)]
enum Digest {
    /// Of the positions in a file
    Positions {
        /// Prices, instruments and their history
        #[arg(long)]
        market: PathBuf,
        /// The positions
        file: PathBuf,
    },
}

fn named_file(text: &str) -> Result<(String, PathBuf), String> {
    match text.split_once('=') {
        Some((name, file)) if !name.is_empty() && !file.is_empty() => Ok((name.to_owned(), file.into())),
        _ => Err("write NAME=FILE, like alpha=/alpha/alpha.positions".to_owned()),
    }
}

fn main() -> ExitCode {
    let done = match Command::parse() {
        Command::Generate(options) => generate::generate(&options),
        Command::Score(options) => score(&options),
        Command::Digest(Digest::Positions { market, file }) => digest(&market, &file),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("credit-scoring: {error}");
            ExitCode::FAILURE
        }
    }
}

fn score(options: &Score) -> Result<(), Error> {
    let (market, market_sha256) = market::Market::read(&options.market)?;
    let mut books = positions::Books::new(market.instruments.len());
    let mut sources = Vec::new();
    for (name, file) in &options.positions {
        let book = positions::read(file, market.instruments.len())?;
        sources.push(statement::Source::of(name, &book));
        books.add(&book);
    }
    let Score { paths, seed, .. } = *options;
    let computed = report::Report::of(&market, &books, paths, seed)?;
    let report = error::json(&options.report, &computed)?;
    error::write(&options.report, &report)?;
    let statement = statement::Statement {
        version: 1,
        market_sha256,
        sources,
        simulation: statement::Simulation { paths, seed },
        borrowers: computed.borrowers.len(),
        report_sha256: statement::sha256(&report),
    };
    let statement = error::json(&options.statement, &statement)?;
    error::write(&options.statement, &statement)?;
    let summary = computed.summary();
    std::io::stdout().write_all(summary.as_bytes()).map_err(error::io(Path::new("standard output")))?;
    #[cfg(feature = "evidence")]
    if let Some(path) = &options.evidence {
        let nonce = hex::decode(options.nonce.as_deref().unwrap_or_default());
        let nonce =
            nonce.map_err(|_| Error::Model("the nonce is not an even number of hexadecimal digits"))?;
        let evidence = twine_guest::collect(&statement, &nonce);
        error::write(path, &evidence.map_err(|why| error::malformed(path, why))?)?;
    }
    Ok(())
}

fn digest(market: &Path, file: &Path) -> Result<(), Error> {
    let (market, _) = market::Market::read(market)?;
    let book = positions::read(file, market.instruments.len())?;
    println!("{}", statement::Source::of("", &book).book_sha256);
    Ok(())
}
