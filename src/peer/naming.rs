//! Tags, branches, Call-IDs and client nonces: unique in a run, the same in every run with the same seed.

/// A seed and a counter.
#[derive(Debug)]
pub(super) struct Naming {
    seed: u64,
    count: u64,
}

impl Naming {
    pub(super) fn new(seed: u64) -> Naming {
        Naming { seed, count: 0 }
    }

    /// A tag.
    pub(super) fn tag(&mut self) -> String {
        format!("t{}", self.next())
    }

    /// A branch. RFC 3261 §8.1.1.7: it always begins with the magic cookie.
    pub(super) fn branch(&mut self) -> String {
        format!("z9hG4bK{}", self.next())
    }

    /// A Call-ID.
    pub(super) fn call_id(&mut self, host: &str) -> String {
        format!("{}@{host}", self.next())
    }

    /// A client nonce.
    pub(super) fn cnonce(&mut self) -> String {
        self.next()
    }

    /// The finaliser of SplitMix64 is a bijection, so a counter through it never repeats; the seed takes part twice,
    /// so that neighbouring seeds do not walk the same values.
    fn next(&mut self) -> String {
        self.count += 1;
        let start = mix(self.seed.wrapping_add(0x9e37_79b9_7f4a_7c15));
        format!("{:016x}", mix(start ^ self.count))
    }
}

fn mix(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}
