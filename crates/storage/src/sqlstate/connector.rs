//! Connectors whose streams append the code to each error.

use std::convert::Infallible;
use std::future::{Ready, ready};

use futures_util::TryFutureExt;
use futures_util::future::MapOk;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_postgres::tls::{ChannelBinding, MakeTlsConnect, TlsConnect, TlsStream};

use super::CodedErrors;

/// A TLS connector, with [`CodedErrors`] above its streams.
pub(crate) struct Coded<T>(pub(crate) T);

impl<S, T: MakeTlsConnect<S>> MakeTlsConnect<S> for Coded<T> {
    type Stream = CodedErrors<T::Stream>;
    type TlsConnect = Coded<T::TlsConnect>;
    type Error = T::Error;

    fn make_tls_connect(&mut self, domain: &str) -> Result<Self::TlsConnect, Self::Error> {
        self.0.make_tls_connect(domain).map(Coded)
    }
}

impl<S, T: TlsConnect<S>> TlsConnect<S> for Coded<T> {
    type Stream = CodedErrors<T::Stream>;
    type Error = T::Error;
    type Future = MapOk<T::Future, fn(T::Stream) -> Self::Stream>;

    fn connect(self, stream: S) -> Self::Future {
        self.0.connect(stream).map_ok(over_tls)
    }
}

fn over_tls<S: TlsStream>(stream: S) -> CodedErrors<S> {
    CodedErrors::new(stream, S::channel_binding)
}

/// [`CodedErrors`] without TLS. The driver lets only a TLS connector replace a stream, so this must be used
/// with [`SslNegotiation::Direct`](tokio_postgres::config::SslNegotiation::Direct), under which the driver
/// sends nothing before it connects.
#[derive(Clone, Copy)]
pub(crate) struct Plain;

impl<S: AsyncRead + AsyncWrite + Unpin> MakeTlsConnect<S> for Plain {
    type Stream = CodedErrors<S>;
    type TlsConnect = Self;
    type Error = Infallible;

    fn make_tls_connect(&mut self, _: &str) -> Result<Self, Infallible> {
        Ok(Self)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> TlsConnect<S> for Plain {
    type Stream = CodedErrors<S>;
    type Error = Infallible;
    type Future = Ready<Result<CodedErrors<S>, Infallible>>;

    fn connect(self, stream: S) -> Self::Future {
        ready(Ok(plain(stream)))
    }
}

/// [`CodedErrors`] over a stream without TLS.
pub(crate) fn plain<S>(stream: S) -> CodedErrors<S> {
    CodedErrors::new(stream, |_| ChannelBinding::none())
}
