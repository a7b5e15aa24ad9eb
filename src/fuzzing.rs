//! Whatever reads bytes from outside, each to be fed with anything: nothing may panic or hang, and what it takes must hold what it
//! promises. The tests feed each for a while with what is near to well formed; `scripts/fuzz NAME` does by what the code's paths
//! tell, for as long as it is let.

use crate::{domain, identity, media, provider, rpc};

pub use domain::fuzz::Target;

/// All readers.
pub fn targets() -> Vec<Target> {
    [
        domain::fuzz::TARGETS,
        identity::fuzz::TARGETS,
        media::fuzz::TARGETS,
        provider::fuzz::TARGETS,
        rpc::fuzz::TARGETS,
    ]
    .concat()
}

#[cfg(test)]
mod tests {
    use proptest::{prelude::*, test_runner::TestRunner};

    use super::*;

    /// Texts that each reader is fed with.
    const CASES: u32 = 10_000;
    /// What breaks readers more often than chance.
    const ODD: [&[u8]; 12] = [
        b"\0",
        b"\n",
        b"\"",
        b"%",
        b"..",
        b"-1",
        b"{{",
        b"[[[[[[[[",
        b"1e999",
        b"99999999999999999999",
        b"\xff\xfe",
        "\u{202e}é".as_bytes(),
    ];

    #[derive(Clone, Debug)]
    enum Edit {
        Flip(usize, u8),
        Cut(usize, usize),
        Repeat(usize, usize),
        Put(usize, usize),
    }

    fn edit() -> impl Strategy<Value = Edit> {
        let (at, length) = (any::<usize>(), 0..40_usize);
        prop_oneof![
            (at, any::<u8>()).prop_map(|(at, bits)| Edit::Flip(at, bits)),
            (any::<usize>(), length.clone()).prop_map(|(at, length)| Edit::Cut(at, length)),
            (any::<usize>(), length).prop_map(|(at, length)| Edit::Repeat(at, length)),
            (any::<usize>(), 0..ODD.len()).prop_map(|(at, which)| Edit::Put(at, which)),
        ]
    }

    impl Edit {
        fn apply(&self, text: &mut Vec<u8>) {
            let (Self::Flip(at, _) | Self::Cut(at, _) | Self::Repeat(at, _) | Self::Put(at, _)) =
                *self;
            let at = at % (text.len() + 1);
            let end = |length: usize| (at + length).min(text.len());
            match *self {
                Self::Flip(_, bits) => {
                    if let Some(byte) = text.get_mut(at) {
                        *byte ^= bits;
                    }
                }
                Self::Cut(_, length) => {
                    text.drain(at..end(length));
                }
                Self::Repeat(_, length) => {
                    let part = text[at..end(length)].to_vec();
                    text.splice(at..at, part);
                }
                Self::Put(_, which) => {
                    text.splice(at..at, ODD[which].iter().copied());
                }
            }
        }
    }

    /// Anything, or a well-formed text with a few changes.
    fn near(seeds: &'static [&'static str]) -> impl Strategy<Value = Vec<u8>> {
        let changed = (0..seeds.len(), prop::collection::vec(edit(), 0..6));
        let changed = changed.prop_map(|(seed, edits)| {
            let mut text = seeds[seed].as_bytes().to_vec();
            edits.iter().for_each(|edit| edit.apply(&mut text));
            text
        });
        prop_oneof![9 => changed, 1 => any::<Vec<u8>>()]
    }

    #[test]
    fn no_reader_of_outside_bytes_falls_over_what_is_nearly_well_formed() {
        for (name, seeds, feed) in targets() {
            assert!(!seeds.is_empty(), "{name} has nothing to begin with");
            seeds.iter().for_each(|seed| feed(seed.as_bytes()));
            let mut runner = TestRunner::new(ProptestConfig::with_cases(CASES));
            let fed = runner.run(&near(seeds), |text| {
                feed(&text);
                Ok(())
            });
            fed.unwrap_or_else(|error| panic!("{name}: {error}"));
        }
    }
}
