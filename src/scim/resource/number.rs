//! How numbers compare: exactly, so that sorting by them is a total order.

use std::cmp::Ordering;

use serde_json::Number;

pub(in crate::scim) fn compare(one: &Number, other: &Number) -> Option<Ordering> {
    match (whole(one), whole(other)) {
        (Some(one), Some(other)) => Some(one.cmp(&other)),
        // A number with a fraction is so small that whole numbers near it lose nothing here.
        _ => one.as_f64()?.partial_cmp(&other.as_f64()?),
    }
}

#[expect(clippy::cast_possible_truncation, reason = "it is whole, and checked to be small enough")]
fn whole(number: &Number) -> Option<i128> {
    let integer = number.as_i64().map(i128::from).or_else(|| number.as_u64().map(i128::from));
    integer.or_else(|| {
        let number = number.as_f64()?;
        (number.fract() == 0.0 && number.abs() < 1e38).then_some(number as i128)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_compare_exactly() {
        let number = |text: &str| -> Number { text.parse().unwrap() };
        for (one, other, expected) in [
            ("3", "3.0", Ordering::Equal),
            ("-1", "1", Ordering::Less),
            ("9007199254740993", "9007199254740992.0", Ordering::Greater),
            ("18446744073709551615", "18446744073709551614", Ordering::Greater),
            ("2.5", "2", Ordering::Greater),
            ("1e300", "18446744073709551615", Ordering::Greater),
            ("-0.0", "0", Ordering::Equal),
        ] {
            assert_eq!(compare(&number(one), &number(other)), Some(expected), "{one} {other}");
            assert_eq!(compare(&number(other), &number(one)), Some(expected.reverse()), "{other} {one}");
        }
    }
}
