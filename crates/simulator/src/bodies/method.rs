//! The payment methods, each with fields of its own.

use crate::json::{Object, object};
use crate::random::Random;

/// How a payment was made.
#[derive(Clone)]
pub(crate) struct Method {
    pub(crate) name: &'static str,
    /// The payment's field that names the instrument, and its value.
    pub(crate) instrument: (&'static str, String),
    /// The acquirer's references.
    pub(crate) references: Vec<(&'static str, String)>,
    /// Fields that only payments of this method have.
    pub(crate) own_fields: Object,
}

const BANKS: [&str; 5] = ["HDFC", "ICIC", "SBIN", "UTIB", "KKBK"];

impl Method {
    /// UPI in half of the cases, as in India.
    pub(crate) fn new(random: &mut Random) -> Self {
        let without_fields = |name, field, value: &str, reference| Self {
            name,
            instrument: (field, value.to_owned()),
            references: vec![reference],
            own_fields: Object::default(),
        };
        match random.between(0, 5) {
            0 => Self::card(random),
            1 => {
                let bank = random.pick(&BANKS);
                let reference = ("bank_transaction_id", random.digits(10));
                without_fields("netbanking", "bank", bank, reference)
            }
            2 => {
                let wallet = random.pick(&["amazonpay", "mobikwik", "phonepe", "olamoney"]);
                let reference = ("transaction_id", random.digits(12));
                without_fields("wallet", "wallet", wallet, reference)
            }
            _ => Self::upi(random),
        }
    }

    pub(crate) fn upi(random: &mut Random) -> Self {
        let username = random.digits(10);
        let vpa = format!("{username}@{}", random.pick(&["okexample", "ybl", "upi"]));
        let account = object! { "payer_account_type": "bank_account", "vpa": vpa };
        Self {
            name: "upi",
            instrument: ("vpa", vpa),
            references: vec![
                ("rrn", random.digits(12)),
                (
                    "upi_transaction_id",
                    format!("{}{}", random.capitals(3), random.digits(29)),
                ),
            ],
            own_fields: object! { "upi": account },
        }
    }

    fn card(random: &mut Random) -> Self {
        let id = random.id("card_");
        let card = object! {
            "id": id, "entity": "card", "name": "", "last4": random.digits(4),
            "network": random.pick(&["Visa", "MasterCard", "RuPay"]),
            "type": random.pick(&["credit", "debit", "prepaid"]),
            "issuer": random.pick(&BANKS), "international": false, "emi": false,
            "sub_type": "consumer", "token_iin": (),
        };
        Self {
            name: "card",
            instrument: ("card_id", id),
            references: vec![("auth_code", random.digits(6))],
            own_fields: object! { "card": card },
        }
    }
}
