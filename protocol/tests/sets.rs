//! The sets that take seconds, to their end, and every wrong protocol found out.

use protocol::{Model as _, Outcome, Scene, Variant, explore};

const LIMIT: usize = 20_000_000;

/// The number of states is part of what is known of a set: another one means that the model changed.
#[test]
fn the_protocol_keeps_its_promises_in_every_state() {
    let known = [
        ("writer, sweep, reader", 32_748),
        ("writer, 2 sweeps", 1_880_825),
        ("compactor, 2 sweeps", 1_696_472),
        ("undelete, 2 sweeps", 895_210),
        ("2 roots of one run, sweep", 213_181),
        ("2 writers, sweep", 1_283_412),
        ("writer, lost root, sweep", 20_157),
    ];
    assert_safe(&Scene::quick(), &known);
}

/// As above, in the sets that take more than a minute together.
#[test]
#[ignore = "takes a minute; CI asks for it by name"]
fn the_protocol_keeps_its_promises_in_the_large_sets_too() {
    let known = [
        ("writer, 2 sweeps, reader", 11_001_054),
        ("writer, compactor, sweep, reader", 2_422_935),
        ("compactor, 2 sweeps, reader", 10_261_192),
        ("2 writers, rot, sweep", 4_424_951),
        ("3 roots of one run, sweep", 988_301),
        ("2 roots of one run, one that resumes, sweep", 8_022_970),
        ("3 sweeps, reader", 1_564_668),
        ("writer, lost root, 2 sweeps", 3_107_566),
    ];
    assert_safe(&Scene::thorough(), &known);
}

fn assert_safe(scenes: &[Scene], known: &[(&str, usize)]) {
    assert_eq!(scenes.len(), known.len());
    for (scene, (name, states)) in scenes.iter().zip(known.iter().copied()) {
        assert_eq!(scene.name, name);
        assert_eq!(explore(scene, LIMIT), Outcome::Safe { states }, "{name}");
    }
}

/// Each mistake is found in a small set, with a trace that can be walked, and as damage: only what
/// is never withdrawn is merely untidy.
#[test]
fn every_wrong_protocol_is_found_out() {
    for variant in Variant::WRONG {
        let scene = scene_of(variant).under(variant);
        let Outcome::Broken { promise, trace, .. } = explore(&scene, LIMIT) else {
            panic!("{variant} is not found");
        };
        let untidy = promise == "a sweep that ended leaves no proposal undecided";
        assert_eq!(
            untidy,
            variant == Variant::NeverWithdraw,
            "{variant}: {promise}"
        );
        assert_eq!(
            scene.broken(&walked(&scene, &trace)),
            Some(promise),
            "{variant}"
        );
    }
}

/// A set that shows a mistake.
fn scene_of(wrong: Variant) -> Scene {
    match wrong {
        Variant::AnnounceLate | Variant::NoList | Variant::ListOfOthers => Scene::undelete(),
        Variant::IgnoreCondemned | Variant::RowGoesOn => Scene::partial_roots(),
        Variant::SharedFenceKey | Variant::MarkSkipsProposed => Scene::two_sweeps_unread(),
        Variant::FencedWriterDeletes
        | Variant::OldGenerationUntested
        | Variant::OldGenerationWhenClosed
        | Variant::TombstoneByFirstLook
        | Variant::HoldForgetsTombstone => Scene::compaction_unread(),
        Variant::TableUnasked | Variant::TableBeforeProposal => Scene::lost_root(),
        Variant::ProposalHidesLoss => Scene::lost_root_and_two_sweeps(),
        _ => Scene::small(),
    }
}

/// The state at the end of a trace. Where two steps look alike, each way is tried.
fn walked(scene: &Scene, trace: &[protocol::Step]) -> protocol::State {
    let mut ways = vec![scene.start()];
    for wanted in trace {
        let mut next = Vec::new();
        for state in &ways {
            scene.steps(state, &mut next);
        }
        next.retain(|(step, _)| step == wanted);
        ways = next.into_iter().map(|(_, state)| state).collect();
        assert!(!ways.is_empty(), "{wanted} cannot be done there");
    }
    let broken = ways.iter().find(|state| scene.broken(state).is_some());
    *broken.expect("the trace ends in a broken promise")
}

#[test]
fn a_set_that_is_cut_short_proves_nothing() {
    let cut = explore(&Scene::two_sweeps(), 1000);
    assert!(matches!(cut, Outcome::Unfinished { .. }));
}
