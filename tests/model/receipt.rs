//! Receipts: a checked pay password becomes a receipt for one order, which is spent once.
//!
//! Every pay password in this model is right. A service may spend with any order and repeat any call.

use super::checker::{self, Model, Step, assert_holds, bits, violation};

/// The rules of a receipt. Each can be turned off.
#[derive(Clone, Copy, Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "one for each rule, so that a test can turn any of them off"
)]
struct Rules {
    /// A receipt records its order and is spent only for that.
    receipts_carry_order: bool,
    /// A receipt is spent under the condition that it was not spent.
    spent_under_condition: bool,
    /// The expiry is also a condition of spending.
    expiry_checked_at_commit: bool,
    /// A spent receipt remains stored, so that a repetition gets the first time of spending.
    spent_receipts_remain: bool,
    /// A member who reported a change gets no receipt before a recovery.
    frozen_members_are_refused: bool,
    /// A receipt is stored under the condition that the credential version is that under which the member was read.
    issued_under_version: bool,
}

impl Rules {
    const ALL: Self = Self {
        receipts_carry_order: true,
        spent_under_condition: true,
        expiry_checked_at_commit: true,
        spent_receipts_remain: true,
        frozen_members_are_refused: true,
        issued_under_version: true,
    };
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Event {
    // Violations.
    /// Two calls were the first to spend one receipt.
    FirstTwice,
    /// A receipt was spent for an order that its member did not confirm.
    SpentForAnotherOrder,
    /// A receipt was spent for the first time after it expired.
    SpentExpired,
    /// A repetition for the same order was refused, so that its service cannot find out what became of it.
    RepetitionRefused,
    /// A frozen member got a receipt.
    IssuedWhileFrozen,

    // Milestones.
    Issued,
    Spent,
    /// A repetition for the same order got the result of the first call.
    Repeated,
    RefusedForOrder,
    RefusedAsExpired,
    RefusedAsFrozen,
    RefusedForVersion,
}

impl checker::Event for Event {
    fn number(self) -> u32 {
        self as u32
    }
}

const VIOLATIONS: [Event; 5] = [
    Event::FirstTwice,
    Event::SpentForAnotherOrder,
    Event::SpentExpired,
    Event::RepetitionRefused,
    Event::IssuedWhileFrozen,
];

const MILESTONES: [Event; 7] = [
    Event::Issued,
    Event::Spent,
    Event::Repeated,
    Event::RefusedForOrder,
    Event::RefusedAsExpired,
    Event::RefusedAsFrozen,
    Event::RefusedForVersion,
];

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Order {
    One,
    Another,
}

const ORDERS: [Order; 2] = [Order::One, Order::Another];

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Receipt {
    order: Order,
    /// It cannot be spent for the first time any more.
    has_expired: bool,
    is_spent: bool,
    is_stored: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Request {
    /// The pay password was compared: store the receipt.
    Check {
        order: Order,
        /// The credential version is that under which the member was read.
        is_current: bool,
    },
    /// The receipt was read, and not spent yet: spend it.
    Spend { receipt: usize, order: Order },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct State {
    is_frozen: bool,
    receipts: [Option<Receipt>; 2],
    requests: [Option<Request>; 3],
}

impl State {
    /// Returns the state with receipts and requests in a canonical order.
    fn canonical(mut self) -> Self {
        if self.receipts[0] < self.receipts[1] {
            self.receipts.swap(0, 1);
            for request in self.requests.iter_mut().flatten() {
                if let Request::Spend { receipt, .. } = request {
                    *receipt = 1 - *receipt;
                }
            }
        }
        self.requests.sort_unstable();
        self
    }

    /// Raises the credential version.
    fn with_raised_version(mut self) -> Self {
        for request in self.requests.iter_mut().flatten() {
            if let Request::Check { is_current, .. } = request {
                *is_current = false;
            }
        }
        self
    }

    fn is_used(&self, index: usize) -> bool {
        let uses = |request: &Request| matches!(request, Request::Spend { receipt, .. } if *receipt == index);
        self.requests.iter().flatten().any(uses)
    }
}

#[derive(Clone, Copy, Debug)]
#[expect(dead_code, reason = "the fields appear in traces")]
enum Action {
    /// A service checks the pay password for an order.
    Check(Order),
    /// A service spends a receipt for an order.
    Spend(Receipt, Order),
    Continue(Request),
    Crash(Request),
    Expire(Receipt),
    /// The member reports a change.
    Report,
    /// The member recovers the password.
    Recover,
}

type Steps = Vec<Step<State, Action>>;

fn push(steps: &mut Steps, action: Action, state: State, events: &[Event]) {
    steps.push(Step { action, state: state.canonical(), events: bits(events) });
}

#[derive(Clone, Copy, Debug)]
struct Receipts(Rules);

impl Model for Receipts {
    type State = State;
    type Key = State;
    type Action = Action;
    type Event = Event;

    fn initial(&self) -> Vec<State> {
        vec![State { is_frozen: false, receipts: [None; 2], requests: [None; 3] }]
    }

    fn key(&self, state: &State) -> State {
        *state
    }

    fn steps(&self, state: &State) -> Steps {
        let mut steps = Vec::new();
        let raised = state.with_raised_version();
        push(&mut steps, Action::Report, State { is_frozen: true, ..raised }, &[]);
        push(&mut steps, Action::Recover, State { is_frozen: false, ..raised }, &[]);
        self.begin(state, &mut steps);
        for index in 0..state.receipts.len() {
            if let Some(receipt) = state.receipts[index] {
                expire(state, index, receipt, &mut steps);
            }
        }
        for slot in 0..state.requests.len() {
            if let Some(request) = state.requests[slot] {
                self.end(state, slot, request, &mut steps);
            }
        }
        steps
    }
}

/// Receipts expire, and are forgotten after that.
fn expire(state: &State, index: usize, receipt: Receipt, steps: &mut Steps) {
    let mut after = *state;
    if !receipt.has_expired {
        after.receipts[index] = Some(Receipt { has_expired: true, ..receipt });
    } else if !state.is_used(index) {
        after.receipts[index] = None;
    }
    push(steps, Action::Expire(receipt), after, &[]);
}

impl Receipts {
    /// Services check pay passwords and spend receipts.
    fn begin(self, state: &State, steps: &mut Steps) {
        let Some(free) = state.requests.iter().position(Option::is_none) else { return };
        let begun = |request| {
            let mut after = *state;
            after.requests[free] = Some(request);
            after
        };
        for order in ORDERS {
            if state.is_frozen && self.0.frozen_members_are_refused {
                push(steps, Action::Check(order), *state, &[Event::RefusedAsFrozen]);
            } else {
                push(steps, Action::Check(order), begun(Request::Check { order, is_current: true }), &[]);
            }
        }
        for (index, receipt) in state.receipts.iter().enumerate() {
            let Some(receipt) = *receipt else { continue };
            for order in ORDERS {
                let action = Action::Spend(receipt, order);
                let is_same = receipt.order == order;
                if !receipt.is_stored {
                    let events: &[Event] = if is_same { &[Event::RepetitionRefused] } else { &[] };
                    push(steps, action, *state, events);
                } else if !is_same && self.0.receipts_carry_order {
                    push(steps, action, *state, &[Event::RefusedForOrder]);
                } else if receipt.is_spent {
                    push(steps, action, *state, &[Event::Repeated]);
                } else if receipt.has_expired {
                    push(steps, action, *state, &[Event::RefusedAsExpired]);
                } else {
                    push(steps, action, begun(Request::Spend { receipt: index, order }), &[]);
                }
            }
        }
    }

    /// A request in progress continues or crashes.
    fn end(self, state: &State, slot: usize, request: Request, steps: &mut Steps) {
        let mut ended = *state;
        ended.requests[slot] = None;
        push(steps, Action::Crash(request), ended, &[]);
        let mut events = Vec::new();
        match request {
            Request::Check { order, is_current } => {
                let free = state.receipts.iter().position(Option::is_none);
                if self.0.issued_under_version && !is_current {
                    events.push(Event::RefusedForVersion);
                } else if let Some(free) = free {
                    events.push(if state.is_frozen { Event::IssuedWhileFrozen } else { Event::Issued });
                    let receipt = Receipt { order, has_expired: false, is_spent: false, is_stored: true };
                    ended.receipts[free] = Some(receipt);
                }
            }
            Request::Spend { receipt, order } => self.spend(&mut ended, receipt, order, &mut events),
        }
        push(steps, Action::Continue(request), ended, &events);
    }

    /// Spends a receipt under the conditions.
    fn spend(self, state: &mut State, index: usize, order: Order, events: &mut Vec<Event>) {
        let Some(receipt) = &mut state.receipts[index] else { return };
        if self.0.spent_under_condition && receipt.is_spent {
            return events.push(Event::Repeated);
        }
        if self.0.expiry_checked_at_commit && receipt.has_expired {
            return events.push(Event::RefusedAsExpired);
        }
        if receipt.is_spent {
            events.push(Event::FirstTwice);
        }
        if receipt.has_expired && !receipt.is_spent {
            events.push(Event::SpentExpired);
        }
        if receipt.order != order {
            events.push(Event::SpentForAnotherOrder);
        }
        events.push(Event::Spent);
        (receipt.is_spent, receipt.is_stored) = (true, self.0.spent_receipts_remain);
    }
}

#[test]
fn every_property_of_receipts_holds() {
    assert_holds(&Receipts(Rules::ALL), &VIOLATIONS, 1_000, &MILESTONES);
}

#[test]
fn every_rule_of_receipts_is_necessary() {
    for (rules, expected) in [
        (Rules { receipts_carry_order: false, ..Rules::ALL }, Event::SpentForAnotherOrder),
        (Rules { spent_under_condition: false, ..Rules::ALL }, Event::FirstTwice),
        (Rules { expiry_checked_at_commit: false, ..Rules::ALL }, Event::SpentExpired),
        (Rules { spent_receipts_remain: false, ..Rules::ALL }, Event::RepetitionRefused),
        (Rules { frozen_members_are_refused: false, ..Rules::ALL }, Event::IssuedWhileFrozen),
        (Rules { issued_under_version: false, ..Rules::ALL }, Event::IssuedWhileFrozen),
    ] {
        violation(&Receipts(rules), expected);
    }
}
