//! Whether the server asks who connects.

use harkara_core::lane::Lane;
use harkara_settings::RedisSettings;
use redis::RedisResult;

use crate::connect::connect_as_nobody;

/// Whether somebody without user and password may read a lane.
pub async fn admits_anybody(settings: &RedisSettings) -> RedisResult<bool> {
    let mut length = redis::cmd("XLEN");
    length.arg(settings.keys.stream(Lane::Critical));
    let looking = async {
        let mut connection = connect_as_nobody(settings).await?;
        length.query_async::<u64>(&mut connection).await
    };
    match looking.await {
        Ok(_) => Ok(true),
        Err(error) if matches!(error.code(), Some("NOAUTH" | "NOPERM")) => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use harkara_testkit::RedisServer;

    use super::admits_anybody;
    use crate::test_redis::settings;

    #[tokio::test]
    async fn a_password_of_the_default_user_keeps_others_out() {
        let open = RedisServer::start(&[]).await;
        assert!(admits_anybody(&settings(&open.url()).redis).await.unwrap());
        // A user with a password is not enough while anybody is the default user.
        let mut user = redis::cmd("ACL");
        user.arg(&["SETUSER", "harkara", "on", ">p", "~*", "+@all"]);
        let () = user
            .query_async(&mut open.connection().await)
            .await
            .unwrap();
        let url = open.url().replace("redis://", "redis://harkara:p@");
        assert!(admits_anybody(&settings(&url).redis).await.unwrap());

        let closed = RedisServer::start(&["--requirepass", "p"]).await;
        let url = closed.url().replace("redis://", "redis://:p@");
        for url in [url.clone(), format!("{url}/1")] {
            assert!(!admits_anybody(&settings(&url).redis).await.unwrap());
        }
        // Where nobody can be asked, there is no answer.
        drop(closed);
        assert!(admits_anybody(&settings(&url).redis).await.is_err());
    }
}
