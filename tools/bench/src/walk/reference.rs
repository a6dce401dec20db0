//! The reference: what the contract requires of every call, as a server in memory. It has no HTTP, no store and no
//! concurrency, shares no code with the functions, and treats tokens, codes and grants as opaque texts that it learns
//! from the responses and messages.

#![expect(clippy::indexing_slicing, reason = "a session names one of the members that the walk created")]

mod calls;
mod services;

use super::{
    call::{Call, Claims, Methods, Request},
    rules::{
        CHANGES_PER_HOUR, CODE_ATTEMPTS, COOLING_OFF_SECONDS, DAY, FAILURES_PER_DAY, GRANT_SECONDS, HOUR,
        MAIL_CODE_DIGITS, MAIL_CODE_SECONDS, MISMATCHES, PASSWORD_FAILURES, PASSWORD_LOCK_SECONDS,
        PAY_PASSWORD_FAILURES, PAY_PASSWORD_FAILURES_PER_DAY, PAY_PASSWORD_LOCK_SECONDS, REPORT_SECONDS,
        SENDS_BY_MEMBER, SENDS_TO_DESTINATION, SMS_CODE_DIGITS, SMS_CODE_SECONDS,
    },
};
use std::collections::BTreeMap;

/// A phone in E.164, or an email address as it was typed.
#[derive(Clone, Debug)]
pub(super) struct Address(pub(super) String);

impl Address {
    pub(super) fn is_phone(&self) -> bool {
        !self.0.contains('@')
    }

    /// Returns the text that identifies the phone or mailbox.
    pub(super) fn key(&self) -> String {
        if self.is_phone() { format!("phone#{}", self.0) } else { format!("email#{}", self.0.to_lowercase()) }
    }
}

#[derive(Clone, Debug, Default)]
pub(super) struct Member {
    pub(super) version: u64,
    pub(super) phone: Option<Address>,
    pub(super) email: Option<Address>,
    pub(super) password: Option<String>,
    pub(super) pay_password: Option<String>,
    /// The actions of the audit trail, oldest first.
    pub(super) audit: Vec<&'static str>,
    pub(super) cooling_until: u64,
    /// Until when a contact resets nothing, by its key.
    pub(super) immature_until: BTreeMap<String, u64>,
    pub(super) changed_at: Vec<u64>,
    /// When a contact was bound, by its key, unless it is settled.
    pub(super) bound_at: BTreeMap<String, u64>,
    /// The key of the email address through which a recovery lifts the freeze.
    pub(super) frozen_through: Option<String>,
    /// How a service created the member.
    pub(super) created: Option<Created>,
}

/// A member's creation.
#[derive(Clone, Debug, Default)]
pub(super) struct Created {
    /// The number of the id that the service chose.
    id: Option<usize>,
    /// The second of the creation, which is also the first credential version.
    at: u64,
}

impl Member {
    pub(super) fn contacts(&self) -> impl Iterator<Item = &Address> {
        self.phone.iter().chain(&self.email)
    }

    fn owns(&self, address: &Address) -> bool {
        self.contacts().any(|contact| contact.key() == address.key())
    }

    /// Returns the key of the other contact of the same kind that `address` would replace.
    fn replaced_by(&self, address: &Address) -> Option<String> {
        let bound = if address.is_phone() { &self.phone } else { &self.email };
        bound.as_ref().map(Address::key).filter(|bound| *bound != address.key())
    }

    fn bind(&mut self, address: Address) {
        let bound = if address.is_phone() { &mut self.phone } else { &mut self.email };
        *bound = Some(address);
    }

    /// Whether a contact is the member's own and was bound before the oldest valid link was sent.
    fn is_settled(&self, address: &Address, now: u64) -> bool {
        self.owns(address) && self.bound_at.get(&address.key()).is_none_or(|at| at + REPORT_SECONDS <= now)
    }

    /// Whether a report may bind a former contact again.
    fn can_restore(&self, former: &Address, now: u64) -> bool {
        let current = if former.is_phone() { &self.phone } else { &self.email };
        self.replaced_by(former).is_some() && current.as_ref().is_some_and(|own| !self.is_settled(own, now))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Purpose {
    Change,
    BindPhone,
    ResetPay,
    Recover,
    BindMail,
    RecoverByMail,
    LogIn,
    Register,
}

impl Purpose {
    /// Whether only the flow that requested the code may use it.
    fn is_held_by_flow(self) -> bool {
        !matches!(self, Self::Change | Self::ResetPay | Self::BindPhone)
    }
}

/// What a `phoneInfo` or a `verification` stands for.
#[derive(Clone, Debug)]
struct Token {
    address: Address,
    purpose: Purpose,
}

/// The destination and purpose of a code, and who holds it: one member, one flow, or the owner of the destination.
type CodeKey = (String, Purpose, Holder);

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Holder {
    Owner,
    Member(usize),
    Flow(String),
}

/// What a code or grant was issued on.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Basis {
    member: usize,
    version: u64,
    replaces: Option<String>,
    /// Whether a recent login or the password proved the request to bind an email address.
    proven: bool,
}

#[derive(Clone, Debug)]
struct Code {
    /// `None` if no member has the destination.
    basis: Option<Basis>,
    flow: String,
    text: Option<String>,
    tries: u32,
    valid_until: u64,
}

/// A right code. Nothing is consumed yet. Only a code to register can be without a member.
struct VerifiedCode<B = Basis> {
    key: CodeKey,
    basis: B,
}

/// A grant to register.
#[derive(Clone, Debug)]
struct Registration {
    address: Address,
    valid_until: u64,
    /// The member that it created.
    created: Option<usize>,
}

/// A receipt for an order.
#[derive(Clone, Debug)]
struct Receipt {
    member: usize,
    order: usize,
    elements: Methods,
    valid_until: u64,
    is_spent: bool,
    stored_until: u64,
}

/// A change that can be reported.
#[derive(Clone, Debug)]
struct Report {
    member: usize,
    /// The email address that gets the link.
    through: Address,
    /// The contact that the change replaced.
    replaced: Option<Address>,
    valid_until: u64,
}

#[derive(Clone, Debug)]
struct Grant {
    address: Address,
    purpose: Purpose,
    basis: Basis,
    valid_until: u64,
    tries: u32,
}

#[derive(Clone, Copy)]
enum Window {
    FromFirst,
    FromLast,
}

#[derive(Clone, Copy)]
struct Counter {
    count: u32,
    until: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Caller {
    Session(Claims),
    Verification(String),
    Service(&'static str),
}

struct Claimed {
    request: usize,
    call: Call,
    cookie: Option<String>,
    result: Result<Success, Refusal>,
    mismatches: u32,
    until: u64,
}

/// What a response issues, until its text is known.
enum Issued {
    Code(Token, Code, Option<usize>),
    Grant(Grant),
    Registration(Registration),
    Device(Address),
    Receipt(Receipt),
}

/// A message that the call sends.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Sent {
    pub(super) to: String,
    pub(super) is_code: bool,
    /// Whether it has a link to report a change.
    pub(super) has_report: bool,
}

impl Sent {
    fn code(to: String) -> Self {
        Self { to, is_code: true, has_report: false }
    }

    fn notice(to: &Address) -> Self {
        Self { to: to.0.clone(), is_code: false, has_report: false }
    }
}

#[derive(Clone, Debug)]
pub(super) struct Success {
    pub(super) status: u16,
    /// The claims of the session in the response.
    pub(super) session: Option<Claims>,
    pub(super) messages: Vec<Sent>,
    /// The fields of a function for other services.
    pub(super) fields: Fields,
}

/// The fields in the result of a function for other services.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Fields {
    pub(super) member: Option<usize>,
    /// Whether `create-member` created the member.
    pub(super) created: Option<bool>,
    /// Whether `spend-receipt` spent the receipt.
    pub(super) first: Option<bool>,
    pub(super) elements: Option<Methods>,
    /// Whether a cooling-off period runs.
    pub(super) has_cooling_until: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) symbol: &'static str,
    pub(super) attempts_left: Option<u32>,
}

impl Refusal {
    /// Returns the HTTP status in the family of the call.
    pub(super) fn status(self, is_user_api: bool) -> u16 {
        match self.symbol {
            "INVALID_TOKEN" => 401,
            "SEND_MESSAGE_FREQUENTLY" if is_user_api => 400,
            "SEND_MESSAGE_FREQUENTLY" | "TOO_MANY_ATTEMPTS" | "TOO_MANY_CHANGES" => 429,
            "PHONE_IN_USE" | "EMAIL_IN_USE" | "PAY_PASSWORD_ALREADY_SET" => 409,
            "REAUTHENTICATION_REQUIRED" | "COOLING_OFF" | "ACCOUNT_FROZEN" => 403,
            "IDEMPOTENCY_KEY_REUSED" => 422,
            _ => 400,
        }
    }

    /// Whether time cures it.
    pub(super) fn has_retry_after(self) -> bool {
        let symbols = ["SEND_MESSAGE_FREQUENTLY", "TOO_MANY_ATTEMPTS", "TOO_MANY_CHANGES", "COOLING_OFF"];
        symbols.contains(&self.symbol)
    }

    /// Whether a repetition gets it again: neither time nor a login cures it.
    fn is_stored(self) -> bool {
        let curable = ["INVALID_TOKEN", "REAUTHENTICATION_REQUIRED", "ACCOUNT_FROZEN"];
        !self.has_retry_after() && !curable.contains(&self.symbol)
    }
}

fn refusal(symbol: &'static str) -> Refusal {
    Refusal { symbol, attempts_left: None }
}

fn refuse<T>(symbol: &'static str) -> Result<T, Refusal> {
    Err(refusal(symbol))
}

fn require(holds: bool, symbol: &'static str) -> Result<(), Refusal> {
    if holds { Ok(()) } else { refuse(symbol) }
}

fn wrong_code(attempts_left: u32) -> Refusal {
    Refusal { symbol: "{CODE}_NOT_VALID", attempts_left: Some(attempts_left) }
}

/// What the contract requires as the response to a request.
#[derive(Debug)]
pub(super) struct Expected {
    pub(super) result: Result<Success, Refusal>,
    /// The number of the request whose response is repeated.
    pub(super) replay_of: Option<usize>,
}

fn phone(typed: &str) -> Result<Address, Refusal> {
    let national = typed.strip_prefix("+86").unwrap_or(typed);
    require(national.len() == 11, "{PHONE}_NOT_VALID")?;
    Ok(Address(format!("+86{national}")))
}

fn email(typed: &str) -> Result<Address, Refusal> {
    require(typed.contains('@'), "{EMAIL}_NOT_VALID")?;
    Ok(Address(typed.to_owned()))
}

pub(super) struct Reference {
    now: u64,
    pub(super) members: Vec<Member>,
    tokens: BTreeMap<String, Token>,
    codes: BTreeMap<CodeKey, Code>,
    grants: BTreeMap<String, Grant>,
    registrations: BTreeMap<String, Registration>,
    /// The address with which a member logged in on a device, by the device's token.
    devices: BTreeMap<String, Address>,
    receipts: BTreeMap<String, Receipt>,
    reports: BTreeMap<String, Report>,
    /// The report of the last change, until the text of its link is known.
    reportable: Option<Report>,
    counters: BTreeMap<String, Counter>,
    sends: BTreeMap<String, Vec<u64>>,
    claimed: BTreeMap<(Caller, String), Claimed>,
    issued: Option<Issued>,
    /// The notices of the lockout that the last request caused.
    pub(super) lockout_notices: Vec<Sent>,
    requests: usize,
}

impl Reference {
    pub(super) fn new(members: Vec<Member>) -> Self {
        Self {
            // Any moment later than every limit.
            now: 400 * DAY,
            members,
            tokens: BTreeMap::new(),
            codes: BTreeMap::new(),
            grants: BTreeMap::new(),
            registrations: BTreeMap::new(),
            devices: BTreeMap::new(),
            receipts: BTreeMap::new(),
            reports: BTreeMap::new(),
            reportable: None,
            counters: BTreeMap::new(),
            sends: BTreeMap::new(),
            claimed: BTreeMap::new(),
            issued: None,
            lockout_notices: Vec::new(),
            requests: 0,
        }
    }

    pub(super) fn wait(&mut self, seconds: u64) {
        self.now += seconds;
    }

    /// Returns the owner of every phone and email address, by its key.
    pub(super) fn owners(&self) -> BTreeMap<String, usize> {
        let members = self.members.iter().enumerate();
        members
            .flat_map(|(index, member)| member.contacts().map(move |contact| (contact.key(), index)))
            .collect()
    }

    /// Ends the sessions of a member.
    pub(super) fn revoke(&mut self, member: usize) {
        self.members[member].version += 1;
        self.members[member].audit.push("revoked");
    }

    /// Clears the failures of a member.
    pub(super) fn unlock(&mut self, member: usize) {
        let contacts = self.members[member].contacts().map(Address::key);
        let of_contacts = contacts.flat_map(|key| [format!("code#{key}#"), format!("log-in#{key}#")]);
        let cleared: Vec<_> =
            of_contacts.chain([format!("password#{member}#"), format!("pay-password#{member}#")]).collect();
        self.counters.retain(|name, _| !cleared.iter().any(|prefix| name.starts_with(prefix)));
        self.members[member].audit.push("unlocked");
    }

    /// Gives a member another password.
    pub(super) fn put_password(&mut self, member: usize, password: String) {
        let member = &mut self.members[member];
        member.password = Some(password);
        member.version += 1;
        member.audit.push("updated");
    }

    /// Gives a member another phone or email address.
    pub(super) fn put_contact(&mut self, member: usize, address: Address) -> Result<(), Refusal> {
        self.require_free(member, &address)?;
        self.members[member].immature_until.remove(&address.key());
        self.members[member].bound_at.remove(&address.key());
        self.members[member].bind(address);
        self.members[member].audit.push("updated");
        Ok(())
    }

    /// Lifts the freeze of a member.
    pub(super) fn unfreeze(&mut self, member: usize) {
        self.members[member].frozen_through = None;
        self.members[member].audit.push("unfrozen");
    }

    /// Whether the last response issues a token or a grant.
    pub(super) fn has_issued(&self) -> bool {
        self.issued.is_some()
    }

    /// Learns the link in the notice of the last change.
    pub(super) fn learn_report(&mut self, text: &str) {
        self.reports.extend(self.reportable.take().map(|report| (text.to_owned(), report)));
    }

    /// Learns the time of the login in the last response, which is also that of the creation of a member.
    pub(super) fn learn_time(&mut self, at: u64, created: Option<usize>) {
        let last = self.requests - 1;
        let session = |result: &mut Result<Success, Refusal>| {
            let session = result.as_mut().ok().and_then(|success| success.session.as_mut());
            if let Some(claims) = session {
                claims.auth_time = at;
                if created.is_some() {
                    claims.version = at;
                }
            }
        };
        self.claimed.values_mut().filter(|claimed| claimed.request == last).for_each(|claimed| {
            session(&mut claimed.result);
        });
        if let Some(member) = created {
            self.members[member].version = at;
            self.members[member].created.get_or_insert_default().at = at;
        }
    }

    /// Learns the texts of what the last response issued: the token or grant, and the code that was sent. Returns its
    /// purpose and address, and whether it is a grant.
    pub(super) fn learn(&mut self, text: &str, digits: Option<&str>) -> Option<(Purpose, Address, bool)> {
        match self.issued.take()? {
            Issued::Code(token, code, member) => {
                let Token { address, purpose } = token.clone();
                let holder = match purpose {
                    Purpose::BindPhone => member.map_or(Holder::Owner, Holder::Member),
                    _ if purpose.is_held_by_flow() => Holder::Flow(text.to_owned()),
                    _ => Holder::Owner,
                };
                let code = Code { flow: text.to_owned(), text: digits.map(str::to_owned), ..code };
                self.codes.insert((address.key(), purpose, holder), code);
                self.tokens.insert(text.to_owned(), token);
                Some((purpose, address, false))
            }
            Issued::Grant(grant) => {
                let Grant { address, purpose, .. } = grant.clone();
                self.grants.insert(text.to_owned(), grant);
                Some((purpose, address, true))
            }
            Issued::Registration(grant) => {
                let address = grant.address.clone();
                self.registrations.insert(text.to_owned(), grant);
                Some((Purpose::Register, address, true))
            }
            Issued::Device(address) => {
                self.devices.insert(text.to_owned(), address);
                None
            }
            Issued::Receipt(receipt) => {
                self.receipts.insert(text.to_owned(), receipt);
                None
            }
        }
    }

    /// Returns the required response, and takes its effects.
    pub(super) fn respond(&mut self, request: &Request) -> Expected {
        let number = self.requests;
        self.requests += 1;
        (self.issued, self.reportable) = (None, None);
        self.lockout_notices.clear();
        let caller = match request.call.function() {
            Some(function) => Some(Caller::Service(function)),
            // A page is the same however often it is opened.
            None if matches!(request.call, Call::OpenMail { .. }) => None,
            None => request
                .session
                .map(Caller::Session)
                .or_else(|| request.verification().map(|text| Caller::Verification(text.to_owned()))),
        };
        let Some(id) = caller.zip(request.key.clone()) else {
            return Expected { result: self.call(request), replay_of: None };
        };
        if let Some(claimed) = self.claimed.get_mut(&id).filter(|claimed| claimed.until > self.now) {
            let differs = claimed.call != request.call || claimed.cookie != request.cookie;
            let symbol = if claimed.mismatches >= MISMATCHES {
                "TOO_MANY_ATTEMPTS"
            } else if differs {
                claimed.mismatches += 1;
                "IDEMPOTENCY_KEY_REUSED"
            } else {
                let result = claimed.result.clone().map(|first| Success {
                    messages: Vec::new(),
                    // A repetition creates nothing.
                    fields: Fields { created: first.fields.created.map(|_| false), ..first.fields },
                    ..first
                });
                return Expected { result, replay_of: Some(claimed.request) };
            };
            return Expected { result: refuse(symbol), replay_of: None };
        }
        let result = self.call(request);
        if result.as_ref().map_or_else(|refusal| refusal.is_stored(), |_| true) {
            let (call, cookie, until) = (request.call.clone(), request.cookie.clone(), self.now + DAY);
            let claimed =
                Claimed { request: number, call, cookie, result: result.clone(), mismatches: 0, until };
            self.claimed.insert(id, claimed);
        }
        Expected { result, replay_of: None }
    }

    fn session_if_sent(&self, request: &Request) -> Result<Option<Claims>, Refusal> {
        match request.session {
            Some(claims) if self.members[claims.member].version != claims.version => refuse("INVALID_TOKEN"),
            session => Ok(session),
        }
    }

    fn renewed(&self, claims: Claims) -> Claims {
        Claims { version: self.members[claims.member].version, ..claims }
    }

    fn token(&self, text: &str, purposes: &[Purpose]) -> Option<Token> {
        self.tokens.get(text).filter(|token| purposes.contains(&token.purpose)).cloned()
    }

    /// Returns the flow of an optional `verification`.
    fn flow(&self, text: Option<&str>, purpose: Purpose, to: &Address) -> Result<Option<String>, Refusal> {
        let Some(text) = text else { return Ok(None) };
        let token = self.token(text, &[purpose]).filter(|token| token.address.key() == to.key());
        require(token.is_some(), "{VERIFICATION}_NOT_VALID")?;
        Ok(Some(text.to_owned()))
    }

    /// Counts an attempt at a change with a grant of this purpose, and returns the grant.
    fn grant(&mut self, text: &str, purpose: Purpose, address: &Address) -> Result<Grant, Refusal> {
        let grant = self.grants.get_mut(text).filter(|grant| grant.valid_until > self.now);
        let grant = grant.filter(|grant| grant.purpose == purpose && grant.tries < CODE_ATTEMPTS);
        let grant = grant.ok_or(refusal("{VERIFICATION}_NOT_VALID"))?;
        grant.tries += 1;
        require(grant.address.key() == address.key(), "{VERIFICATION}_NOT_VALID")?;
        Ok(grant.clone())
    }

    /// Sends a code for a member, or for the member who owns the address. A code to register is sent to anyone.
    fn send(
        &mut self,
        address: Address,
        purpose: Purpose,
        requested_by: Option<usize>,
        proven: bool,
    ) -> Result<Vec<Sent>, Refusal> {
        if let Some(member) = requested_by {
            self.require_not_frozen(member)?;
        }
        let owner = self.owners().get(&address.key()).copied();
        let requester = match requested_by {
            Some(member) if owner == Some(member) => "owner",
            Some(_) => "others",
            None => "anonymous",
        };
        let mut logs = vec![(format!("{}#{requester}", address.key()), SENDS_TO_DESTINATION.to_vec())];
        logs.extend(requested_by.map(|member| (format!("member#{member}"), SENDS_BY_MEMBER.to_vec())));
        for (name, limits) in &logs {
            let log = self.sends.get(name).map(Vec::as_slice).unwrap_or_default();
            let in_last = |seconds: u64| log.iter().filter(|at| **at + seconds > self.now).count();
            let has_room = limits.iter().all(|(count, seconds)| in_last(*seconds) < *count);
            require(has_room, "SEND_MESSAGE_FREQUENTLY")?;
        }
        for (name, _) in logs {
            self.sends.entry(name).or_default().push(self.now);
        }
        let member = requested_by.or_else(|| self.owners().get(&address.key()).copied());
        let is_for_anyone = purpose == Purpose::Register;
        let member = member
            .filter(|member| requested_by.is_some() || is_for_anyone || self.is_mature(*member, &address));
        let basis = member.map(|member| Basis {
            member,
            version: self.members[member].version,
            replaces: self.members[member].replaced_by(&address),
            proven,
        });
        // A recovery code goes to the spelling that the member bound.
        let bound = member.filter(|_| requested_by.is_none()).and_then(|member| {
            self.members[member].contacts().find(|contact| contact.key() == address.key()).cloned()
        });
        let to = bound.unwrap_or_else(|| address.clone()).0;
        let seconds = if address.is_phone() { SMS_CODE_SECONDS } else { MAIL_CODE_SECONDS };
        let code = Code { basis, flow: String::new(), text: None, tries: 0, valid_until: self.now + seconds };
        self.issued = Some(Issued::Code(Token { address, purpose }, code, requested_by));
        let is_sent = member.is_some() || is_for_anyone;
        Ok(is_sent.then(|| Sent::code(to)).into_iter().collect())
    }

    /// Counts an attempt at a code of this member, of this flow, or of both, and compares it.
    fn verify(
        &mut self,
        to: &Address,
        purpose: Purpose,
        member: Option<usize>,
        flow: Option<String>,
        typed: &str,
    ) -> Result<VerifiedCode, Refusal> {
        let VerifiedCode { key, basis } = self.verify_sent(to, purpose, member, flow, typed)?;
        Ok(VerifiedCode { key, basis: basis.ok_or(wrong_code(0))? })
    }

    /// Does the same with a code that was sent for a member or not.
    fn verify_sent(
        &mut self,
        to: &Address,
        purpose: Purpose,
        member: Option<usize>,
        flow: Option<String>,
        typed: &str,
    ) -> Result<VerifiedCode<Option<Basis>>, Refusal> {
        let typed = digits(typed, to)?;
        let holder = match (purpose, member, &flow) {
            (Purpose::BindPhone, Some(member), _) => Holder::Member(member),
            (purpose, _, Some(flow)) if purpose.is_held_by_flow() => Holder::Flow(flow.clone()),
            _ => Holder::Owner,
        };
        let key = (to.key(), purpose, holder);
        let code = self.codes.get_mut(&key).filter(|code| code.valid_until > self.now);
        let code = code.ok_or(wrong_code(0))?;
        let is_own = member.is_none() || code.basis.as_ref().map(|basis| basis.member) == member;
        if !is_own {
            return Err(wrong_code(0));
        }
        require(flow.is_none_or(|flow| flow == code.flow), "{VERIFICATION}_NOT_VALID")?;
        require(code.tries < CODE_ATTEMPTS, "TOO_MANY_ATTEMPTS")?;
        code.tries += 1;
        let code = code.clone();
        let left = self.count(&code_counter(&key), FAILURES_PER_DAY, DAY, Window::FromFirst)?;
        if code.text.as_ref() == Some(&typed) {
            Ok(VerifiedCode { key, basis: code.basis })
        } else {
            Err(wrong_code(left.min(CODE_ATTEMPTS - code.tries)))
        }
    }

    /// Consumes a code, and takes its right attempt out of the day's failures.
    fn consume(&mut self, key: &CodeKey) {
        self.codes.remove(key);
        self.take_back(&code_counter(key));
    }

    /// Whether the member is still in the state that a code or grant was issued on.
    fn holds(&self, basis: &Basis, address: &Address) -> bool {
        let member = &self.members[basis.member];
        member.version == basis.version && member.replaced_by(address) == basis.replaces
    }

    fn require_basis(&self, code: &VerifiedCode, address: &Address) -> Result<(), Refusal> {
        if self.holds(&code.basis, address) { Ok(()) } else { Err(wrong_code(0)) }
    }

    /// Exchanges a code for a grant.
    fn exchange(&mut self, text: &str, purposes: &[Purpose], typed: &str) -> Result<(), Refusal> {
        let token = self.token(text, purposes).ok_or(refusal("{VERIFICATION}_NOT_VALID"))?;
        let verified = self.verify(&token.address, token.purpose, None, Some(text.to_owned()), typed)?;
        if self.members[verified.basis.member].version != verified.basis.version {
            return Err(wrong_code(0));
        }
        self.consume(&verified.key);
        let Token { address, purpose } = token;
        let (basis, valid_until) = (verified.basis, self.now + GRANT_SECONDS);
        self.issued = Some(Issued::Grant(Grant { address, purpose, basis, valid_until, tries: 0 }));
        Ok(())
    }

    /// Counts an attempt, and returns how many are left.
    fn count(&mut self, name: &str, limit: u32, seconds: u64, window: Window) -> Result<u32, Refusal> {
        let until = self.now + seconds;
        let counter = self.counters.entry(name.to_owned()).or_insert(Counter { count: 0, until });
        if counter.until <= self.now {
            *counter = Counter { count: 0, until };
        }
        require(counter.count < limit, "TOO_MANY_ATTEMPTS")?;
        counter.count += 1;
        if matches!(window, Window::FromLast) {
            counter.until = until;
        }
        Ok(limit - counter.count)
    }

    /// Verifies the pay password. Its attempt counts in the row and in the day, unless one of them is used up.
    fn verify_pay_password(&mut self, member: usize, typed: &str) -> Result<(), Refusal> {
        let stored = self.members[member].pay_password.clone();
        let stored = stored.ok_or(refusal("PAY_PASSWORD_NOT_SET"))?;
        let [row, day] = pay_password_counters(member);
        let (limit, seconds) = (PAY_PASSWORD_FAILURES, PAY_PASSWORD_LOCK_SECONDS);
        let left = self.count(&row, limit, seconds, Window::FromLast)?;
        let left_in_day = self.count(&day, PAY_PASSWORD_FAILURES_PER_DAY, DAY, Window::FromFirst);
        if left_in_day.is_err() {
            self.take_back(&row);
        }
        let left = left.min(left_in_day?);
        if stored == typed {
            self.counters.remove(&row);
            self.take_back(&day);
            return Ok(());
        }
        if left == 0 {
            let member = &mut self.members[member];
            member.audit.push("pay-password-locked");
            self.lockout_notices = member.contacts().map(Sent::notice).collect();
        }
        Err(Self::wrong_password(left))
    }

    fn take_back(&mut self, name: &str) {
        if let Some(counter) = self.counters.get_mut(name) {
            counter.count -= 1;
        }
    }

    fn wrong_password(left: u32) -> Refusal {
        Refusal { symbol: "{OLD_PASSWORD}_NOT_VALID", attempts_left: Some(left) }
    }

    fn verify_password(&mut self, claims: Claims, typed: &str) -> Result<(), Refusal> {
        let (limit, seconds) = (PASSWORD_FAILURES, PASSWORD_LOCK_SECONDS);
        let left = self.count(&password_counter(claims), limit, seconds, Window::FromLast)?;
        let is_right = self.members[claims.member].password.as_deref() == Some(typed);
        if is_right { Ok(()) } else { Err(Self::wrong_password(left)) }
    }

    /// Verifies the password, and ends its row of failures even if the rest of the request is refused.
    fn confirm_password(&mut self, claims: Claims, typed: &str) -> Result<(), Refusal> {
        self.verify_password(claims, typed)?;
        self.counters.remove(&password_counter(claims));
        Ok(())
    }

    /// Whether the login is recent, or the password is right.
    fn is_proven(&mut self, claims: Claims, password: Option<&str>) -> Result<bool, Refusal> {
        match password {
            Some(password) => self.confirm_password(claims, password).map(|()| true),
            None => Ok(claims.is_proven()),
        }
    }

    /// Requires a reauthentication to replace a contact, and returns whether there was one.
    fn prove(&mut self, claims: Claims, to: &Address, password: Option<&str>) -> Result<bool, Refusal> {
        let replaces = self.members[claims.member].replaced_by(to).is_some();
        let proven = self.is_proven(claims, password)?;
        require(proven || !replaces, "REAUTHENTICATION_REQUIRED")?;
        Ok(proven)
    }

    fn is_mature(&self, member: usize, address: &Address) -> bool {
        self.members[member].immature_until.get(&address.key()).is_none_or(|until| *until <= self.now)
    }

    fn require_mature(&self, member: usize, address: &Address) -> Result<(), Refusal> {
        require(self.is_mature(member, address), "COOLING_OFF")
    }

    /// Requires an acceptable password that is not a contact of the member.
    fn require_acceptable(&self, new: &str, member: usize) -> Result<(), Refusal> {
        require_acceptable_to(&self.members[member], new)
    }

    fn require_acceptable_pin(&self, new: &str, member: usize) -> Result<(), Refusal> {
        let in_phone = self.members[member].phone.as_ref().is_some_and(|phone| phone.0.contains(new));
        let is_guessable = in_phone || new == "111111" || new == "123456";
        require(new.len() == 6 && !is_guessable, "{PAY_PASSWORD}_NOT_VALID")
    }

    fn require_free(&self, member: usize, address: &Address) -> Result<(), Refusal> {
        let symbol = if address.is_phone() { "PHONE_IN_USE" } else { "EMAIL_IN_USE" };
        require(self.owners().get(&address.key()).is_none_or(|owner| *owner == member), symbol)
    }

    fn bind(&mut self, code: &VerifiedCode, address: Address, proven: bool) -> Result<Vec<Sent>, Refusal> {
        let member = code.basis.member;
        self.require_changeable(member)?;
        self.require_basis(code, &address)?;
        self.require_free(member, &address)?;
        let replaces = code.basis.replaces.is_some();
        let action = match (address.is_phone(), replaces) {
            (true, false) => "phone-bound",
            (true, true) => "phone-replaced",
            (false, false) => "email-bound",
            (false, true) => "email-replaced",
        };
        let (now, until) = (self.now, self.now + COOLING_OFF_SECONDS);
        let Member { password, pay_password, .. } = &self.members[member];
        let has_password = password.is_some() || pay_password.is_some();
        let is_own = self.members[member].owns(&address);
        let messages = self.change(member, action, |member| {
            if replaces && address.is_phone() {
                member.cooling_until = until;
            }
            if proven || !has_password {
                member.immature_until.remove(&address.key());
            } else if !is_own {
                member.immature_until.insert(address.key(), until);
            }
            if !is_own {
                member.bound_at.insert(address.key(), now);
            }
            member.bind(address);
        });
        self.consume(&code.key);
        Ok(messages)
    }

    fn require_unlike_current(&self, member: usize, new: &str) -> Result<(), Refusal> {
        let is_same = self.members[member].password.as_deref() == Some(new);
        require(!is_same, "{NEW_PASSWORD}_NOT_VALID")
    }

    fn put_new_password(
        &mut self,
        member: usize,
        action: &'static str,
        new: &str,
    ) -> Result<Vec<Sent>, Refusal> {
        self.require_unlike_current(member, new)?;
        Ok(self.change(member, action, |member| {
            member.password = Some(new.to_owned());
            member.version += 1;
        }))
    }

    fn require_not_frozen(&self, member: usize) -> Result<(), Refusal> {
        require(self.members[member].frozen_through.is_none(), "ACCOUNT_FROZEN")
    }

    /// Requires that the member is not frozen, and made fewer changes in the last hour than are allowed. A recovery counts,
    /// but is not limited.
    fn require_changeable(&self, member: usize) -> Result<(), Refusal> {
        self.require_not_frozen(member)?;
        let changed_at = self.members[member].changed_at.iter();
        let recent: u32 = changed_at.map(|at| u32::from(at + HOUR > self.now)).sum();
        require(recent < CHANGES_PER_HOUR, "TOO_MANY_CHANGES")
    }

    /// Makes a change with its audit record, and returns the notices: one to each contact that the member had before
    /// or has after it.
    fn change(&mut self, member: usize, action: &'static str, write: impl FnOnce(&mut Member)) -> Vec<Sent> {
        let (number, now) = (member, self.now);
        let member = &mut self.members[number];
        member.changed_at.push(now);
        let before = member.clone();
        write(member);
        member.audit.push(action);
        let mut notified: Vec<_> = before.contacts().cloned().collect();
        for contact in member.contacts() {
            if notified.iter().all(|before| before.key() != contact.key()) {
                notified.push(contact.clone());
            }
        }
        // The link goes to the address that the member had before, if that is settled, and restores only what is settled.
        let is_settled = |contact: &&Address| before.is_settled(contact, now);
        let is_replaced = |contact: &&Address| !member.owns(contact);
        let through = before.email.as_ref().filter(is_settled).filter(|_| action != "change-reported");
        self.reportable = through.map(|through| Report {
            member: number,
            through: through.clone(),
            replaced: before.contacts().filter(is_replaced).find(is_settled).cloned(),
            valid_until: now + REPORT_SECONDS,
        });
        let has_report = |to: &Address| through.is_some_and(|through| through.key() == to.key());
        notified.iter().map(|to| Sent { has_report: has_report(to), ..Sent::notice(to) }).collect()
    }
}

/// Reads a code to this address.
fn digits(typed: &str, to: &Address) -> Result<String, Refusal> {
    let mut typed = typed.to_owned();
    typed.retain(|c| c.is_ascii_digit());
    let expected = if to.is_phone() { SMS_CODE_DIGITS } else { MAIL_CODE_DIGITS };
    require(typed.len() == expected, "{CODE}_NOT_VALID")?;
    Ok(typed)
}

fn require_acceptable_to(member: &Member, new: &str) -> Result<(), Refusal> {
    let is_contact = |contact: &Address| {
        let text = contact.0.to_lowercase();
        [&*text, text.trim_start_matches('+'), text.trim_start_matches("+86")].contains(&new)
    };
    require(!member.contacts().any(is_contact), "{NEW_PASSWORD}_NOT_VALID")?;
    require_strong(new)
}

/// Requires a password of 6 code points that is not common.
fn require_strong(new: &str) -> Result<(), Refusal> {
    require(new.chars().count() >= 6 && new != "password", "{NEW_PASSWORD}_NOT_VALID")
}

/// Whether a `verification` has the form of a grant, which is shorter than any token.
fn is_grant(text: &str) -> bool {
    text.len() == 43
}

fn code_counter((destination, purpose, _): &CodeKey) -> String {
    format!("code#{destination}#{purpose:?}")
}

fn password_counter(claims: Claims) -> String {
    format!("password#{}#{}", claims.member, claims.auth_time)
}

/// Returns the counters of wrong pay passwords: in a row and in a day.
fn pay_password_counters(member: usize) -> [String; 2] {
    ["row", "day"].map(|part| format!("pay-password#{member}#{part}"))
}
