//! Replays the corpora of the fuzz targets: seeds, the inputs with the best coverage, and former failures.

use crate::bundle::root;
use std::fs;

#[path = "../fuzz/src/lib.rs"]
mod targets;

#[test]
fn corpus_inputs_hold_the_invariants_of_their_target() {
    for (name, target) in targets::TARGETS {
        let corpus: Vec<_> =
            fs::read_dir(root().join("fuzz/corpus").join(name)).unwrap().map(|file| file.unwrap()).collect();
        assert!(!corpus.is_empty(), "{name} has no corpus");
        for file in corpus {
            // The output of a failing test names the input.
            println!("{}", file.path().display());
            target(&fs::read(file.path()).unwrap());
        }
    }
}

#[test]
fn every_fuzz_target_is_replayed() {
    let mut fuzzed: Vec<_> = fs::read_dir(root().join("fuzz/fuzz_targets"))
        .unwrap()
        .map(|file| file.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    fuzzed.sort();
    assert_eq!(fuzzed, targets::TARGETS.map(|(name, _)| name));
}
