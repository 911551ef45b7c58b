//! Programs that break a promise of the types do not compile.

#[test]
fn a_200_comes_only_from_a_durable_delivery() {
    trybuild::TestCases::new().compile_fail("tests/compile_fail/*.rs");
}
