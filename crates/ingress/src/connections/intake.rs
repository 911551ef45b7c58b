//! How many bytes of what a client sends the server is given: no more than it can hold until it has handled
//! them.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Waker};

use super::connection::Phase;
use super::{BODY_STEP_BYTES, CHUNKED_STEP_BYTES, DISCARDED_BYTES_MAX, STEP_BYTES};

/// The length of a body that does not declare it.
const UNKNOWN: usize = usize::MAX;

/// What the server may read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Allowance {
    /// So many bytes of a head and what follows it, at least 1, but no second head.
    Head(usize),
    /// So many bytes of a body, at least 1.
    Body(usize),
    /// So many bytes, at least 1, which it discards.
    Discarded(usize),
    /// Nothing before the request in progress ends.
    NextRequest,
    /// Nothing for now. The server is woken when it may have more.
    Later,
    /// Nothing more: the head is larger than `ingress.header_bytes_max`.
    HeadTooLarge,
}

/// The bytes of one connection. Only its server thread counts them.
///
/// The server is given one request at a time: it would answer all that it has, and keep the answers, whether or not the
/// client takes them.
#[derive(Debug, Default)]
pub(super) struct Intake {
    /// Since the server last handled what it had, outside bodies.
    given: AtomicUsize,
    /// Since the last request began or ended, outside requests.
    head: AtomicUsize,
    /// Not yet taken by the request in progress; [`UNKNOWN`] if that does not say.
    body_left: AtomicUsize,
    /// Since the request took some of its body.
    body_given: AtomicUsize,
    /// After an answer that closes the connection.
    discarded: AtomicUsize,
    /// To wake when the request takes some of its body or ends.
    waiting: Mutex<Option<Waker>>,
}

impl Intake {
    /// What the server may read in this phase. Wakes it later where it has to wait.
    pub(super) fn allowance(
        &self,
        phase: Phase,
        head_max: usize,
        context: &Context<'_>,
    ) -> Allowance {
        if phase != Phase::Request {
            if self.head.load(Relaxed) > head_max {
                return Allowance::HeadTooLarge;
            }
            return match left_of(STEP_BYTES, &self.given) {
                0 => handled_first(&self.given, context),
                left => Allowance::Head(left),
            };
        }
        match self.body_left.load(Relaxed) {
            0 => Allowance::NextRequest,
            UNKNOWN => match left_of(CHUNKED_STEP_BYTES, &self.body_given) {
                // It may be nothing that the request can take.
                0 => handled_first(&self.body_given, context),
                left => Allowance::Body(left),
            },
            body_left => match left_of(body_left.min(BODY_STEP_BYTES), &self.body_given) {
                0 => {
                    self.wait(context);
                    Allowance::Later
                }
                left => Allowance::Body(left),
            },
        }
    }

    /// What the server may read after an answer that closes the connection, only to discard it: bytes that remained
    /// unread could destroy the answer in transit. The server's own timer ends that.
    pub(super) fn allowance_to_discard(&self, context: &Context<'_>) -> Allowance {
        if self.discarded.load(Relaxed) >= DISCARDED_BYTES_MAX {
            return Allowance::Later;
        }
        match left_of(STEP_BYTES, &self.given) {
            0 => handled_first(&self.given, context),
            left => Allowance::Discarded(left),
        }
    }

    /// Records that the server was given bytes in this phase.
    pub(super) fn was_given(&self, phase: Phase, bytes: usize) {
        if phase == Phase::Request {
            add(&self.body_given, bytes);
        } else {
            add(&self.given, bytes);
            add(&self.head, bytes);
        }
    }

    /// Records that the server discards bytes.
    pub(super) fn was_given_to_discard(&self, bytes: usize) {
        add(&self.given, bytes);
        add(&self.discarded, bytes);
    }

    /// Ends the step: the server handles what it has before it is given more.
    pub(super) fn end_step(&self) {
        self.given.store(STEP_BYTES, Relaxed);
    }

    /// The same at once.
    pub(super) fn handle_first(&self, context: &Context<'_>) {
        handled_first(&self.given, context);
    }

    /// Records that the client has sent no more yet, so that the server handles what it has.
    pub(super) fn ran_dry(&self, phase: Phase) {
        if phase != Phase::Request {
            self.given.store(0, Relaxed);
        }
    }

    /// Wakes the server when the request in progress takes some of its body or ends.
    pub(super) fn wait(&self, context: &Context<'_>) {
        *self.waiting() = Some(context.waker().clone());
    }

    /// Records that a request begins.
    pub(super) fn request_begins(&self) {
        self.head.store(0, Relaxed);
        self.body_given.store(0, Relaxed);
        self.body_left.store(UNKNOWN, Relaxed);
    }

    /// Records the length that the request declares for its body.
    pub(super) fn declares(&self, bytes: usize) {
        self.body_left.store(bytes, Relaxed);
    }

    /// Records that the request took some of its body.
    pub(super) fn took(&self, bytes: usize) {
        self.body_given.store(0, Relaxed);
        let left = self.body_left.load(Relaxed);
        if left == UNKNOWN {
            return;
        }
        let left = left.saturating_sub(bytes);
        self.body_left.store(left, Relaxed);
        if left > 0 {
            self.wake();
        }
    }

    /// Records that the request took all of its body.
    pub(super) fn took_all(&self) {
        self.body_left.store(0, Relaxed);
    }

    /// Records that the request ends.
    pub(super) fn request_ends(&self) {
        self.head.store(0, Relaxed);
        self.wake();
    }

    fn wake(&self) {
        if let Some(waker) = self.waiting().take() {
            waker.wake();
        }
    }

    fn waiting(&self) -> MutexGuard<'_, Option<Waker>> {
        // No code under the lock leaves it in an invalid state.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn left_of(most: usize, given: &AtomicUsize) -> usize {
    most.saturating_sub(given.load(Relaxed))
}

/// The server handles what it has, then reads again.
fn handled_first(given: &AtomicUsize, context: &Context<'_>) -> Allowance {
    given.store(0, Relaxed);
    context.waker().wake_by_ref();
    Allowance::Later
}

fn add(counter: &AtomicUsize, n: usize) {
    counter.store(counter.load(Relaxed).saturating_add(n), Relaxed);
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
    use std::task::{Context, Wake};

    use super::super::{BODY_STEP_BYTES, CHUNKED_STEP_BYTES, DISCARDED_BYTES_MAX, STEP_BYTES};
    use super::{Allowance, Intake, Phase};

    const HEAD_MAX: usize = 3 * STEP_BYTES;

    #[derive(Default)]
    struct Wakes(AtomicUsize);

    impl Wake for Wakes {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Relaxed);
        }
    }

    #[derive(Default)]
    struct Client {
        intake: Intake,
        wakes: Arc<Wakes>,
    }

    impl Client {
        /// Reads until there is nothing more for now. Returns how much it was, and whether the server is woken.
        fn read(&self, phase: Phase) -> (usize, bool) {
            let (mut bytes, before) = (0, self.n_wakes());
            loop {
                match self.allowance(phase) {
                    Allowance::Head(n) | Allowance::Body(n) => {
                        self.intake.was_given(phase, n);
                        bytes += n;
                    }
                    _ => return (bytes, self.n_wakes() > before),
                }
            }
        }

        fn allowance(&self, phase: Phase) -> Allowance {
            let waker = self.wakes.clone().into();
            let context = Context::from_waker(&waker);
            self.intake.allowance(phase, HEAD_MAX, &context)
        }

        fn n_wakes(&self) -> usize {
            self.wakes.0.load(Relaxed)
        }
    }

    #[test]
    fn a_request_gets_its_body_and_nothing_more() {
        let client = Client::default();
        assert_eq!(client.read(Phase::Head), (STEP_BYTES, true));
        client.intake.request_begins();
        client.intake.declares(BODY_STEP_BYTES + 20);
        client.intake.took(10);
        assert_eq!(client.read(Phase::Request), (BODY_STEP_BYTES, false));
        client.intake.took(BODY_STEP_BYTES);
        assert_eq!(client.n_wakes(), 2, "it may have more");
        assert_eq!(client.read(Phase::Request), (10, false));
        client.intake.took(10);
        assert_eq!(client.allowance(Phase::Request), Allowance::NextRequest);
        client.intake.request_ends();
        assert_eq!(client.n_wakes(), 3, "it may have the next");
        assert_eq!(client.read(Phase::Idle), (STEP_BYTES, true));
    }

    #[test]
    fn a_body_of_unknown_length_comes_in_steps() {
        let client = Client::default();
        client.intake.request_begins();
        for _ in 0..10 {
            assert_eq!(client.read(Phase::Request), (CHUNKED_STEP_BYTES, true));
        }
        client.intake.took_all();
        assert_eq!(client.allowance(Phase::Request), Allowance::NextRequest);
    }

    #[test]
    fn a_head_is_bounded() {
        let client = Client::default();
        for _ in 0..3 {
            assert_eq!(client.read(Phase::Head), (STEP_BYTES, true));
        }
        assert_eq!(client.allowance(Phase::Head), Allowance::Head(STEP_BYTES));
        client.intake.was_given(Phase::Head, 1);
        assert_eq!(client.allowance(Phase::Head), Allowance::HeadTooLarge);
    }

    #[test]
    fn what_is_discarded_is_bounded() {
        let client = Client::default();
        let waker = client.wakes.clone().into();
        let context = Context::from_waker(&waker);
        let mut discarded = 0;
        loop {
            let before = client.n_wakes();
            match client.intake.allowance_to_discard(&context) {
                Allowance::Discarded(bytes) => {
                    client.intake.was_given_to_discard(bytes);
                    discarded += bytes;
                }
                _ if client.n_wakes() > before => {}
                _ => break,
            }
        }
        assert!((DISCARDED_BYTES_MAX..DISCARDED_BYTES_MAX + STEP_BYTES).contains(&discarded));
    }
}
