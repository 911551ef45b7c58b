//! Downtimes of payment methods.

use serde::Serialize;

use super::{Bodies, Envelope, verb};
use crate::json::{Object, object};
use crate::random::Random;

/// A downtime as it is at one moment, with its fields in Razorpay's order.
#[derive(Serialize)]
pub(crate) struct SimulatedDowntime {
    id: String,
    entity: &'static str,
    method: &'static str,
    begin: i64,
    end: Option<i64>,
    pub(crate) status: &'static str,
    scheduled: bool,
    pub(crate) severity: &'static str,
    instrument: Object,
    /// The keys of `instrument`.
    instrument_schema: Vec<String>,
    created_at: i64,
    pub(crate) updated_at: i64,
}

impl SimulatedDowntime {
    pub(crate) fn new(random: &mut Random, begin: i64) -> Self {
        let (method, instrument) = match random.between(0, 4) {
            0 => {
                let bank = random.pick(&["SBIN", "PUNB", "FDRL"]);
                ("netbanking", object! { "bank": bank })
            }
            1 => ("card", object! { "network": "RuPay", "type": "debit" }),
            2 => ("card", object! { "issuer": "UTIB", "type": "credit" }),
            3 => ("upi", object! { "vpa_handle": "ybl", "flow": "collect" }),
            _ => ("upi", object! { "psp": "google_pay", "flow": "intent" }),
        };
        Self {
            id: random.id("down_"),
            entity: "payment.downtime",
            method,
            begin,
            end: None,
            status: "started",
            scheduled: random.once_in(4),
            severity: random.pick(&["high", "medium", "low"]),
            instrument_schema: instrument.keys(),
            instrument,
            created_at: begin,
            updated_at: begin,
        }
    }

    pub(crate) fn resolve(&mut self, at: i64) {
        self.status = "resolved";
        self.updated_at = at;
        self.end = Some(at);
    }
}

pub(super) fn envelope(bodies: &mut Bodies, name: &str) -> Envelope {
    let now = bodies.now_seconds();
    let random = bodies.random();
    let verb = verb(name);
    let age = match verb {
        "started" => 0,
        _ => random.between(60, 7_200),
    };
    let mut downtime = SimulatedDowntime::new(random, now - age);
    downtime.updated_at = now;
    match verb {
        "updated" => downtime.status = "updated",
        "resolved" => downtime.resolve(now),
        _ => {}
    }
    bodies
        .envelope(name, now)
        .with("payment.downtime", downtime)
}
