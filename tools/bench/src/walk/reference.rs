//! The reference: what the contract requires of every call, as a server in memory. It has no HTTP, no store and no
//! concurrency, shares no code with the functions, and treats tokens, codes and grants as opaque texts that it learns
//! from the responses and messages.

#![expect(clippy::indexing_slicing, reason = "a session names one of the members that the walk created")]

mod calls;

use super::{
    call::{Call, Claims, Request},
    rules::{
        CHANGES_PER_HOUR, CODE_ATTEMPTS, COOLING_OFF_SECONDS, DAY, FAILURES_PER_DAY, GRANT_SECONDS, HOUR,
        MAIL_CODE_DIGITS, MAIL_CODE_SECONDS, MISMATCHES, PASSWORD_FAILURES, PASSWORD_LOCK_SECONDS,
        PAY_PASSWORD_FAILURES, PAY_PASSWORD_FAILURES_PER_DAY, PAY_PASSWORD_LOCK_SECONDS, SENDS_BY_MEMBER,
        SENDS_TO_DESTINATION, SMS_CODE_DIGITS, SMS_CODE_SECONDS,
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
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Purpose {
    Change,
    BindPhone,
    ResetPay,
    Recover,
    BindMail,
    RecoverByMail,
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

/// A right code. Nothing is consumed yet.
struct VerifiedCode {
    key: CodeKey,
    basis: Basis,
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
}

/// A message that the call sends.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Sent {
    pub(super) to: String,
    pub(super) is_code: bool,
}

#[derive(Clone, Debug)]
pub(super) struct Success {
    pub(super) status: u16,
    /// The claims of the session in the response.
    pub(super) session: Option<Claims>,
    pub(super) messages: Vec<Sent>,
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
            "REAUTHENTICATION_REQUIRED" | "COOLING_OFF" => 403,
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
        !self.has_retry_after() && !["INVALID_TOKEN", "REAUTHENTICATION_REQUIRED"].contains(&self.symbol)
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
        let codes = self.members[member].contacts().map(|contact| format!("code#{}#", contact.key()));
        let cleared: Vec<_> =
            codes.chain([format!("password#{member}#"), format!("pay-password#{member}#")]).collect();
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
        self.members[member].bind(address);
        self.members[member].audit.push("updated");
        Ok(())
    }

    /// Whether the last response issues a token or a grant.
    pub(super) fn has_issued(&self) -> bool {
        self.issued.is_some()
    }

    /// Learns the texts of what the last response issued: the token or grant, and the code that was sent. Returns its
    /// purpose and address, and whether it is a grant.
    pub(super) fn learn(&mut self, text: &str, digits: Option<&str>) -> Option<(Purpose, Address, bool)> {
        match self.issued.take()? {
            Issued::Code(token, code, member) => {
                let Token { address, purpose } = token.clone();
                let holder = match purpose {
                    Purpose::Change | Purpose::ResetPay => Holder::Owner,
                    Purpose::BindPhone => member.map_or(Holder::Owner, Holder::Member),
                    Purpose::Recover | Purpose::BindMail | Purpose::RecoverByMail => {
                        Holder::Flow(text.to_owned())
                    }
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
        }
    }

    /// Returns the required response, and takes its effects.
    pub(super) fn respond(&mut self, request: &Request) -> Expected {
        let number = self.requests;
        self.requests += 1;
        self.issued = None;
        self.lockout_notices.clear();
        let caller = request.session.map(Caller::Session);
        let caller =
            caller.or_else(|| request.verification().map(|text| Caller::Verification(text.to_owned())));
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
                let result = claimed.result.clone().map(|first| Success { messages: Vec::new(), ..first });
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

    /// Sends a code for a member, or for the member who owns the address.
    fn send(
        &mut self,
        address: Address,
        purpose: Purpose,
        requested_by: Option<usize>,
        proven: bool,
    ) -> Result<Vec<Sent>, Refusal> {
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
        let member = member.filter(|member| requested_by.is_some() || self.is_mature(*member, &address));
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
        Ok(member.map(|_| Sent { to, is_code: true }).into_iter().collect())
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
        let mut typed = typed.to_owned();
        typed.retain(|c| c.is_ascii_digit());
        let digits = if to.is_phone() { SMS_CODE_DIGITS } else { MAIL_CODE_DIGITS };
        require(typed.len() == digits, "{CODE}_NOT_VALID")?;
        let holder = match (purpose, member, &flow) {
            (Purpose::BindPhone, Some(member), _) => Holder::Member(member),
            (Purpose::Recover | Purpose::BindMail | Purpose::RecoverByMail, _, Some(flow)) => {
                Holder::Flow(flow.clone())
            }
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
        match code.basis {
            Some(basis) if code.text.as_ref() == Some(&typed) => Ok(VerifiedCode { key, basis }),
            _ => Err(wrong_code(left.min(CODE_ATTEMPTS - code.tries))),
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
            self.lockout_notices =
                member.contacts().map(|to| Sent { to: to.0.clone(), is_code: false }).collect();
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
            None => Ok(claims.is_recent),
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
        let is_contact = |contact: &Address| {
            let text = contact.0.to_lowercase();
            [&*text, text.trim_start_matches('+'), text.trim_start_matches("+86")].contains(&new)
        };
        require(!self.members[member].contacts().any(is_contact), "{NEW_PASSWORD}_NOT_VALID")?;
        require_strong(new)
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
        let until = self.now + COOLING_OFF_SECONDS;
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
            member.bind(address);
        });
        self.consume(&code.key);
        Ok(messages)
    }

    fn put_new_password(
        &mut self,
        member: usize,
        action: &'static str,
        new: &str,
    ) -> Result<Vec<Sent>, Refusal> {
        let is_same = self.members[member].password.as_deref() == Some(new);
        require(!is_same, "{NEW_PASSWORD}_NOT_VALID")?;
        Ok(self.change(member, action, |member| {
            member.password = Some(new.to_owned());
            member.version += 1;
        }))
    }

    /// Requires that the member made fewer changes in the last hour than are allowed. A recovery counts, but is not
    /// limited.
    fn require_changeable(&self, member: usize) -> Result<(), Refusal> {
        let changed_at = self.members[member].changed_at.iter();
        let recent: u32 = changed_at.map(|at| u32::from(at + HOUR > self.now)).sum();
        require(recent < CHANGES_PER_HOUR, "TOO_MANY_CHANGES")
    }

    /// Makes a change with its audit record, and returns the notices: one to each contact that the member had before
    /// or has after it.
    fn change(&mut self, member: usize, action: &'static str, write: impl FnOnce(&mut Member)) -> Vec<Sent> {
        let member = &mut self.members[member];
        member.changed_at.push(self.now);
        let mut notified: Vec<_> = member.contacts().cloned().collect();
        write(member);
        member.audit.push(action);
        for contact in member.contacts() {
            if notified.iter().all(|before| before.key() != contact.key()) {
                notified.push(contact.clone());
            }
        }
        notified.into_iter().map(|contact| Sent { to: contact.0, is_code: false }).collect()
    }
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
