//! The encrypted region of the 2025 edition: SM4 in ECB mode over whole groups of 16 bytes; what
//! is left stays plain.
//!
//! Clause: HJ 212-2025 6.4 and annex A.2.

use std::fmt;

use sm4::Sm4;
use sm4::cipher::{Block, BlockCipherDecrypt, BlockCipherEncrypt, KeyInit};

/// Bytes of a group.
pub const GROUP: usize = 16;

/// One SM4 key, expanded once.
#[derive(Clone)]
pub struct Key {
    bytes: [u8; GROUP],
    cipher: Sm4,
}

impl Key {
    /// The key of 16 bytes.
    #[must_use]
    pub fn new(bytes: [u8; GROUP]) -> Self {
        Self {
            bytes,
            cipher: Sm4::new(&bytes.into()),
        }
    }

    /// The key written as 32 hexadecimal digits or as 16 characters.
    ///
    /// # Errors
    /// Neither form fits; the text is not repeated in the message.
    pub fn parse(text: &str) -> Result<Self, String> {
        let b = text.as_bytes();
        if b.len() == GROUP {
            let mut key = [0; GROUP];
            key.copy_from_slice(b);
            return Ok(Self::new(key));
        }
        let mut key = [0; GROUP];
        if b.len() == 2 * GROUP && b.iter().all(u8::is_ascii_hexdigit) {
            for (k, pair) in key.iter_mut().zip(b.chunks_exact(2)) {
                *k = nibble(pair[0]) << 4 | nibble(pair[1]);
            }
            return Ok(Self::new(key));
        }
        Err("an SM4 key is 32 hexadecimal digits or 16 characters".into())
    }

    /// The key's bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8; GROUP] {
        &self.bytes
    }

    /// Encrypts the whole groups of `region` in place.
    pub fn encrypt(&self, region: &mut [u8]) {
        for group in region.chunks_exact_mut(GROUP) {
            if let Ok(block) = <&mut Block<Sm4>>::try_from(group) {
                self.cipher.encrypt_block(block);
            }
        }
    }

    /// Decrypts the whole groups of `region` in place.
    pub fn decrypt(&self, region: &mut [u8]) {
        for group in region.chunks_exact_mut(GROUP) {
            if let Ok(block) = <&mut Block<Sm4>>::try_from(group) {
                self.cipher.decrypt_block(block);
            }
        }
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(..)")
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }
}

/// The keys of a device: the one in use and, for the days of a change by command 1014, the one
/// before.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Keys {
    /// In use; what is sent is encrypted with it.
    pub current: Option<Key>,
    /// Taken as well while the change goes through.
    pub previous: Option<Key>,
}

impl Keys {
    /// One key.
    #[must_use]
    pub fn one(key: Key) -> Self {
        Self {
            current: Some(key),
            previous: None,
        }
    }

    /// True if there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.current.is_none() && self.previous.is_none()
    }
}

fn nibble(b: u8) -> u8 {
    match b {
        b'0'..=b'9' => b - b'0',
        b'a'..=b'f' => b - b'a' + 10,
        b'A'..=b'F' => b - b'A' + 10,
        _ => 0,
    }
}

/// Writes `cipher` as `{0xE4,0x3E,...}`; the plain rest follows it unchanged.
pub(crate) fn write_text(cipher: &[u8], out: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let groups = cipher.len() / GROUP * GROUP;
    let (cipher, rest) = cipher.split_at(groups);
    if !cipher.is_empty() {
        out.push(b'{');
        for (k, b) in cipher.iter().enumerate() {
            if k > 0 {
                out.push(b',');
            }
            out.extend_from_slice(b"0x");
            out.push(DIGITS[usize::from(b >> 4)]);
            out.push(DIGITS[usize::from(b & 15)]);
        }
        out.push(b'}');
    }
    out.extend_from_slice(rest);
}

/// Reads `{0xE4,0x3E,...}rest` into bytes; false if the text has another form.
pub(crate) fn read_text(text: &[u8], out: &mut Vec<u8>) -> bool {
    let Some(end) = memchr::memchr(b'}', text) else {
        return false;
    };
    let Some(inner) = text[..end].strip_prefix(b"{") else {
        return false;
    };
    for item in inner.split(|b| *b == b',') {
        let item = item.trim_ascii();
        match item {
            [b'0', b'x' | b'X', a, b] if a.is_ascii_hexdigit() && b.is_ascii_hexdigit() => {
                out.push(nibble(*a) << 4 | nibble(*b));
            }
            _ => return false,
        }
    }
    out.extend_from_slice(&text[end + 1..]);
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_gb_t_32907() {
        let key = Key::parse("0123456789ABCDEFFEDCBA9876543210").unwrap();
        let mut block = *key.bytes();
        key.encrypt(&mut block);
        assert_eq!(hex::encode_upper(block), "681EDF34D206965E86B3E94F536E4246");
        key.decrypt(&mut block);
        assert_eq!(&block, key.bytes());
    }

    #[test]
    fn the_rest_of_a_region_stays_plain() {
        let key = Key::parse("0000000000000000").unwrap();
        let plain = b"DataTime=20240520210600;a01011-Min=1.35".to_vec();
        let mut cipher = plain.clone();
        key.encrypt(&mut cipher);
        assert_eq!(cipher[32..], plain[32..]);
        // The first bytes printed in HJ 212-2025 annex A.2.
        assert_eq!(hex::encode(&cipher[..8]), "e43e159acfab242c");
        let mut text = Vec::new();
        write_text(&cipher, &mut text);
        assert!(text.starts_with(b"{0xE4,0x3E,0x15"));
        let mut back = Vec::new();
        assert!(read_text(&text, &mut back));
        key.decrypt(&mut back);
        assert_eq!(back, plain);
        assert!(!read_text(b"{0xE4,E5}", &mut Vec::new()));
        assert!(Key::parse("short").is_err());
    }
}
