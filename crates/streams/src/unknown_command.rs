//! The answer of a server or proxy that does not know a command.

use redis::RedisError;

/// What follows quotes the arguments: for `HELLO`, the password. (The library itself hides what a server says to
/// `AUTH`.)
const ARGUMENTS: &str = ", with args beginning with";

/// The error without the arguments that the server quotes.
pub(crate) fn without_arguments(error: RedisError) -> RedisError {
    match error.to_string().split_once(ARGUMENTS) {
        None => error,
        Some((told, _)) => {
            RedisError::from((error.kind(), "a command was refused", told.to_owned()))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use harkara_core::causes::with_causes;
    use harkara_testkit::RedisServer;

    use crate::limited_connection::LimitedConnection;
    use crate::shared::connect_shared;
    use crate::test_redis::settings;
    use crate::{Deployment, connect, ping, pool};

    /// Redis quotes the arguments of a command that it does not know.
    #[tokio::test]
    async fn a_server_without_auth_does_not_make_us_show_the_password() {
        let without = |command| ["--rename-command", command, ""];
        let redis = RedisServer::start(&[without("AUTH"), without("HELLO")].concat()).await;
        let url = format!("redis://keeper:hunter2@127.0.0.1:{}", redis.port);
        let settings = settings(&url);
        let deployment = Deployment::of(&settings);
        let pooled = ping(&pool(&settings.redis)).await.unwrap_err();
        let shared = connect_shared(&settings.redis, &deployment)
            .handle()
            .await
            .unwrap_err();
        let single = connect::connect(&settings.redis).await;
        let limited = LimitedConnection::open(&settings.redis, Duration::ZERO).await;
        assert!(shared.to_string().contains("unknown command"), "{shared}");
        for error in [
            format!("{} {pooled:?}", with_causes(&pooled)),
            format!("{shared} {shared:?}"),
            single.map(drop).unwrap_err().to_string(),
            limited.map(drop).unwrap_err().to_string(),
        ] {
            assert!(!error.contains("hunter2"), "{error}");
        }
    }
}
