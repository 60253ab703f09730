//! Hashes as lower-case hex in documents, for `#[serde(with = ...)]`.

use serde::{Deserialize, Deserializer, Serializer, de::Error};

use crate::Hash;

fn read(text: &str) -> Result<Hash, String> {
    let mut out = [0; 32];
    hex::decode_to_slice(text, &mut out).map_err(|e| format!("{text:?} is no SHA-256: {e}"))?;
    Ok(out)
}

/// Writes a hash.
///
/// # Errors
/// Those of the serializer.
pub fn serialize<S: Serializer>(hash: &Hash, s: S) -> Result<S::Ok, S::Error> {
    s.serialize_str(&hex::encode(hash))
}

/// Reads a hash.
///
/// # Errors
/// If the text is not 64 hex digits.
pub fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Hash, D::Error> {
    read(&String::deserialize(d)?).map_err(D::Error::custom)
}

/// Lists of hashes.
pub mod list {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    use crate::Hash;

    /// Writes a list.
    ///
    /// # Errors
    /// Those of the serializer.
    pub fn serialize<S: Serializer>(hashes: &[Hash], s: S) -> Result<S::Ok, S::Error> {
        s.collect_seq(hashes.iter().map(hex::encode))
    }

    /// Reads a list.
    ///
    /// # Errors
    /// If one of them is not 64 hex digits.
    pub fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Vec<Hash>, D::Error> {
        Vec::<String>::deserialize(d)?
            .iter()
            .map(|t| super::read(t).map_err(D::Error::custom))
            .collect()
    }
}
