//! A moment in a filter: what RFC 3339 and XML Schema write (RFC 7643 §2.3.5), and a little more.
//!
//! ```text
//! moment = date [ ( "T" / "t" / " " ) time [ offset ] ]         ; without an offset in UTC
//! date   = 4*DIGIT "-" 2DIGIT "-" 2DIGIT                         ; alone, it is the beginning of the day
//! time   = 2DIGIT ":" 2DIGIT [ ":" 2DIGIT [ ( "." / "," ) 1*DIGIT ] ]
//! offset = "Z" / "z" / ( "+" / "-" ) 2DIGIT [ [ ":" ] 2DIGIT ]
//! ```
//!
//! The hour 24 has two meanings. ISO 8601 knows `24:00:00`, the end of the day, and nothing after it. Java's pattern
//! `kk` counts the hours of a day from 1 to 24, so that the first hour after midnight is written `24:mm:ss` with the
//! date of the day that it belongs to. With minutes or seconds only the latter can be meant.

use jiff::civil::{Date, Time};
use jiff::tz::Offset;
use jiff::{Timestamp, ToSpan};

/// A moment, and whether it is a little later than can be told. The end of time comes a little early:
/// what is later is later than everything.
pub(super) type Moment = (Timestamp, bool);

const AFTER_EVERYTHING: Moment = (Timestamp::MAX, true);

/// Meaning of `24:00:00`, which both ISO 8601 and Java's `kk` write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum EndOfDay {
    /// The midnight after the day.
    Iso,
    /// The midnight before the day.
    Earlier,
}

pub(super) fn moment(text: &str, end_of_day: EndOfDay) -> Option<Moment> {
    let text = with_plus(text.trim());
    let (date, rest) = match text.split_once(['T', 't', ' ']) {
        Some((date, rest)) => (date, Some(rest)),
        None => (text.as_str(), None),
    };
    let (date, in_time) = read_date(date)?;
    let (clock, offset) = match rest {
        Some(rest) => {
            let (clock, offset) = rest.split_at(rest.find(['Z', 'z', '+', '-']).unwrap_or(rest.len()));
            (read_clock(clock)?, read_offset(offset)?)
        }
        None => (Clock { time: Time::midnight(), later: false, is_end_of_day: false }, Offset::UTC),
    };
    if !in_time {
        return Some(AFTER_EVERYTHING);
    }
    let is_next_day = clock.is_end_of_day && end_of_day == EndOfDay::Iso;
    let days = if is_next_day { 1.day() } else { 0.days() };
    let date = date.checked_add(days).ok();
    let moment = date.and_then(|date| offset.to_timestamp(date.to_datetime(clock.time)).ok());
    Some(moment.map_or(AFTER_EVERYTHING, |moment| (moment, clock.later)))
}

/// The text with the plus of its offset, which has become a blank where a URL was not encoded.
fn with_plus(text: &str) -> String {
    match text.rsplit_once(' ') {
        Some((moment, offset)) if moment.contains(['T', 't', ' ']) => format!("{moment}+{offset}"),
        _ => text.to_owned(),
    }
}

/// The date, and whether it is in a year that can be told; if not, the day is right, and the year is not.
fn read_date(text: &str) -> Option<(Date, bool)> {
    let (text, day) = text.rsplit_once('-')?;
    let (year, month) = text.rsplit_once('-')?;
    let (century, last) = year.split_at_checked(year.len().checked_sub(4)?)?;
    let in_time = century.bytes().all(|digit| digit == b'0');
    let last: i16 = digits(last, 4)?;
    century.bytes().all(|byte| byte.is_ascii_digit()).then_some(())?;
    // After 400 years the leap years begin anew.
    let year = if in_time { last } else { 2000 + last % 400 };
    Some((Date::new(year, digits(month, 2)?, digits(day, 2)?).ok()?, in_time))
}

/// A time of the day.
struct Clock {
    time: Time,
    /// Whether it is later by less than a nanosecond.
    later: bool,
    /// Whether it is exactly 24:00. Then the time is midnight.
    is_end_of_day: bool,
}

fn read_clock(text: &str) -> Option<Clock> {
    let (text, fraction) = text.split_once(['.', ',']).map_or((text, None), |(text, fraction)| (text, Some(fraction)));
    let (hour, rest) = text.split_once(':')?;
    let (minute, second) = rest.split_once(':').map_or((rest, None), |(minute, second)| (minute, Some(second)));
    if fraction.is_some() && second.is_none() {
        return None;
    }
    let (nanosecond, later) = fraction.map_or(Some((0, false)), nanoseconds)?;
    let (hour, minute): (i8, i8) = (digits(hour, 2)?, digits(minute, 2)?);
    // A leap second is the one before it.
    let second = second.map_or(Some(0), |second| digits::<i8>(second, 2))?;
    let second = if second == 60 { 59 } else { second };
    let is_hour_24 = hour == 24;
    let hour = if is_hour_24 { 0 } else { hour };
    let time = Time::new(hour, minute, second, nanosecond).ok()?;
    let is_end_of_day = is_hour_24 && time == Time::midnight() && !later;
    Some(Clock { time, later, is_end_of_day })
}

/// The nanoseconds of a fraction, and whether more than zeros follow after them.
fn nanoseconds(fraction: &str) -> Option<(i32, bool)> {
    if fraction.is_empty() || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let (kept, cut) = fraction.split_at(fraction.len().min(9));
    Some((format!("{kept:0<9}").parse().ok()?, cut.bytes().any(|digit| digit != b'0')))
}

fn read_offset(text: &str) -> Option<Offset> {
    let sign = match text.get(..1) {
        None => return Some(Offset::UTC),
        Some("+") => 1,
        Some("-") => -1,
        Some(_) => return (text.len() == 1).then_some(Offset::UTC),
    };
    let (hours, minutes) = text.get(1..)?.split_at_checked(2)?;
    let minutes = match minutes.strip_prefix(':') {
        Some(minutes) => digits(minutes, 2)?,
        None if minutes.is_empty() => 0,
        None => digits(minutes, 2)?,
    };
    let hours: i32 = digits(hours, 2)?;
    if hours > 23 || minutes > 59 {
        return None;
    }
    Offset::from_seconds(sign * (hours * 60 + minutes) * 60).ok()
}

/// The number that exactly so many digits are.
fn digits<N: std::str::FromStr>(text: &str, count: usize) -> Option<N> {
    (text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_read_in_many_spellings() {
        let at = |text: &str| (text.parse().unwrap(), false);
        for (text, expected) in [
            ("2020-02-29", at("2020-02-29T00:00:00Z")),
            ("2020-01-31T24:00:00", at("2020-02-01T00:00:00Z")),
            ("2020-12-31T24:00:00.000+01:00", at("2020-12-31T23:00:00Z")),
            ("2020-01-31T24:00", at("2020-02-01T00:00:00Z")),
            ("2020-01-31T24:00:01", at("2020-01-31T00:00:01Z")),
            ("2020-01-31T24:59:59Z", at("2020-01-31T00:59:59Z")),
            ("2020-01-31T24:30", at("2020-01-31T00:30:00Z")),
            ("2020-01-31T24:00:00.5+02:00", at("2020-01-30T22:00:00.5Z")),
            ("2020-01-01T08:00", at("2020-01-01T08:00:00Z")),
            ("2020-01-01T08:00:00,25+0130", at("2020-01-01T06:30:00.25Z")),
            ("2020-01-01T08:00:00-23:59", at("2020-01-02T07:59:00Z")),
            ("2020-01-01T08:00:00+01", at("2020-01-01T07:00:00Z")),
            ("2020-01-01T08:00:00 01:00", at("2020-01-01T07:00:00Z")),
            ("2016-12-31T23:59:60Z", at("2016-12-31T23:59:59Z")),
            ("02020-01-01", at("2020-01-01T00:00:00Z")),
            ("10000-02-29T00:00:00Z", AFTER_EVERYTHING),
            ("123456-01-01", AFTER_EVERYTHING),
            ("9999-12-31T24:00:00Z", AFTER_EVERYTHING),
        ] {
            assert_eq!(moment(text, EndOfDay::Iso), Some(expected), "{text}");
        }
        let nearly = |text: &str| (text.parse().unwrap(), true);
        for (text, expected) in [
            ("2020-01-01T00:00:00.1234567891Z", nearly("2020-01-01T00:00:00.123456789Z")),
            ("2020-01-01T24:00:00.0000000001", nearly("2020-01-01T00:00:00Z")),
        ] {
            assert_eq!(moment(text, EndOfDay::Iso), Some(expected), "{text}");
        }
        for (text, expected) in [
            ("2020-01-31T24:00:00", at("2020-01-31T00:00:00Z")),
            ("2020-12-31T24:00:00.000+01:00", at("2020-12-30T23:00:00Z")),
            ("2020-01-31T24:00:01", at("2020-01-31T00:00:01Z")),
            ("2020-01-31T23:00:00", at("2020-01-31T23:00:00Z")),
            ("9999-12-31T24:00:00Z", AFTER_EVERYTHING),
        ] {
            assert_eq!(moment(text, EndOfDay::Earlier), Some(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_moment_is_refused() {
        for text in [
            "",
            "20200101",
            "2020-01",
            "20-01-01",
            "2020-1-1",
            "2023-02-29",
            "10001-02-29",
            "-2020-01-01",
            "+2020-01-01",
            "2020-01-01T",
            "2020-01-01T08",
            "2020-01-01T0800",
            "2020-01-01T08:00.5",
            "2020-01-01T08:00:00.",
            "2020-01-01T25:00:00",
            "2020-01-01T24:60:00",
            "2020-01-01T08:60",
            "2020-01-01T08:00:00+24:00",
            "2020-01-01T08:00:00+23:60",
            "2020-01-01T08:00:00+1",
            "2020-01-01T08:00:00+01:00:00",
            "2020-01-01T08:00:00ZZ",
            "2020-01-01T08:00:00Z[u-ca=gregory]",
            "2020-01-01[u-ca=gregory]",
            "2020-01-01T08:00:00ü",
            "ü",
            "üü-01-01",
        ] {
            assert_eq!(moment(text, EndOfDay::Iso), None, "{text}");
        }
    }
}
