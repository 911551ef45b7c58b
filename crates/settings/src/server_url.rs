//! URLs of servers, of which every reader must read the same user, password and host.

/// How to write a password, after a problem with it.
const REMEDY: &str = "percent-encode special characters of user and password: \
    @ as %40, / as %2F, # as %23, ? as %3F, and a space as %20";

/// Refuses a URL that readers cut at different places because a special character of the password is not
/// percent-encoded. One may take a part of the password for the host, and show it. The error does not quote the
/// URL.
pub(crate) fn unambiguous(url: &str) -> Result<(), String> {
    let (_, rest) = url.split_once("://").unwrap_or(("", url));
    let before_at = rest.rsplit_once('@').map_or("", |(before, _)| before);
    let after_query = rest.split_once('?').map_or("", |(_, query)| query);
    let is_ambiguous = before_at.contains(['@', '/', '#', '?', '\\'])
        || after_query.contains('#')
        || before_at.contains(char::is_whitespace)
        || rest.contains(char::is_control);
    if is_ambiguous {
        return Err(format!("is ambiguous; {REMEDY}"));
    }
    Ok(())
}

/// The problem of a URL that the driver cannot read, whose own message may quote a part of the password.
pub(crate) fn unreadable(example: &str) -> String {
    format!("is not a valid URL; expected {example}; {REMEDY}")
}
