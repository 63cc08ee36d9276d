//! Tails of the distributions by which an area is told to be off its path.
//!
//! Counts are taken as Poisson. A count that spreads more than that, by a factor `d`, is taken as `d` times a Poisson count
//! with the mean `mean / d`, which need not be whole: so all functions are continuous in `x`, and at whole numbers they are
//! those of the Poisson distribution. Counts out of `n` are taken as binomial in the same way, as `d` times one out of `n / d`.

use statrs::distribution::{ContinuousCDF as _, Normal};
use statrs::function::beta::checked_beta_reg;
use statrs::function::gamma::{checked_gamma_lr, checked_gamma_ur};

/// Halvings of an interval after which a quantile is exact to the last digits of a float.
const HALVINGS: usize = 100;

/// P(N ≥ x) of a Poisson count with a mean; `None` where that is no number.
pub fn poisson_at_least(x: f64, mean: f64) -> Option<f64> {
    match (x, mean) {
        _ if x.is_nan() || mean.is_nan() || mean < 0.0 => None,
        _ if x <= 0.0 => Some(1.0),
        _ if mean == 0.0 => Some(0.0),
        _ => checked_gamma_lr(x, mean).ok(),
    }
}

/// P(N ≤ x) of a Poisson count with a mean; `None` where that is no number.
pub fn poisson_at_most(x: f64, mean: f64) -> Option<f64> {
    match (x, mean) {
        _ if x.is_nan() || mean.is_nan() || mean < 0.0 => None,
        _ if x <= -1.0 => Some(0.0),
        _ if mean == 0.0 => Some(1.0),
        _ => checked_gamma_ur(x + 1.0, mean).ok(),
    }
}

/// The `x` below which a share `q` of the counts with a mean lies, P(N < x) = q; `None` unless 0 < q < 1 and 0 < mean.
pub fn poisson_quantile(q: f64, mean: f64) -> Option<f64> {
    if !(0.0 < q && q < 1.0 && 0.0 < mean && mean.is_finite()) {
        return None;
    }
    let (mut low, mut high) = (0.0, mean + 10.0 * mean.sqrt() + 50.0);
    for _ in 0..HALVINGS {
        let middle = f64::midpoint(low, high);
        if 1.0 - poisson_at_least(middle, mean)? < q {
            low = middle;
        } else {
            high = middle;
        }
    }
    Some(f64::midpoint(low, high))
}

/// Whether this is a count out of `n` with a share `p`.
fn is_out_of(x: f64, n: f64, p: f64) -> bool {
    !x.is_nan() && n.is_finite() && n > 0.0 && (0.0..=1.0).contains(&p)
}

/// P(N ≥ x) of a binomial count out of `n` with a share `p`; `None` where that is no number.
pub fn binomial_at_least(x: f64, n: f64, p: f64) -> Option<f64> {
    match x {
        _ if !is_out_of(x, n, p) => None,
        _ if x <= 0.0 => Some(1.0),
        _ if x >= n + 1.0 => Some(0.0),
        // At p = 1 all of `n` are counted.
        _ if p == 1.0 => Some(if x <= n { 1.0 } else { 0.0 }),
        _ => checked_beta_reg(x, n - x + 1.0, p).ok(),
    }
}

/// P(N ≤ x) of a binomial count out of `n` with a share `p`; `None` where that is no number.
pub fn binomial_at_most(x: f64, n: f64, p: f64) -> Option<f64> {
    is_out_of(x, n, p).then(|| binomial_at_least(n - x, n, 1.0 - p))?
}

/// The `x` below which a share `q` of the counts out of `n` with a share `p` lies; `None` unless 0 < q < 1 and 0 < p < 1.
pub fn binomial_quantile(q: f64, n: f64, p: f64) -> Option<f64> {
    if !(0.0 < q && q < 1.0 && 0.0 < p && p < 1.0 && is_out_of(0.0, n, p)) {
        return None;
    }
    let (mut low, mut high) = (0.0, n + 1.0);
    for _ in 0..HALVINGS {
        let middle = f64::midpoint(low, high);
        if 1.0 - binomial_at_least(middle, n, p)? < q {
            low = middle;
        } else {
            high = middle;
        }
    }
    Some(f64::midpoint(low, high))
}

/// P(Z ≤ z) of a standard normal.
pub fn normal_cdf(z: f64) -> f64 {
    Normal::standard().cdf(z)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// P(N ≥ k) by adding up.
    fn at_least(k: u32, mean: f64) -> f64 {
        let mut term = (-mean).exp();
        let mut below = 0.0;
        for n in 0..k {
            below += term;
            term *= mean / f64::from(n + 1);
        }
        1.0 - below
    }

    #[test]
    fn tails_are_those_of_the_sum() {
        for mean in [0.3, 4.0, 27.5, 120.0] {
            for k in [1, 3, 20, 140] {
                let (tail, rest) =
                    (poisson_at_least(f64::from(k), mean), poisson_at_most(f64::from(k - 1), mean));
                let (tail, rest) = (tail.expect("a tail"), rest.expect("a tail"));
                assert!((tail - at_least(k, mean)).abs() < 1e-9, "{k} of {mean}: {tail}");
                assert!((tail + rest - 1.0).abs() < 1e-9, "{k} of {mean}");
            }
        }
        assert_eq!(poisson_at_least(0.0, 3.0), Some(1.0));
        assert_eq!((poisson_at_least(f64::NAN, 3.0), poisson_at_most(1.0, -1.0)), (None, None));
    }

    #[test]
    fn a_quantile_cuts_off_its_share() {
        for mean in [0.5, 9.0, 471.0, 20_000.0] {
            for q in [0.025, 0.5, 0.975] {
                let x = poisson_quantile(q, mean).expect("a quantile");
                let below = 1.0 - poisson_at_least(x, mean).expect("a tail");
                assert!((below - q).abs() < 1e-6 || x < 1e-6, "{q} of {mean}: {x} has {below} below");
            }
        }
        assert_eq!(poisson_quantile(1.0, 3.0), None);
        // 471 ± 1.96 √471 is 428 to 514.
        let wide = poisson_quantile(0.975, 471.0).expect("a quantile");
        assert!((512.0..516.0).contains(&wide), "{wide}");
        assert!((normal_cdf(1.959_964) - 0.975).abs() < 1e-6);
    }

    /// P(N ≥ k) out of n by adding up.
    fn at_least_out_of(k: u32, n: u32, p: f64) -> f64 {
        let mut term = (1.0 - p).powi(i32::try_from(n).expect("small"));
        let mut below = 0.0;
        for i in 0..k {
            below += term;
            term *= f64::from(n - i) / f64::from(i + 1) * p / (1.0 - p);
        }
        1.0 - below
    }

    #[test]
    fn binomial_tails_are_those_of_the_sum() {
        for (n, p) in [(5, 0.4), (40, 0.1), (200, 0.73)] {
            for k in [1, n / 3, n] {
                let (k_, n_) = (f64::from(k), f64::from(n));
                let tail = binomial_at_least(k_, n_, p).expect("a tail");
                let rest = binomial_at_most(k_ - 1.0, n_, p).expect("a tail");
                assert!((tail - at_least_out_of(k, n, p)).abs() < 1e-9, "{k} of {n} at {p}: {tail}");
                assert!((tail + rest - 1.0).abs() < 1e-9, "{k} of {n} at {p}");
            }
            for q in [0.025, 0.975] {
                let x = binomial_quantile(q, f64::from(n), p).expect("a quantile");
                let below = 1.0 - binomial_at_least(x, f64::from(n), p).expect("a tail");
                assert!((below - q).abs() < 1e-6 || x < 1e-6, "{q} of {n} at {p}: {x} has {below} below");
            }
        }
        assert_eq!(binomial_at_least(3.0, 3.0, 1.0), Some(1.0));
        assert_eq!(binomial_at_least(1.0, 3.0, 0.0), Some(0.0));
        assert_eq!(binomial_at_most(3.0, 3.0, 0.2), Some(1.0));
        assert_eq!((binomial_at_least(1.0, 0.0, 0.5), binomial_at_most(1.0, 3.0, 1.5)), (None, None));
        assert_eq!(binomial_quantile(0.5, 3.0, 0.0), None);
    }
}
