//! Checks that the server knows the commands that ingress and worker send.

use redis::aio::MultiplexedConnection;
use redis::{RedisResult, Value};

/// Every command that is always used. (`WAIT` and `WAITAOF` depend on the durability level and are rehearsed.)
const COMMANDS: [&str; 18] = [
    "EVAL",
    "EVALSHA",
    "EXEC",
    "GET",
    "MULTI",
    "SCRIPT",
    "SET",
    "XACK",
    "XADD",
    "XAUTOCLAIM",
    "XCLAIM",
    "XDEL",
    "XGROUP",
    "XINFO",
    "XLEN",
    "XPENDING",
    "XRANGE",
    "XREADGROUP",
];

/// The commands that the server does not know, because it is not Redis or they were renamed. Commands that the
/// user may not run are not included.
pub async fn missing_commands(
    connection: &mut MultiplexedConnection,
) -> RedisResult<Vec<&'static str>> {
    let mut request = redis::cmd("COMMAND");
    request.arg("INFO").arg(&COMMANDS);
    let reply: Vec<Value> = request.query_async(connection).await?;
    Ok(missing(&reply))
}

/// The reply has the order of the request, with nil for an unknown command.
fn missing(reply: &[Value]) -> Vec<&'static str> {
    let commands = COMMANDS.into_iter().zip(reply);
    commands
        .filter(|(_, reply)| matches!(reply, Value::Nil))
        .map(|(command, _)| command)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_commands_are_missing() {
        let mut reply = vec![Value::Array(Vec::new()); COMMANDS.len()];
        assert_eq!(missing(&reply), Vec::<&str>::new());
        reply[9] = Value::Nil;
        assert_eq!(missing(&reply), ["XAUTOCLAIM"]);
    }
}
