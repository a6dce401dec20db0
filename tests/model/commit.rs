//! The end of a request in progress: the plan, the conditions of its transaction, and its effects.

use super::{
    protocol::{Action, Channel, Protocol, Steps, push},
    rules::Event,
    state::{Address, Client, Id, Member, Purpose, Request, Stage, State, Stolen, Task},
};

impl Protocol {
    /// A request in progress continues or crashes.
    pub fn request_steps(&self, state: &State, slot: usize, request: Request, steps: &mut Steps) {
        let flow = state.flows[request.flow];
        let mut ended = *state;
        ended.requests[slot] = None;
        let events: &[Event] = if request.task == Task::Write { &[Event::HalfAChange] } else { &[] };
        push(steps, Action::Crash(request.task, request.client, flow), ended, events);

        let mut events = Vec::new();
        let after = match request.task {
            Task::Compare => {
                let mut after = ended;
                let flow = &mut after.flows[request.flow];
                flow.attempts = request.attempts + 1;
                flow.compared = flow.compared.saturating_add(1).min(self.bounds.attempts + 1);
                if flow.compared > self.bounds.attempts {
                    events.push(Event::TooManyAttempts);
                }
                after
            }
            Task::Write => self.write(&ended, &request, &mut events),
            Task::UseCode | Task::UseGrant => match self.plan(state, &request) {
                Ok(()) => self.commit(&ended, slot, &request, &mut events),
                Err(refusal) => {
                    events.push(refusal);
                    ended
                }
            },
        };
        push(steps, Action::Continue(request.task, request.client, flow), after, &events);
    }

    /// Plans the change of a request, and checks the conditions of its transaction.
    fn plan(&self, state: &State, request: &Request) -> Result<(), Event> {
        let (rules, flow) = (&self.rules, state.flows[request.flow]);
        let id = flow.member.ok_or(Event::RefusedAsConsumed)?;
        // With the revision as a condition, the plan is made again until no one wrote the member in the meantime.
        let mut planned = state.members[id as usize];
        let mut is_current = flow.is_current;
        if !rules.change_requires_revision {
            planned.address = request.address;
            is_current = request.was_current;
        } else if self.needs_session(&flow) && !request.has_session {
            return Err(Event::RefusedForVersion);
        }
        let is_exchange = request.task == Task::UseCode && flow.purpose == Purpose::Recover;

        let carries_version = match request.task {
            Task::UseGrant => rules.grants_carry_version,
            _ => rules.codes_carry_version,
        };
        if carries_version && !is_current {
            return Err(Event::RefusedForVersion);
        }
        if flow.purpose != Purpose::Recover && self.is_refused_as_frozen(planned) {
            return Err(Event::RefusedAsFrozen);
        }
        match flow.purpose {
            Purpose::Bind => {
                if rules.bind_records_replaced && planned.replaced_by(flow.address) != flow.replaces {
                    return Err(Event::RefusedForAddress);
                }
                let is_checked_now = self.channel == Channel::Sms && rules.replacing_requires_proof;
                if is_checked_now && planned.replaced_by(flow.address).is_some() && !request.is_proven {
                    return Err(Event::RefusedWithoutProof);
                }
                let is_others =
                    |other: Id| other != id && state.members[other as usize].address == Some(flow.address);
                if rules.addresses_have_one_owner && Id::ALL.into_iter().any(is_others) {
                    return Err(Event::RefusedAsOwned);
                }
            }
            Purpose::Change | Purpose::Recover if is_exchange => (),
            Purpose::Recover if !rules.grant_requires_own_address => (),
            Purpose::Change | Purpose::Recover => {
                if !planned.is_reset_by(flow.address) {
                    return Err(Event::RefusedWithoutProof);
                }
            }
        }
        let stored = if request.task == Task::UseGrant { Stage::Granted } else { Stage::Sent };
        if rules.consumed_under_condition && flow.stage != stored {
            return Err(Event::RefusedAsConsumed);
        }
        if rules.expiry_checked_at_commit && flow.has_expired {
            return Err(Event::RefusedAsExpired);
        }
        Ok(())
    }

    /// Consumes the code or grant and makes the change, or exchanges the code for a grant.
    fn commit(&self, state: &State, slot: usize, request: &Request, events: &mut Vec<Event>) -> State {
        let mut after = *state;
        let flow = state.flows[request.flow];
        let Some(id) = flow.member else { return after };
        let is_replaced = flow.purpose == Purpose::Bind
            && state.members[id as usize].replaced_by(flow.address) != flow.replaces;
        if !flow.is_current || is_replaced {
            events.push(Event::ConsumedAfterItsCause);
        }
        if matches!(flow.stage, Stage::Consumed | Stage::Spent)
            || (flow.stage == Stage::Granted && request.task == Task::UseCode)
        {
            events.push(Event::ConsumedTwice);
        }
        if flow.has_expired {
            events.push(Event::ConsumedExpired);
        }
        after.flows[request.flow].stage = match (flow.purpose, request.task) {
            (Purpose::Recover, Task::UseCode) => Stage::Granted,
            (_, Task::UseGrant) => Stage::Spent,
            _ => Stage::Consumed,
        };
        if after.flows[request.flow].stage == Stage::Granted {
            // A grant depends on neither attempts nor the code's proof.
            (after.flows[request.flow].attempts, after.flows[request.flow].compared) = (0, 0);
            return after;
        }
        if !self.rules.change_is_one_transaction {
            after.requests[slot] = Some(Request { task: Task::Write, ..*request });
            return after;
        }
        self.write(&after, request, events)
    }

    /// Writes the member of a change.
    fn write(&self, state: &State, request: &Request, events: &mut Vec<Event>) -> State {
        let flow = state.flows[request.flow];
        let Some(id) = flow.member else { return *state };
        let before = state.members[id as usize];
        if before.is_frozen && flow.purpose != Purpose::Recover {
            events.push(Event::ChangedWhileFrozen);
        }
        let mut after = match flow.purpose {
            Purpose::Bind => self.bind(state, request, id, events),
            Purpose::Change | Purpose::Recover => self.set_password(state, request, id, events),
        };
        let [victim, neighbour] = &after.members;
        if victim.address.is_some() && victim.address == neighbour.address {
            events.push(Event::TwoOwners);
        }
        if !self.bounds.with_reports {
            for member in &mut after.members {
                (member.links, member.is_settled) = (0, true);
            }
        }
        after
    }

    /// Returns whether the changes of a member are refused because the member reported one.
    pub fn is_refused_as_frozen(&self, member: Member) -> bool {
        member.is_frozen && self.rules.report_freezes
    }

    fn bind(&self, state: &State, request: &Request, id: Id, events: &mut Vec<Event>) -> State {
        let mut after = *state;
        let flow = state.flows[request.flow];
        let before = state.members[id as usize];
        let is_proven = flow.was_proven || request.is_proven;
        let is_attacker = request.client == Client::Attacker;
        let replaced = before.replaced_by(flow.address);
        if replaced.is_some() && !is_proven {
            events.push(Event::ChangedWithoutProof);
        }
        if replaced.is_some() && is_attacker && !(is_proven && flow.is_current) {
            events.push(Event::TakenOver);
        }
        match replaced {
            Some(_) => events.push(Event::Replaced),
            None => events.push(Event::BoundFirst),
        }
        if is_attacker && !is_proven {
            events.push(Event::BoundByAttacker);
        }
        let member = &mut after.members[id as usize];
        if let Some(replaced) = replaced
            && (before.is_settled || !self.rules.links_require_settled_address)
        {
            member.links |= Member::link(replaced);
        }
        member.address = Some(flow.address);
        member.is_immature = !is_proven && self.rules.unproven_address_is_immature;
        member.is_settled = false;
        member.was_conceded = is_attacker && is_proven;
        after
    }

    fn set_password(&self, state: &State, request: &Request, id: Id, events: &mut Vec<Event>) -> State {
        let flow = state.flows[request.flow];
        let before = state.members[id as usize];
        if before.address != Some(flow.address) || before.is_immature {
            events.push(Event::ChangedWithoutProof);
        }
        let is_attacker = request.client == Client::Attacker;
        events.push(match (is_attacker, flow.purpose, request.client) {
            (true, ..) if !before.was_conceded => Event::TakenOver,
            (true, ..) => Event::ConcededTakeover,
            (false, Purpose::Recover, Client::Neighbour) => Event::NeighbourRecovered,
            (false, Purpose::Recover, _) if before.is_attackers => Event::TakenBack,
            (false, Purpose::Recover, _) => Event::Recovered,
            (false, ..) => Event::ChangedByCode,
        });
        if before.is_frozen && flow.purpose == Purpose::Recover && !is_attacker {
            events.push(Event::Unfrozen);
        }
        let stolen = state.stolen;
        let mut after = self.with_raised_version(state, id);
        if is_attacker && flow.purpose == Purpose::Change {
            // The response renews the session of the request.
            after.stolen = stolen;
        }
        let member = &mut after.members[id as usize];
        member.is_attackers = is_attacker;
        member.is_frozen &= flow.purpose != Purpose::Recover;
        after
    }

    /// Raises the credential version: sessions end, and so does what depends on them. A settled address gets a link.
    pub fn with_raised_version(&self, state: &State, id: Id) -> State {
        let mut after = *state;
        for flow in &mut after.flows {
            flow.is_current &= flow.member != Some(id);
        }
        for request in after.requests.iter_mut().flatten() {
            request.has_session &= state.flows[request.flow].member != Some(id);
        }
        if id == Id::Victim {
            after.stolen = Stolen::None;
        }
        let member = &mut after.members[id as usize];
        if let (true, Some(address)) = (self.bounds.with_reports && member.is_settled, member.address) {
            member.links |= Member::link(address);
        }
        after
    }

    /// Ends the sessions, freezes the member and restores the address that a change replaced.
    pub fn reported(&self, state: &State, id: Id, address: Address) -> (State, Vec<Event>) {
        let mut after = self.with_raised_version(state, id);
        let others = after.members[1 - id as usize].address;
        let member = &mut after.members[id as usize];
        member.links &= !Member::link(address);
        member.is_frozen = true;
        let mut events = vec![Event::Reported];
        if member.replaced_by(address).is_some() && others != Some(address) {
            if address == Address::Attackers {
                events.push(Event::TakenOver);
            }
            // The address had a link, so it was settled.
            (member.address, member.is_settled) = (Some(address), true);
            (member.is_immature, member.was_conceded) = (false, false);
        }
        (after, events)
    }
}
