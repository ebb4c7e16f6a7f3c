//! Profits and losses over scenarios, and what they say: value at risk and expected shortfall.

use serde::Serialize;

use crate::market::Market;
use crate::normal::{LANES, Lanes};
use crate::positions::Book;
use crate::pricing::{Pricer, Worlds};

/// Worlds whose losses are summed up together, in registers.
const WIDTH: usize = 8;
type Group = [f64; WIDTH];
/// A group that fills a line of the processor's cache, and never lies in two.
#[derive(Clone, Copy, Default)]
#[repr(align(64))]
struct Line(Group);
/// And groups of them that are priced together.
const GROUPS: usize = LANES / WIDTH;
/// Instruments whose falls are used for all borrowers before the next: 4 KiB a group, which stays in the fastest cache, and
/// half a megabyte of holdings of a thousand borrowers, which come from memory once for all groups.
const DEPTH: usize = 64;

/// Losses of each borrower over scenarios, in the market's currency; gains are negative.
pub struct Losses<'a> {
    pricer: &'a Pricer,
    /// Values of the instruments today.
    today: Vec<f64>,
    /// What two borrowers at a time hold of each, none where there is no second one: of the first `DEPTH` instruments
    /// each pair, then of the next, as they are read.
    holdings: Vec<[f64; 2]>,
    /// How much less the instruments are worth in the worlds at hand: all of them in one group, then in the next.
    falls: Vec<Line>,
    /// What each borrower of a pair loses in them.
    losses: Vec<[[Group; GROUPS]; 2]>,
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
            falls: vec![Line::default(); GROUPS * book.instruments],
            losses: vec![Default::default(); rows.len().div_ceil(2)],
            holdings: in_order(&rows, book.instruments),
            samples: vec![Sample::new(scenarios); rows.len()],
        }
    }

    /// Values every book in more worlds.
    pub fn add(&mut self, worlds: &Worlds) {
        let Self { pricer, today, holdings, falls, losses, samples } = self;
        let instruments = today.len();
        pricer.price(worlds, |instrument, values| {
            fall(today[instrument], values, &mut falls[instrument..], instruments);
        });
        losses.fill(Default::default());
        let pairs = losses.len();
        for (part, holdings) in holdings.chunks((DEPTH * pairs).max(1)).enumerate() {
            let depth = holdings.len() / pairs;
            for (group, falls) in falls.chunks(instruments).enumerate() {
                let falls = &falls[part * DEPTH..][..depth];
                for (holdings, [first, second]) in holdings.chunks(depth).zip(&mut *losses) {
                    multiply(holdings, falls, [&mut first[group], &mut second[group]]);
                }
            }
        }
        for (sample, losses) in samples.iter_mut().zip(losses.as_flattened()) {
            sample.add(&losses.as_flattened()[..worlds.count]);
        }
    }

    /// What the losses of each borrower say.
    pub fn risks(self) -> Vec<Risk> {
        self.samples.into_iter().map(Sample::risk).collect()
    }
}

/// What pairs of borrowers hold, in the order in which it is read.
fn in_order(rows: &[&[f64]], instruments: usize) -> Vec<[f64; 2]> {
    let mut holdings = Vec::with_capacity(rows.len().div_ceil(2) * instruments);
    for from in (0..instruments).step_by(DEPTH) {
        for pair in rows.chunks(2) {
            let part = from..(from + DEPTH).min(instruments);
            holdings.extend(part.map(|at| [pair[0][at], pair.get(1).map_or(0.0, |row| row[at])]));
        }
    }
    holdings
}

/// How much less an instrument is worth: in each group, `stride` apart.
#[inline(never)]
fn fall(today: f64, values: &Lanes, falls: &mut [Line], stride: usize) {
    let (values, _) = values.as_chunks::<WIDTH>();
    for (falls, values) in falls.iter_mut().step_by(stride).zip(values) {
        falls.0 = values.map(|value| today - value);
    }
}

/// Adds the products of two borrowers' quantities with the instruments' falls to their losses. The sums stay in registers,
/// and each number that is loaded is used for both.
#[inline(never)]
fn multiply(quantities: &[[f64; 2]], falls: &[Line], [first, second]: [&mut Group; 2]) {
    let (mut one, mut two) = (*first, *second);
    for (quantities, Line(falls)) in quantities.iter().zip(falls) {
        for lane in 0..WIDTH {
            one[lane] += quantities[0] * falls[lane];
            two[lane] += quantities[1] * falls[lane];
        }
    }
    (*first, *second) = (one, two);
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
            (0..3).map(|row| (0..COUNT).map(|at| (1000 * row + at) as f64).collect()).collect();
        let rows: Vec<&[f64]> = rows.iter().map(Vec::as_slice).collect();
        let holdings = in_order(&rows, COUNT);
        assert_eq!(holdings.len(), 2 * COUNT);
        assert_eq!(holdings[1], [1.0, 1001.0], "the first pair's second instrument");
        assert_eq!(holdings[DEPTH], [2000.0, 0.0], "nobody is the last one's other half");
        assert_eq!(holdings[2 * DEPTH], [DEPTH as f64, (1000 + DEPTH) as f64], "the first pair's last part");
        assert_eq!(holdings[2 * DEPTH + 2], [(2000 + DEPTH) as f64, 0.0]);
        assert!(in_order(&[], COUNT).is_empty());
    }

    #[test]
    fn products_are_added_for_both() {
        let quantities: Vec<[f64; 2]> = (0..100).map(|number| [f64::from(number), 2.0]).collect();
        let falls: Vec<Line> =
            (0..50).map(|number| Line(std::array::from_fn(|lane| (number * lane) as f64))).collect();
        let (mut first, mut second) = ([1.0; WIDTH], [2.0; WIDTH]);
        multiply(&quantities, &falls, [&mut first, &mut second]);
        for lane in 0..WIDTH {
            let squares: usize = (0..50).map(|number| number * number * lane).sum();
            let numbers: usize = (0..50).map(|number| 2 * number * lane).sum();
            assert_eq!([first[lane], second[lane]], [1.0 + squares as f64, 2.0 + numbers as f64]);
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
