//! Comparison of numbers. It is exact, so that sorting by numbers is a total order.

use std::cmp::Ordering;

use serde_json::Number;

/// Compares two numbers. The result is `None` only for a number that is not finite, which JSON
/// cannot express.
pub(in crate::scim) fn compare(one: &Number, other: &Number) -> Option<Ordering> {
    if let (Some(one), Some(other)) = (whole(one), whole(other)) {
        return Some(one.cmp(&other));
    }
    // A number with a fraction is below 2^53. Rounding a whole number to `f64` never moves it past
    // such a number.
    one.as_f64()?.partial_cmp(&other.as_f64()?)
}

/// Returns a number without a fraction as an integer.
#[expect(clippy::cast_possible_truncation, reason = "the number is whole and small enough")]
fn whole(number: &Number) -> Option<i128> {
    if let Some(integer) = number.as_i64() {
        return Some(integer.into());
    }
    if let Some(integer) = number.as_u64() {
        return Some(integer.into());
    }
    let float = number.as_f64()?;
    if float.fract() == 0.0 && float.abs() < 1e38 { Some(float as i128) } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(text: &str) -> Number {
        text.parse().unwrap()
    }

    #[test]
    fn numbers_compare_exactly() {
        for (one, other, expected) in [
            ("3", "3.0", Ordering::Equal),
            ("-1", "1", Ordering::Less),
            ("9007199254740993", "9007199254740992.0", Ordering::Greater),
            ("18446744073709551615", "18446744073709551614", Ordering::Greater),
            ("2.5", "2", Ordering::Greater),
            ("1e300", "18446744073709551615", Ordering::Greater),
            ("-0.0", "0", Ordering::Equal),
        ] {
            let (first, second) = (number(one), number(other));
            assert_eq!(compare(&first, &second), Some(expected), "{one} {other}");
            assert_eq!(compare(&second, &first), Some(expected.reverse()), "{other} {one}");
        }
    }
}
