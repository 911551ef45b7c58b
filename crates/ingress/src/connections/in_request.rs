//! A request in progress.

use std::sync::Arc;

use actix_web::http::ConnectionType;
use actix_web::http::header::UPGRADE;
use actix_web::{HttpRequest, HttpResponse};

use super::connection::Connection;
use crate::answer::Unread;

/// A request in progress.
pub(crate) struct InRequest {
    /// `None` in a test of the service alone.
    connection: Option<Arc<Connection>>,
    asks_for_upgrade: bool,
}

impl InRequest {
    /// Begins a request of its connection.
    pub(crate) fn begin(request: &HttpRequest) -> Self {
        let connection = request.conn_data::<Arc<Connection>>().cloned();
        if let Some(connection) = &connection {
            connection.request_begins();
        }
        let head = request.head();
        Self {
            connection,
            asks_for_upgrade: head.upgrade() || head.headers().contains_key(UPGRADE),
        }
    }

    /// Whether it asks for another protocol, as some proxies do for every request. Then everything behind its head may
    /// look like its body.
    pub(crate) fn asks_for_upgrade(&self) -> bool {
        self.asks_for_upgrade
    }

    /// Records the length that the request declares for its body.
    pub(crate) fn declares(&self, bytes: usize) {
        if let Some(connection) = &self.connection {
            connection.intake().declares(bytes);
        }
    }

    /// Records that the request took a part of its body, or with `None` that there is nothing more of it.
    pub(crate) fn took(&self, bytes: Option<usize>) {
        if let Some(connection) = &self.connection {
            match bytes {
                Some(bytes) => connection.intake().took(bytes),
                None => connection.intake().took_all(),
            }
        }
    }

    /// Records a valid signature: the client is no stranger.
    pub(crate) fn has_signed(&self) {
        if let Some(connection) = &self.connection {
            connection.has_signed();
        }
    }

    /// Ends the request. The answer to a stranger closes the connection, which keeps no sender of deliveries
    /// waiting: no stranger gets a 2xx. So does one to a request whose body was not read, or has no certain end,
    /// and every answer of an ingress that drains.
    pub(crate) fn ends_with(self, mut response: HttpResponse) -> HttpResponse {
        let has_unread = response.extensions().get::<Unread>().is_some();
        if let Some(connection) = &self.connection
            && (has_unread
                || self.asks_for_upgrade
                || connection.is_stranger()
                || connection.is_draining()
                || connection.is_closing())
        {
            response
                .head_mut()
                .set_connection_type(ConnectionType::Close);
            connection.closes();
        }
        response
    }
}

impl Drop for InRequest {
    fn drop(&mut self) {
        if let Some(connection) = &self.connection {
            connection.request_ends();
        }
    }
}
