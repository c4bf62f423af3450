//! Days on which the same records make the same users.

use std::ops::Range;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

/// Days on which the same records make the same users: every day, unless somebody depends on a date.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Validity {
    /// The first of these days.
    since: Option<Date>,
    /// The first day after them.
    until: Option<Date>,
}

impl Validity {
    /// Notes that a user is another on `day` than on the day before.
    pub(crate) fn note(&mut self, day: Date, today: Date) {
        if day <= today {
            self.since = self.since.max(Some(day));
        } else {
            self.until = Some(self.until.map_or(day, |until| until.min(day)));
        }
    }

    /// Returns these days as time, from midnight to midnight; `None` for every day.
    pub(crate) fn range(&self, zone: &TimeZone) -> Option<Range<Timestamp>> {
        if *self == Self::default() {
            return None;
        }
        let begin = |day: Date| day.to_zoned(zone.clone()).ok().map(|midnight| midnight.timestamp());
        let since = self.since.and_then(begin).unwrap_or(Timestamp::MIN);
        let until = self.until.and_then(begin).unwrap_or(Timestamp::MAX);
        Some(since..until)
    }
}
