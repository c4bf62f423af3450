//! Content codings of response bodies (RFC 9110 §8.4.1).

use std::io::{self, Write};

use brotli::CompressorWriter;
use brotli::enc::BrotliEncoderParams;
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;

/// Size from which a body is compressed. A smaller one fits into a packet or two as it is.
const MIN_ENCODED_BODY_BYTES: usize = 1024;
/// Compression levels. At higher ones a page of users takes much longer and becomes little smaller.
const GZIP_LEVEL: Compression = Compression::new(5);
const BROTLI_QUALITY: i32 = 4;
const ZSTD_LEVEL: i32 = 3;
/// Size of the output buffer of the Brotli encoder.
const BROTLI_BUFFER_BYTES: usize = 4096;

/// Content coding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ContentCoding {
    /// No compression.
    Identity,
    /// RFC 1952.
    Gzip,
    /// RFC 7932.
    Brotli,
    /// RFC 8878.
    Zstd,
}

impl ContentCoding {
    /// Returns the name for `Content-Encoding`; `None` for `Identity`, which needs no header.
    #[must_use]
    pub fn header_value(self) -> Option<&'static str> {
        match self {
            Self::Identity => None,
            Self::Gzip => Some("gzip"),
            Self::Brotli => Some("br"),
            Self::Zstd => Some("zstd"),
        }
    }

    /// Reports whether a body of this length is compressed.
    #[must_use]
    pub fn applies_to(self, length: usize) -> bool {
        self != Self::Identity && length >= MIN_ENCODED_BODY_BYTES
    }

    /// Compresses a body; `None` if it stays as it is.
    pub(super) fn encode(self, body: &[u8]) -> Option<Bytes> {
        if !self.applies_to(body.len()) {
            return None;
        }
        let mut encoded = Vec::with_capacity(body.len() / 4);
        // Encoders that write into memory do not fail.
        self.write(body, &mut encoded).ok()?;
        encoded.shrink_to_fit();
        Some(encoded.into())
    }

    fn write(self, body: &[u8], encoded: &mut Vec<u8>) -> io::Result<()> {
        match self {
            Self::Identity => encoded.write_all(body),
            Self::Gzip => {
                let mut encoder = GzEncoder::new(encoded, GZIP_LEVEL);
                encoder.write_all(body)?;
                encoder.finish()?;
                Ok(())
            }
            Self::Brotli => {
                let params = BrotliEncoderParams {
                    quality: BROTLI_QUALITY,
                    size_hint: body.len(),
                    ..BrotliEncoderParams::default()
                };
                let mut encoder =
                    CompressorWriter::with_params(encoded, BROTLI_BUFFER_BYTES, &params);
                encoder.write_all(body)
            }
            Self::Zstd => zstd::stream::copy_encode(body, encoded, ZSTD_LEVEL),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn an_encoded_body_is_smaller_and_decodes_to_the_original() {
        let mut body = Vec::new();
        for number in 0..2000 {
            body.extend_from_slice(format!("{{\"id\":\"{number}\"}},").as_bytes());
        }
        for coding in [ContentCoding::Gzip, ContentCoding::Brotli, ContentCoding::Zstd] {
            for body in [&body[..], &body[..MIN_ENCODED_BODY_BYTES]] {
                let encoded = coding.encode(body).unwrap();
                assert!(encoded.len() < body.len() / 2, "{coding:?}");
                assert_eq!(decode(coding, &encoded), body, "{coding:?}");
            }
            assert_eq!(coding.encode(&body[..MIN_ENCODED_BODY_BYTES - 1]), None, "{coding:?}");
        }
        assert_eq!(ContentCoding::Identity.encode(&body), None);
    }

    fn decode(coding: ContentCoding, encoded: &[u8]) -> Vec<u8> {
        let mut body = Vec::new();
        let read = match coding {
            ContentCoding::Identity => unreachable!(),
            ContentCoding::Gzip => flate2::read::GzDecoder::new(encoded).read_to_end(&mut body),
            ContentCoding::Brotli => {
                brotli::Decompressor::new(encoded, BROTLI_BUFFER_BYTES).read_to_end(&mut body)
            }
            ContentCoding::Zstd => zstd::Decoder::new(encoded).unwrap().read_to_end(&mut body),
        };
        assert_eq!(read.unwrap(), body.len());
        body
    }
}
