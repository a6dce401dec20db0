//! Registration: a code to an address without a member becomes a grant, and the grant creates one member.
//!
//! All clients read what is sent to one address. A service also creates a member whom it vouches for, under an id of its
//! own choice. Another member can bind the address, and each owner can replace it.

use super::checker::{self, Model, Step, assert_holds, bits, violation};

/// The rules of a registration. Each can be turned off.
#[derive(Clone, Copy, Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "one for each rule, so that a test can turn any of them off"
)]
struct Rules {
    /// A code is exchanged under the condition that it is still stored.
    codes_consumed_under_condition: bool,
    /// A grant is consumed under the condition that it was not used.
    grants_consumed_under_condition: bool,
    /// The expiry is also a condition of consumption.
    expiry_checked_at_commit: bool,
    /// A member is created under the condition that no one owns the address.
    addresses_claimed_under_condition: bool,
    /// A member is created under the condition that no member has the id.
    ids_created_under_condition: bool,
    /// The grant is consumed and the member written in one transaction.
    creation_is_one_transaction: bool,
}

impl Rules {
    const ALL: Self = Self {
        codes_consumed_under_condition: true,
        grants_consumed_under_condition: true,
        expiry_checked_at_commit: true,
        addresses_claimed_under_condition: true,
        ids_created_under_condition: true,
        creation_is_one_transaction: true,
    };
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Event {
    // Violations.
    /// One code became two grants.
    TwoGrantsByOneCode,
    /// One grant created two members.
    TwoMembersByOneGrant,
    /// An address that has an owner was claimed by another member.
    TwoOwners,
    /// A code or grant was consumed after it expired.
    ConsumedExpired,
    /// A member was written over another with the same id.
    Overwritten,
    /// A grant was consumed, but no member was created.
    HalfACreation,

    // Milestones.
    Granted,
    CreatedByGrant,
    CreatedAsVouched,
    /// A code to register logged the owner of the address in.
    LoggedIn,
    /// A repeated request returned the member whom the first one created.
    Repeated,
    RefusedAsOwned,
    RefusedAsExpired,
    RefusedAsConsumed,
}

impl checker::Event for Event {
    fn number(self) -> u32 {
        self as u32
    }
}

const VIOLATIONS: [Event; 6] = [
    Event::TwoGrantsByOneCode,
    Event::TwoMembersByOneGrant,
    Event::TwoOwners,
    Event::ConsumedExpired,
    Event::Overwritten,
    Event::HalfACreation,
];

const MILESTONES: [Event; 8] = [
    Event::Granted,
    Event::CreatedByGrant,
    Event::CreatedAsVouched,
    Event::LoggedIn,
    Event::Repeated,
    Event::RefusedAsOwned,
    Event::RefusedAsExpired,
    Event::RefusedAsConsumed,
];

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Stage {
    Free,
    /// The code was sent.
    Sent,
    /// It became a grant.
    Granted,
    /// The code logged in, or the grant created a member.
    Consumed,
}

/// A code and its grant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Flow {
    stage: Stage,
    has_expired: bool,
    /// Whether the grant created a member.
    has_created: bool,
}

const FREE: Flow = Flow { stage: Stage::Free, has_expired: false, has_created: false };

/// The owner of the address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Owner {
    None,
    /// A member who bound it, or was created by a grant.
    Member,
    /// The member whom the service vouched for.
    Vouched,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Task {
    /// The right code was compared: exchange it, or log in.
    UseCode,
    /// The grant was read: create the member.
    Create,
    /// The grant was consumed outside a transaction: write the member.
    Write,
}

/// A request in progress: with the code or grant of a flow, or of a service that vouches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Request {
    task: Task,
    flow: Option<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct State {
    owner: Owner,
    /// The member under the chosen id exists.
    is_vouched: bool,
    flows: [Flow; 2],
    requests: [Option<Request>; 2],
}

impl State {
    /// Returns the state with flows and requests in a canonical order.
    fn canonical(mut self) -> Self {
        if self.flows[0] < self.flows[1] {
            self.flows.swap(0, 1);
            for request in self.requests.iter_mut().flatten() {
                request.flow = request.flow.map(|flow| 1 - flow);
            }
        }
        self.requests.sort_unstable();
        self
    }

    fn is_used(&self, flow: usize) -> bool {
        self.requests.iter().flatten().any(|request| request.flow == Some(flow))
    }
}

#[derive(Clone, Copy, Debug)]
#[expect(dead_code, reason = "the fields appear in traces")]
enum Action {
    RequestCode,
    SendCode(Flow),
    SendGrant(Flow),
    /// A service creates a member whom it vouches for.
    Vouch,
    Continue(Request),
    Crash(Request),
    Expire(Flow),
    /// Another member binds the address.
    Bind,
    /// The owner replaces the address.
    Replace,
}

type Steps = Vec<Step<State, Action>>;

fn push(steps: &mut Steps, action: Action, state: State, events: &[Event]) {
    steps.push(Step { action, state: state.canonical(), events: bits(events) });
}

#[derive(Clone, Copy, Debug)]
struct Registration(Rules);

impl Model for Registration {
    type State = State;
    type Key = State;
    type Action = Action;
    type Event = Event;

    fn initial(&self) -> Vec<State> {
        let state = |owner| State { owner, is_vouched: false, flows: [FREE; 2], requests: [None; 2] };
        vec![state(Owner::None), state(Owner::Member)]
    }

    fn key(&self, state: &State) -> State {
        *state
    }

    fn steps(&self, state: &State) -> Steps {
        let mut steps = Vec::new();
        match state.owner {
            Owner::None => push(&mut steps, Action::Bind, State { owner: Owner::Member, ..*state }, &[]),
            _ => push(&mut steps, Action::Replace, State { owner: Owner::None, ..*state }, &[]),
        }
        if let Some(free) = state.flows.iter().position(|flow| flow.stage == Stage::Free) {
            let mut after = *state;
            after.flows[free] = Flow { stage: Stage::Sent, ..FREE };
            push(&mut steps, Action::RequestCode, after, &[]);
        }
        begin(state, &mut steps);
        for flow in 0..state.flows.len() {
            expire(state, flow, &mut steps);
        }
        for slot in 0..state.requests.len() {
            if let Some(request) = state.requests[slot] {
                self.end(state, slot, request, &mut steps);
            }
        }
        steps
    }
}

/// Codes and grants expire, and are forgotten after that.
fn expire(state: &State, index: usize, steps: &mut Steps) {
    let flow = state.flows[index];
    let mut after = *state;
    if flow.stage == Stage::Free {
        return;
    }
    if !flow.has_expired {
        after.flows[index].has_expired = true;
    } else if !state.is_used(index) {
        after.flows[index] = FREE;
    }
    push(steps, Action::Expire(flow), after, &[]);
}

/// Requests with a code or a grant, and of the service that vouches.
fn begin(state: &State, steps: &mut Steps) {
    let Some(free) = state.requests.iter().position(Option::is_none) else { return };
    let begun = |task, flow| {
        let mut after = *state;
        after.requests[free] = Some(Request { task, flow });
        after
    };
    for (index, flow) in state.flows.into_iter().enumerate().filter(|(_, flow)| !flow.has_expired) {
        match flow.stage {
            Stage::Sent => {
                push(steps, Action::SendCode(flow), begun(Task::UseCode, Some(index)), &[]);
            }
            Stage::Granted if state.owner != Owner::None => {
                push(steps, Action::SendGrant(flow), *state, &[Event::RefusedAsOwned]);
            }
            Stage::Granted => {
                push(steps, Action::SendGrant(flow), begun(Task::Create, Some(index)), &[]);
            }
            Stage::Consumed if flow.has_created => {
                push(steps, Action::SendGrant(flow), *state, &[Event::Repeated]);
            }
            Stage::Consumed | Stage::Free => (),
        }
    }
    if state.is_vouched {
        push(steps, Action::Vouch, *state, &[Event::Repeated]);
    } else if state.owner == Owner::None {
        push(steps, Action::Vouch, begun(Task::Create, None), &[]);
    }
}

impl Registration {
    /// A request in progress continues or crashes.
    fn end(self, state: &State, slot: usize, request: Request, steps: &mut Steps) {
        let mut ended = *state;
        ended.requests[slot] = None;
        let events: &[Event] = if request.task == Task::Write { &[Event::HalfACreation] } else { &[] };
        push(steps, Action::Crash(request), ended, events);

        let mut events = Vec::new();
        match (request.task, request.flow) {
            (Task::UseCode, Some(flow)) => self.use_code(&mut ended, flow, &mut events),
            (Task::Write, _) => write(&mut ended, request.flow, &mut events),
            (_, flow) => self.create(&mut ended, slot, flow, &mut events),
        }
        push(steps, Action::Continue(request), ended, &events);
    }

    /// Consumes the grant and writes the member, under the conditions.
    fn create(self, state: &mut State, slot: usize, flow: Option<usize>, events: &mut Vec<Event>) {
        if let Err(refusal) = self.plan(state, flow) {
            return events.push(refusal);
        }
        if let Some(flow) = flow {
            let grant = &mut state.flows[flow];
            if grant.has_created {
                events.push(Event::TwoMembersByOneGrant);
            }
            if grant.has_expired {
                events.push(Event::ConsumedExpired);
            }
            grant.stage = Stage::Consumed;
        }
        if self.0.creation_is_one_transaction || flow.is_none() {
            write(state, flow, events);
        } else {
            state.requests[slot] = Some(Request { task: Task::Write, flow });
        }
    }

    /// Exchanges a code for a grant. The code of an address that has an owner logs the owner in.
    fn use_code(self, state: &mut State, index: usize, events: &mut Vec<Event>) {
        let flow = &mut state.flows[index];
        if self.0.codes_consumed_under_condition && flow.stage != Stage::Sent {
            return events.push(Event::RefusedAsConsumed);
        }
        if self.0.expiry_checked_at_commit && flow.has_expired {
            return events.push(Event::RefusedAsExpired);
        }
        if flow.has_expired {
            events.push(Event::ConsumedExpired);
        }
        if state.owner != Owner::None {
            flow.stage = Stage::Consumed;
            return events.push(Event::LoggedIn);
        }
        events.push(if flow.stage == Stage::Sent { Event::Granted } else { Event::TwoGrantsByOneCode });
        flow.stage = Stage::Granted;
    }

    /// Checks the conditions under which a member is created.
    fn plan(self, state: &State, flow: Option<usize>) -> Result<(), Event> {
        let rules = &self.0;
        match flow.map(|flow| state.flows[flow]) {
            Some(flow) => {
                if rules.grants_consumed_under_condition && flow.stage != Stage::Granted {
                    return Err(Event::Repeated);
                }
                if rules.expiry_checked_at_commit && flow.has_expired {
                    return Err(Event::RefusedAsExpired);
                }
            }
            None if rules.ids_created_under_condition && state.is_vouched => return Err(Event::Repeated),
            None => (),
        }
        if rules.addresses_claimed_under_condition && state.owner != Owner::None {
            return Err(Event::RefusedAsOwned);
        }
        Ok(())
    }
}

/// Writes the member and claims the address.
fn write(state: &mut State, flow: Option<usize>, events: &mut Vec<Event>) {
    if state.owner != Owner::None {
        events.push(Event::TwoOwners);
    }
    if let Some(flow) = flow {
        state.flows[flow].has_created = true;
        state.owner = Owner::Member;
        events.push(Event::CreatedByGrant);
    } else {
        if state.is_vouched {
            events.push(Event::Overwritten);
        }
        (state.is_vouched, state.owner) = (true, Owner::Vouched);
        events.push(Event::CreatedAsVouched);
    }
}

#[test]
fn every_property_of_registrations_holds() {
    assert_holds(&Registration(Rules::ALL), &VIOLATIONS, 500, &MILESTONES);
}

#[test]
fn grant_creates_one_member() {
    let rules = Rules { grants_consumed_under_condition: false, ..Rules::ALL };
    let trace = violation(&Registration(rules), Event::TwoMembersByOneGrant);
    // The first member replaces the address before the second request is committed.
    assert!(trace.iter().any(|action| matches!(action, Action::Replace)));
}

#[test]
fn address_bound_meanwhile_creates_no_member() {
    let rules = Rules { addresses_claimed_under_condition: false, ..Rules::ALL };
    let trace = violation(&Registration(rules), Event::TwoOwners);
    assert!(matches!(trace.last(), Some(Action::Continue(Request { task: Task::Create, .. }))));
}

#[test]
fn every_other_rule_of_registrations_is_necessary() {
    for (rules, expected) in [
        (Rules { codes_consumed_under_condition: false, ..Rules::ALL }, Event::TwoGrantsByOneCode),
        (Rules { expiry_checked_at_commit: false, ..Rules::ALL }, Event::ConsumedExpired),
        (Rules { ids_created_under_condition: false, ..Rules::ALL }, Event::Overwritten),
        (Rules { creation_is_one_transaction: false, ..Rules::ALL }, Event::HalfACreation),
    ] {
        violation(&Registration(rules), expected);
    }
}
