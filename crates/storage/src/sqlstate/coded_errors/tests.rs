use std::collections::VecDeque;
use std::future::poll_fn;

use futures_util::FutureExt;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::*;

/// A stream that gives one chunk for each read.
struct Chunks(VecDeque<Vec<u8>>);

impl AsyncRead for Chunks {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if let Some(mut chunk) = self.0.pop_front() {
            let rest = chunk.split_off(chunk.len().min(buffer.remaining()));
            buffer.put_slice(&chunk);
            if !rest.is_empty() {
                self.0.push_front(rest);
            }
        }
        Poll::Ready(Ok(()))
    }
}

/// Everything that arrives, read into buffers of this size.
fn read_all(chunks: Vec<Vec<u8>>, buffer_bytes: usize) -> Vec<u8> {
    let mut stream = CodedErrors::new(Chunks(chunks.into()), |_| ChannelBinding::none());
    let (mut all, mut buffer) = (Vec::new(), vec![0; buffer_bytes]);
    loop {
        let mut into = ReadBuf::new(&mut buffer);
        let reading = poll_fn(|context| Pin::new(&mut stream).poll_read(context, &mut into));
        reading.now_or_never().expect("chunks are there").unwrap();
        if into.filled().is_empty() {
            return all;
        }
        all.extend_from_slice(into.filled());
    }
}

fn message(kind: u8, content: &[u8]) -> Vec<u8> {
    let length = u32::try_from(HEADER_BYTES - 1 + content.len()).unwrap();
    [&[kind][..], &length.to_be_bytes(), content].concat()
}

fn error(code: &str, text: &str) -> Vec<u8> {
    let fields = format!("SFEHLER\0VERROR\0C{code}\0M{text}\0Ffile.c\0\0");
    message(ERROR_RESPONSE, fields.as_bytes())
}

/// A message, and what becomes of it.
fn any_message() -> impl Strategy<Value = (Vec<u8>, Vec<u8>)> {
    let other = (select(b"DCZTS123NRKE".to_vec()), vec(any::<u8>(), 0..40));
    let other = other
        .prop_filter("no error response", |(kind, _)| *kind != ERROR_RESPONSE)
        .prop_map(|(kind, content)| message(kind, &content))
        .prop_map(|message| (message.clone(), message));
    let error = ("[0-9A-Z]{5}", "[a-zäß\u{2028} ]{0,20}").prop_map(|(code, text)| {
        let coded = format!("{text} (SQLSTATE {code})");
        (error(&code, &text), error(&code, &coded))
    });
    prop_oneof![other, error]
}

proptest! {
    #[test]
    fn the_code_is_appended_however_the_messages_arrive(
        messages in vec(any_message(), 0..12),
        chunk_bytes in vec(1..60_usize, 1..20),
        buffer_bytes in 1..100_usize,
    ) {
        let (sent, expected): (Vec<_>, Vec<_>) = messages.into_iter().unzip();
        let mut sent = sent.concat();
        let mut sizes = chunk_bytes.iter().cycle();
        let mut chunks = Vec::new();
        while !sent.is_empty() {
            let size = sizes.next().map_or(1, |size| sent.len().min(*size));
            chunks.push(sent.drain(..size).collect());
        }
        prop_assert_eq!(read_all(chunks, buffer_bytes), expected.concat());
    }
}

#[test]
fn what_is_no_error_response_passes_unchanged() {
    let long = vec![b'x'; ERROR_BYTES_MAX];
    let whole = error("53100", "voll");
    let ready = message(b'Z', b"I");
    for bytes in [
        // The stream ends within an error response.
        whole[..whole.len() - 3].to_vec(),
        whole[..3].to_vec(),
        // Neither text nor code; fields without an end.
        message(ERROR_RESPONSE, b"\0"),
        message(ERROR_RESPONSE, b"C53100\0\0"),
        message(ERROR_RESPONSE, b"C53100\0Mvoll"),
        // Longer than is held back.
        [message(ERROR_RESPONSE, &long), ready].concat(),
    ] {
        let chunks = bytes.chunks(9000).map(<[u8]>::to_vec).collect();
        assert!(read_all(chunks, 8192) == bytes, "{} bytes", bytes.len());
    }
}

#[test]
fn messages_after_one_that_is_too_long_are_still_coded() {
    let long = message(ERROR_RESPONSE, &vec![b'x'; ERROR_BYTES_MAX]);
    let sent = [long.clone(), error("53100", "voll")].concat();
    let chunks = sent.chunks(9000).map(<[u8]>::to_vec).collect();
    let expected = [long, error("53100", "voll (SQLSTATE 53100)")].concat();
    assert!(read_all(chunks, 8192) == expected);
}
