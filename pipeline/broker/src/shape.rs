//! Checks the shape of a request before it is decoded. The decoder of `kafka-protocol` believes the lengths
//! of arrays and reserves memory for them at once: four bytes of garbage could ask for hundreds of gigabytes
//! and end the process. Here each request is walked first, so that every array element is really there.
//! Refused: what is cut off, negative lengths, more than 100,000 array elements.
//!
//! Only the versions in `api::SUPPORTED` are described; a test decodes a request of each version.

use Shape::{Array, Bytes, CompactArray, CompactString, Fixed, Since, String, Tags, Versions};
use kafka_protocol::messages::ApiKey;

/// Array elements of one request, all arrays together. A request of librdkafka has one for each partition.
const ELEMENTS_MAX: usize = 100_000;

/// A part of a request.
enum Shape {
    /// This many bytes.
    Fixed(usize),
    /// Two bytes of length, -1 for none.
    String,
    /// Four bytes of length, -1 for none.
    Bytes,
    /// Four bytes of count, -1 for none.
    Array(&'static [Shape]),
    /// Variable length plus one, 0 for none.
    CompactString,
    /// Variable count plus one, 0 for none.
    CompactArray(&'static [Shape]),
    /// Tagged fields.
    Tags,
    /// From this version on.
    Since(i16, &'static Shape),
    /// From one version to another.
    Versions(i16, i16, &'static Shape),
}

/// What is wrong with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ShapeError {
    #[error("the request is cut off or a length is impossible")]
    CutOff,
    #[error("the request has more than {ELEMENTS_MAX} array elements")]
    TooManyElements,
}

fn shape_of(key: ApiKey, version: i16) -> &'static [Shape] {
    match key {
        ApiKey::Produce => &[String, Fixed(6), Array(&[String, Array(&[Fixed(4), Bytes])])],
        ApiKey::Fetch => &[
            Fixed(17),
            Since(7, &Fixed(8)),
            Array(&[
                String,
                Array(&[Fixed(4), Since(9, &Fixed(4)), Fixed(8), Since(5, &Fixed(8)), Fixed(4)]),
            ]),
            Since(7, &Array(&[String, Array(&[Fixed(4)])])),
            Since(11, &String),
        ],
        ApiKey::ListOffsets => &[
            Fixed(4),
            Since(2, &Fixed(1)),
            Array(&[String, Array(&[Fixed(4), Since(4, &Fixed(4)), Fixed(8)])]),
        ],
        ApiKey::Metadata if version >= 9 => &[
            CompactArray(&[Since(10, &Fixed(16)), CompactString, Tags]),
            Fixed(2),
            Versions(9, 10, &Fixed(1)),
            Tags,
        ],
        ApiKey::Metadata => &[Array(&[String]), Since(4, &Fixed(1)), Since(8, &Fixed(2))],
        ApiKey::OffsetCommit => &[
            String,
            Fixed(4),
            String,
            Since(7, &String),
            Versions(2, 4, &Fixed(8)),
            Array(&[String, Array(&[Fixed(12), Since(6, &Fixed(4)), String])]),
        ],
        ApiKey::OffsetFetch => &[String, Array(&[String, Array(&[Fixed(4)])])],
        ApiKey::FindCoordinator => &[String, Since(1, &Fixed(1))],
        ApiKey::JoinGroup => {
            &[String, Fixed(4), Since(1, &Fixed(4)), String, String, Array(&[String, Bytes])]
        }
        ApiKey::SyncGroup => &[String, Fixed(4), String, Array(&[String, Bytes])],
        ApiKey::Heartbeat => &[String, Fixed(4), String],
        ApiKey::LeaveGroup => &[String, String],
        ApiKey::ApiVersions if version >= 3 => &[CompactString, CompactString, Tags],
        ApiKey::CreateTopics => &[
            Array(&[String, Fixed(6), Array(&[Fixed(4), Array(&[Fixed(4)])]), Array(&[String, String])]),
            Fixed(5),
        ],
        ApiKey::DeleteTopics => &[Array(&[String]), Fixed(4)],
        ApiKey::CreatePartitions => &[Array(&[String, Fixed(4), Array(&[Array(&[Fixed(4)])])]), Fixed(5)],
        ApiKey::DescribeConfigs => {
            &[Array(&[Fixed(1), String, Array(&[String])]), Fixed(1), Since(3, &Fixed(1))]
        }
        ApiKey::InitProducerId => &[String, Fixed(4)],
        _ => &[],
    }
}

/// Checks the body of a request, header not included.
pub(crate) fn check(key: ApiKey, version: i16, body: &[u8]) -> Result<(), ShapeError> {
    let mut walk = Walk { rest: body, version, elements: 0 };
    walk.all(shape_of(key, version))
}

struct Walk<'a> {
    rest: &'a [u8],
    version: i16,
    elements: usize,
}

impl Walk<'_> {
    fn all(&mut self, shapes: &'static [Shape]) -> Result<(), ShapeError> {
        shapes.iter().try_for_each(|shape| self.one(shape))
    }

    fn one(&mut self, shape: &'static Shape) -> Result<(), ShapeError> {
        match shape {
            Fixed(bytes) => self.skip(*bytes).map(|_| ()),
            String => {
                let length = self.big_endian(2)?;
                self.skip(if length == 0xffff { 0 } else { length }).map(|_| ())
            }
            Bytes => {
                let length = self.big_endian(4)?;
                self.skip(if length == 0xffff_ffff { 0 } else { length }).map(|_| ())
            }
            Array(element) => {
                let count = self.big_endian(4)?;
                self.elements(if count == 0xffff_ffff { 0 } else { count }, element)
            }
            CompactString => {
                let length = self.variable()?;
                self.skip(length.saturating_sub(1)).map(|_| ())
            }
            CompactArray(element) => {
                let count = self.variable()?;
                self.elements(count.saturating_sub(1), element)
            }
            Tags => {
                for _ in 0..self.variable()? {
                    self.variable()?;
                    let length = self.variable()?;
                    self.skip(length)?;
                }
                Ok(())
            }
            Since(first, shape) if self.version >= *first => self.one(shape),
            Versions(first, last, shape) if (*first..=*last).contains(&self.version) => self.one(shape),
            Since(..) | Versions(..) => Ok(()),
        }
    }

    fn elements(&mut self, count: usize, element: &'static [Shape]) -> Result<(), ShapeError> {
        self.elements = self.elements.saturating_add(count);
        if self.elements > ELEMENTS_MAX {
            return Err(ShapeError::TooManyElements);
        }
        (0..count).try_for_each(|_| self.all(element))
    }

    fn skip(&mut self, bytes: usize) -> Result<&[u8], ShapeError> {
        let (skipped, rest) = self.rest.split_at_checked(bytes).ok_or(ShapeError::CutOff)?;
        self.rest = rest;
        Ok(skipped)
    }

    fn big_endian(&mut self, bytes: usize) -> Result<usize, ShapeError> {
        Ok(self.skip(bytes)?.iter().fold(0, |value, byte| value << 8 | usize::from(*byte)))
    }

    fn variable(&mut self) -> Result<usize, ShapeError> {
        let mut value = 0;
        for shift in [0, 7, 14, 21, 28] {
            let byte = self.big_endian(1)?;
            value |= (byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(ShapeError::CutOff)
    }
}
