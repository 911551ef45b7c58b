//! A batch cannot be called committed without a commit.

use harkara_storage::commit::CommittedBatch;

fn main() {
    let _ = CommittedBatch {};
}
