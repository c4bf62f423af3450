//! Validity of mapped users: the days on which the same records map to the same users.

use std::ops::Range;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

/// Period of days on which the same records map to the same users. It is unlimited by default, and
/// a date that changes a user limits it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct ValidityPeriod {
    /// First day of the period; `None` if it has no beginning.
    since: Option<Date>,
    /// First day after the period; `None` if it has no end.
    until: Option<Date>,
}

impl ValidityPeriod {
    /// Limits the period by `day`, a day on which a user differs from the day before.
    pub(crate) fn note_change(&mut self, day: Date, today: Date) {
        if day <= today {
            self.since = self.since.max(Some(day));
        } else {
            let until = self.until.unwrap_or(day);
            self.until = Some(until.min(day));
        }
    }

    /// Reports whether `day` is in the period.
    pub(crate) fn contains(&self, day: Date) -> bool {
        self.since.is_none_or(|since| since <= day) && self.until.is_none_or(|until| day < until)
    }

    /// Limits the period to the days of `other`, another period that contains the same day.
    pub(crate) fn limit_to(&mut self, other: &Self) {
        self.since = self.since.max(other.since);
        self.until = match (self.until, other.until) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        };
    }

    /// Returns the period from midnight to midnight in `zone`, or `None` if it is unlimited.
    pub(crate) fn time_range(&self, zone: &TimeZone) -> Option<Range<Timestamp>> {
        if *self == Self::default() {
            return None;
        }
        let since = midnight(self.since, zone).unwrap_or(Timestamp::MIN);
        let until = midnight(self.until, zone).unwrap_or(Timestamp::MAX);
        Some(since..until)
    }
}

/// Returns the moment at which a day begins.
fn midnight(day: Option<Date>, zone: &TimeZone) -> Option<Timestamp> {
    Some(day?.to_zoned(zone.clone()).ok()?.timestamp())
}
