//! Passwords: Argon2id, one hash a time away from the threads that answer.

use std::sync::OnceLock;

use argon2::password_hash::phc::PasswordHash;
use argon2::{Argon2, PasswordHasher, PasswordVerifier};

/// Shortest password in characters; the only rule, as NIST SP 800-63B advises.
pub const PASSWORD_LEN_MIN: usize = 12;
/// Longest in bytes, so that nobody makes us hash a book.
pub const PASSWORD_LEN_MAX: usize = 512;

/// Why a password is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PasswordError {
    /// Too short.
    #[error("a password has at least {PASSWORD_LEN_MIN} characters")]
    Short,
    /// Too long.
    #[error("a password has at most {PASSWORD_LEN_MAX} bytes")]
    Long,
    /// The hash could not be made.
    #[error("the password could not be hashed: {0}")]
    Hash(String),
}

/// Hash of a password (PHC text), with a salt of its own. Takes tens of milliseconds and 19 MiB.
///
/// # Errors
/// [`PasswordError`] if it is too short or too long.
pub fn hash(password: &str) -> Result<String, PasswordError> {
    if password.chars().count() < PASSWORD_LEN_MIN {
        return Err(PasswordError::Short);
    }
    if password.len() > PASSWORD_LEN_MAX {
        return Err(PasswordError::Long);
    }
    let hash: PasswordHash = Argon2::default()
        .hash_password(password.as_bytes())
        .map_err(|e| PasswordError::Hash(e.to_string()))?;
    Ok(hash.to_string())
}

/// True if `password` belongs to `hash`. Without a hash the same work is done and the answer is
/// no, so that time does not tell which accounts exist.
#[must_use]
pub fn verify(password: &str, hash: Option<&str>) -> bool {
    static NOBODY: OnceLock<String> = OnceLock::new();
    if password.len() > PASSWORD_LEN_MAX {
        return false;
    }
    let nobody = NOBODY.get_or_init(|| self::hash("nobody has this password").unwrap_or_default());
    let Ok(parsed) = PasswordHash::new(hash.unwrap_or(nobody)) else {
        return false;
    };
    Argon2::default()
        .verify_password(password.as_bytes(), &parsed)
        .is_ok()
        && hash.is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_fits_its_own_hash_only() {
        let h = hash("correct horse battery").unwrap();
        assert!(h.starts_with("$argon2id$"));
        assert_ne!(h, hash("correct horse battery").unwrap(), "salted");
        assert!(verify("correct horse battery", Some(&h)));
        assert!(!verify("correct horse", Some(&h)));
        assert!(!verify("nobody has this password", None));
        assert!(!verify("x", Some("not a hash")));
        assert_eq!(hash("short"), Err(PasswordError::Short));
        assert_eq!(hash(&"x".repeat(600)), Err(PasswordError::Long));
    }
}
