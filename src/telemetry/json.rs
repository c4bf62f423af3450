//! Log layer that writes events as lines of JSON. The formatter of `tracing_subscriber` goes
//! through several layers of abstraction for every field. For the request log, that took a tenth of
//! the time of a request.

use std::cell::RefCell;
use std::fmt::{self, Write as _};

use jiff::Timestamp;
use serde::Serialize;
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_log::NormalizeEvent;
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

use crate::telemetry::lines::LogQueue;

/// Prefix of the fields that describe events of the crate `log`: target, module, file and line.
const LOG_CRATE_PREFIX: &str = "log.";

/// Layer that writes each event as a line of JSON.
pub(super) struct JsonLayer(pub(super) LogQueue);

impl<S: Subscriber> Layer<S> for JsonLayer {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        thread_local! {
            static LINE: RefCell<Line> = RefCell::default();
        }
        LINE.with(|line| match line.try_borrow_mut() {
            Ok(mut line) => line.write(event, &self.0),
            // The buffer is in use when formatting a value logs another event.
            Err(_) => Line::default().write(event, &self.0),
        });
    }
}

/// Line of JSON, and a buffer for values that are formatted before they are escaped.
#[derive(Default)]
struct Line {
    json: Vec<u8>,
    text: String,
}

impl Line {
    #[expect(clippy::disallowed_methods, reason = "a line has the time at which it was written")]
    fn write(&mut self, event: &Event<'_>, lines: &LogQueue) {
        let normalized = event.normalized_metadata();
        let metadata = normalized.as_ref().unwrap_or_else(|| event.metadata());
        self.json.clear();
        self.json.extend_from_slice(b"{\"timestamp\":");
        self.push_formatted(format_args!("{:.6}", Timestamp::now()));
        self.json.extend_from_slice(b",\"level\":\"");
        self.json.extend_from_slice(metadata.level().as_str().as_bytes());
        self.json.push(b'"');
        event.record(self);
        self.json.extend_from_slice(b",\"target\":");
        self.push_value(metadata.target());
        self.json.extend_from_slice(b"}\n");
        lines.push(&self.json);
    }

    fn begin_field(&mut self, field: &Field) -> bool {
        if field.name().starts_with(LOG_CRATE_PREFIX) {
            return false;
        }
        // Field names come from source code and need no escapes.
        self.json.extend_from_slice(b",\"");
        self.json.extend_from_slice(field.name().as_bytes());
        self.json.extend_from_slice(b"\":");
        true
    }

    /// Appends a value as JSON, or `null` if it has no JSON form.
    fn push_value<T: Serialize + ?Sized>(&mut self, value: &T) {
        let length = self.json.len();
        if serde_json::to_writer(&mut self.json, value).is_err() {
            self.json.truncate(length);
            self.json.extend_from_slice(b"null");
        }
    }

    fn push_formatted(&mut self, value: fmt::Arguments<'_>) {
        let mut text = std::mem::take(&mut self.text);
        text.clear();
        // If formatting fails, the text written so far is logged.
        let _ = text.write_fmt(value);
        self.push_value(&text);
        self.text = text;
    }
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if self.begin_field(field) {
            self.push_formatted(format_args!("{value:?}"));
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if self.begin_field(field) {
            self.push_value(value);
        }
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        if self.begin_field(field) {
            self.push_value(&value);
        }
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        if self.begin_field(field) {
            self.push_value(&value);
        }
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        if self.begin_field(field) {
            self.push_value(&value);
        }
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        if self.begin_field(field) {
            self.push_value(&value);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{self, Write};
    use std::sync::{Arc, Mutex};

    use tracing_subscriber::layer::SubscriberExt;

    use super::*;
    use crate::telemetry::lines;

    #[derive(Clone, Default)]
    struct CapturedOutput(Arc<Mutex<Vec<u8>>>);

    impl Write for CapturedOutput {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn each_event_is_a_line_of_json_with_its_fields() {
        let kept = CapturedOutput::default();
        let (lines, writer) = lines::start(kept.clone()).unwrap();
        let nothing: Option<&str> = None;
        tracing::subscriber::with_default(
            tracing_subscriber::registry().with(JsonLayer(lines)),
            || {
                tracing::info!(
                    text = "a \"b\"\n\u{1}ü",
                    count = 7_u64,
                    less = -1,
                    share = 0.5,
                    odd = f64::NAN,
                    yes = true,
                    nothing,
                    shown = %"c\"d",
                    seen = ?Some("e"),
                    "said \"{}\"",
                    1
                );
                tracing::error!("second");
            },
        );
        drop(writer);
        let text = String::from_utf8(kept.0.lock().unwrap().clone()).unwrap();
        let lines: Vec<serde_json::Value> =
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let mut first = lines[0].clone();
        let timestamp = first.as_object_mut().unwrap().remove("timestamp").unwrap();
        assert!(timestamp.as_str().unwrap().parse::<Timestamp>().is_ok(), "{timestamp}");
        assert_eq!(timestamp.as_str().unwrap().len(), "2026-01-01T00:00:00.000000Z".len());
        let expected = serde_json::json!({
            "level": "INFO", "message": "said \"1\"", "text": "a \"b\"\n\u{1}ü", "count": 7,
            "less": -1, "share": 0.5, "odd": null, "yes": true, "shown": "c\"d",
            "seen": "Some(\"e\")", "target": module_path!(),
        });
        assert_eq!(first, expected);
        assert_eq!((lines.len(), lines[1]["message"].as_str()), (2, Some("second")));
    }
}
