//! Connectors whose streams are those of PostgreSQL's messages as we need them: scoped to transactions where there
//! is a pooler, and with the code of each error.

use std::convert::Infallible;
use std::future::{Ready, ready};

use futures_util::future::{BoxFuture, TryFutureExt};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_postgres::tls::{ChannelBinding, MakeTlsConnect, TlsConnect, TlsStream};

use super::CodedErrors;
use crate::pooler::{PoolerLink, TransactionScoped};

/// What is between the driver and a stream.
pub(crate) type Messages<S> = CodedErrors<TransactionScoped<S>>;

/// A TLS connector with [`Messages`] above its streams.
#[derive(Clone)]
pub(crate) struct Layered<T> {
    pub(crate) tls: T,
    pub(crate) link: PoolerLink,
}

impl<S, T: MakeTlsConnect<S>> MakeTlsConnect<S> for Layered<T>
where
    T::Stream: 'static,
    <T::TlsConnect as TlsConnect<S>>::Future: Send + 'static,
{
    type Stream = Messages<T::Stream>;
    type TlsConnect = Layered<T::TlsConnect>;
    type Error = T::Error;

    fn make_tls_connect(&mut self, domain: &str) -> Result<Self::TlsConnect, Self::Error> {
        Ok(Layered {
            tls: self.tls.make_tls_connect(domain)?,
            link: self.link.clone(),
        })
    }
}

impl<S, T: TlsConnect<S>> TlsConnect<S> for Layered<T>
where
    T::Stream: 'static,
    T::Future: Send + 'static,
{
    type Stream = Messages<T::Stream>;
    type Error = T::Error;
    type Future = BoxFuture<'static, Result<Self::Stream, Self::Error>>;

    fn connect(self, stream: S) -> Self::Future {
        let Self { tls, link } = self;
        let connecting = tls.connect(stream);
        Box::pin(connecting.map_ok(|stream| over_tls(stream, link)))
    }
}

fn over_tls<S: TlsStream>(stream: S, link: PoolerLink) -> Messages<S> {
    let scoped = TransactionScoped::new(stream, link);
    CodedErrors::new(scoped, |scoped| scoped.inner().channel_binding())
}

/// [`Messages`] without TLS. The driver lets only a TLS connector replace a stream, so this must be used
/// with [`SslNegotiation::Direct`](tokio_postgres::config::SslNegotiation::Direct), under which the driver
/// sends nothing before it connects.
#[derive(Clone)]
pub(crate) struct Plain(pub(crate) PoolerLink);

impl<S: AsyncRead + AsyncWrite + Unpin> MakeTlsConnect<S> for Plain {
    type Stream = Messages<S>;
    type TlsConnect = Self;
    type Error = Infallible;

    fn make_tls_connect(&mut self, _: &str) -> Result<Self, Infallible> {
        Ok(self.clone())
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> TlsConnect<S> for Plain {
    type Stream = Messages<S>;
    type Error = Infallible;
    type Future = Ready<Result<Messages<S>, Infallible>>;

    fn connect(self, stream: S) -> Self::Future {
        ready(Ok(plain(stream, &self.0)))
    }
}

/// [`Messages`] over a stream without TLS.
pub(crate) fn plain<S>(stream: S, link: &PoolerLink) -> Messages<S> {
    let scoped = TransactionScoped::new(stream, link.clone());
    CodedErrors::new(scoped, |_| ChannelBinding::none())
}
