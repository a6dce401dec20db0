//! Log-ins: the victim has a phone and an email address, and an attacker gets the victim's number or an old session.
//!
//! The rest of the model begins with sessions that exist, and a member has one contact there. Here a bind is one step,
//! because its code and its conditions are checked there.

use super::checker::{self, Model, Step, assert_holds, bits, violation};

/// The rules of a log-in. Each can be turned off.
#[derive(Clone, Copy, Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "one for each rule, so that a test can turn any of them off"
)]
struct Rules {
    /// Only a login with the password counts as a reauthentication. One by code does not.
    only_password_login_proves: bool,
    /// A code to log in is delivered only to a mature phone or email address.
    log_in_codes_require_maturity: bool,
    /// A code to register, which is delivered to anyone, logs in only through a mature phone or email address.
    register_codes_require_maturity: bool,
    /// A code records the credential version of the member who has its address, and logs in only under that version.
    codes_carry_version: bool,
    /// A code logs in only while its address is the member's.
    codes_require_own_address: bool,
    /// A code is consumed under the condition that it is still stored.
    codes_consumed_under_condition: bool,
    /// A session has the credential version under which the password was compared.
    sessions_carry_compared_version: bool,
    /// A member who reported a change does not log in before a recovery.
    frozen_members_are_refused: bool,
}

impl Rules {
    const ALL: Self = Self {
        only_password_login_proves: true,
        log_in_codes_require_maturity: true,
        register_codes_require_maturity: true,
        codes_carry_version: true,
        codes_require_own_address: true,
        codes_consumed_under_condition: true,
        sessions_carry_compared_version: true,
        frozen_members_are_refused: true,
    };
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Event {
    // Violations.
    /// The attacker replaced a contact without the password.
    ReplacedWithoutPassword,
    /// The attacker recovered the password through a contact that they bound.
    TakenOver,
    /// The attacker logged in through a contact that they bound without a proof, after their session ended.
    SessionOutlivedByContact,
    /// A code logged in through an address that was replaced.
    LoggedInByFormerAddress,
    /// A frozen member logged in.
    LoggedInWhileFrozen,
    /// A code logged in after the credential version rose that it was sent under.
    ConsumedAfterItsCause,
    /// A code logged in twice.
    ConsumedTwice,
    /// A session is valid although the credentials changed after the password was compared.
    SessionOutlivedChange,

    // Milestones.
    LoggedInByPassword,
    LoggedInByCode,
    /// The attacker logged in by a code to the victim's number, which no rule stops.
    LoggedInByNumber,
    /// The attacker recovered the password by the victim's number, which no rule stops.
    ConcededTakeover,
    BoundFirst,
    RefusedWithoutProof,
    RefusedAsImmature,
    RefusedForVersion,
    RefusedForAddress,
    RefusedAsConsumed,
    RefusedAsFrozen,
    /// A session was issued that had ended before.
    IssuedEnded,
    Unfrozen,
}

impl checker::Event for Event {
    fn number(self) -> u32 {
        self as u32
    }
}

const VIOLATIONS: [Event; 8] = [
    Event::ReplacedWithoutPassword,
    Event::TakenOver,
    Event::SessionOutlivedByContact,
    Event::LoggedInByFormerAddress,
    Event::LoggedInWhileFrozen,
    Event::ConsumedAfterItsCause,
    Event::ConsumedTwice,
    Event::SessionOutlivedChange,
];

const MILESTONES: [Event; 13] = [
    Event::LoggedInByPassword,
    Event::LoggedInByCode,
    Event::LoggedInByNumber,
    Event::ConcededTakeover,
    Event::BoundFirst,
    Event::RefusedWithoutProof,
    Event::RefusedAsImmature,
    Event::RefusedForVersion,
    Event::RefusedForAddress,
    Event::RefusedAsConsumed,
    Event::RefusedAsFrozen,
    Event::IssuedEnded,
    Event::Unfrozen,
];

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Client {
    /// Knows the password.
    Victim,
    Attacker,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Address {
    /// The number that the attacker can get: by a second SIM, or from the carrier after the victim gave it up.
    Number,
    /// The victim's next phone.
    NextPhone,
    Email,
    AttackersPhone,
    AttackersEmail,
}

impl Address {
    const ALL: [Self; 5] =
        [Self::Number, Self::NextPhone, Self::Email, Self::AttackersPhone, Self::AttackersEmail];

    fn is_phone(self) -> bool {
        matches!(self, Self::Number | Self::NextPhone | Self::AttackersPhone)
    }

    fn is_attackers(self) -> bool {
        matches!(self, Self::AttackersPhone | Self::AttackersEmail)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Purpose {
    LogIn,
    Register,
}

/// The bound phone or email address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Contact {
    address: Address,
    /// It was bound without a proof, and never matures: the victim reacts in time.
    is_immature: bool,
}

/// The attacker's session of the victim.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Session {
    None,
    /// Of a login that is not recent.
    Stolen,
    ByCode,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Code {
    purpose: Purpose,
    client: Client,
    address: Address,
    /// The address was the member's when the code was sent.
    is_for_member: bool,
    /// The credential version is that under which the code was sent.
    is_current: bool,
    is_consumed: bool,
}

/// A log-in in progress, with the right password or the right code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Request {
    Password {
        /// The credential version is that under which the password was compared.
        is_current: bool,
    },
    Code,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct State {
    phone: Contact,
    email: Option<Contact>,
    /// The attacker reads what is sent to the victim's number.
    is_number_attackers: bool,
    session: Session,
    is_frozen: bool,
    code: Option<Code>,
    requests: [Option<Request>; 2],
}

impl State {
    fn contact(&self, address: Address) -> Option<Contact> {
        if address.is_phone() { Some(self.phone) } else { self.email }
    }

    /// Returns the contact that is this address.
    fn own(&self, address: Address) -> Option<Contact> {
        self.contact(address).filter(|contact| contact.address == address)
    }

    fn with(mut self, contact: Contact) -> Self {
        if contact.address.is_phone() {
            self.phone = contact;
        } else {
            self.email = Some(contact);
        }
        self
    }

    fn reads(&self, client: Client, address: Address) -> bool {
        let is_attackers = match address {
            Address::Number => self.is_number_attackers,
            _ => address.is_attackers(),
        };
        is_attackers == (client == Client::Attacker)
    }

    /// Raises the credential version.
    fn ended(mut self) -> Self {
        self.session = Session::None;
        if let Some(code) = &mut self.code {
            code.is_current = false;
        }
        for request in self.requests.iter_mut().flatten() {
            if let Request::Password { is_current } = request {
                *is_current = false;
            }
        }
        self
    }

    fn uses_code(&self) -> bool {
        self.requests.contains(&Some(Request::Code))
    }

    /// Returns the state with its requests in a canonical order, and without a code that was consumed.
    fn canonical(mut self) -> Self {
        if self.code.is_some_and(|code| code.is_consumed) && !self.uses_code() {
            self.code = None;
        }
        let [left, right] = self.requests;
        let rank = |request: Option<Request>| match request {
            None => 3,
            Some(Request::Password { is_current }) => u8::from(is_current),
            Some(Request::Code) => 2,
        };
        if rank(left) > rank(right) {
            self.requests = [right, left];
        }
        self
    }
}

#[derive(Clone, Copy, Debug)]
#[expect(dead_code, reason = "the fields appear in traces")]
enum Action {
    /// The attacker gets the victim's number, or the victim gets it back.
    MoveNumber,
    /// The attacker steals a session of an old login.
    Steal,
    ChangePassword,
    Revoke,
    /// The victim reports a change.
    Report,
    Recover(Client, Address),
    Bind(Client, Address),
    RequestCode(Client, Purpose, Address),
    /// The password is right and compared.
    SendPassword,
    /// The code is right and compared.
    SendCode(Code),
    Continue(Request),
    Crash(Request),
    Expire(Code),
}

type Steps = Vec<Step<State, Action>>;

fn push(steps: &mut Steps, action: Action, state: State, events: &[Event]) {
    steps.push(Step { action, state: state.canonical(), events: bits(events) });
}

#[derive(Clone, Copy, Debug)]
struct LogIn(Rules);

impl Model for LogIn {
    type State = State;
    type Key = State;
    type Action = Action;
    type Event = Event;

    fn initial(&self) -> Vec<State> {
        let contact = |address| Contact { address, is_immature: false };
        let state = |email| State {
            phone: contact(Address::Number),
            email,
            is_number_attackers: false,
            session: Session::None,
            is_frozen: false,
            code: None,
            requests: [None; 2],
        };
        vec![state(Some(contact(Address::Email))), state(None)]
    }

    fn key(&self, state: &State) -> State {
        *state
    }

    fn steps(&self, state: &State) -> Steps {
        let mut steps = Vec::new();
        member_steps(state, &mut steps);
        self.binds(state, &mut steps);
        self.code_steps(state, &mut steps);
        self.request_steps(state, &mut steps);
        steps
    }
}

/// Thefts, changes of the password, reports and recoveries.
fn member_steps(state: &State, steps: &mut Steps) {
    let is_number_attackers = !state.is_number_attackers;
    push(steps, Action::MoveNumber, State { is_number_attackers, ..*state }, &[]);
    if state.session == Session::None {
        push(steps, Action::Steal, State { session: Session::Stolen, ..*state }, &[]);
    }
    if !state.is_frozen {
        push(steps, Action::ChangePassword, state.ended(), &[]);
    }
    push(steps, Action::Revoke, state.ended(), &[]);
    if state.own(Address::Email).is_some_and(|email| !email.is_immature) {
        push(steps, Action::Report, State { is_frozen: true, ..state.ended() }, &[]);
    }
    for contact in [Some(state.phone), state.email].into_iter().flatten().filter(|own| !own.is_immature) {
        let address = contact.address;
        if address.is_attackers() {
            push(steps, Action::Recover(Client::Attacker, address), *state, &[Event::TakenOver]);
        } else if state.reads(Client::Attacker, address) {
            // The attacker has the password from here on. No property of this model is left.
            push(steps, Action::Recover(Client::Attacker, address), *state, &[Event::ConcededTakeover]);
        } else if address == Address::Email {
            let events: &[Event] = if state.is_frozen { &[Event::Unfrozen] } else { &[] };
            let after = State { is_frozen: false, ..state.ended() };
            push(steps, Action::Recover(Client::Victim, address), after, events);
        }
    }
}

impl LogIn {
    fn is_refused_as_frozen(self, state: &State) -> bool {
        state.is_frozen && self.0.frozen_members_are_refused
    }

    /// The victim binds contacts with the password, and the attacker with a session.
    fn binds(self, state: &State, steps: &mut Steps) {
        if state.is_frozen {
            return;
        }
        for address in [Address::NextPhone, Address::Email] {
            if state.own(address).is_none_or(|own| own.is_immature) {
                let after = state.with(Contact { address, is_immature: false });
                push(steps, Action::Bind(Client::Victim, address), after, &[]);
            }
        }
        if state.session == Session::None {
            return;
        }
        let is_proven = state.session == Session::ByCode && !self.0.only_password_login_proves;
        for address in [Address::AttackersPhone, Address::AttackersEmail] {
            let action = Action::Bind(Client::Attacker, address);
            let after = state.with(Contact { address, is_immature: !is_proven });
            match state.contact(address) {
                Some(own) if own.address == address => (),
                Some(_) if is_proven => push(steps, action, after, &[Event::ReplacedWithoutPassword]),
                Some(_) => push(steps, action, *state, &[Event::RefusedWithoutProof]),
                None => push(steps, action, after, &[Event::BoundFirst]),
            }
        }
    }

    /// Codes are requested and expire.
    fn code_steps(self, state: &State, steps: &mut Steps) {
        if let Some(code) = state.code {
            if !state.uses_code() {
                push(steps, Action::Expire(code), State { code: None, ..*state }, &[]);
            }
            return;
        }
        for client in [Client::Victim, Client::Attacker] {
            for address in Address::ALL.into_iter().filter(|address| state.reads(client, *address)) {
                for purpose in [Purpose::LogIn, Purpose::Register] {
                    let own = state.own(address);
                    let may_log_in = |own: Contact| !own.is_immature || !self.0.log_in_codes_require_maturity;
                    if purpose == Purpose::LogIn && !own.is_some_and(may_log_in) {
                        continue;
                    }
                    let is_for_member = own.is_some();
                    let code = Code {
                        purpose,
                        client,
                        address,
                        is_for_member,
                        is_current: is_for_member,
                        is_consumed: false,
                    };
                    let after = State { code: Some(code), ..*state };
                    push(steps, Action::RequestCode(client, purpose, address), after, &[]);
                }
            }
        }
    }

    /// Log-ins begin, continue and crash.
    fn request_steps(self, state: &State, steps: &mut Steps) {
        if let Some(free) = state.requests.iter().position(Option::is_none) {
            let begun = |request| {
                let mut after = *state;
                after.requests[free] = Some(request);
                after
            };
            if self.is_refused_as_frozen(state) {
                push(steps, Action::SendPassword, *state, &[Event::RefusedAsFrozen]);
            } else {
                push(steps, Action::SendPassword, begun(Request::Password { is_current: true }), &[]);
            }
            if let Some(code) = state.code.filter(|code| !code.is_consumed) {
                push(steps, Action::SendCode(code), begun(Request::Code), &[]);
            }
        }
        for slot in 0..state.requests.len() {
            let Some(request) = state.requests[slot] else { continue };
            let mut ended = *state;
            ended.requests[slot] = None;
            push(steps, Action::Crash(request), ended, &[]);
            let mut events = Vec::new();
            match (request, state.code) {
                (Request::Password { is_current }, _) => self.issue(state, is_current, &mut events),
                (Request::Code, Some(code)) => match self.plan(state, code) {
                    Ok(()) => log_in(state, &mut ended, code, &mut events),
                    Err(refusal) => events.push(refusal),
                },
                (Request::Code, None) => (),
            }
            push(steps, Action::Continue(request), ended, &events);
        }
    }

    /// Issues the session of a compared password.
    fn issue(self, state: &State, is_current: bool, events: &mut Vec<Event>) {
        if is_current && state.is_frozen {
            events.push(Event::LoggedInWhileFrozen);
        }
        events.push(match is_current {
            true => Event::LoggedInByPassword,
            false if self.0.sessions_carry_compared_version => Event::IssuedEnded,
            false => Event::SessionOutlivedChange,
        });
    }

    /// Checks the conditions under which a code logs in.
    fn plan(self, state: &State, code: Code) -> Result<(), Event> {
        let rules = &self.0;
        if rules.codes_consumed_under_condition && code.is_consumed {
            return Err(Event::RefusedAsConsumed);
        }
        let Some(own) = state.own(code.address) else {
            // A code to register becomes a grant, and a code to log in is not valid any more.
            let is_refused = code.purpose == Purpose::Register || rules.codes_require_own_address;
            return if is_refused { Err(Event::RefusedForAddress) } else { Ok(()) };
        };
        if rules.codes_carry_version && code.is_for_member && !code.is_current {
            return Err(Event::RefusedForVersion);
        }
        if code.purpose == Purpose::Register && own.is_immature && rules.register_codes_require_maturity {
            return Err(Event::RefusedAsImmature);
        }
        if self.is_refused_as_frozen(state) {
            return Err(Event::RefusedAsFrozen);
        }
        Ok(())
    }
}

/// Consumes the code and issues the session.
fn log_in(state: &State, after: &mut State, code: Code, events: &mut Vec<Event>) {
    let own = state.own(code.address);
    let is_attacker = code.client == Client::Attacker;
    if code.is_consumed {
        events.push(Event::ConsumedTwice);
    }
    if code.is_for_member && !code.is_current {
        events.push(Event::ConsumedAfterItsCause);
    }
    if own.is_none() {
        events.push(Event::LoggedInByFormerAddress);
    }
    if is_attacker && own.is_some_and(|own| own.is_immature) && state.session == Session::None {
        events.push(Event::SessionOutlivedByContact);
    }
    if state.is_frozen {
        events.push(Event::LoggedInWhileFrozen);
    }
    events.push(if is_attacker { Event::LoggedInByNumber } else { Event::LoggedInByCode });
    after.code = Some(Code { is_consumed: true, ..code });
    if is_attacker {
        after.session = Session::ByCode;
    }
}

#[test]
fn every_property_of_log_ins_holds() {
    assert_holds(&LogIn(Rules::ALL), &VIOLATIONS, 5_000, &MILESTONES);
}

#[test]
fn log_in_by_code_proves_nothing() {
    let rules = Rules { only_password_login_proves: false, ..Rules::ALL };
    for expected in [Event::ReplacedWithoutPassword, Event::TakenOver] {
        let trace = violation(&LogIn(rules), expected);
        // The attacker has the number for a while, logs in by a code to it, and binds an address of their own.
        assert!(trace.iter().any(|action| matches!(action, Action::MoveNumber)));
        let bound = |action: &Action| matches!(action, Action::Bind(Client::Attacker, _));
        assert!(trace.iter().any(bound));
    }
}

#[test]
fn immature_contact_logs_no_one_in() {
    let lacks = [
        (Rules { log_in_codes_require_maturity: false, ..Rules::ALL }, Purpose::LogIn),
        (Rules { register_codes_require_maturity: false, ..Rules::ALL }, Purpose::Register),
    ];
    for (rules, expected) in lacks {
        let trace = violation(&LogIn(rules), Event::SessionOutlivedByContact);
        // An old session binds a contact, the victim ends that session, and the contact begins another one.
        assert!(trace.iter().any(|action| matches!(action, Action::Steal)));
        let is_requested =
            |action: &Action| matches!(action, Action::RequestCode(_, purpose, _) if *purpose == expected);
        assert!(trace.iter().any(is_requested));
    }
}

#[test]
fn every_other_rule_of_log_ins_is_necessary() {
    for (rules, expected) in [
        (Rules { codes_carry_version: false, ..Rules::ALL }, Event::ConsumedAfterItsCause),
        (Rules { codes_require_own_address: false, ..Rules::ALL }, Event::LoggedInByFormerAddress),
        (Rules { codes_consumed_under_condition: false, ..Rules::ALL }, Event::ConsumedTwice),
        (Rules { sessions_carry_compared_version: false, ..Rules::ALL }, Event::SessionOutlivedChange),
        (Rules { frozen_members_are_refused: false, ..Rules::ALL }, Event::LoggedInWhileFrozen),
    ] {
        violation(&LogIn(rules), expected);
    }
}
