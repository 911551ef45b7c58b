//! The commands, in the order in which a newcomer needs them.

pub(crate) mod migrate;

pub(crate) mod trigger;

pub(crate) mod events;

pub(crate) mod replay;

pub(crate) mod lag;

pub(crate) mod secrets;

pub(crate) mod load;

pub(crate) mod doctor;

pub(crate) mod adopt;

pub(crate) mod probe;

pub(crate) mod grants;

pub(crate) mod completions;

pub(crate) mod reference;

mod question;
mod receiver;
