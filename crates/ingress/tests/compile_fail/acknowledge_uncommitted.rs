//! Entries cannot be acknowledged without the commit of their batch. A committed batch cannot be made by hand,
//! nor copied, so its entries are acknowledged once.

use harkara_core::entry::EntryRef;
use harkara_storage::commit::CommittedBatch;
use harkara_streams::consumer_group::Group;

async fn acknowledge(group: &Group, entries: &[EntryRef], batch: CommittedBatch) {
    drop(group.acknowledge(entries).await);
    drop([batch.clone(), batch]);
    let _: CommittedBatch = Default::default();
    let _ = CommittedBatch {};
}

fn main() {}
