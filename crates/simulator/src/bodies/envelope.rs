//! The envelope around the entities of an event.

use serde::Serialize;

use crate::json::{Encoder, Object, object};

/// An event before it is encoded.
pub(crate) struct Envelope {
    account_id: String,
    name: String,
    payload: Object,
    created_at: i64,
    layout: Layout,
    encoder: Encoder,
}

/// Where a service puts the fields of the envelope.
enum Layout {
    Usual,
    /// The event's time is among the entities.
    TimeInsidePayload,
    /// There is neither `entity` nor `payload`.
    Bare,
}

impl Envelope {
    pub(crate) fn new(account_id: &str, name: &str, created_at: i64) -> Self {
        Self {
            account_id: account_id.to_owned(),
            name: name.to_owned(),
            payload: Object::default(),
            created_at,
            layout: Layout::Usual,
            encoder: Encoder::AsWritten,
        }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Adds an entity to the payload.
    pub(crate) fn with(self, key: impl Into<String>, entity: impl Serialize) -> Self {
        self.with_value(key, object! { "entity": entity })
    }

    /// Adds a payload value that is not just `{entity}`.
    pub(crate) fn with_value(mut self, key: impl Into<String>, value: impl Serialize) -> Self {
        self.payload = self.payload.with(key, value);
        self
    }

    pub(crate) fn encoded(mut self, encoder: Encoder) -> Self {
        self.encoder = encoder;
        self
    }

    pub(crate) fn with_time_inside_payload(mut self) -> Self {
        self.layout = Layout::TimeInsidePayload;
        self
    }

    pub(crate) fn without_entity_and_payload(mut self) -> Self {
        self.layout = Layout::Bare;
        self
    }

    /// The event's body.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let head = object! {
            "account_id": self.account_id, "event": self.name, "contains": self.payload.keys(),
        };
        let named = |head| object! { "entity": "event" }.and(head);
        let body = match self.layout {
            Layout::Usual => named(head)
                .with("payload", &self.payload)
                .with("created_at", self.created_at),
            Layout::TimeInsidePayload => {
                let payload = self.payload.clone().with("created_at", self.created_at);
                named(head).with("payload", payload)
            }
            Layout::Bare => head.with("created_at", self.created_at),
        };
        self.encoder.encode(&body)
    }
}
