//! All readers of outside bytes but those of media, fed with what the fuzzer makes up; the first byte says which of them.
#![no_main]

use std::{env, fs, path::Path};

use atelier::fuzzing::targets;
use libfuzzer_sys::fuzz_target;

fuzz_target!(init: write_seeds(), |bytes: &[u8]| {
    let Some((which, text)) = bytes.split_first() else {
        return;
    };
    let targets = targets();
    let (_, _, feed) = targets[usize::from(*which) % targets.len()];
    feed(text);
});

/// What is well formed, to begin with.
fn write_seeds() {
    let Some(folder) = env::var_os("SEEDS") else {
        return;
    };
    for (which, (name, seeds, _)) in (0_u8..).zip(targets()) {
        for (place, seed) in seeds.iter().enumerate() {
            let text = [&[which], seed.as_bytes()].concat();
            fs::write(Path::new(&folder).join(format!("{name}-{place}")), text).expect("the corpus can be written");
        }
    }
}
