//! Record batches for tests, encoded by `kafka-protocol`, not by code of this crate.

use bytes::{Bytes, BytesMut};
use kafka_protocol::records::{
    Compression, NO_PARTITION_LEADER_EPOCH, Record, RecordBatchEncoder, RecordEncodeOptions, TimestampType,
};

/// How a batch is made.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sample {
    pub records: i32,
    pub value_bytes: usize,
    pub timestamp: i64,
    pub producer_id: i64,
    pub producer_epoch: i16,
    pub sequence: i32,
}

impl Default for Sample {
    /// One record without a producer.
    fn default() -> Self {
        Self {
            records: 1,
            value_bytes: 20,
            timestamp: 1_000,
            producer_id: -1,
            producer_epoch: -1,
            sequence: -1,
        }
    }
}

impl Sample {
    /// The bytes as a producer sends them; timestamps are 10 ms apart.
    pub(crate) fn bytes(self) -> Vec<u8> {
        let record = |at: i32| Record {
            transactional: false,
            control: false,
            delete_horizon: false,
            partition_leader_epoch: NO_PARTITION_LEADER_EPOCH,
            producer_id: self.producer_id,
            producer_epoch: self.producer_epoch,
            timestamp_type: TimestampType::Creation,
            offset: i64::from(at),
            sequence: self.sequence.wrapping_add(at),
            timestamp: self.timestamp + i64::from(at) * 10,
            key: None,
            value: Some(Bytes::from(vec![7; self.value_bytes])),
            headers: kafka_protocol::indexmap::IndexMap::new(),
        };
        let records: Vec<Record> = (0..self.records).map(record).collect();
        let mut bytes = BytesMut::new();
        let options = RecordEncodeOptions { version: 2, compression: Compression::None };
        RecordBatchEncoder::encode(&mut bytes, &records, &options).expect("a valid batch");
        bytes.to_vec()
    }
}
