//! Values to bytes and back: MessagePack with named fields, so that fields may be added to what older versions wrote.
//!
//! Addresses and the like are written as text: serde reads the contents of a tagged enum as a format for people is read,
//! whatever the format is, so that both ways have to be told the same.

use serde::Serialize;
use serde::de::DeserializeOwned;

/// The bytes of a value.
///
/// # Errors
/// In words: it has no such form, which is a defect.
pub(super) fn encode(value: &impl Serialize) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::with_capacity(512);
    let mut serializer = rmp_serde::Serializer::new(&mut bytes).with_struct_map().with_human_readable();
    value.serialize(&mut serializer).map_err(|error| error.to_string())?;
    Ok(bytes)
}

/// The value of the bytes.
///
/// # Errors
/// In words: it is none of ours.
pub(super) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    let mut deserializer = rmp_serde::Deserializer::from_read_ref(bytes).with_human_readable();
    T::deserialize(&mut deserializer).map_err(|error| error.to_string())
}
