// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 OR MIT

//! SipHash-1-3 of the words that name an exporter, inline and with its beginning worked out.
//!
//! It is what the kernel itself takes for tables on 64 bits, where nobody sees the hash: the lower
//! half of the result for two words is that of `hsiphash_4u32()`.

/// A keyed hash.
pub(crate) struct SipHash {
    /// The state that the key makes.
    start: State,
    /// The state after a word of zero, with which each IPv4 address begins in its v6 form.
    zero: State,
}

#[derive(Clone, Copy)]
struct State([u64; 4]);

impl State {
    #[inline(always)]
    fn round(&mut self) {
        let [mut a, mut b, mut c, mut d] = self.0;
        a = a.wrapping_add(b);
        b = b.rotate_left(13) ^ a;
        a = a.rotate_left(32);
        c = c.wrapping_add(d);
        d = d.rotate_left(16) ^ c;
        a = a.wrapping_add(d);
        d = d.rotate_left(21) ^ a;
        c = c.wrapping_add(b);
        b = b.rotate_left(17) ^ c;
        c = c.rotate_left(32);
        self.0 = [a, b, c, d];
    }

    #[inline(always)]
    fn absorb(&mut self, word: u64) {
        self.0[3] ^= word;
        self.round();
        self.0[0] ^= word;
    }

    #[inline(always)]
    fn finish(mut self, words: u64) -> u64 {
        // The last word holds the length in octets.
        self.absorb(words << 59);
        self.0[2] ^= 0xff;
        self.round();
        self.round();
        self.round();
        let [a, b, c, d] = self.0;
        a ^ b ^ c ^ d
    }
}

impl SipHash {
    /// A hash with this key, as `hsiphash_key_t` holds it.
    pub(crate) fn new(key: [u64; 2]) -> Self {
        // "somepseudorandomlygeneratedbytes", by definition.
        let start = State([
            key[0] ^ 0x736f_6d65_7073_6575,
            key[1] ^ 0x646f_7261_6e64_6f6d,
            key[0] ^ 0x6c79_6765_6e65_7261,
            key[1] ^ 0x7465_6462_7974_6573,
        ]);
        let mut zero = start;
        zero.absorb(0);
        SipHash { start, zero }
    }

    #[inline(always)]
    fn begin(&self, word: u64) -> State {
        if word == 0 {
            return self.zero;
        }
        let mut state = self.start;
        state.absorb(word);
        state
    }

    /// One word.
    pub(crate) fn one(&self, a: u64) -> u64 {
        self.begin(a).finish(1)
    }

    /// Two words.
    #[inline(always)]
    pub(crate) fn two(&self, a: u64, b: u64) -> u64 {
        let mut state = self.begin(a);
        state.absorb(b);
        state.finish(2)
    }

    /// Three words.
    pub(crate) fn three(&self, a: u64, b: u64, c: u64) -> u64 {
        let mut state = self.begin(a);
        state.absorb(b);
        state.absorb(c);
        state.finish(3)
    }
}
