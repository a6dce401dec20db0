//! The rules of the protocol, and what the model reports about a step.

use super::checker;

/// The rules. Each one is a mechanism of the store or of a handler, and can be turned off.
#[derive(Clone, Copy, Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "one for each rule, so that a test can turn any of them off"
)]
pub struct Rules {
    /// A code records the member's credential version and is consumed only while it is the member's.
    pub codes_carry_version: bool,
    /// So does a grant.
    pub grants_carry_version: bool,
    /// A code to bind records the address that it replaces and is consumed only while it is the member's.
    pub bind_records_replaced: bool,
    /// A code is stored under its flow or its member, so that it does not replace another client's.
    pub codes_keyed_by_flow: bool,
    /// An attempt is counted before it is compared.
    pub attempts_counted_first: bool,
    /// A code or grant is consumed under the condition that it is still stored.
    pub consumed_under_condition: bool,
    /// The expiry is also a condition of consumption.
    pub expiry_checked_at_commit: bool,
    /// The proof is consumed and the member written in one transaction.
    pub change_is_one_transaction: bool,
    /// A change requires that no one wrote the member since it was planned.
    pub change_requires_revision: bool,
    /// An address belongs to one member.
    pub addresses_have_one_owner: bool,
    /// Replacing an address requires a recent login or the password.
    pub replacing_requires_proof: bool,
    /// An address that was bound without a proof resets nothing.
    pub unproven_address_is_immature: bool,
    /// A grant is valid only while its address is the member's.
    pub grant_requires_own_address: bool,
    /// A deferred code is marked as delivered before it is sent.
    pub delivery_is_marked: bool,
    /// A reported change freezes the changes of the member until a recovery. Only part of [`Bounds::with_reports`].
    ///
    /// [`Bounds::with_reports`]: super::protocol::Bounds::with_reports
    pub report_freezes: bool,
    /// Only an address that was bound before the oldest valid link was sent gets a link to report a change.
    pub links_require_settled_address: bool,
}

impl Rules {
    /// Every rule.
    pub const ALL: Self = Self {
        codes_carry_version: true,
        grants_carry_version: true,
        bind_records_replaced: true,
        codes_keyed_by_flow: true,
        attempts_counted_first: true,
        consumed_under_condition: true,
        expiry_checked_at_commit: true,
        change_is_one_transaction: true,
        change_requires_revision: true,
        addresses_have_one_owner: true,
        replacing_requires_proof: true,
        unproven_address_is_immature: true,
        grant_requires_own_address: true,
        delivery_is_marked: true,
        report_freezes: true,
        links_require_settled_address: true,
    };
}

/// An event of a step: the violation of a property, or a milestone that the model must reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    // Violations.
    /// A code or grant was consumed after the session ended or the address was replaced that it was issued on.
    ConsumedAfterItsCause,
    /// A code or grant was consumed twice.
    ConsumedTwice,
    /// A code or grant was consumed after it expired.
    ConsumedExpired,
    /// More attempts at a code were compared than are allowed.
    TooManyAttempts,
    /// A code was consumed, but the change was not made.
    HalfAChange,
    /// A member was changed without the proof that the change requires.
    ChangedWithoutProof,
    /// The attacker replaced an address or set a password without ever having had a proof.
    TakenOver,
    /// A request removed the usable code of another client.
    VoidedByAStranger,
    /// One request sent two codes.
    SentTwice,
    /// An address belongs to two members.
    TwoOwners,
    /// A frozen member was changed by something other than a recovery.
    ChangedWhileFrozen,

    // Milestones.
    /// A member bound a first address.
    BoundFirst,
    /// A member replaced an address.
    Replaced,
    /// A member changed the password by a code.
    ChangedByCode,
    /// The victim recovered the password.
    Recovered,
    /// The neighbour did.
    NeighbourRecovered,
    /// A code or grant was refused because the credential version rose.
    RefusedForVersion,
    /// A code to bind was refused because the address was replaced that it would have replaced.
    RefusedForAddress,
    /// A code was refused because another request consumed it.
    RefusedAsConsumed,
    /// A code or grant was refused because it expired after it was verified.
    RefusedAsExpired,
    /// A change was refused because its code or session is not the proof that it requires.
    RefusedWithoutProof,
    /// A change was refused because the member reported an earlier one.
    RefusedAsFrozen,
    /// An address was refused because it belongs to another member.
    RefusedAsOwned,
    /// A code was used up by wrong attempts.
    AttemptsUsedUp,
    /// A duplicate delivery sent nothing.
    DuplicateIgnored,
    /// The attacker bound a first address with an old session. The address resets nothing.
    BoundByAttacker,
    /// The attacker took the account over with a recent login, which no rule stops.
    ConcededTakeover,
    /// The victim recovered an account that was conceded to the attacker.
    TakenBack,
    /// The victim reported a change.
    Reported,
    /// A recovery unfroze the victim.
    Unfrozen,
}

impl Event {
    /// The violations of properties.
    pub const VIOLATIONS: [Self; 11] = [
        Self::ConsumedAfterItsCause,
        Self::ConsumedTwice,
        Self::ConsumedExpired,
        Self::TooManyAttempts,
        Self::HalfAChange,
        Self::ChangedWithoutProof,
        Self::TakenOver,
        Self::VoidedByAStranger,
        Self::SentTwice,
        Self::TwoOwners,
        Self::ChangedWhileFrozen,
    ];
}

impl checker::Event for Event {
    fn number(self) -> u32 {
        self as u32
    }
}
