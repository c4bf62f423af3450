//! Answers as they go onto the wire, kept for whoever asks the same again. Who asks for it has them compressed.
//!
//! What an answer is about, and whether it is still right, is not known here: a question names the content that answers
//! it, so that one about newer content is another question.

mod content_coding;

use std::time::Duration;

use bytes::Bytes;
use moka::future::Cache;

pub use crate::server::response_cache::content_coding::Coding;

use crate::scim::Digest;

/// So many bytes of small answers are kept, and so many of others. Both have room of their own: what is kept is what is
/// asked for most, and one that needs the room of many small ones would never get it.
const SMALL: u64 = 12 * 1024 * 1024;
const LARGE: u64 = 12 * 1024 * 1024;
/// An answer of up to so many bytes is small.
const SMALLER: usize = 16 * 1024;
/// A larger answer is not kept: it would drive out all others, and takes long to send anyway.
const LARGEST: usize = 4 * 1024 * 1024;
/// What a kept answer takes besides its body.
const OVERHEAD: usize = 256;
/// An answer for which nobody asks is kept for so long.
const IDLE: Duration = Duration::from_secs(600);

/// An answer.
#[derive(Debug, Clone)]
pub struct Answer {
    /// As it is sent.
    pub body: Bytes,
    /// How that is coded.
    pub coding: Coding,
    /// How many resources are in it.
    pub rows: usize,
    /// Whether there are more after them.
    pub is_followed: bool,
}

impl Answer {
    /// The same in this coding, if that is worth the while.
    #[must_use]
    pub fn coded(self, coding: Coding) -> Self {
        match coding.encode(&self.body) {
            Some(body) => Self { body, coding, ..self },
            None => self,
        }
    }
}

/// Answers that were given.
pub struct Answers {
    small: Cache<(Digest, Coding), Answer>,
    large: Cache<(Digest, Coding), Answer>,
}

impl Default for Answers {
    fn default() -> Self {
        let weight =
            |_: &(Digest, Coding), answer: &Answer| u32::try_from(answer.body.len() + OVERHEAD).unwrap_or(u32::MAX);
        let kept = |capacity| Cache::builder().max_capacity(capacity).weigher(weight).time_to_idle(IDLE).build();
        Self { small: kept(SMALL), large: kept(LARGE) }
    }
}

impl Answers {
    /// The answer to a question, if it was given before in this coding.
    pub async fn get(&self, question: &Digest, coding: Coding) -> Option<Answer> {
        let key = (*question, coding);
        match self.small.get(&key).await {
            Some(answer) => Some(answer),
            None => self.large.get(&key).await,
        }
    }

    /// Lets go of what nobody has asked for in a while. Nothing does that otherwise where nobody asks for anything.
    pub async fn tidy(&self) {
        self.small.run_pending_tasks().await;
        self.large.run_pending_tasks().await;
    }

    /// Keeps an answer.
    pub async fn keep(&self, question: &Digest, coding: Coding, answer: &Answer) {
        let length = answer.body.len();
        if length > LARGEST {
            return;
        }
        let kept = if length <= SMALLER { &self.small } else { &self.large };
        kept.insert((*question, coding), answer.clone()).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn however_many_different_answers_there_are_only_so_many_bytes_are_kept() {
        let answers = Answers::default();
        for (length, number) in [(1000_u64, 30_000_u32), (200_000, 300), (5_000_000, 3)] {
            for number in 0..number {
                let question = crate::scim::digest([&number.to_be_bytes()[..], &length.to_be_bytes()[..]]);
                let body = Bytes::from(vec![b' '; length as usize]);
                let answer = Answer { body, coding: Coding::Identity, rows: 0, is_followed: false };
                answers.keep(&question, Coding::Identity, &answer).await;
            }
        }
        answers.tidy().await;
        let kept = [&answers.small, &answers.large].map(Cache::weighted_size);
        assert!(kept[0] > SMALL / 2 && kept[0] <= SMALL, "{kept:?}");
        assert!(kept[1] > LARGE / 2 && kept[1] <= LARGE, "{kept:?}");
    }
}
