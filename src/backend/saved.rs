//! The state of a backend as bytes, for a checkpoint.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::BackendError;

/// Appends `state`.
///
/// # Errors
/// When it cannot be encoded, which no state of a backend does.
pub fn append<T: Serialize>(state: &T, saved: &mut Vec<u8>) -> Result<(), BackendError> {
    let buffer = std::mem::take(saved);
    *saved = postcard::to_extend(state, buffer).map_err(|source| BackendError::Encoding { source })?;
    Ok(())
}

/// The state in `saved`, if it holds one of this type and nothing else.
pub fn read<T: DeserializeOwned>(saved: &[u8]) -> Option<T> {
    match postcard::take_from_bytes(saved) {
        Ok((state, [])) => Some(state),
        _ => None,
    }
}
