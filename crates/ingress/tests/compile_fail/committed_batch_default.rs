//! A committed batch has no constructor.

use harkara_storage::commit::CommittedBatch;

fn main() {
    let _: CommittedBatch = Default::default();
}
