//! Programs that break a promise of the types do not compile.

#[test]
fn a_committed_batch_comes_from_a_commit_alone() {
    trybuild::TestCases::new().compile_fail("tests/compile_fail/committed_batch_*.rs");
}
