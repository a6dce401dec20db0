//! The state of the model: two members, the codes and grants that are pending, and the requests that are in progress.

use std::fmt;

/// The most codes and grants that can be pending at once, in any model.
pub const MAX_FLOWS: usize = 3;
/// The most requests that can be in progress at once, in any model.
pub const MAX_REQUESTS: usize = 2;

/// A client. The victim's and the neighbour's know the password of their member. The attacker's can steal sessions of
/// the victim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Client {
    Victim,
    Neighbour,
    Attacker,
}

impl Client {
    pub const ALL: [Self; 3] = [Self::Victim, Self::Neighbour, Self::Attacker];

    /// Returns whether the client's person reads what is sent to an address.
    pub fn reads(self, address: Address) -> bool {
        match address {
            Address::Victims => self == Self::Victim,
            Address::Neighbours => self == Self::Neighbour,
            Address::Shared => self != Self::Attacker,
            Address::Attackers => self == Self::Attacker,
        }
    }
}

/// A member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Id {
    Victim,
    Neighbour,
}

impl Id {
    pub const ALL: [Self; 2] = [Self::Victim, Self::Neighbour];
}

/// A phone or an email address, named after its readers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Address {
    Victims,
    Neighbours,
    Shared,
    Attackers,
}

impl Address {
    pub const ALL: [Self; 4] = [Self::Victims, Self::Neighbours, Self::Shared, Self::Attackers];
}

/// A member as stored. The model needs no credential version: everything that records one has a bit that is lost when
/// the version rises, since a version never returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "independent facts")]
pub struct Member {
    pub address: Option<Address>,
    /// The address resets nothing yet, because it was bound without a proof.
    pub is_immature: bool,
    /// Whether the attacker set the password.
    pub is_attackers: bool,
    /// After the member reported a change, until a recovery.
    pub is_frozen: bool,
    /// The addresses that have a link to report a change, a bit for each.
    pub links: u8,
    /// The address was bound before the oldest link was sent.
    pub is_settled: bool,
    /// Only for the properties: the attacker bound the address with a proof, which no rule stops.
    pub was_conceded: bool,
}

impl Member {
    /// Returns the address that binding another one would replace.
    pub fn replaced_by(self, address: Address) -> Option<Address> {
        self.address.filter(|own| *own != address)
    }

    /// Returns whether a code that was sent to an address is a proof for the member.
    pub fn is_reset_by(self, address: Address) -> bool {
        self.address == Some(address) && !self.is_immature
    }

    /// Returns the bit of an address in [`Member::links`].
    pub fn link(address: Address) -> u8 {
        1 << address as u8
    }
}

/// The purpose of a code. `Change` changes the password by a code, and only phones have it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    Bind,
    Change,
    Recover,
}

/// The life of a code and of its grant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// No code.
    Free,
    /// Requested without a session, and generated when the notice is delivered.
    Queued,
    /// Generated and sent.
    Sent,
    /// Removed by a newer code.
    Replaced,
    /// Consumed by a change.
    Consumed,
    /// Exchanged for a grant.
    Granted,
    /// Exchanged for a grant, which a change consumed.
    Spent,
}

/// A code, and later its grant.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Flow {
    pub stage: Stage,
    pub purpose: Purpose,
    /// The client that requested it and has the token of the flow.
    pub client: Client,
    /// The member whom it is for. A queued code has none.
    pub member: Option<Id>,
    pub address: Address,
    pub has_expired: bool,
    pub attempts: u8,
    /// Only for the properties: how many attempts were compared.
    pub compared: u8,
    /// The recorded credential version is the member's.
    pub is_current: bool,
    /// The recorded address that a bind replaces.
    pub replaces: Option<Address>,
    /// The client had logged in recently or sent the password.
    pub was_proven: bool,
}

impl Flow {
    /// No code.
    pub const FREE: Self = Self {
        stage: Stage::Free,
        purpose: Purpose::Bind,
        client: Client::Victim,
        member: None,
        address: Address::Victims,
        has_expired: false,
        attempts: 0,
        compared: 0,
        is_current: false,
        replaces: None,
        was_proven: false,
    };

    /// Returns whether an attempt at the code is counted at all.
    pub fn is_pending(&self) -> bool {
        matches!(self.stage, Stage::Queued | Stage::Sent) && !self.has_expired
    }
}

impl fmt::Debug for Flow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { stage, purpose, client, address, .. } = self;
        write!(f, "{stage:?} code of {client:?} to {purpose:?} by {address:?}")
    }
}

/// What a request in progress does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Task {
    /// The right code was compared: commit.
    UseCode,
    /// The grant was read: commit.
    UseGrant,
    /// The code was consumed outside a transaction: write the member.
    Write,
    /// The attempts were read but not counted: compare a wrong code.
    Compare,
}

/// A request in progress, between two of its requests to the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    pub task: Task,
    pub client: Client,
    pub flow: usize,
    /// The session of the request has not ended.
    pub has_session: bool,
    /// The session's login is recent, or the request has the password.
    pub is_proven: bool,
    /// The member's address as read, unless the commit requires that no one wrote the member since.
    pub address: Option<Address>,
    /// Whether the code's credential version was the member's as read, under the same condition.
    pub was_current: bool,
    /// The attempts as read, for [`Task::Compare`].
    pub attempts: u8,
}

/// The session of the victim that the attacker has. One that ended is as good as none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stolen {
    None,
    /// Of a login that is not recent.
    Old,
    Recent,
}

/// A state of the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct State {
    pub members: [Member; 2],
    pub flows: [Flow; MAX_FLOWS],
    pub requests: [Option<Request>; MAX_REQUESTS],
    pub stolen: Stolen,
}

impl State {
    /// Returns the state with its codes and requests in a canonical order, and without codes that are neither stored
    /// nor used by a request in progress.
    pub fn canonical(mut self) -> Self {
        for flow in 0..MAX_FLOWS {
            let ended = matches!(self.flows[flow].stage, Stage::Consumed | Stage::Replaced | Stage::Spent);
            if (ended || self.flows[flow].has_expired)
                && !self.requests.iter().flatten().any(|r| r.flow == flow)
            {
                self.flows[flow] = Flow::FREE;
            }
        }
        let mut keys = self.flows.map(|flow| flow_key(&flow));
        for (left, right) in [(0, 1), (1, 2), (0, 1)] {
            if keys[left] < keys[right] {
                keys.swap(left, right);
                self.flows.swap(left, right);
                for request in self.requests.iter_mut().flatten() {
                    request.flow = match request.flow {
                        flow if flow == left => right,
                        flow if flow == right => left,
                        flow => flow,
                    };
                }
            }
        }
        if request_key(self.requests[0].as_ref()) < request_key(self.requests[1].as_ref()) {
            self.requests.swap(0, 1);
        }
        self
    }

    /// Returns the state as a number. Each field has bits of its own.
    pub fn key(&self) -> u128 {
        let mut key = self.stolen as u128;
        for member in self.members {
            key = (key << 12) | u128::from(member_key(member));
        }
        for flow in &self.flows {
            key = (key << 21) | u128::from(flow_key(flow));
        }
        for request in &self.requests {
            key = (key << 15) | u128::from(request_key(request.as_ref()));
        }
        key
    }
}

// Shifts, and no loop over the fields: these functions take most of the time without optimisation.

fn member_key(member: Member) -> u32 {
    let key = address_key(member.address);
    let key = (key << 1) | u32::from(member.is_immature);
    let key = (key << 1) | u32::from(member.is_attackers);
    let key = (key << 1) | u32::from(member.is_frozen);
    let key = (key << 4) | u32::from(member.links);
    let key = (key << 1) | u32::from(member.is_settled);
    (key << 1) | u32::from(member.was_conceded)
}

fn flow_key(flow: &Flow) -> u32 {
    if flow.stage == Stage::Free {
        return 0;
    }
    let key = flow.stage as u32;
    let key = (key << 2) | flow.purpose as u32;
    let key = (key << 2) | flow.client as u32;
    let key = (key << 2) | flow.member.map_or(0, |member| member as u32 + 1);
    let key = (key << 2) | flow.address as u32;
    let key = (key << 1) | u32::from(flow.has_expired);
    let key = (key << 2) | u32::from(flow.attempts);
    let key = (key << 2) | u32::from(flow.compared);
    let key = (key << 1) | u32::from(flow.is_current);
    let key = (key << 3) | address_key(flow.replaces);
    (key << 1) | u32::from(flow.was_proven)
}

fn request_key(request: Option<&Request>) -> u32 {
    let Some(request) = request else { return 0 };
    let key = 0b100 | request.task as u32;
    let key = (key << 2) | request.client as u32;
    let key = (key << 2) | u32::try_from(request.flow).unwrap();
    let key = (key << 1) | u32::from(request.has_session);
    let key = (key << 1) | u32::from(request.is_proven);
    let key = (key << 3) | address_key(request.address);
    let key = (key << 1) | u32::from(request.was_current);
    (key << 2) | u32::from(request.attempts)
}

fn address_key(address: Option<Address>) -> u32 {
    address.map_or(0, |address| address as u32 + 1)
}
