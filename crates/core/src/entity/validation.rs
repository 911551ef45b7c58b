//! Fund account validations.

use serde_json::value::RawValue;

use super::fields::{Place, currency, latest};
use crate::event::{ContentError, object, raw_fields};
use crate::ids::ValidationId;
use crate::money::{Currency, MinorUnits};
use crate::text::Text;
use crate::time::EventTime;

/// A fund account validation. `completed` does not mean valid; see `account_status`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields are Razorpay's")]
pub struct Validation {
    pub id: ValidationId,
    pub status: Text,
    pub fund_account_id: Option<Text>,
    pub contact_id: Option<Text>,
    pub account_type: Option<Text>,
    pub amount: Option<MinorUnits>,
    pub currency: Option<Currency>,
    pub account_status: Option<Text>,
    pub name_match_score: Option<i64>,
    pub utr: Option<Text>,
}

raw_fields! { struct Raw { id, status, amount, currency, utr, created_at; fund_account, results } }
raw_fields! { struct RawFundAccount { id, contact_id, account_type } }
raw_fields! { struct RawResults { account_status, name_match_score } }

impl Validation {
    /// The payload key.
    pub const KIND: &'static str = "fund_account.validation";

    pub(super) fn read(raw: &RawValue) -> Result<(Self, Option<EventTime>), ContentError> {
        let at = Place(Self::KIND);
        let raw: Raw<'_> = at.object(raw)?;
        let fund_account: RawFundAccount<'_> =
            raw.fund_account.and_then(object).unwrap_or_default();
        let results: RawResults<'_> = raw.results.and_then(object).unwrap_or_default();
        let validation = Self {
            id: at.field("id", &raw.id)?,
            status: at.field("status", &raw.status)?,
            fund_account_id: fund_account.id.text(),
            contact_id: fund_account.contact_id.text(),
            account_type: fund_account.account_type.text(),
            amount: at.field("amount", &raw.amount)?,
            currency: currency(&raw.currency),
            account_status: results.account_status.text(),
            name_match_score: results.name_match_score.number(),
            utr: raw.utr.text(),
        };
        Ok((validation, latest(&[&raw.created_at])))
    }
}
