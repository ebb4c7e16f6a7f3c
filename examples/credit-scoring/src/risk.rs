//! Profits and losses over scenarios, and what they say: value at risk and expected shortfall.

use serde::Serialize;

use crate::market::Market;
use crate::normal::{LANES, Lanes};
use crate::positions::Book;
use crate::pricing::{Pricer, Worlds};

/// A number of each of two borrowers: a vector.
type Pair = [f64; 2];
/// Borrowers whose losses are summed up together, ...
const BORROWERS: usize = 4;
type Four = [Pair; BORROWERS / 2];
/// ... in so many worlds: eight sums in registers.
const WORLDS: usize = 4;
type Sums = [Four; WORLDS];
/// How much less an instrument is worth in each of these worlds. Twice, once for each borrower of a pair: to put a number into
/// both halves of a vector takes WebAssembly three instructions, and to load it so takes none. It fills a line of the
/// processor's cache, and never lies in two.
#[derive(Clone, Copy, Default)]
#[repr(align(64))]
struct Falls([Pair; WORLDS]);
/// And groups of worlds that are priced together.
const GROUPS: usize = LANES / WORLDS;
/// Instruments whose falls are used for all borrowers before the next are priced: 8 KiB a group of worlds, which stays in the
/// fastest cache, and 128 KiB in all, which stay in the next.
const DEPTH: usize = 128;
/// Fours whose holdings of these stay beside them, another 128 KiB: they come from memory once for all groups.
const FOURS: usize = 32;

/// Losses of each borrower over scenarios, in the market's currency; gains are negative.
pub struct Losses<'a> {
    pricer: &'a Pricer,
    /// Values of the instruments today.
    today: Vec<f64>,
    /// What four borrowers at a time hold of each, none where there is nobody: of the first `DEPTH` instruments each four, then
    /// of the next, as they are read.
    holdings: Vec<Four>,
    /// How much less `DEPTH` instruments are worth in the worlds at hand: all of them in one group, then in the next.
    falls: Vec<Falls>,
    /// What each four borrowers lose in them.
    losses: Vec<[Sums; GROUPS]>,
    /// And has lost in all.
    samples: Vec<Sample>,
}

impl<'a> Losses<'a> {
    /// No scenario yet, of so many.
    pub fn new(market: &Market, pricer: &'a Pricer, book: &Book, scenarios: usize) -> Self {
        let rows: Vec<&[f64]> = book.net.chunks_exact(book.instruments).collect();
        Self {
            pricer,
            today: pricer.price_one(&Worlds::today(market)),
            falls: vec![Falls::default(); GROUPS * DEPTH],
            losses: vec![Default::default(); rows.len().div_ceil(BORROWERS)],
            holdings: in_order(&rows, book.instruments),
            samples: vec![Sample::new(scenarios); rows.len()],
        }
    }

    /// Values every book in more worlds.
    pub fn add(&mut self, worlds: &Worlds) {
        let Self { pricer, today, holdings, falls, losses, samples } = self;
        losses.fill(Default::default());
        let (instruments, fours) = (today.len(), losses.len());
        pricer.price(worlds, |instrument, values| {
            let at = instrument % DEPTH;
            let depth = DEPTH.min(instruments - (instrument - at));
            fall(today[instrument], values, &mut falls[at..], depth);
            if at + 1 == depth {
                let holdings = &holdings[(instrument - at) * fours..][..depth * fours];
                lose(holdings, &falls[..GROUPS * depth], depth, losses);
            }
        });
        for (samples, losses) in samples.chunks_mut(BORROWERS).zip(losses) {
            let losses = losses.as_flattened();
            for (at, sample) in samples.iter_mut().enumerate() {
                let of_one: Lanes = std::array::from_fn(|world| losses[world].as_flattened()[at]);
                sample.add(&of_one[..worlds.count]);
            }
        }
    }

    /// What the losses of each borrower say.
    pub fn risks(self) -> Vec<Risk> {
        self.samples.into_iter().map(Sample::risk).collect()
    }
}

/// What four borrowers at a time hold, in the order in which it is read.
fn in_order(rows: &[&[f64]], instruments: usize) -> Vec<Four> {
    let mut holdings = Vec::with_capacity(rows.len().div_ceil(BORROWERS) * instruments);
    for from in (0..instruments).step_by(DEPTH) {
        for four in rows.chunks(BORROWERS) {
            let of = |number: usize, at: usize| four.get(number).map_or(0.0, |row| row[at]);
            let part = from..(from + DEPTH).min(instruments);
            holdings.extend(part.map(|at| [[of(0, at), of(1, at)], [of(2, at), of(3, at)]]));
        }
    }
    holdings
}

/// How much less an instrument is worth: in each group, `depth` apart.
#[inline(never)]
fn fall(today: f64, values: &Lanes, falls: &mut [Falls], depth: usize) {
    let (values, _) = values.as_chunks::<WORLDS>();
    for (falls, values) in falls.iter_mut().step_by(depth).zip(values) {
        falls.0 = values.map(|value| [today - value; 2]);
    }
}

/// Adds what `depth` instruments bring to everybody's losses.
fn lose(holdings: &[Four], falls: &[Falls], depth: usize, losses: &mut [[Sums; GROUPS]]) {
    for (holdings, losses) in holdings.chunks(FOURS * depth).zip(losses.chunks_mut(FOURS)) {
        for (group, falls) in falls.chunks(depth).enumerate() {
            for (holdings, losses) in holdings.chunks(depth).zip(&mut *losses) {
                multiply(holdings, falls, &mut losses[group]);
            }
        }
    }
}

/// Adds the products of four borrowers' quantities with the instruments' falls to their losses. The sums stay in registers,
/// and each vector that is loaded is used for several.
#[inline(never)]
fn multiply(holdings: &[Four], falls: &[Falls], losses: &mut Sums) {
    let mut sums = *losses;
    // By reference, which walks along both: `zip` of two slices counts, and WebAssembly takes six instructions a round to
    // turn the count into two addresses.
    for (quantities, Falls(falls)) in holdings.iter().zip(falls.iter().by_ref()) {
        for (sums, fall) in sums.iter_mut().zip(falls) {
            for (sums, quantities) in sums.iter_mut().zip(quantities) {
                sums[0] += quantities[0] * fall[0];
                sums[1] += quantities[1] * fall[1];
            }
        }
    }
    *losses = sums;
}

/// A sum of products in eight strands: one strand would wait for each addition, and the order, hence the result, is
/// the same whether the compiler uses vectors or not.
pub fn dot(a: &[f64], b: &[f64]) -> f64 {
    const STRANDS: usize = 8;
    let (a_strands, a_rest) = a.as_chunks::<STRANDS>();
    let (b_strands, b_rest) = b.as_chunks::<STRANDS>();
    let mut sums = [0.0; STRANDS];
    for (a, b) in a_strands.iter().zip(b_strands) {
        for strand in 0..STRANDS {
            sums[strand] += a[strand] * b[strand];
        }
    }
    let rest: f64 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
    sums.iter().sum::<f64>() + rest
}

/// Risk over a day.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Risk {
    /// A loss that one day in twenty exceeds.
    pub var_95: f64,
    /// A loss that one day in a hundred exceeds.
    pub var_99: f64,
    /// The mean of the worst 2.5 % of days.
    pub es_97_5: f64,
    /// Standard deviation of a day.
    pub deviation: f64,
    /// The worst day.
    pub worst: f64,
}

/// Losses of one borrower, of which the worst are kept.
#[derive(Clone)]
struct Sample {
    /// How many there will be.
    total: usize,
    count: usize,
    sum: f64,
    squares: f64,
    /// The worst twentieth so far, and some that are not.
    worst: Vec<f64>,
    /// No loss up to it is among them.
    floor: f64,
}

impl Sample {
    fn new(total: usize) -> Self {
        Self { total, count: 0, sum: 0.0, squares: 0.0, worst: Vec::new(), floor: f64::NEG_INFINITY }
    }

    /// The smallest number of worst days that makes up the share, at least one.
    fn share(&self, of: f64) -> usize {
        ((self.total as f64 * of).ceil() as usize).max(1)
    }

    fn add(&mut self, losses: &[f64]) {
        self.count += losses.len();
        let keep = self.share(0.05);
        for &loss in losses {
            self.sum += loss;
            self.squares += loss * loss;
            if loss > self.floor {
                self.worst.push(loss);
                if self.worst.len() == 2 * keep {
                    self.worst.select_nth_unstable_by(keep - 1, |a, b| b.total_cmp(a));
                    self.worst.truncate(keep);
                    self.floor = self.worst[keep - 1];
                }
            }
        }
    }

    fn risk(mut self) -> Risk {
        assert_eq!(self.count, self.total, "every scenario was valued");
        if self.total == 0 {
            return Risk::default();
        }
        self.worst.sort_unstable_by(|a, b| b.total_cmp(a));
        let count = self.total as f64;
        let mean = self.sum / count;
        let short = &self.worst[..self.share(0.025)];
        Risk {
            var_95: self.worst[self.share(0.05) - 1],
            var_99: self.worst[self.share(0.01) - 1],
            es_97_5: short.iter().sum::<f64>() / short.len() as f64,
            deviation: libm::sqrt((self.squares / count - mean * mean).max(0.0)),
            worst: self.worst[0],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::market::{Asset, Instrument};

    #[test]
    fn quantiles_of_a_hundred_days() {
        // 37 and 101 have no common divisor: every loss from 1 to 100, in an order of no kind.
        let losses: Vec<f64> = (1..=100).map(|day| f64::from(day * 37 % 101)).collect();
        let mut sample = Sample::new(100);
        losses.chunks(7).for_each(|losses| sample.add(losses));
        let risk = sample.risk();
        assert_eq!((risk.var_95, risk.var_99, risk.worst), (96.0, 100.0, 100.0));
        assert_eq!(risk.es_97_5, 99.0);
        assert!((risk.deviation - 28.866).abs() < 0.001, "{}", risk.deviation);
    }

    #[test]
    fn no_scenarios_no_risk() {
        assert_eq!(Sample::new(0).risk(), Risk::default());
    }

    #[test]
    fn holdings_lie_as_they_are_read() {
        const COUNT: usize = DEPTH + 2;
        let rows: Vec<Vec<f64>> =
            (0..5).map(|row| (0..COUNT).map(|at| (1000 * row + at) as f64).collect()).collect();
        let rows: Vec<&[f64]> = rows.iter().map(Vec::as_slice).collect();
        let holdings = in_order(&rows, COUNT);
        assert_eq!(holdings.len(), 2 * COUNT);
        assert_eq!(holdings[1], [[1.0, 1001.0], [2001.0, 3001.0]], "the first four's second instrument");
        assert_eq!(holdings[DEPTH], [[4000.0, 0.0], [0.0; 2]], "nobody is beside the last one");
        let last = DEPTH as f64;
        let first_four = [[last, 1000.0 + last], [2000.0 + last, 3000.0 + last]];
        assert_eq!(holdings[2 * DEPTH], first_four, "the first four's last part");
        assert_eq!(holdings[2 * DEPTH + 2], [[4000.0 + last, 0.0], [0.0; 2]]);
        assert!(in_order(&[], COUNT).is_empty());
    }

    /// More borrowers and instruments than are taken at a time, in numbers that nothing divides.
    #[test]
    fn everybody_loses_what_their_holdings_lose() {
        const INSTRUMENTS: usize = 2 * DEPTH + 3;
        const COUNT: usize = FOURS * BORROWERS + 5;
        let option =
            |at| Instrument::Option { asset: 0, strike: 50.0 + at as f64, years: 0.5, call: at % 3 == 0 };
        let asset = Asset { name: "A".to_owned(), price: 93.0, volatility: 0.4, returns: Vec::new() };
        let market =
            Market { assets: vec![asset], instruments: (0..INSTRUMENTS).map(option).collect(), rate: 0.03 };
        let quantity = |cell| (cell * 31 % 13) as f64 - 6.0;
        let net: Vec<f64> = (0..COUNT * INSTRUMENTS).map(quantity).collect();
        let book = Book { instruments: INSTRUMENTS, gross: Vec::new(), net, count: 0 };
        let pricer = Pricer::new(&market, 1.0, market.rate);
        let mut worlds = Worlds::today(&market);
        let today = pricer.price_one(&worlds);
        worlds.moved(&market, LANES - 1, |_, changes| {
            changes.iter_mut().enumerate().for_each(|(lane, change)| *change = 0.01 * lane as f64 - 0.3);
        });
        let mut values = Vec::new();
        pricer.price(&worlds, |_, lanes| values.push(*lanes));

        let mut losses = Losses::new(&market, &pricer, &book, worlds.count);
        losses.add(&worlds);
        assert_eq!(losses.samples.len(), COUNT);
        for (row, sample) in book.net.chunks(INSTRUMENTS).zip(&losses.samples) {
            let loss = |world: usize| {
                let falls = today.iter().zip(&values).map(|(today, values)| today - values[world]);
                row.iter().zip(falls).fold(0.0, |sum, (quantity, fall)| sum + quantity * fall)
            };
            let expected = (0..worlds.count).map(loss).fold(0.0, |sum, loss| sum + loss);
            assert!(expected != 0.0 && sample.sum == expected, "{} is not {expected}", sample.sum);
        }
    }

    #[test]
    fn products_are_added_for_each_borrower_in_each_world() {
        let holdings: Vec<Four> = (0..100).map(|number| [[f64::from(number), 2.0], [3.0, 0.5]]).collect();
        let falls: Vec<Falls> =
            (0..50).map(|number| Falls(std::array::from_fn(|world| [(number * world) as f64; 2]))).collect();
        let mut losses = [[[1.0, 2.0], [3.0, 4.0]]; WORLDS];
        multiply(&holdings, &falls, &mut losses);
        for (world, losses) in losses.iter().enumerate() {
            let squares: usize = (0..50).map(|number| number * number * world).sum();
            let numbers: usize = (0..50).map(|number| number * world).sum();
            let (squares, numbers) = (squares as f64, numbers as f64);
            let expected = [[1.0 + squares, 2.0 + 2.0 * numbers], [3.0 + 3.0 * numbers, 4.0 + 0.5 * numbers]];
            assert_eq!(*losses, expected);
        }
    }

    #[test]
    fn products_are_added_whatever_the_length() {
        for len in 0..40 {
            let numbers: Vec<f64> = (0..len).map(f64::from).collect();
            assert_eq!(dot(&numbers, &numbers), numbers.iter().map(|n| n * n).sum::<f64>());
        }
    }
}
