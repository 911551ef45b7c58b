//! Entries cannot be acknowledged without the commit of their batch.

use harkara_core::entry::EntryRef;
use harkara_streams::consumer_group::Group;

async fn acknowledge(group: &Group, entries: &[EntryRef]) {
    drop(group.acknowledge(entries).await);
}

fn main() {}
