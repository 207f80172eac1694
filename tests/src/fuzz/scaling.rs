//! Whether the time to read an input grows faster than the input.

use std::{
    fmt,
    ops::Range,
    time::{Duration, Instant},
};

use super::{Fuzz, Reader, Subject, mutate::Random};

/// Size of the small input, in bytes.
const SMALL: usize = 24 << 10;
/// The large one has eight times its size.
const FACTOR: usize = 8;
/// What the large one may take, over the time to read the small one eight times. Caches and allocation cost some.
const LIMIT: u32 = 3;
/// What is faster tells nothing.
const FAST: Duration = Duration::from_millis(4);
/// Times that a suspicious shape is measured again: other processes cost time, too.
const TRIALS: usize = 8;

/// A shape of input whose time grows faster than its size.
#[derive(Debug)]
pub struct Growth {
    /// Number of the shape.
    pub number: u64,
    /// Who read it.
    pub subject: Subject,
    /// Time to read the small input eight times.
    pub small: Duration,
    /// Time for the one of eight times the size.
    pub large: Duration,
    /// The smallest input of that shape.
    pub shape: Vec<u8>,
}

impl fmt::Display for Growth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { number, subject, small, large, shape } = self;
        write!(
            f,
            "shape {number} for {subject:?}: {FACTOR} inputs {small:?}, one as long as all {large:?}\n{}",
            shape.escape_ascii()
        )
    }
}

/// An input with a piece that may be repeated.
struct Shape {
    before: Vec<u8>,
    piece: Vec<u8>,
    after: Vec<u8>,
}

impl Shape {
    fn new(random: &mut Random, input: &[u8]) -> Self {
        let head = input.iter().position(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let range = random.range(input.len() - head);
        let (start, end) = (head + range.start, head + range.end);
        let part = |range: Range<usize>| input.get(range).unwrap_or_default().to_vec();
        let piece = if start == end { b"(".to_vec() } else { part(start..end) };
        Self { before: part(0..start), piece, after: part(end..input.len()) }
    }

    fn with(&self, bytes: usize) -> Vec<u8> {
        let times = bytes.div_ceil(self.piece.len().max(1));
        [self.before.as_slice(), &self.piece.repeat(times), &self.after].concat()
    }
}

impl Fuzz {
    /// Those of the shapes with these numbers whose time per byte grows by more than the limit.
    pub fn growth(&self, numbers: Range<u64>) -> Vec<Growth> {
        let reader = Reader::unlimited();
        numbers.filter_map(|number| self.grows(&reader, number)).collect()
    }

    fn grows(&self, reader: &Reader, number: u64) -> Option<Growth> {
        let (subject, input) = self.input(number);
        let mut random = Random::new(!number);
        let input = input.get(..input.len().min(4 << 10)).unwrap_or_default();
        let shape = Shape::new(&mut random, input);
        let (small_input, large_input) = (shape.with(SMALL), shape.with(SMALL * FACTOR));
        let (mut small, mut large) = (Duration::MAX, Duration::MAX);
        for _ in 0..TRIALS {
            // As many bytes in both, so that a busy machine slows both alike.
            large = large.min(time(reader, subject, &large_input, 1));
            if large < FAST {
                return None;
            }
            small = small.min(time(reader, subject, &small_input, FACTOR));
            if large <= LIMIT * small {
                return None;
            }
        }
        Some(Growth { number, subject, small, large, shape: shape.with(1) })
    }
}

fn time(reader: &Reader, subject: Subject, input: &[u8], times: usize) -> Duration {
    let started = Instant::now();
    for _ in 0..times {
        reader.read(subject, input);
    }
    started.elapsed()
}
