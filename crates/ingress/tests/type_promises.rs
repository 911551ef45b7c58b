//! Programs that break a promise of the types do not compile: no append of an unverified delivery, no 200
//! without a durable one, no acknowledgement without a commit.
//!
//! All are here, because each crate with such a test compiles every dependency once more.

#[test]
fn programs_that_break_a_promise_do_not_compile() {
    trybuild::TestCases::new().compile_fail("tests/compile_fail/*.rs");
}
