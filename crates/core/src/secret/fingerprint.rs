//! Names for secrets that do not reveal them.

use std::fmt;

use sha2::{Digest, Sha256};

use super::Secret;

/// Characters of a fingerprint.
const CHARACTERS: usize = 8;

/// Hashed before the secret, so that no other digest of a secret begins with its fingerprint.
const PREFIX: &[u8] = b"harkara secret fingerprint 1\0";

/// Names a secret in rows, logs and metrics: eight hex digits, the first 32 bits of a SHA-256. It does not
/// depend on the secret's position in its list.
///
/// It does not help to guess a random secret: 32 bits of a digest leave nearly all candidates. It does identify a
/// secret from a list of common passwords to whoever has the list. Fewer bits would hardly change that and would
/// make collisions likely; a slow digest would only raise the cost. So fingerprints are shown to operators only.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint([u8; CHARACTERS]);

impl Fingerprint {
    /// The fingerprint of a secret.
    #[must_use]
    pub fn of(secret: &Secret) -> Self {
        let mut digest = Sha256::new();
        digest.update(PREFIX);
        digest.update(secret.expose().as_bytes());
        let mut text = [0; CHARACTERS];
        let bits = &digest.finalize()[..CHARACTERS / 2];
        const_hex::encode_to_slice(bits, &mut text).expect("two digits for each byte");
        Self(text)
    }

    /// Reads a fingerprint; `None` for anything but eight lower-case hex digits.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let characters: [u8; CHARACTERS] = text.as_bytes().try_into().ok()?;
        let is_digit = |c: &u8| matches!(c, b'0'..=b'9' | b'a'..=b'f');
        characters.iter().all(is_digit).then_some(Self(characters))
    }

    /// The fingerprint as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("hex is ASCII")
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::{Fingerprint, Secret};

    #[test]
    fn a_fingerprint_names_its_secret_and_no_other() {
        let of = |secret: &str| Fingerprint::of(&Secret::new(secret));
        // printf 'harkara secret fingerprint 1\0hunter2' | sha256sum | cut -c1-8
        assert_eq!(of("hunter2").as_str(), "13ab2eb3");
        assert_ne!(of("hunter2"), of("hunter3"));
        assert_eq!(Fingerprint::parse(of("x").as_str()), Some(of("x")));
    }

    #[test]
    fn other_texts_are_no_fingerprints() {
        for text in ["", "1234567", "123456789", "1234567G", "ABCDEF01", "é23456"] {
            assert_eq!(Fingerprint::parse(text), None, "{text:?}");
        }
    }
}
