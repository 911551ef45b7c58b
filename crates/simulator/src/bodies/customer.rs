//! Invented people.

use serde::Serialize;

use crate::json::{Object, object};
use crate::random::Random;

/// Somebody who pays.
#[derive(Clone, Serialize)]
pub(crate) struct Customer {
    #[serde(rename = "customer_id")]
    pub(crate) id: String,
    pub(crate) name: &'static str,
    pub(crate) email: String,
    pub(crate) contact: String,
}

/// Name and mailbox.
const PEOPLE: [(&str, &str); 6] = [
    ("Asha Menon", "asha.menon"),
    ("Imran Qureshi", "imran.q"),
    ("Lakshmi Iyer", "lakshmi.iyer"),
    ("René D'Souza", "rene.dsouza"),
    ("Tenzin Bhutia", "tenzin"),
    ("ज़ोया ख़ान", "zoya.khan"),
];

impl Customer {
    pub(crate) fn new(random: &mut Random) -> Self {
        let (name, mailbox) = random.pick(&PEOPLE);
        Self {
            id: random.id("cust_"),
            name,
            email: format!("{mailbox}.{}@example.in", random.digits(4)),
            contact: format!("+919{}", random.digits(9)),
        }
    }

    /// The customer as invoices hold him.
    pub(crate) fn invoice_details(&self, random: &mut Random) -> Object {
        let address = |random: &mut Random, kind: &'static str| {
            object! {
                "id": random.id("addr_"), "type": kind, "primary": true,
                "line1": format!("{}/{}, Lake Road", random.digits(2), random.digits(1)), "line2": "2nd Cross",
                "zipcode": random.digits(6), "city": "Mysuru", "state": "Karnataka", "country": "in",
            }
        };
        object! {
            "id": self.id, "name": self.name, "email": self.email, "contact": self.contact, "gstin": (),
            "billing_address": address(random, "billing_address"),
            "shipping_address": random.once_in(2).then(|| address(random, "shipping_address")),
            "customer_name": self.name, "customer_email": self.email, "customer_contact": self.contact,
        }
    }
}
