//! The W3C trace context of a delivery, kept from the request to the ledger row.

use const_hex::Buffer;

/// Longest `tracestate` kept, in bytes. The W3C recommendation asks for at least 512.
pub const TRACESTATE_BYTES_MAX: usize = 512;

/// Length of a `traceparent`.
const TRACEPARENT_BYTES: usize = 55;

/// The only flag in level 1 of the standard.
const SAMPLED: u8 = 1;

/// A `traceparent` and the `tracestate` of its caller, if any.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct TraceContext {
    /// `00-<32 hex>-<16 hex>-<2 hex>`; empty if there is none.
    pub traceparent: String,
    /// Vendor data, unchanged; empty if there is none.
    pub tracestate: String,
}

/// The contents of a `traceparent`. No id is 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceIds {
    /// The trace.
    pub trace_id: u128,
    /// The calling span.
    pub span_id: u64,
    /// Whether the caller keeps the trace.
    pub is_sampled: bool,
}

impl TraceContext {
    /// Parses headers by W3C Trace Context level 1; `None` if the `traceparent` is invalid.
    ///
    /// A `tracestate` that is too long or not visible ASCII is dropped: the link matters more.
    #[must_use]
    pub fn parse(traceparent: &str, tracestate: Option<&str>) -> Option<Self> {
        if !is_traceparent(traceparent) {
            return None;
        }
        let tracestate = tracestate
            .filter(|s| s.len() <= TRACESTATE_BYTES_MAX)
            .filter(|s| s.bytes().all(|b| (0x20..0x7f).contains(&b)))
            .unwrap_or_default();
        Some(Self {
            traceparent: traceparent.to_owned(),
            tracestate: tracestate.to_owned(),
        })
    }

    /// An unsampled context from random bits drawn by the caller.
    #[must_use]
    pub fn generated(trace_id: u128, span_id: u64) -> Self {
        Self::of(trace_id, span_id, false, "")
    }

    /// The context of a span, with the caller's `tracestate`.
    #[must_use]
    pub fn of(trace_id: u128, span_id: u64, is_sampled: bool, tracestate: &str) -> Self {
        // The standard reserves zero for "invalid".
        let (trace_id, span_id) = (trace_id.max(1), span_id.max(1));
        let (mut trace_hex, mut span_hex) = (Buffer::<16>::new(), Buffer::<8>::new());
        let mut traceparent = String::with_capacity(TRACEPARENT_BYTES);
        traceparent.push_str("00-");
        traceparent.push_str(trace_hex.format(&trace_id.to_be_bytes()));
        traceparent.push('-');
        traceparent.push_str(span_hex.format(&span_id.to_be_bytes()));
        traceparent.push_str(if is_sampled { "-01" } else { "-00" });
        Self {
            traceparent,
            tracestate: tracestate.to_owned(),
        }
    }

    /// The ids; `None` if the context is empty or invalid.
    #[must_use]
    pub fn ids(&self) -> Option<TraceIds> {
        let text = &self.traceparent;
        if !is_traceparent(text) {
            return None;
        }
        let flags = u8::from_str_radix(&text[53..], 16).ok()?;
        Some(TraceIds {
            trace_id: u128::from_str_radix(&text[3..35], 16).ok()?,
            span_id: u64::from_str_radix(&text[36..52], 16).ok()?,
            is_sampled: flags & SAMPLED != 0,
        })
    }
}

fn is_traceparent(text: &str) -> bool {
    let bytes = text.as_bytes();
    let hex = |range: std::ops::Range<usize>| {
        bytes[range]
            .iter()
            .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(b))
    };
    let zero = |range: std::ops::Range<usize>| bytes[range].iter().all(|b| *b == b'0');
    bytes.len() == TRACEPARENT_BYTES
        && [2, 35, 52].iter().all(|&at| bytes[at] == b'-')
        && hex(0..2)
        && &bytes[0..2] != b"ff"
        && hex(3..35)
        && !zero(3..35)
        && hex(36..52)
        && !zero(36..52)
        && hex(53..55)
}

#[cfg(test)]
mod tests {
    use super::TraceContext;

    const GOOD: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_valid_context_is_kept_and_an_invalid_one_is_not() {
        assert_eq!(
            TraceContext::parse(GOOD, Some("a=1")).unwrap().tracestate,
            "a=1"
        );
        for bad in [
            "",
            "00-zz",
            &GOOD.to_uppercase(),
            &GOOD.replace("4bf9", "4bg9"),
            &GOOD.replacen("00", "ff", 1),
        ] {
            assert!(TraceContext::parse(bad, None).is_none(), "{bad}");
        }
    }

    #[test]
    fn a_generated_context_is_valid() {
        for (trace, span) in [(0, 0), (u128::MAX, u64::MAX), (7, 9)] {
            let context = TraceContext::generated(trace, span);
            assert!(
                TraceContext::parse(&context.traceparent, None).is_some(),
                "{context:?}"
            );
        }
    }

    #[test]
    fn ids_come_out_as_they_went_in() {
        for is_sampled in [true, false] {
            let ids = TraceContext::of(u128::MAX - 5, 9, is_sampled, "a=1")
                .ids()
                .unwrap();
            assert_eq!((ids.trace_id, ids.span_id), (u128::MAX - 5, 9));
            assert_eq!(ids.is_sampled, is_sampled);
        }
        assert!(
            TraceContext::parse(GOOD, None)
                .unwrap()
                .ids()
                .unwrap()
                .is_sampled
        );
        assert_eq!(TraceContext::default().ids(), None);
    }
}
