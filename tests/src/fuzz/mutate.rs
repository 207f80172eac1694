//! From seeds to inputs.

use std::ops::Range;

/// Longest input, in bytes.
const LONGEST: usize = 64 << 10;

/// What is put in as a whole.
const TOKENS: [&[u8]; 64] = [
    b"\r\n",
    b"\n",
    b"\r",
    b"\0",
    b"--",
    b"--b",
    b"--b--",
    b"--b\r\n",
    b"\r\n\r\n",
    b"\r\n--b\r\n",
    b" ",
    b"\t",
    b"Content-Type: application/http\r\n",
    b"Content-Type: multipart/mixed; boundary=b\r\n",
    b"Content-ID: 1\r\n",
    b"Content-Length: 0\r\n",
    b"Content-Length: 18446744073709551616\r\n",
    b"boundary=",
    b"GET $1 HTTP/1.1\r\n",
    b"POST /data HTTP/1.1\r\n",
    b"If-Match: *\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"{",
    b"}",
    b"[",
    b"]",
    b"[[[[",
    b"\"",
    b"\\",
    b"\\u0000",
    b"\\ud800",
    b":",
    b",",
    b"null",
    b"true",
    b"1e999",
    b"-0",
    b"9223372036854775808",
    b"0.00000000000000000000000000000000000000001",
    b"\"requests\":[",
    b"\"id\":\"1\",",
    b"\"dependsOn\":[\"1\"],",
    b"\"atomicityGroup\":\"g\",",
    b"\"body\":",
    b"@odata.bind",
    b"@odata.type",
    b"$1",
    b"'",
    b"''",
    b"%27",
    b"%2F",
    b"%",
    b"%00",
    b"%FF",
    b"(",
    b")",
    b"((((",
    b"/",
    b"$filter=",
    b"&",
    b" and ",
    b" eq ",
    b"not ",
    b"\xc3\xa9",
];

/// A small, fast source of numbers (xorshift64*); the same number makes the same sequence.
#[derive(Clone, Debug)]
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(number: u64) -> Self {
        // Spread (splitmix64), so that neighbours have nothing in common; never 0.
        let mut z = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        Self((z ^ (z >> 31)) | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16
    }

    /// A number below `end`; 0 when that is 0.
    pub(super) fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % (end.max(1) as u64)).unwrap_or_default()
    }

    pub(super) fn pick<'a, T>(&mut self, items: &'a [T]) -> Option<&'a T> {
        items.get(self.below(items.len()))
    }

    /// A range in `0..len`, mostly short.
    pub(super) fn range(&mut self, len: usize) -> Range<usize> {
        let start = self.below(len + 1);
        let longest = if self.below(4) == 0 { len } else { len.min(24) };
        start..(start + self.below(longest + 1)).min(len)
    }
}

/// One of the seeds, changed in a few places.
///
/// The first line, which says how the rest is to be read, is mostly left alone.
pub(super) fn mutate(random: &mut Random, seeds: &[Vec<u8>]) -> Vec<u8> {
    let mut input = random.pick(seeds).cloned().unwrap_or_default();
    let head = input.iter().position(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    let keep = if random.below(16) == 0 { 0 } else { head };
    let mut rest = input.split_off(keep);
    // Half of them in one place only: those come furthest.
    for _ in 0..=random.below(2) * random.below(4) {
        change(random, &mut rest, seeds);
    }
    rest.truncate(LONGEST);
    input.append(&mut rest);
    input
}

fn change(random: &mut Random, input: &mut Vec<u8>, seeds: &[Vec<u8>]) {
    let range = random.range(input.len());
    match random.below(10) {
        0 => flip(random, input),
        1 => {
            let byte = u8::try_from(random.below(256)).unwrap_or_default();
            input.insert(range.start, byte);
        }
        2 => drop(input.drain(range)),
        3 | 4 => insert(random, input, range.start),
        5 => {
            let piece: Vec<u8> = input.drain(range.clone()).collect();
            let at = random.below(input.len() + 1);
            input.splice(at..at, piece);
        }
        6 => {
            let piece: Vec<u8> = input.get(range.clone()).unwrap_or_default().repeat(1 + random.below(8));
            input.splice(range.end..range.end, piece);
        }
        7 => input.truncate(range.start),
        8 => {
            let other = random.pick(seeds).map(Vec::as_slice).unwrap_or_default();
            let piece = random.range(other.len());
            input.splice(range, other.get(piece).unwrap_or_default().iter().copied());
        }
        _ => {
            let other = random.pick(seeds).map(Vec::as_slice).unwrap_or_default();
            input.truncate(range.start);
            input.extend_from_slice(other.get(random.below(other.len())..).unwrap_or_default());
        }
    }
}

fn flip(random: &mut Random, input: &mut [u8]) {
    let at = random.below(input.len());
    if let Some(byte) = input.get_mut(at) {
        *byte ^= 1 << random.below(8);
    }
}

fn insert(random: &mut Random, input: &mut Vec<u8>, at: usize) {
    let token = random.pick(&TOKENS).copied().unwrap_or_default();
    input.splice(at..at, token.iter().copied());
}
