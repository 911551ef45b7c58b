//! What surrounds the entities of an event.

use std::borrow::Cow;

use crate::json::{Encoder, Json, object};

/// An event before it is written.
pub(crate) struct Envelope {
    account_id: String,
    name: String,
    payload: Vec<(Cow<'static, str>, Json)>,
    created_at: i64,
    created_at_inside_payload: bool,
    bare: bool,
    encoder: Encoder,
}

impl Envelope {
    pub(crate) fn new(account_id: &str, name: &str, created_at: i64) -> Self {
        Self {
            account_id: account_id.to_owned(),
            name: name.to_owned(),
            payload: Vec::new(),
            created_at,
            created_at_inside_payload: false,
            bare: false,
            encoder: Encoder::AsWritten,
        }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// With an entity behind those that it has.
    pub(crate) fn with(self, key: impl Into<Cow<'static, str>>, entity: Json) -> Self {
        self.with_value(key, object! { "entity": entity })
    }

    /// With a payload value that is not just `{entity}`.
    pub(crate) fn with_value(
        mut self,
        key: impl Into<Cow<'static, str>>,
        value: impl Into<Json>,
    ) -> Self {
        self.payload.push((key.into(), value.into()));
        self
    }

    pub(crate) fn encoded(mut self, encoder: Encoder) -> Self {
        self.encoder = encoder;
        self
    }

    /// As some services write it: the event's time stands among the entities and not beside them.
    pub(crate) fn with_time_inside_payload(mut self) -> Self {
        self.created_at_inside_payload = true;
        self
    }

    /// As the withdrawal of an app's authorization is written: it contains nothing.
    pub(crate) fn without_entity_and_payload(mut self) -> Self {
        self.bare = true;
        self
    }

    pub(crate) fn encoder(&self) -> Encoder {
        self.encoder
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.encoder.encode(&self.tree())
    }

    /// The whole body as a value.
    pub(crate) fn tree(&self) -> Json {
        let contains = self
            .payload
            .iter()
            .map(|(key, _)| Json::Text(key.clone()))
            .collect();
        let mut payload = self.payload.clone();
        let head = object! {
            "entity": "event",
            "account_id": &self.account_id,
            "event": &self.name,
            "contains": Json::List(contains),
        };
        if self.bare {
            head.without(&["entity"])
                .and(object! { "created_at": self.created_at })
        } else if self.created_at_inside_payload {
            payload.push((Cow::Borrowed("created_at"), Json::Int(self.created_at)));
            head.and(object! { "payload": Json::Object(payload) })
        } else {
            head.and(object! { "payload": Json::Object(payload), "created_at": self.created_at })
        }
    }
}
