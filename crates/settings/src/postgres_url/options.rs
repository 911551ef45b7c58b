//! The parameter `options`: arguments for the server, as on its command line.

/// Splits it into run-time parameters (`-c name=value`, `--name=value`) and the rest, which has a meaning for
/// some proxies only (`endpoint=…` for Neon's).
pub(super) fn split(options: &str) -> (Vec<(String, String)>, Vec<String>) {
    let (mut parameters, mut rest) = (Vec::new(), Vec::new());
    let mut arguments = arguments(options).into_iter();
    while let Some(argument) = arguments.next() {
        let parameter = match argument.strip_prefix("-c") {
            Some("") => arguments.next(),
            Some(parameter) => Some(parameter.to_owned()),
            None => argument.strip_prefix("--").map(str::to_owned),
        };
        let parameter = parameter.as_deref().and_then(|it| it.split_once('='));
        match parameter {
            // The server's command line takes either.
            Some((name, value)) => parameters.push((name.replace('-', "_"), value.to_owned())),
            None => rest.push(argument),
        }
    }
    (parameters, rest)
}

/// The arguments, which spaces separate; a backslash makes the next character a part of one.
fn arguments(options: &str) -> Vec<String> {
    let mut arguments = vec![String::new()];
    let mut characters = options.chars();
    while let Some(character) = characters.next() {
        if character.is_whitespace() {
            arguments.push(String::new());
            continue;
        }
        let literal = if character == '\\' {
            characters.next()
        } else {
            Some(character)
        };
        if let Some(argument) = arguments.last_mut() {
            argument.extend(literal);
        }
    }
    arguments.retain(|argument| !argument.is_empty());
    arguments
}

#[cfg(test)]
mod tests {
    use super::split;

    #[test]
    fn parameters_are_told_from_the_rest() {
        for (options, parameters, rest) in [
            ("", &[][..], &[][..]),
            ("-c search_path=a,b", &[("search_path", "a,b")], &[]),
            (
                r"-csearch_path=a,\ b  --lock-timeout=5s",
                &[("search_path", "a, b"), ("lock_timeout", "5s")],
                &[],
            ),
            ("endpoint=ep-cool-1", &[], &["endpoint=ep-cool-1"]),
            (
                "-c geqo=off project=x -c",
                &[("geqo", "off")],
                &["project=x", "-c"],
            ),
        ] {
            let (found, others) = split(options);
            let found: Vec<_> = found
                .iter()
                .map(|(n, v)| (n.as_str(), v.as_str()))
                .collect();
            assert_eq!(
                (found.as_slice(), others),
                (parameters, rest.iter().map(|r| (*r).to_owned()).collect()),
                "{options}"
            );
        }
    }
}
