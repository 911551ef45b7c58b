//! Accounts of sub-merchants.

use serde_json::value::RawValue;

use super::fields::{Place, latest};
use crate::event::{ContentError, Head, object, raw_fields};
use crate::ids::AccountId;
use crate::text::Text;
use crate::time::EventTime;

/// An account. Its KYC details (PAN, bank account, addresses, phone) stay in the body.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields are Razorpay's")]
pub struct Account {
    pub id: AccountId,
    /// `merchant_detail.activation_status`, or else the last part of the event's name (a suspended account has
    /// no activation status).
    pub status: Option<Text>,
    pub activated: Option<bool>,
    pub live: Option<bool>,
    pub hold_funds: Option<bool>,
    pub activated_at: Option<EventTime>,
    pub suspended_at: Option<EventTime>,
    pub business_type: Option<Text>,
}

raw_fields! { struct Raw { id, status, activated, live, hold_funds, activated_at, suspended_at, created_at, updated_at; merchant_detail, activation_details } }
raw_fields! { struct RawMerchantDetail { activation_status, business_type } }
raw_fields! { struct RawActivationDetails { status } }

impl Account {
    /// The payload key.
    pub const KIND: &'static str = "account";

    pub(super) fn read(
        raw: &RawValue,
        head: &Head,
    ) -> Result<(Self, Option<EventTime>), ContentError> {
        let at = Place(Self::KIND);
        let raw: Raw<'_> = at.object(raw)?;
        let detail: RawMerchantDetail<'_> =
            raw.merchant_detail.and_then(object).unwrap_or_default();
        let activation: RawActivationDetails<'_> =
            raw.activation_details.and_then(object).unwrap_or_default();
        let status = detail
            .activation_status
            .text()
            .or_else(|| activation.status.text())
            .or_else(|| raw.status.text())
            .or_else(|| head.name.strip_prefix("account.").map(Text::from));
        let account = Self {
            id: at.field("id", &raw.id)?,
            status,
            activated: raw.activated.flag(),
            live: raw.live.flag(),
            hold_funds: raw.hold_funds.flag(),
            activated_at: raw.activated_at.instant(),
            suspended_at: raw.suspended_at.instant(),
            business_type: detail.business_type.text(),
        };
        Ok((account, latest(&[&raw.created_at, &raw.updated_at])))
    }
}
