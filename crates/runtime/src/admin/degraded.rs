//! Degradation: what does not work although enough does for the process to be ready.

type Reasons = dyn Fn() -> Vec<String> + Send + Sync;

/// What does not work although the process is ready. By default nothing.
#[derive(Default)]
pub struct Degraded(Option<Box<Reasons>>);

impl Degraded {
    /// `reasons` says what does not work, if anything. The admin port shows it, so it must contain no secret.
    pub fn new(reasons: impl Fn() -> Vec<String> + Send + Sync + 'static) -> Self {
        Self(Some(Box::new(reasons)))
    }

    pub(super) fn reasons(&self) -> Vec<String> {
        self.0.as_ref().map_or_else(Vec::new, |reasons| reasons())
    }
}
