//! Date-times in filters: the syntax of RFC 3339 and XML Schema (RFC 7643 §2.3.5), and some
//! variants that clients send.
//!
//! ```text
//! date-time = date [ ( "T" / "t" / " " ) time [ offset ] ]       ; without an offset in UTC
//! date      = 4*DIGIT "-" 2DIGIT "-" 2DIGIT                       ; alone, the start of the day
//! time      = 2DIGIT ":" 2DIGIT [ ":" 2DIGIT [ ( "." / "," ) 1*DIGIT ] ]
//! offset    = "Z" / "z" / ( "+" / "-" ) 2DIGIT [ [ ":" ] 2DIGIT ]
//! ```
//!
//! The hour 24 has two meanings. In ISO 8601, `24:00:00` is the end of the day, and no later time
//! exists on that day. Java's pattern `kk` counts the hours of a day from 1 to 24 and writes the
//! first hour after midnight as `24:mm:ss`, with the date of the day that begins. With minutes or
//! seconds only the second meaning is possible; for `24:00:00` the caller decides ([`EndOfDay`]).

use jiff::civil::{Date, Time};
use jiff::tz::Offset;
use jiff::{Timestamp, ToSpan};

/// Maximum number of fraction digits that a timestamp can hold.
const NANOSECOND_DIGITS: usize = 9;

/// Date-time in a filter, in a form that compares exactly with stored timestamps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct DateTimeLiteral {
    timestamp: Timestamp,
    /// True if the exact date-time is later than `timestamp` by less than a nanosecond.
    is_truncated: bool,
}

impl From<Timestamp> for DateTimeLiteral {
    fn from(timestamp: Timestamp) -> Self {
        Self { timestamp, is_truncated: false }
    }
}

/// Meaning of `24:00:00`, which exists both in ISO 8601 and in Java's `kk`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum EndOfDay {
    /// Midnight after the day.
    Iso,
    /// Midnight before the day.
    Earlier,
}

impl DateTimeLiteral {
    /// Literal that is later than every timestamp. It stands for all date-times after the last one
    /// that can be represented.
    const AFTER_ALL: Self = Self { timestamp: Timestamp::MAX, is_truncated: true };

    /// Parses a date-time.
    pub(super) fn parse(text: &str, end_of_day: EndOfDay) -> Option<Self> {
        let text = restore_plus(text.trim());
        let (date, rest) = match text.split_once(['T', 't', ' ']) {
            Some((date, rest)) => (date, Some(rest)),
            None => (text.as_str(), None),
        };
        let date = parse_date(date)?;
        let (time, offset) = match rest {
            Some(rest) => {
                let time_length = rest.find(['Z', 'z', '+', '-']).unwrap_or(rest.len());
                let (time, offset) = rest.split_at(time_length);
                (parse_time(time)?, parse_offset(offset)?)
            }
            None => (TimeOfDay::MIDNIGHT, Offset::UTC),
        };
        match date {
            ParsedDate::InRange(date) => Some(Self::at(date, &time, offset, end_of_day)),
            ParsedDate::TooLate => Some(Self::AFTER_ALL),
        }
    }

    fn at(date: Date, time: &TimeOfDay, offset: Offset, end_of_day: EndOfDay) -> Self {
        let is_next_day = time.is_end_of_day && end_of_day == EndOfDay::Iso;
        let days = if is_next_day { 1.day() } else { 0.days() };
        let Ok(date) = date.checked_add(days) else { return Self::AFTER_ALL };
        match offset.to_timestamp(date.to_datetime(time.time)) {
            Ok(timestamp) => Self { timestamp, is_truncated: time.is_truncated },
            Err(_) => Self::AFTER_ALL,
        }
    }
}

/// Restores the `+` of an offset, which is a space if the client did not encode the URL.
fn restore_plus(text: &str) -> String {
    match text.rsplit_once(' ') {
        Some((date_time, offset)) if date_time.contains(['T', 't', ' ']) => {
            format!("{date_time}+{offset}")
        }
        _ => text.to_owned(),
    }
}

enum ParsedDate {
    InRange(Date),
    /// Date with a year of more than four digits.
    TooLate,
}

fn parse_date(text: &str) -> Option<ParsedDate> {
    let (leading, date) = text.split_at_checked(text.len().checked_sub("0000-00-00".len())?)?;
    if !has_shape(date, "0000-00-00") || !leading.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    if leading.bytes().all(|digit| digit == b'0') {
        return Some(ParsedDate::InRange(date.parse().ok()?));
    }
    // Leap years repeat after 400 years, so a year in that cycle decides whether the day exists.
    // Ten thousand years are 25 such cycles.
    date.parse::<Date>().ok()?;
    Some(ParsedDate::TooLate)
}

struct TimeOfDay {
    time: Time,
    /// True if the exact time is later than `time` by less than a nanosecond.
    is_truncated: bool,
    /// True for exactly 24:00. Then `time` is midnight.
    is_end_of_day: bool,
}

impl TimeOfDay {
    const MIDNIGHT: Self = Self::exactly(Time::midnight());

    const fn exactly(time: Time) -> Self {
        Self { time, is_truncated: false, is_end_of_day: false }
    }
}

fn parse_time(text: &str) -> Option<TimeOfDay> {
    let (clock, fraction) = text.split_once(['.', ',']).unwrap_or((text, "0"));
    let has_seconds = has_shape(clock, "00:00:00");
    if !has_seconds && !has_shape(text, "00:00") {
        return None;
    }
    if fraction.is_empty() || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let (hour, rest) = clock.split_at_checked(2)?;
    let is_hour_24 = hour == "24";
    let hour = if is_hour_24 { "00" } else { hour };
    let seconds = if has_seconds { "" } else { ":00" };
    let (nanoseconds, below) = fraction.split_at(fraction.len().min(NANOSECOND_DIGITS));
    // A leap second counts as the second before it.
    let time: Time = format!("{hour}{rest}{seconds}.{nanoseconds}").parse().ok()?;
    let is_truncated = below.bytes().any(|digit| digit != b'0');
    let is_end_of_day = is_hour_24 && time == Time::midnight() && !is_truncated;
    Some(TimeOfDay { time, is_truncated, is_end_of_day })
}

fn parse_offset(text: &str) -> Option<Offset> {
    if matches!(text, "" | "Z" | "z") {
        return Some(Offset::UTC);
    }
    let (sign, digits) = match text.split_at_checked(1)? {
        ("+", digits) => (1, digits),
        ("-", digits) => (-1, digits),
        _ => return None,
    };
    if !["00", "0000", "00:00"].iter().any(|shape| has_shape(digits, shape)) {
        return None;
    }
    let hours: i32 = digits.get(..2)?.parse().ok()?;
    let minutes = digits.get(2..)?.trim_start_matches(':');
    let minutes: i32 = if minutes.is_empty() { 0 } else { minutes.parse().ok()? };
    if hours > 23 || minutes > 59 {
        return None;
    }
    Offset::from_seconds(sign * (hours * 60 + minutes) * 60).ok()
}

/// Reports whether `text` is `shape` with any digits in place of the zeros. The parser of jiff
/// accepts more spellings than a filter may have.
fn has_shape(text: &str, shape: &str) -> bool {
    let text = text.as_bytes();
    text.len() == shape.len()
        && text.iter().zip(shape.bytes()).all(|(byte, expected)| match expected {
            b'0' => byte.is_ascii_digit(),
            _ => *byte == expected,
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    const AFTER_ALL: DateTimeLiteral = DateTimeLiteral::AFTER_ALL;

    fn at(text: &str) -> DateTimeLiteral {
        DateTimeLiteral { timestamp: text.parse().unwrap(), is_truncated: false }
    }

    fn just_after(text: &str) -> DateTimeLiteral {
        DateTimeLiteral { timestamp: text.parse().unwrap(), is_truncated: true }
    }

    fn parse(text: &str, end_of_day: EndOfDay) -> Option<DateTimeLiteral> {
        DateTimeLiteral::parse(text, end_of_day)
    }

    #[test]
    fn all_accepted_spellings_are_parsed() {
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
            ("2016-12-31T23:59:60.25Z", at("2016-12-31T23:59:59.25Z")),
            ("0000-02-29", at("0000-02-29T00:00:00Z")),
            ("2020-01-01T08:00:00.000000001-00:30", at("2020-01-01T08:30:00.000000001Z")),
            ("02020-01-01", at("2020-01-01T00:00:00Z")),
            ("10000-02-29T00:00:00Z", AFTER_ALL),
            ("123456-01-01", AFTER_ALL),
            ("12400-02-29", AFTER_ALL),
            ("9999-12-31T24:00:00Z", AFTER_ALL),
        ] {
            assert_eq!(parse(text, EndOfDay::Iso), Some(expected), "{text}");
        }
        for (text, expected) in [
            ("2020-01-01T00:00:00.1234567891Z", just_after("2020-01-01T00:00:00.123456789Z")),
            ("2020-01-01T24:00:00.0000000001", just_after("2020-01-01T00:00:00Z")),
        ] {
            assert_eq!(parse(text, EndOfDay::Iso), Some(expected), "{text}");
        }
        for (text, expected) in [
            ("2020-01-31T24:00:00", at("2020-01-31T00:00:00Z")),
            ("2020-12-31T24:00:00.000+01:00", at("2020-12-30T23:00:00Z")),
            ("2020-01-31T24:00:01", at("2020-01-31T00:00:01Z")),
            ("2020-01-31T23:00:00", at("2020-01-31T23:00:00Z")),
            ("9999-12-31T24:00:00Z", AFTER_ALL),
        ] {
            assert_eq!(parse(text, EndOfDay::Earlier), Some(expected), "{text}");
        }
    }

    #[test]
    fn invalid_date_times_are_refused() {
        for text in [
            "",
            "20200101",
            "2020-01",
            "20-01-01",
            "2020-1-1",
            "2023-02-29",
            "10001-02-29",
            "12300-02-29",
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
            "2020-01-01T08:00:00Z00:00",
            "2020-01-01T08:00:00.5.5",
            "2020-01-01T08:00:00.5,5Z",
            "2020-01-01TT08:00",
            "2020-01-01T08:00:61",
            "2020-W01-1",
            "2020-001",
            "2020-01-01T08:00:00Z[u-ca=gregory]",
            "2020-01-01[u-ca=gregory]",
            "2020-01-01T08:00:00ü",
            "ü",
            "üü-01-01",
        ] {
            assert_eq!(parse(text, EndOfDay::Iso), None, "{text}");
        }
    }
}
