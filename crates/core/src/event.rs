//! Events, read tolerantly from signed bodies.
//!
//! Razorpay's documented and real bodies disagree in types and places, so the envelope and the entities are
//! read field by field. Only what an event requires (a name, the entity it is about, that entity's id and
//! status, numeric amounts) may fail, with an error that names the place.

mod content_error;
mod payload;
mod scalar;

pub use content_error::ContentError;
use payload::Payload;
pub(crate) use scalar::{Scalar, object, raw_fields};

use serde::Deserialize;

use crate::catalogue::{self, EventSpec};
use crate::entity::Entity;
use crate::ids::{AccountId, EntityId};
use crate::precedence::Precedence;
use crate::text::Text;
use crate::time::EventTime;

/// The envelope of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// The event's name, known or not.
    pub name: Text,
    /// The account of the event.
    pub account_id: Option<AccountId>,
    /// When the event happened by Razorpay's clock, if the body has a time.
    pub occurred_at: Option<EventTime>,
}

/// An event with a snapshot of every entity in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The envelope.
    pub head: Head,
    /// Each entity with the precedence of its snapshot.
    pub entities: Vec<(Precedence, Entity)>,
}

/// A body from which no event can be projected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the body cannot be projected")]
pub struct Unprojectable {
    /// The envelope, if that could be read.
    pub head: Option<Box<Head>>,
    /// The reason.
    #[source]
    pub reason: ContentError,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct RawEnvelope<'a> {
    #[serde(borrow)]
    event: Scalar<'a>,
    #[serde(borrow)]
    account_id: Scalar<'a>,
    #[serde(borrow)]
    created_at: Scalar<'a>,
    #[serde(borrow)]
    payload: Payload<'a>,
}

/// Reads a body.
///
/// Unknown names and payload keys are no error; a payload value other than `{"entity": {…}}` is ignored
/// unless the event is about it. Only a number beyond any float or half a surrogate pair among the
/// envelope's own keys and values makes the whole body unreadable.
pub fn read(body: &[u8]) -> Result<Event, Unprojectable> {
    let (mut head, payload) =
        envelope(body).map_err(|reason| Unprojectable { head: None, reason })?;
    match entities(&mut head, &payload) {
        Ok(entities) => Ok(Event { head, entities }),
        Err(reason) => Err(Unprojectable {
            head: Some(Box::new(head)),
            reason,
        }),
    }
}

fn envelope(body: &[u8]) -> Result<(Head, Payload<'_>), ContentError> {
    let text = std::str::from_utf8(body).map_err(|_| ContentError::NotUtf8)?;
    let fields: RawEnvelope<'_> = serde_json::from_str(text).map_err(|e| match e.classify() {
        serde_json::error::Category::Data => ContentError::NotAnObject,
        _ => ContentError::NotJson { at: e.column() },
    })?;
    // Serde would also read the struct from an array of its fields.
    if !text.trim_start().starts_with('{') {
        return Err(ContentError::NotAnObject);
    }
    let name = fields.event.text().ok_or(ContentError::NoEventName)?;
    let account_id = fields
        .account_id
        .text()
        .as_deref()
        .and_then(AccountId::reference);
    let inside = fields.payload.scalar("created_at");
    let occurred_at = fields
        .created_at
        .instant()
        .or_else(|| inside.and_then(Scalar::instant));
    Ok((
        Head {
            name,
            account_id,
            occurred_at,
        },
        fields.payload,
    ))
}

fn entities(
    head: &mut Head,
    payload: &Payload<'_>,
) -> Result<Vec<(Precedence, Entity)>, ContentError> {
    let spec = catalogue::find(&head.name);
    let about = spec.map(|spec| catalogue::primary_entity(spec.family));
    let mut found = Vec::with_capacity(payload.len());
    for (key, entity) in payload.entities() {
        let is_primary = about == Some(key);
        if let Some(entity) = Entity::read(key, entity, head, is_primary)? {
            found.push((entity, is_primary));
        }
    }
    let required = spec.and_then(EventSpec::required_entity);
    if let Some(key) =
        required.filter(|key| !found.iter().any(|((entity, _), _)| entity.kind() == *key))
    {
        return Err(ContentError::MissingEntity { key });
    }

    let latest = found.iter().filter_map(|((_, latest), _)| *latest).max();
    // For payment links the envelope's time is the link's creation, so the latest time in the body dates the
    // event; elsewhere it only replaces a missing one.
    let from_entities = spec.is_some_and(|spec| spec.family == "payment_link");
    if from_entities || head.occurred_at.is_none() {
        head.occurred_at = head.occurred_at.max(latest);
    }
    Ok(found
        .into_iter()
        .map(|((entity, _), is_primary)| (entity.precedence(head.occurred_at, is_primary), entity))
        .collect())
}

#[cfg(test)]
mod tests;
