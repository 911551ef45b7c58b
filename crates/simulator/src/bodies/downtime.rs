//! Downtimes of payment methods.

use super::{Bodies, Envelope, verb};
use crate::json::{Json, list, object};
use crate::random::Random;

/// A downtime as it is at one moment.
#[derive(Clone)]
pub(crate) struct Downtime {
    pub(crate) status: &'static str,
    pub(crate) severity: &'static str,
    pub(crate) end: Option<i64>,
    pub(crate) updated_at: i64,
    id: String,
    scheduled: bool,
    begin: i64,
    method: &'static str,
    instrument: Json,
    instrument_schema: Json,
}

impl Downtime {
    pub(crate) fn new(random: &mut Random, begin: i64) -> Self {
        let (method, instrument, instrument_schema) = match random.between(0, 4) {
            0 => (
                "netbanking",
                object! { "bank": random.pick(&["SBIN", "PUNB", "FDRL"]) },
                list!["bank"],
            ),
            1 => (
                "card",
                object! { "network": "RuPay", "type": "debit" },
                list!["network", "type"],
            ),
            2 => (
                "card",
                object! { "issuer": "UTIB", "type": "credit" },
                list!["issuer", "type"],
            ),
            3 => (
                "upi",
                object! { "vpa_handle": "ybl", "flow": "collect" },
                list!["vpa_handle", "flow"],
            ),
            _ => (
                "upi",
                object! { "psp": "google_pay", "flow": "intent" },
                list!["psp", "flow"],
            ),
        };
        Self {
            id: random.id("down_"),
            status: "started",
            scheduled: random.once_in(4),
            severity: random.pick(&["high", "medium", "low"]),
            begin,
            end: None,
            updated_at: begin,
            method,
            instrument,
            instrument_schema,
        }
    }

    pub(crate) fn json(&self) -> Json {
        object! {
            "id": &self.id,
            "entity": "payment.downtime",
            "method": self.method,
            "begin": self.begin,
            "end": self.end,
            "status": self.status,
            "scheduled": self.scheduled,
            "severity": self.severity,
            "instrument": &self.instrument,
            "instrument_schema": &self.instrument_schema,
            "created_at": self.begin,
            "updated_at": self.updated_at,
        }
    }
}

pub(super) fn envelope(bodies: &mut Bodies, name: &str) -> Envelope {
    let now = bodies.now_seconds();
    let random = bodies.random();
    let verb = verb(name);
    let begin = if verb == "started" {
        now
    } else {
        now - random.between(60, 7_200)
    };
    let mut downtime = Downtime::new(random, begin);
    downtime.updated_at = now;
    match verb {
        "updated" => downtime.status = "updated",
        "resolved" => {
            downtime.status = "resolved";
            downtime.end = Some(now);
        }
        _ => {}
    }
    bodies
        .envelope(name, now)
        .with("payment.downtime", downtime.json())
}
