//! The protocol as a model, checked exhaustively: the life of codes, grants, sessions and changes for two members,
//! their clients and an attacker, in every order in which requests, deliveries, crashes and expiry can happen.
//!
//! The model has the rules and not the code. docs/security.md describes its bounds and what it leaves out.

mod checker;
mod commit;
mod log_in;
mod protocol;
mod receipt;
mod registration;
mod rules;
mod state;

use checker::Outcome;
use protocol::{Action, Bounds, Channel, Protocol};
use rules::{Event, Rules};
use state::{Client, Id, Stolen};

/// The victim, who begins with an address or without one, and the attacker, who can steal any session.
const ATTACK: Bounds = Bounds {
    flows: 2,
    requests: 2,
    attempts: 1,
    begins_bound: &[true, false],
    with_neighbour: false,
    with_recent_theft: true,
    with_reports: false,
};

/// The neighbour as well.
const MEMBERS: Bounds = Bounds { with_neighbour: true, ..ATTACK };

/// Two attempts at each code instead of the neighbour.
const ATTEMPTS: Bounds = Bounds { attempts: 2, begins_bound: &[true], ..ATTACK };

/// Reports of changes instead of the neighbour.
const REPORTS: Bounds = Bounds { with_reports: true, ..ATTACK };

/// Checks every property in every state.
fn assert_holds(
    channel: Channel,
    bounds: Bounds,
    min_states: usize,
    milestones: &[Event],
) -> Outcome<Protocol> {
    let protocol = Protocol { rules: Rules::ALL, channel, bounds };
    checker::assert_holds(&protocol, &Event::VIOLATIONS, min_states, milestones)
}

/// Returns the shortest way to a violation if the protocol lacks a rule.
fn violation(channel: Channel, bounds: Bounds, lacks: fn(&mut Rules), expected: Event) -> Vec<Action> {
    let mut rules = Rules::ALL;
    lacks(&mut rules);
    checker::violation(&Protocol { rules, channel, bounds }, expected)
}

/// Steps that both channels must have.
const MILESTONES: [Event; 13] = [
    Event::BoundFirst,
    Event::Replaced,
    Event::Recovered,
    Event::NeighbourRecovered,
    Event::RefusedForVersion,
    Event::RefusedForAddress,
    Event::RefusedAsOwned,
    Event::RefusedAsExpired,
    Event::RefusedWithoutProof,
    Event::AttemptsUsedUp,
    Event::DuplicateIgnored,
    Event::BoundByAttacker,
    Event::ConcededTakeover,
];

#[test]
fn every_property_holds_by_mail() {
    assert_holds(Channel::Mail, MEMBERS, 300_000, &MILESTONES);
}

#[test]
fn every_property_holds_by_sms() {
    let outcome = assert_holds(Channel::Sms, MEMBERS, 600_000, &MILESTONES);
    assert!(outcome.has(Event::ChangedByCode));
}

#[test]
fn every_property_holds_for_two_attempts() {
    let milestones = [Event::AttemptsUsedUp, Event::RefusedAsConsumed, Event::Recovered];
    assert_holds(Channel::Mail, ATTEMPTS, 100_000, &milestones);
    assert_holds(Channel::Sms, ATTEMPTS, 250_000, &milestones);
}

#[test]
fn every_property_holds_with_reports() {
    let milestones = [Event::Reported, Event::RefusedAsFrozen, Event::Unfrozen, Event::TakenBack];
    assert_holds(Channel::Mail, REPORTS, 100_000, &milestones);
    assert_holds(Channel::Sms, REPORTS, 250_000, &milestones);
}

#[test]
fn old_session_takes_nothing_over() {
    for channel in Channel::ALL {
        let bounds = Bounds { with_recent_theft: false, ..ATTACK };
        let outcome = assert_holds(channel, bounds, 10_000, &[Event::BoundByAttacker, Event::Replaced]);
        assert!(!outcome.has(Event::ConcededTakeover));
    }
}

#[test]
#[ignore = "takes minutes; run it with -- --ignored after a change of the model"]
fn every_property_holds_in_larger_bounds() {
    for channel in Channel::ALL {
        assert_holds(channel, Bounds { attempts: 2, ..MEMBERS }, 1_000_000, &MILESTONES);
        assert_holds(
            channel,
            Bounds { flows: 3, requests: 1, ..ATTACK },
            1_000_000,
            &[Event::ConcededTakeover],
        );
    }
}

#[test]
fn code_without_version_outlives_its_session() {
    let lacks = |rules: &mut Rules| rules.codes_carry_version = false;
    let trace = violation(Channel::Mail, ATTACK, lacks, Event::TakenOver);
    // The attacker requests a code with a stolen session, the member ends it, and the code still binds.
    assert!(matches!(trace.first(), Some(Action::Steal(Stolen::Recent))));
    assert!(trace.iter().any(|action| matches!(action, Action::ChangePassword(Id::Victim))));
    assert!(matches!(trace.last(), Some(Action::Continue(_, Client::Attacker, _))));
    violation(Channel::Mail, ATTACK, lacks, Event::ConsumedAfterItsCause);
    violation(Channel::Sms, ATTACK, lacks, Event::ConsumedAfterItsCause);
}

#[test]
fn bind_without_replaced_address_needs_no_proof() {
    let lacks = |rules: &mut Rules| rules.bind_records_replaced = false;
    let bounds = Bounds { with_recent_theft: false, begins_bound: &[false], ..ATTACK };
    let trace = violation(Channel::Mail, bounds, lacks, Event::TakenOver);
    // The attacker requests a code for a first address with an old session, and it replaces the member's first one.
    assert!(trace.iter().any(|action| matches!(action, Action::Steal(Stolen::Old))));
    assert!(matches!(trace.last(), Some(Action::Continue(_, Client::Attacker, _))));
    violation(Channel::Mail, bounds, lacks, Event::ChangedWithoutProof);
    violation(Channel::Sms, bounds, lacks, Event::ConsumedAfterItsCause);
}

#[test]
fn every_other_rule_prevents_a_violation() {
    type Lack = (Bounds, fn(&mut Rules), Event);
    let lacks: [Lack; 14] = [
        (ATTACK, |rules| rules.grants_carry_version = false, Event::ConsumedAfterItsCause),
        (ATTACK, |rules| rules.codes_keyed_by_flow = false, Event::VoidedByAStranger),
        (ATTEMPTS, |rules| rules.attempts_counted_first = false, Event::TooManyAttempts),
        (ATTEMPTS, |rules| rules.consumed_under_condition = false, Event::ConsumedTwice),
        (ATTACK, |rules| rules.expiry_checked_at_commit = false, Event::ConsumedExpired),
        (ATTACK, |rules| rules.change_is_one_transaction = false, Event::HalfAChange),
        (ATTACK, |rules| rules.change_requires_revision = false, Event::ChangedWithoutProof),
        (MEMBERS, |rules| rules.addresses_have_one_owner = false, Event::TwoOwners),
        (ATTACK, |rules| rules.replacing_requires_proof = false, Event::TakenOver),
        (ATTACK, |rules| rules.unproven_address_is_immature = false, Event::TakenOver),
        (ATTACK, |rules| rules.grant_requires_own_address = false, Event::ChangedWithoutProof),
        (ATTACK, |rules| rules.delivery_is_marked = false, Event::SentTwice),
        (REPORTS, |rules| rules.report_freezes = false, Event::ChangedWhileFrozen),
        (REPORTS, |rules| rules.links_require_settled_address = false, Event::TakenOver),
    ];
    for channel in Channel::ALL {
        for (bounds, lacks, expected) in lacks {
            violation(channel, bounds, lacks, expected);
        }
    }
}
