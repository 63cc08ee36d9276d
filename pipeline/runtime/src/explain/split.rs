//! How a difference is split: arithmetic alone, in millionths, so that the parts add up to the last digit.
//!
//! A value goes from its first to its last state over fixed steps, and each step changes it for one cause. A count's part is
//! the difference of its values before and after the step. A quotient moves by its numerator and by its denominator, and what
//! each does depends on where the other stands: what the numerator does is therefore taken at the mean of both
//! denominators, the first and the last, and the rest is what the denominator does. That is the mean of both orders of
//! changing them, so none is preferred; the half millionth that may be left over goes to the denominator. What the numerator
//! does is linear, so it is cut among the causes without a remainder.

/// A state on the way, under today's definitions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Point {
    /// The value, millionths.
    pub value_micro: i64,
    /// Its numerator, or for a rate that is published without one the count that it is made of.
    pub numerator: Option<i64>,
    /// Its denominator.
    pub denominator: Option<i64>,
}

/// The states: as first known; when time had passed; with late data; with corrections; in the other period.
pub const STATES: usize = 5;

/// A difference in parts. All are millionths, and those that are known add up to `difference`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Split {
    /// The last published value less the first.
    pub difference: i64,
    /// What changed in the world: time passed, another period.
    pub real: i64,
    /// What was told later.
    pub late: i64,
    /// What was told otherwise.
    pub correction: i64,
    /// What other definitions do to the same records.
    pub definition: i64,
    /// What the denominator does; `None` if there is none, or none that is known.
    pub denominator: Option<i64>,
}

/// What stands below the line.
enum Quotient {
    /// Nothing.
    None,
    /// Known denominators, of the first and the last state, and what the quotient is multiplied by.
    Known { scale: i64, first: i64, last: i64 },
    /// Only the rates are published, and beside them the count: (rate, count) of the first and the last state.
    Implied { first: (i64, i64), last: (i64, i64) },
}

/// `a × b ÷ c`, truncated toward zero as SQL does.
fn share(a: i64, b: i64, c: i64) -> i64 {
    i64::try_from(i128::from(a) * i128::from(b) / i128::from(c)).unwrap_or(i64::MAX)
}

impl Quotient {
    fn of(first: &Point, last: &Point) -> Self {
        let (Some(n_first), Some(n_last)) = (first.numerator, last.numerator) else { return Self::None };
        match (first.denominator.filter(|d| *d != 0), last.denominator.filter(|d| *d != 0)) {
            (Some(d_first), Some(d_last)) => {
                let is_right = |scale: &i64| {
                    share(n_first, *scale, d_first) == first.value_micro
                        && share(n_last, *scale, d_last) == last.value_micro
                };
                match [1_000_000, 100_000_000].into_iter().find(is_right) {
                    Some(scale) => Self::Known { scale, first: d_first, last: d_last },
                    None => Self::None,
                }
            }
            (None, None) if n_first != 0 && n_last != 0 => {
                let is_count = |point: &Point, n: i64| n.checked_mul(1_000_000) == Some(point.value_micro);
                match is_count(first, n_first) && is_count(last, n_last) {
                    true => Self::None,
                    false => Self::Implied {
                        first: (first.value_micro, n_first),
                        last: (last.value_micro, n_last),
                    },
                }
            }
            _ => Self::None,
        }
    }

    /// What a state's value would be if the denominator did not move.
    fn steady(&self, point: &Point) -> i64 {
        let n = point.numerator.unwrap_or(0);
        let (first, last) = match self {
            Self::None => return point.value_micro,
            Self::Known { scale, first, last } => (share(n, *scale, *first), share(n, *scale, *last)),
            Self::Implied { first, last } => (share(first.0, n, first.1), share(last.0, n, last.1)),
        };
        let sum = i128::from(first) + i128::from(last);
        i64::try_from(sum.div_euclid(2)).unwrap_or(i64::MAX)
    }
}

/// Splits the difference of two published values, of which the first and the last point are what today's definitions say.
pub fn split(points: &[Point; STATES], from_micro: i64, to_micro: i64) -> Split {
    let (first, last) = (&points[0], &points[STATES - 1]);
    let quotient = Quotient::of(first, last);
    let steady = points.each_ref().map(|point| quotient.steady(point));
    let whole = last.value_micro - first.value_micro;
    let denominator = whole - (steady[STATES - 1] - steady[0]);
    Split {
        difference: to_micro - from_micro,
        real: (steady[1] - steady[0]) + (steady[4] - steady[3]),
        late: steady[2] - steady[1],
        correction: steady[3] - steady[2],
        definition: (first.value_micro - from_micro) + (to_micro - last.value_micro),
        denominator: (!matches!(quotient, Quotient::None)).then_some(denominator),
    }
}

impl Split {
    /// What the parts add up to.
    pub fn sum(&self) -> i64 {
        self.real + self.late + self.correction + self.definition + self.denominator.unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(n: i64) -> Point {
        Point { value_micro: n * 1_000_000, numerator: Some(n), denominator: None }
    }

    fn rate(n: i64, d: i64, scale: i64) -> Point {
        Point { value_micro: share(n, scale, d), numerator: Some(n), denominator: Some(d) }
    }

    #[test]
    fn a_count_goes_step_by_step() {
        let points = [count(10), count(11), count(15), count(12), count(20)];
        let found = split(&points, 9_000_000, 20_000_000);
        let expected = Split {
            difference: 11_000_000,
            real: 9_000_000,
            late: 4_000_000,
            correction: -3_000_000,
            definition: 1_000_000,
            denominator: None,
        };
        assert_eq!(found, expected);
    }

    /// 20 of 100 become 30 of 120: 20 % become 25 %. Over the mean of both denominators 20 are (20 + 16.666666) ÷ 2 = 18.333333,
    /// 26 are 23.833333 and 30 are 27.5: the numerator does 5.5 and then 3.666667, the denominator the rest, −4.166667.
    #[test]
    fn a_percentage_moves_by_numerator_and_denominator() {
        let scale = 100_000_000;
        let points = [
            rate(20, 100, scale),
            rate(20, 100, scale),
            rate(26, 110, scale),
            rate(30, 120, scale),
            rate(30, 120, scale),
        ];
        let found = split(&points, 20_000_000, 25_000_000);
        assert_eq!(found.difference, 5_000_000);
        assert_eq!((found.late, found.correction), (5_500_000, 3_666_667));
        assert_eq!((found.real, found.definition), (0, 0));
        assert_eq!(found.denominator, Some(-4_166_667));
        assert_eq!(found.sum(), found.difference);
    }

    /// Unemployed rise from 300 to 330 while the rate, published with one decimal, goes from 3.0 to 3.2: at an unchanged labour
    /// force it would rise by 0.3 (of 3.0) or 0.290909 (of 3.2).
    #[test]
    fn a_rate_without_denominator_is_told_by_its_count() {
        let point = |value_micro, n| Point { value_micro, numerator: Some(n), denominator: None };
        let (first, last) = (point(3_000_000, 300), point(3_200_000, 330));
        let found = split(&[first, first, first, last, last], 3_000_000, 3_200_000);
        // At 300: (3.0 + 2.909090) ÷ 2 = 2.954545; at 330: (3.3 + 3.2) ÷ 2 = 3.25.
        assert_eq!(found.correction, 3_250_000 - 2_954_545);
        assert_eq!(found.denominator, Some(200_000 - 295_455));
    }

    #[test]
    fn random_paths_add_up_to_the_last_digit() {
        let seed = 20_261_127;
        let mut random = fastrand::Rng::with_seed(seed);
        for _ in 0..20_000 {
            let scale = random.choice([1_000_000, 100_000_000]).expect("one");
            let steady = random.bool().then(|| random.i64(1..100_000));
            let kind = random.u32(0..3);
            let points: [Point; STATES] = std::array::from_fn(|_| {
                let n = random.i64(-5_000..1_000_000);
                match kind {
                    0 => count(n),
                    1 => rate(n, steady.unwrap_or_else(|| random.i64(1..100_000)), scale),
                    _ => Point {
                        value_micro: random.i64(0..1_000) * 100_000,
                        numerator: Some(n),
                        denominator: None,
                    },
                }
            });
            let (from, to) = (random.i64(0..1 << 40), random.i64(0..1 << 40));
            let found = split(&points, from, to);
            assert_eq!(found.sum(), found.difference, "seed {seed}: {points:?}");
            assert_eq!(found.difference, to - from);
            // Where nothing stands below the line or nothing moves there, nothing is its part.
            if kind == 0 {
                assert_eq!(found.denominator, None, "seed {seed}: {points:?}");
            }
            if kind == 1 && steady.is_some() {
                assert_eq!(found.denominator, Some(0), "seed {seed}: {points:?}");
            }
        }
    }
}
