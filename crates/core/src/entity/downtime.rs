//! Payment downtimes.

use serde_json::value::RawValue;

use super::fields::{Place, latest};
use crate::event::{ContentError, object, raw_fields};
use crate::ids::DowntimeId;
use crate::text::Text;
use crate::time::EventTime;

/// A downtime of a payment method or instrument.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields are Razorpay's")]
pub struct Downtime {
    pub id: DowntimeId,
    pub status: Text,
    pub method: Option<Text>,
    pub severity: Option<Text>,
    pub scheduled: Option<bool>,
    pub begin_at: Option<EventTime>,
    pub end_at: Option<EventTime>,
    pub instrument: Instrument,
}

/// The affected instrument. Which fields are set depends on the method.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields are Razorpay's")]
pub struct Instrument {
    pub bank: Option<Text>,
    pub network: Option<Text>,
    pub issuer: Option<Text>,
    /// `type` in the body; the documentation calls it `card_type`.
    pub card_type: Option<Text>,
    pub vpa_handle: Option<Text>,
    pub psp: Option<Text>,
    pub flow: Option<Text>,
}

raw_fields! { struct Raw { id, status, method, severity, scheduled, begin, end, created_at, updated_at; instrument } }
raw_fields! { struct RawInstrument { bank, network, issuer, r#type, card_type, vpa_handle, psp, flow } }

impl Downtime {
    /// The payload key.
    pub const KIND: &'static str = "payment.downtime";

    pub(super) fn read(raw: &RawValue) -> Result<(Self, Option<EventTime>), ContentError> {
        let at = Place(Self::KIND);
        let raw: Raw<'_> = at.object(raw)?;
        let instrument: RawInstrument<'_> = raw.instrument.and_then(object).unwrap_or_default();
        let downtime = Self {
            id: at.field("id", &raw.id)?,
            status: at.field("status", &raw.status)?,
            method: raw.method.text(),
            severity: raw.severity.text(),
            scheduled: raw.scheduled.flag(),
            begin_at: raw.begin.instant(),
            end_at: raw.end.instant(),
            instrument: Instrument {
                bank: instrument.bank.text(),
                network: instrument.network.text(),
                issuer: instrument.issuer.text(),
                card_type: instrument
                    .r#type
                    .text()
                    .or_else(|| instrument.card_type.text()),
                vpa_handle: instrument.vpa_handle.text(),
                psp: instrument.psp.text(),
                flow: instrument.flow.text(),
            },
        };
        Ok((downtime, latest(&[&raw.created_at, &raw.updated_at])))
    }
}
