//! How an answer is coded (RFC 9110 §8.4.1).

use std::io::{self, Write};

use brotli::CompressorWriter;
use brotli::enc::BrotliEncoderParams;
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;

/// A smaller body fits into a packet or two as it is.
const SMALLEST: usize = 1024;
/// Of the levels of each coding those after which a page of users becomes little smaller, and takes much longer.
const GZIP: Compression = Compression::new(5);
const BROTLI: i32 = 4;
const ZSTD: i32 = 3;

/// A content coding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Coding {
    /// As it is.
    Identity,
    /// RFC 1952.
    Gzip,
    /// RFC 7932.
    Brotli,
    /// RFC 8878.
    Zstd,
}

impl Coding {
    /// Whether a body of this length is coded at all.
    #[must_use]
    pub fn applies_to(self, length: usize) -> bool {
        self != Self::Identity && length >= SMALLEST
    }

    /// The body in this coding; nothing if that is not worth the while.
    pub(super) fn encode(self, body: &[u8]) -> Option<Bytes> {
        if !self.applies_to(body.len()) {
            return None;
        }
        let mut coded = Vec::with_capacity(body.len() / 4);
        // In memory none of them fails.
        self.write(body, &mut coded).ok()?;
        coded.shrink_to_fit();
        Some(coded.into())
    }

    fn write(self, body: &[u8], coded: &mut Vec<u8>) -> io::Result<()> {
        match self {
            Self::Identity => coded.write_all(body),
            Self::Gzip => {
                let mut encoder = GzEncoder::new(coded, GZIP);
                encoder.write_all(body)?;
                encoder.finish().map(|_| ())
            }
            Self::Brotli => {
                let params =
                    BrotliEncoderParams { quality: BROTLI, size_hint: body.len(), ..BrotliEncoderParams::default() };
                CompressorWriter::with_params(coded, 4096, &params).write_all(body)
            }
            Self::Zstd => zstd::stream::copy_encode(body, coded, ZSTD),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn what_is_coded_can_be_read_again_and_is_smaller() {
        let body: Vec<u8> =
            (0..2000).flat_map(|number: u32| format!("{{\"id\":\"{number}\"}},").into_bytes()).collect();
        for coding in [Coding::Gzip, Coding::Brotli, Coding::Zstd] {
            for body in [&body[..], &body[..SMALLEST]] {
                let coded = coding.encode(body).unwrap();
                assert!(coded.len() < body.len() / 2, "{coding:?}");
                let mut read = Vec::new();
                let count = match coding {
                    Coding::Identity => unreachable!(),
                    Coding::Gzip => flate2::read::GzDecoder::new(&coded[..]).read_to_end(&mut read),
                    Coding::Brotli => brotli::Decompressor::new(&coded[..], 4096).read_to_end(&mut read),
                    Coding::Zstd => zstd::Decoder::new(&coded[..]).unwrap().read_to_end(&mut read),
                };
                assert_eq!((count.unwrap(), &read[..]), (body.len(), body), "{coding:?}");
            }
            assert_eq!(coding.encode(&body[..SMALLEST - 1]), None, "{coding:?}");
        }
        assert_eq!(Coding::Identity.encode(&body), None);
    }
}
