//! Whether the server has the commands that ingress and worker send.

use redis::aio::MultiplexedConnection;
use redis::{RedisResult, Value};

/// Every command that is sent to any server. (`WAIT` and `WAITAOF` are sent where a level asks for them,
/// and are rehearsed.)
const COMMANDS: [&str; 16] = [
    "EVAL",
    "EVALSHA",
    "EXEC",
    "MULTI",
    "SCRIPT",
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

/// Those that the server does not know: it is something else than Redis, or they were renamed. What a user
/// may not run is not among them.
pub async fn missing_commands(
    connection: &mut MultiplexedConnection,
) -> RedisResult<Vec<&'static str>> {
    let mut asking = redis::cmd("COMMAND");
    asking.arg("INFO").arg(&COMMANDS);
    let told: Vec<Value> = asking.query_async(connection).await?;
    Ok(missing(&told))
}

/// What is told is in the order of the question, with nothing in the place of what is not known.
fn missing(told: &[Value]) -> Vec<&'static str> {
    let is_unknown = |told: &Value| matches!(told, Value::Nil);
    let each = COMMANDS.into_iter().zip(told);
    each.filter(|(_, told)| is_unknown(told))
        .map(|(command, _)| command)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_nothing_of_is_missing() {
        let mut told = vec![Value::Array(Vec::new()); COMMANDS.len()];
        assert_eq!(missing(&told), Vec::<&str>::new());
        told[7] = Value::Nil;
        assert_eq!(missing(&told), ["XAUTOCLAIM"]);
    }
}
