//! The steps of the protocol: requests for codes, deliveries, attempts, commits, crashes, and the passing of time.
//!
//! A request that reads, decides and commits under conditions is two steps, with a possible crash and any other step
//! in between. Steps that touch one item only, or that commute with everything in between, are one.

use super::{
    checker::{Model, Step, bits},
    rules::{Event, Rules},
    state::{Address, Client, Flow, Id, Member, Purpose, Request, Stage, State, Stolen, Task},
};

/// The limits of a model. Nothing else is bounded: sessions, requests, changes and crashes may happen any number of
/// times.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Codes and grants that are pending at once.
    pub flows: usize,
    /// Requests in progress at once.
    pub requests: usize,
    /// Attempts at a code.
    pub attempts: u8,
    /// Whether the victim begins with an address.
    pub begins_bound: &'static [bool],
    /// Whether the neighbour is active.
    pub with_neighbour: bool,
    /// Whether the attacker can steal sessions of a recent login.
    pub with_recent_theft: bool,
    /// Whether members report changes.
    pub with_reports: bool,
}

/// The channel of addresses and codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Channel {
    /// The client that has the token of the flow binds the address, without a session. The proof for replacing an
    /// address is required when the code is requested.
    Mail,
    /// The session's member binds the phone. The proof for replacing one is required then. A code also changes the
    /// password.
    Sms,
}

impl Channel {
    pub const ALL: [Self; 2] = [Self::Mail, Self::Sms];
}

/// The protocol as a model.
#[derive(Clone, Copy, Debug)]
pub struct Protocol {
    pub rules: Rules,
    pub channel: Channel,
    pub bounds: Bounds,
}

/// The cause of a step.
#[derive(Clone, Copy, Debug)]
#[expect(dead_code, reason = "the fields appear in traces")]
pub enum Action {
    /// A client requests a code.
    RequestCode(Client, Purpose, Address),
    /// The stream delivers the notice of a deferred code, perhaps again.
    Deliver(Flow),
    /// A wrong code is sent.
    Guess(Flow),
    /// A client sends the right code.
    SendCode(Client, Flow),
    /// A client sends its grant.
    SendGrant(Client, Flow),
    /// A request in progress continues with its next request to the store.
    Continue(Task, Client, Flow),
    /// A request in progress ends without a response. Its client may repeat it.
    Crash(Task, Client, Flow),
    /// A code or grant expires.
    Expire(Flow),
    /// A member changes the password by the old one.
    ChangePassword(Id),
    /// The operator revokes the sessions of a member.
    Revoke(Id),
    /// The attacker steals a session of the victim, or a stolen one grows old.
    Steal(Stolen),
    /// A change is reported through the link in the notice to an address.
    Report(Id, Address),
}

/// The steps from a state.
pub type Steps = Vec<Step<State, Action>>;

impl Model for Protocol {
    type State = State;
    type Key = u128;
    type Action = Action;
    type Event = Event;

    fn initial(&self) -> Vec<State> {
        let member = |address| Member {
            address,
            is_immature: false,
            is_attackers: false,
            is_frozen: false,
            links: 0,
            is_settled: true,
            was_conceded: false,
        };
        let victim = |is_bound: &bool| member(is_bound.then_some(Address::Victims));
        let state = |is_bound| State {
            members: [victim(is_bound), member(Some(Address::Neighbours))],
            flows: [Flow::FREE; super::state::MAX_FLOWS],
            requests: [None; super::state::MAX_REQUESTS],
            stolen: Stolen::None,
        };
        self.bounds.begins_bound.iter().map(state).collect()
    }

    fn key(&self, state: &State) -> u128 {
        state.key()
    }

    fn steps(&self, state: &State) -> Steps {
        let mut steps = Vec::new();
        self.code_requests(state, &mut steps);
        for flow in 0..self.bounds.flows {
            if state.flows[flow].stage != Stage::Free {
                self.flow_steps(state, flow, &mut steps);
            }
        }
        for (slot, request) in state.requests.iter().enumerate() {
            if let Some(request) = request {
                self.request_steps(state, slot, *request, &mut steps);
            }
        }
        self.member_steps(state, &mut steps);
        steps
    }
}

/// Adds a step.
pub fn push(steps: &mut Steps, action: Action, state: State, events: &[Event]) {
    steps.push(Step { action, state: state.canonical(), events: bits(events) });
}

impl Protocol {
    fn clients(&self) -> impl Iterator<Item = Client> {
        let with_neighbour = self.bounds.with_neighbour;
        Client::ALL.into_iter().filter(move |client| with_neighbour || *client != Client::Neighbour)
    }

    /// Returns the member whose session a client has. A client that knows the password can log in at any time.
    fn session(state: &State, client: Client) -> Option<Id> {
        let logged_in = |id: Id| (!state.members[id as usize].is_attackers).then_some(id);
        match client {
            Client::Victim => logged_in(Id::Victim),
            Client::Neighbour => logged_in(Id::Neighbour),
            Client::Attacker => (state.stolen != Stolen::None).then_some(Id::Victim),
        }
    }

    /// Returns whether a client logged in recently or can send the password.
    fn is_proven(state: &State, client: Client) -> bool {
        client != Client::Attacker || state.stolen == Stolen::Recent
    }

    /// Requests for codes. A code for a session records the member as the session was authenticated. The request that
    /// stores it has no condition on the member, so that the order of these two does not matter.
    fn code_requests(&self, state: &State, steps: &mut Steps) {
        let Some(free) = (0..self.bounds.flows).find(|flow| state.flows[*flow].stage == Stage::Free) else {
            return;
        };
        for client in self.clients() {
            for address in Address::ALL {
                for purpose in [Purpose::Bind, Purpose::Change, Purpose::Recover] {
                    let Some(flow) = self.new_code(state, client, purpose, address) else { continue };
                    let mut after = *state;
                    let mut events = Vec::new();
                    for older in &mut after.flows {
                        if older.is_pending() && self.have_one_key(older, &flow) {
                            if is_usable(older, state) && !are_of_one_client(older, &flow) {
                                events.push(Event::VoidedByAStranger);
                            }
                            older.stage = Stage::Replaced;
                        }
                    }
                    after.flows[free] = flow;
                    push(steps, Action::RequestCode(client, purpose, address), after, &events);
                }
            }
        }
    }

    fn new_code(&self, state: &State, client: Client, purpose: Purpose, address: Address) -> Option<Flow> {
        let flow = Flow { purpose, client, address, ..Flow::FREE };
        if purpose == Purpose::Recover {
            // A recovery by another address sends nothing that the client reads. The attacker also tries the victim's.
            let is_of_interest =
                client.reads(address) || (client == Client::Attacker && address == Address::Victims);
            return is_of_interest.then_some(Flow { stage: Stage::Queued, ..flow });
        }
        let id = Self::session(state, client)?;
        let member = state.members[id as usize];
        let (replaces, was_proven) = (member.replaced_by(address), Self::is_proven(state, client));
        let is_allowed = match purpose {
            Purpose::Bind => {
                let is_checked_now = self.channel == Channel::Mail && self.rules.replacing_requires_proof;
                client.reads(address)
                    && member.address != Some(address)
                    && (!is_checked_now || replaces.is_none() || was_proven)
            }
            Purpose::Change => self.channel == Channel::Sms && member.address == Some(address),
            Purpose::Recover => false,
        };
        // By SMS, the request that binds has the proof.
        let was_proven = was_proven && purpose == Purpose::Bind && self.channel == Channel::Mail;
        let flow =
            Flow { stage: Stage::Sent, member: Some(id), is_current: true, replaces, was_proven, ..flow };
        is_allowed.then_some(flow)
    }

    /// Returns whether two codes are stored under the same key, so that one replaces the other.
    fn have_one_key(&self, older: &Flow, newer: &Flow) -> bool {
        let is_same = older.address == newer.address && older.purpose == newer.purpose;
        let is_same_client = match newer.purpose {
            _ if !self.rules.codes_keyed_by_flow => true,
            Purpose::Change => true,
            Purpose::Bind => self.channel == Channel::Sms && older.member == newer.member,
            Purpose::Recover => false,
        };
        is_same && is_same_client
    }

    /// Deliveries, attempts, the use of a grant, and expiry.
    fn flow_steps(&self, state: &State, index: usize, steps: &mut Steps) {
        let flow = state.flows[index];
        if flow.has_expired {
            return;
        }
        if flow.purpose == Purpose::Recover {
            self.deliver(state, index, steps);
        }
        if flow.is_pending() && flow.attempts < self.bounds.attempts {
            if self.rules.attempts_counted_first {
                let mut after = *state;
                count_attempt(&mut after.flows[index]);
                let is_last = after.flows[index].attempts == self.bounds.attempts;
                let events: &[Event] = if is_last { &[Event::AttemptsUsedUp] } else { &[] };
                push(steps, Action::Guess(flow), after, events);
            } else {
                let compare =
                    Request { task: Task::Compare, attempts: flow.attempts, ..request(index, flow.client) };
                self.begin(state, Action::Guess(flow), compare, steps);
            }
        }
        for client in self.clients() {
            self.use_flow(state, index, client, steps);
        }
        if matches!(flow.stage, Stage::Queued | Stage::Sent | Stage::Granted) {
            let mut after = *state;
            after.flows[index].has_expired = true;
            push(steps, Action::Expire(flow), after, &[]);
        }
    }

    /// Delivers the notice of a deferred code: the owner's code is generated, marked and sent.
    fn deliver(&self, state: &State, index: usize, steps: &mut Steps) {
        let flow = state.flows[index];
        let is_owner = |id: &Id| state.members[*id as usize].is_reset_by(flow.address);
        let Some(owner) = Id::ALL.into_iter().find(is_owner) else { return };
        let mut after = *state;
        let events: &[Event] = match flow.stage {
            Stage::Sent if self.rules.delivery_is_marked => &[Event::DuplicateIgnored],
            Stage::Sent => &[Event::SentTwice],
            Stage::Queued => &[],
            _ => return,
        };
        if flow.stage == Stage::Queued {
            let sent = &mut after.flows[index];
            (sent.stage, sent.member, sent.is_current) = (Stage::Sent, Some(owner), true);
        }
        push(steps, Action::Deliver(flow), after, events);
    }

    /// Begins a request with the right code or with the grant, if the client has what it takes.
    fn use_flow(&self, state: &State, index: usize, client: Client, steps: &mut Steps) {
        let flow = state.flows[index];
        let Some(id) = flow.member else { return };
        let needs_session = self.needs_session(&flow);
        let is_holder =
            if needs_session { Self::session(state, client) == Some(id) } else { flow.client == client };
        if !is_holder || !client.reads(flow.address) {
            return;
        }
        let mut begun = Request {
            has_session: needs_session,
            is_proven: needs_session && flow.purpose == Purpose::Bind && Self::is_proven(state, client),
            ..request(index, client)
        };
        if !self.rules.change_requires_revision {
            begun.address = state.members[id as usize].address;
            begun.was_current = flow.is_current;
        }
        let mut after = *state;
        match flow.stage {
            Stage::Sent if flow.attempts < self.bounds.attempts => {
                count_attempt(&mut after.flows[index]);
                self.begin(&after, Action::SendCode(client, flow), begun, steps);
            }
            Stage::Granted => {
                begun.task = Task::UseGrant;
                self.begin(&after, Action::SendGrant(client, flow), begun, steps);
            }
            _ => (),
        }
    }

    pub fn needs_session(&self, flow: &Flow) -> bool {
        match flow.purpose {
            Purpose::Bind => self.channel == Channel::Sms,
            Purpose::Change => true,
            Purpose::Recover => false,
        }
    }

    fn begin(&self, state: &State, action: Action, request: Request, steps: &mut Steps) {
        let free = state.requests[..self.bounds.requests].iter().position(Option::is_none);
        if let Some(free) = free {
            let mut after = *state;
            after.requests[free] = Some(request);
            push(steps, action, after, &[]);
        }
    }

    /// Changes by the old password, revocations, reports, and thefts.
    fn member_steps(&self, state: &State, steps: &mut Steps) {
        for id in Id::ALL {
            let is_idle = id == Id::Neighbour && !self.bounds.with_neighbour;
            if is_idle {
                continue;
            }
            let member = state.members[id as usize];
            let raised = self.with_raised_version(state, id);
            if !member.is_attackers && !self.is_refused_as_frozen(member) {
                let events: &[Event] = if member.is_frozen { &[Event::ChangedWhileFrozen] } else { &[] };
                push(steps, Action::ChangePassword(id), raised, events);
            }
            push(steps, Action::Revoke(id), raised, &[]);
            for address in Address::ALL {
                if member.links & Member::link(address) != 0 {
                    let (after, events) = self.reported(state, id, address);
                    push(steps, Action::Report(id, address), after, &events);
                }
            }
        }
        for stolen in [Stolen::Old, Stolen::Recent] {
            if stolen != state.stolen && (stolen == Stolen::Old || self.bounds.with_recent_theft) {
                push(steps, Action::Steal(stolen), State { stolen, ..*state }, &[]);
            }
        }
    }
}

/// Returns a request in progress of a client, with a code.
fn request(flow: usize, client: Client) -> Request {
    Request {
        task: Task::UseCode,
        client,
        flow,
        has_session: false,
        is_proven: false,
        address: None,
        was_current: false,
        attempts: 0,
    }
}

fn count_attempt(flow: &mut Flow) {
    flow.attempts += 1;
    flow.compared += 1;
}

/// Returns whether a code can still lead to a change.
fn is_usable(flow: &Flow, state: &State) -> bool {
    let Some(id) = flow.member else { return flow.stage == Stage::Queued };
    let member = state.members[id as usize];
    let has_cause = match flow.purpose {
        Purpose::Bind => member.replaced_by(flow.address) == flow.replaces,
        Purpose::Change | Purpose::Recover => member.is_reset_by(flow.address),
    };
    has_cause && flow.is_current
}

/// Returns whether two codes were requested by the same session's member, or by the same client without a session.
fn are_of_one_client(older: &Flow, newer: &Flow) -> bool {
    match newer.purpose {
        Purpose::Recover => older.client == newer.client,
        Purpose::Bind | Purpose::Change => older.member == newer.member,
    }
}
