//! The ways to pay, each with fields of its own.

use crate::json::{Json, object};
use crate::random::Random;

/// How a payment was made.
#[derive(Clone)]
pub(crate) enum Method {
    Upi {
        vpa: String,
        rrn: String,
        transaction_id: String,
    },
    Card {
        id: String,
        last4: String,
        network: &'static str,
        kind: &'static str,
        issuer: &'static str,
        auth_code: String,
    },
    Netbanking {
        bank: &'static str,
        transaction_id: String,
    },
    Wallet {
        name: &'static str,
        transaction_id: String,
    },
}

const BANKS: [&str; 5] = ["HDFC", "ICIC", "SBIN", "UTIB", "KKBK"];

impl Method {
    /// UPI in half of the cases, as in India.
    pub(crate) fn new(random: &mut Random) -> Self {
        match random.between(0, 5) {
            0 => Self::card(random),
            1 => Self::Netbanking {
                bank: random.pick(&BANKS),
                transaction_id: random.digits(10),
            },
            2 => Self::Wallet {
                name: random.pick(&["amazonpay", "mobikwik", "phonepe", "olamoney"]),
                transaction_id: random.digits(12),
            },
            _ => Self::upi(random),
        }
    }

    pub(crate) fn upi(random: &mut Random) -> Self {
        Self::Upi {
            vpa: format!(
                "{}@{}",
                random.digits(10),
                random.pick(&["okexample", "ybl", "upi"])
            ),
            rrn: random.digits(12),
            transaction_id: format!("{}{}", random.capitals(3), random.digits(29)),
        }
    }

    pub(crate) fn card(random: &mut Random) -> Self {
        Self::Card {
            id: random.id("card_"),
            last4: random.digits(4),
            network: random.pick(&["Visa", "MasterCard", "RuPay"]),
            kind: random.pick(&["credit", "debit", "prepaid"]),
            issuer: random.pick(&BANKS),
            auth_code: random.digits(6),
        }
    }

    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Upi { .. } => "upi",
            Self::Card { .. } => "card",
            Self::Netbanking { .. } => "netbanking",
            Self::Wallet { .. } => "wallet",
        }
    }

    pub(crate) fn card_id(&self) -> Option<&String> {
        if let Self::Card { id, .. } = self {
            Some(id)
        } else {
            None
        }
    }

    pub(crate) fn vpa(&self) -> Option<&String> {
        if let Self::Upi { vpa, .. } = self {
            Some(vpa)
        } else {
            None
        }
    }

    pub(crate) fn bank(&self) -> Option<&'static str> {
        if let Self::Netbanking { bank, .. } = self {
            Some(bank)
        } else {
            None
        }
    }

    pub(crate) fn wallet(&self) -> Option<&'static str> {
        if let Self::Wallet { name, .. } = self {
            Some(name)
        } else {
            None
        }
    }

    /// Fields that only payments of this method have.
    pub(crate) fn own_fields(&self) -> Json {
        match self {
            Self::Upi { vpa, .. } => {
                object! { "upi": object! { "payer_account_type": "bank_account", "vpa": vpa } }
            }
            Self::Card {
                id,
                last4,
                network,
                kind,
                issuer,
                ..
            } => object! {
                "card": object! {
                    "id": id, "entity": "card", "name": "", "last4": last4, "network": *network, "type": *kind,
                    "issuer": *issuer, "international": false, "emi": false, "sub_type": "consumer",
                    "token_iin": Json::Null,
                },
            },
            Self::Netbanking { .. } | Self::Wallet { .. } => object! {},
        }
    }

    /// What the acquirer told, or the same keys with nothing where it told nothing.
    pub(crate) fn acquirer_data(&self, told: bool) -> Json {
        let value = |text: &String| told.then(|| text.clone());
        match self {
            Self::Upi {
                rrn,
                transaction_id,
                ..
            } => {
                object! { "rrn": value(rrn), "upi_transaction_id": value(transaction_id) }
            }
            Self::Card { auth_code, .. } => object! { "auth_code": value(auth_code) },
            Self::Netbanking { transaction_id, .. } => {
                object! { "bank_transaction_id": value(transaction_id) }
            }
            Self::Wallet { transaction_id, .. } => {
                object! { "transaction_id": value(transaction_id) }
            }
        }
    }
}
