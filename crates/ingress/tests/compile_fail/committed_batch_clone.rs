//! A committed batch cannot be copied, so its entries are acknowledged once.

use harkara_storage::commit::CommittedBatch;

fn twice(batch: CommittedBatch) -> [CommittedBatch; 2] {
    [batch.clone(), batch]
}

fn main() {}
