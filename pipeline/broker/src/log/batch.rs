//! The bytes of a record batch (message format 2), as far as the broker looks at them: the 61-byte header,
//! the checksum, and the records of an uncompressed batch when a timestamp is searched. Compressed records
//! are never opened, so no message can make the broker inflate anything. Timestamps are milliseconds since
//! 1970 UTC, lengths are bytes.
//!
//! The checksum covers the bytes from `attributes` on: base offset and leader epoch are rewritten without
//! touching it.

/// Bytes before the first record.
pub(crate) const HEADER_BYTES: usize = 61;
/// Bytes that the length field does not count: base offset and the field itself.
const LENGTH_OVERHEAD: usize = 12;
/// Where the checksummed part begins.
const CRC_FROM: usize = 21;

/// The header of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BatchHeader {
    pub base_offset: i64,
    /// Bytes of the whole batch, header included.
    pub bytes: usize,
    pub magic: i8,
    pub crc: u32,
    pub attributes: i16,
    pub last_offset_delta: i32,
    pub base_timestamp: i64,
    pub max_timestamp: i64,
    pub producer_id: i64,
    pub producer_epoch: i16,
    pub base_sequence: i32,
    pub record_count: i32,
}

/// What is wrong with the bytes of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BatchFault {
    #[error("the batch is cut off")]
    CutOff,
    #[error("the length field is impossible")]
    Length,
    #[error("message format {0} is not 2")]
    Magic(i8),
    #[error("the checksum does not match")]
    Checksum,
    #[error("the record count does not match the offsets")]
    Count,
    #[error("it belongs to a transaction or is a control batch")]
    Transactional,
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at + N)?.try_into().ok()
}

impl BatchHeader {
    /// Reads the header at the start of `bytes`. Checks nothing but that the length is possible.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, BatchFault> {
        Self::fields(bytes)
            .ok_or(BatchFault::CutOff)
            .and_then(|header| if header.bytes < HEADER_BYTES { Err(BatchFault::Length) } else { Ok(header) })
    }

    fn fields(bytes: &[u8]) -> Option<Self> {
        let length = usize::try_from(i32::from_be_bytes(array(bytes, 8)?)).unwrap_or(0);
        Some(Self {
            base_offset: i64::from_be_bytes(array(bytes, 0)?),
            bytes: length + LENGTH_OVERHEAD,
            magic: i8::from_be_bytes(array(bytes, 16)?),
            crc: u32::from_be_bytes(array(bytes, 17)?),
            attributes: i16::from_be_bytes(array(bytes, 21)?),
            last_offset_delta: i32::from_be_bytes(array(bytes, 23)?),
            base_timestamp: i64::from_be_bytes(array(bytes, 27)?),
            max_timestamp: i64::from_be_bytes(array(bytes, 35)?),
            producer_id: i64::from_be_bytes(array(bytes, 43)?),
            producer_epoch: i16::from_be_bytes(array(bytes, 51)?),
            base_sequence: i32::from_be_bytes(array(bytes, 53)?),
            record_count: i32::from_be_bytes(array(bytes, 57)?),
        })
    }

    /// Checks a whole batch, of which `bytes` may hold more than that.
    pub(crate) fn verify(bytes: &[u8]) -> Result<Self, BatchFault> {
        // The length comes first on the wire: say "cut off" only when the length says so.
        let header = Self::parse(bytes)?;
        if header.magic != 2 {
            return Err(BatchFault::Magic(header.magic));
        }
        let body = bytes.get(CRC_FROM..header.bytes).ok_or(BatchFault::CutOff)?;
        if crc32c::crc32c(body) != header.crc {
            return Err(BatchFault::Checksum);
        }
        if header.record_count < 1 || header.last_offset_delta != header.record_count - 1 {
            return Err(BatchFault::Count);
        }
        if header.attributes & 0b11_0000 != 0 {
            return Err(BatchFault::Transactional);
        }
        Ok(header)
    }

    pub(crate) fn last_offset(&self) -> i64 {
        self.base_offset + i64::from(self.last_offset_delta)
    }

    pub(crate) fn is_idempotent(&self) -> bool {
        self.producer_id >= 0
    }

    /// Sequence numbers wrap from the largest i32 to 0.
    pub(crate) fn last_sequence(&self) -> i32 {
        let last = i64::from(self.base_sequence) + i64::from(self.last_offset_delta);
        i32::try_from(last % (i64::from(i32::MAX) + 1)).unwrap_or(0)
    }

    fn is_compressed(&self) -> bool {
        self.attributes & 0b111 != 0
    }
}

/// Gives the batch its place in the log. The leader epoch becomes -1: one node has no epochs.
pub(crate) fn place(batch: &mut [u8], base_offset: i64) {
    if let Some(field) = batch.get_mut(0..8) {
        field.copy_from_slice(&base_offset.to_be_bytes());
    }
    if let Some(field) = batch.get_mut(12..16) {
        field.copy_from_slice(&(-1i32).to_be_bytes());
    }
}

/// Offset and timestamp of the first record of a batch at or after `timestamp`. For a compressed batch it is
/// the batch's first record, which may be earlier than asked for: nothing is skipped.
pub(crate) fn first_at_or_after(batch: &[u8], header: &BatchHeader, timestamp: i64) -> (i64, i64) {
    let first = (header.base_offset, header.base_timestamp);
    if header.is_compressed() || header.base_timestamp >= timestamp {
        return first;
    }
    let mut rest = batch.get(HEADER_BYTES..header.bytes).unwrap_or_default();
    while let Some((length, after)) = varint(rest) {
        let Some(record) = usize::try_from(length).ok().and_then(|length| after.get(..length)) else { break };
        // attributes, then timestamp delta, then offset delta
        let Some((timestamp_delta, after_timestamp)) = record.get(1..).and_then(varint) else { break };
        let Some((offset_delta, _)) = varint(after_timestamp) else { break };
        let found = header.base_timestamp.saturating_add(timestamp_delta);
        if found >= timestamp {
            return (header.base_offset.saturating_add(offset_delta), found);
        }
        rest = after.get(record.len()..).unwrap_or_default();
    }
    first
}

/// A zigzag variable-length integer and what follows it.
fn varint(bytes: &[u8]) -> Option<(i64, &[u8])> {
    let mut value = 0u64;
    for (at, byte) in bytes.iter().enumerate().take(10) {
        value |= u64::from(byte & 0x7f).checked_shl(7 * u32::try_from(at).ok()?)?;
        if byte & 0x80 == 0 {
            let decoded = (value >> 1).cast_signed() ^ -((value & 1).cast_signed());
            return Some((decoded, bytes.get(at + 1..)?));
        }
    }
    None
}
