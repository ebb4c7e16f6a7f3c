//! Positions: a file per institution, and the books that they net to.
//!
//! ```text
//! offset  size
//!      0     8  magic "POSITION"
//!      8     4  number of borrowers
//!     12     4  zero
//!     16    16  each position: borrower (u16), zero (u16), instrument (u32), quantity (f64)
//! ```
//! Little-endian. Short positions have negative quantities.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::Path;

use crate::error::{Error, io, malformed};

/// First bytes of a file.
pub const MAGIC: &[u8; 8] = b"POSITION";
/// Bytes before the positions.
pub const HEADER: usize = 16;
/// Bytes of a position.
pub const RECORD: usize = 16;
/// Positions in one read.
const BATCH: usize = 16 << 10;

/// What borrowers hold, netted: a row for each, a column for each instrument.
#[derive(Clone, Debug, PartialEq)]
pub struct Book {
    /// Columns.
    pub instruments: usize,
    /// Quantities, row by row.
    pub net: Vec<f64>,
    /// Sum of absolute quantities, row by row.
    pub gross: Vec<f64>,
    /// Positions that were read.
    pub count: u64,
}

impl Book {
    fn new(borrowers: usize, instruments: usize) -> Self {
        let cells = borrowers * instruments;
        Self { instruments, net: vec![0.0; cells], gross: vec![0.0; cells], count: 0 }
    }

    /// Rows.
    pub fn borrowers(&self) -> usize {
        self.net.len() / self.instruments
    }
}

/// Reads and nets a file of positions. Memory is that of the book, however long the file is.
pub fn read(path: &Path, instruments: usize) -> Result<Book, Error> {
    let mut file = File::open(path).map_err(io(path))?;
    let mut header = [0; HEADER];
    file.read_exact(&mut header).map_err(|_| malformed(path, "it is too short to hold positions"))?;
    let (magic, rest) = header.split_at(MAGIC.len());
    let borrowers = u32::from_le_bytes([rest[0], rest[1], rest[2], rest[3]]);
    if magic != MAGIC || rest[4..] != [0; 4] || borrowers > u32::from(u16::MAX) + 1 {
        return Err(malformed(path, "it does not begin like a file of positions"));
    }
    let mut book = Book::new(borrowers as usize, instruments);
    let mut buffer = vec![0; BATCH * RECORD];
    loop {
        let filled = fill(&mut file, &mut buffer).map_err(io(path))?;
        let (records, tail) = buffer[..filled].as_chunks::<RECORD>();
        for (at, record) in records.iter().enumerate() {
            if let Err(why) = book.enter(record) {
                return Err(malformed(path, format!("position {}: {why}", book.count + at as u64)));
            }
        }
        book.count += records.len() as u64;
        if !tail.is_empty() {
            return Err(malformed(path, "it ends inside a position"));
        }
        if filled < buffer.len() {
            return Ok(book);
        }
    }
}

impl Book {
    #[inline]
    fn enter(&mut self, record: &[u8; RECORD]) -> Result<(), &'static str> {
        let [b0, b1, z0, z1, i0, i1, i2, i3, quantity @ ..] = *record;
        let borrower = usize::from(u16::from_le_bytes([b0, b1]));
        let instrument = u32::from_le_bytes([i0, i1, i2, i3]) as usize;
        let quantity = f64::from_le_bytes(quantity);
        if instrument >= self.instruments {
            return Err("there is no such instrument");
        }
        let cell = borrower * self.instruments + instrument;
        let (Some(net), Some(gross)) = (self.net.get_mut(cell), self.gross.get_mut(cell)) else {
            return Err("there is no such borrower");
        };
        if [z0, z1] != [0, 0] || !quantity.is_finite() {
            return Err("the quantity is no number, or a reserved byte is set");
        }
        *net += quantity;
        *gross += quantity.abs();
        Ok(())
    }
}

/// Reads until the buffer is full or the file ends.
fn fill(file: &mut File, buffer: &mut [u8]) -> std::io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// The books of all institutions, added up.
pub struct Books {
    /// The sum.
    pub total: Book,
}

impl Books {
    /// No borrowers yet.
    pub fn new(instruments: usize) -> Self {
        Self { total: Book::new(0, instruments) }
    }

    /// Adds an institution's book.
    pub fn add(&mut self, book: &Book) {
        let cells = self.total.net.len().max(book.net.len());
        self.total.net.resize(cells, 0.0);
        self.total.gross.resize(cells, 0.0);
        self.total.net.iter_mut().zip(&book.net).for_each(|(total, net)| *total += net);
        self.total.gross.iter_mut().zip(&book.gross).for_each(|(total, gross)| *total += gross);
        self.total.count += book.count;
    }
}
