//! The functions that options are priced with, for many numbers at once: no branches and no calls, so that compilers make
//! vectors of the loops, and few constants in each of them, so that they stay in registers. The results are the same bits on
//! every machine, which neither a C library nor fused multiplication promises.

/// Numbers that are worked on at once.
pub const LANES: usize = 64;
/// So many.
pub type Lanes = [f64; LANES];

/// Room for what is computed on the way: making new room each time would take longer than the work.
pub type Scratch = [Lanes; 2];

/// `e` to the power of each number, within 2 units in the last place. Beyond the range of numbers it stays at its ends.
#[inline(never)]
pub fn exp(x: &Lanes, y: &mut Lanes, [shifted, r]: &mut Scratch) {
    // ln 2 in two parts: the first has zeros at its end, so that its products with whole numbers are exact.
    const LN_2_HIGH: f64 = 6.931_471_803_691_238e-1;
    const LN_2_LOW: f64 = 1.908_214_929_270_587_7e-10;
    // A number as large as this has no fraction, and its lowest bits are the whole number that was added.
    const WHOLE: f64 = 6_755_399_441_055_744.0;
    for lane in 0..LANES {
        let x = if x[lane] > -708.0 { x[lane] } else { -708.0 };
        let x = if x < 709.0 { x } else { 709.0 };
        shifted[lane] = x * std::f64::consts::LOG2_E + WHOLE;
        let power = shifted[lane] - WHOLE;
        r[lane] = (x - power * LN_2_HIGH) - power * LN_2_LOW;
    }
    // Taylor's series for |r| <= ln 2 / 2, whose 15th member is below 1e-17, in an order with short chains.
    for lane in 0..LANES {
        let r = r[lane];
        let r2 = r * r;
        let low =
            (1.0 / 40_320.0 + r * (1.0 / 362_880.0)) + r2 * (1.0 / 3_628_800.0 + r * (1.0 / 39_916_800.0));
        y[lane] = low + r2 * r2 * (1.0 / 479_001_600.0 + r * (1.0 / 6_227_020_800.0));
    }
    for lane in 0..LANES {
        let r = r[lane];
        let r2 = r * r;
        let r4 = r2 * r2;
        let low = (1.0 + r) + r2 * (1.0 / 2.0 + r * (1.0 / 6.0));
        let middle = (1.0 / 24.0 + r * (1.0 / 120.0)) + r2 * (1.0 / 720.0 + r * (1.0 / 5_040.0));
        let series = (low + r4 * middle) + (r4 * r4) * y[lane];
        // Times 2 to this power, by its exponent's bits.
        y[lane] = series * f64::from_bits(shifted[lane].to_bits().wrapping_add(1023) << 52);
    }
}

/// The chances that a standard normal number exceeds the size of each `x`, divided by `exp(-x² / 2)`, as fractions: Hart,
/// "Computer Approximations" (1968), no. 5666, as in West, "Better approximations to cumulative normal functions" (2005).
/// Beyond 40, where that exponential is nothing, they stay as they are.
#[inline(never)]
pub fn tails(x: &Lanes, above: &mut Lanes, below: &mut Lanes, sizes: &mut Lanes) {
    for lane in 0..LANES {
        // The larger of the two is a single instruction, the absolute value is several.
        let negative = 0.0 - x[lane];
        let x = if x[lane] > negative { x[lane] } else { negative };
        let x = if x < 40.0 { x } else { 40.0 };
        sizes[lane] = x;
        let x2 = x * x;
        let low = (220.206_867_912_376 + 221.213_596_169_931 * x)
            + x2 * (112.079_291_497_871 + 33.912_866_078_383 * x);
        let high = (6.373_962_203_531_65 + 0.700_383_064_443_688 * x) + x2 * 0.035_262_496_599_891_1;
        above[lane] = low + x2 * x2 * high;
    }
    for lane in 0..LANES {
        let x = sizes[lane];
        let x2 = x * x;
        let low = (440.413_735_824_752 + 793.826_512_519_948 * x)
            + x2 * (637.333_633_378_831 + 296.564_248_779_674 * x);
        let high = (86.780_732_202_946_1 + 16.064_177_579_207 * x)
            + x2 * (1.755_667_163_182_64 + 0.088_388_347_648_318_4 * x);
        below[lane] = low + x2 * x2 * high;
    }
}

/// The distribution function of the standard normal distribution.
pub fn distribution(x: f64) -> f64 {
    let [mut above, mut below, mut density] = [[0.0; LANES]; 3];
    let mut scratch = [[0.0; LANES]; 2];
    tails(&[x; LANES], &mut above, &mut below, &mut scratch[0]);
    exp(&[-0.5 * x * x; LANES], &mut density, &mut scratch);
    let outside = density[0] * above[0] / below[0];
    if x > 0.0 { 1.0 - outside } else { outside }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exp_of(x: f64) -> f64 {
        let mut y = [0.0; LANES];
        exp(&[x; LANES], &mut y, &mut [[0.0; LANES]; 2]);
        assert_eq!(y, [y[0]; LANES]);
        y[0]
    }

    #[test]
    fn exponentials_are_those_of_libm() {
        for step in -70_000..=70_000 {
            let x = f64::from(step) * 0.01;
            let (found, expected) = (exp_of(x), libm::exp(x));
            assert!((found - expected).abs() <= 5e-16 * expected, "exp({x}) is {found}, not {expected}");
        }
        assert_eq!(exp_of(0.0), 1.0);
        assert!(exp_of(-1e9) < 1e-300 && exp_of(1e9) > 1e300);
    }

    #[test]
    fn the_distribution_is_that_of_libm() {
        for step in -3_000..=3_000 {
            let x = f64::from(step) * 0.01;
            let expected = 0.5 * libm::erfc(-x * std::f64::consts::FRAC_1_SQRT_2);
            let found = distribution(x);
            assert!((found - expected).abs() <= 2e-15, "N({x}) is {found}, not {expected}");
            // Far out the chance itself is tiny; its ratio holds.
            assert!((found - expected).abs() <= 1e-5 * expected, "N({x}) is {found}, not {expected}");
        }
    }
}
