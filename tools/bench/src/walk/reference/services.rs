//! What each function that other services call requires and does.

use super::{
    Address, Created, Fields, Issued, Member, Purpose, Receipt, Reference, Refusal, Registration, Sent,
    Success, Window, email, is_grant, phone, refusal, refuse, require, require_acceptable_to, wrong_code,
};
use crate::walk::{
    call::{Call, Claims, CreationProof, Methods, Named, PASSWORD, Payer, Request},
    rules::{
        DAY, GRANT_SECONDS, HOUR, LOG_IN_FAILURES_PER_DAY, PASSWORD_FAILURES, PASSWORD_LOCK_SECONDS,
        RECEIPT_SECONDS, SOURCE_LOG_IN_FAILURES_PER_HOUR,
    },
};

type Outcome = Result<Success, Refusal>;

const BY_PASSWORD: Methods = &[PASSWORD];
const BY_SMS: Methods = &["sms"];
const BY_MAIL: Methods = &["mail"];
const BY_SMS_AND_PASSWORD: Methods = &["sms", PASSWORD];
const BY_MAIL_AND_PASSWORD: Methods = &["mail", PASSWORD];
const NO_METHOD: Methods = &[];
const PAY_PASSWORD: Methods = &["pay-password"];
const PAY_PASSWORD_AND_SMS: Methods = &["pay-password", "sms"];

fn success(session: Option<Claims>, messages: Vec<Sent>, fields: Fields) -> Success {
    Success { status: 200, session, messages, fields }
}

/// Reads a contact in the field that names it.
fn named((name, value): &Named) -> Result<Address, Refusal> {
    let is_email = *name == "email" || (*name == "identifier" && value.contains('@'));
    if is_email { email(value) } else { phone(value) }
}

/// The counters of failed logins: in a row, in a day, and of the source.
struct LogInCounters {
    row: String,
    day: String,
    source: String,
}

impl Reference {
    pub(super) fn service_call(&mut self, request: &Request) -> Outcome {
        match &request.call {
            Call::LogInByPassword { to, password, device } => {
                self.log_in_by_password(&named(to)?, password, device.as_deref(), request.source)
            }
            Call::LogInByCode { to, code, verification } => {
                self.log_in_by_code(&named(to)?, code, verification)
            }
            Call::SendLogInCode { purpose, to } => {
                let purpose = if *purpose == "login" { Purpose::LogIn } else { Purpose::Register };
                let messages = self.send(named(to)?, purpose, None, true)?;
                Ok(success(None, messages, Fields::default()))
            }
            Call::CreateMember { proof: CreationProof::Grant(grant), id, password, log_in } => {
                self.create_by_grant(grant, *id, password.as_deref(), *log_in)
            }
            Call::CreateMember { proof: CreationProof::Vouched(contact), id, password, log_in } => {
                self.create_as_vouched(&named(contact)?, *id, password.as_deref(), *log_in)
            }
            Call::CheckPayPassword { payer, pin, order, code } => {
                let member = match payer {
                    Payer::Session(_) => request.session.map(|claims| claims.member),
                    Payer::Member(member) => Some(*member),
                };
                let member = member.ok_or(refusal("BODY_NOT_VALID"))?;
                self.check_pay_password(member, pin, *order, code.as_ref())
            }
            Call::SpendReceipt { receipt, order } => self.spend_receipt(receipt, *order),
            _ => refuse("BODY_NOT_VALID"),
        }
    }

    fn log_in_by_password(
        &mut self,
        address: &Address,
        typed: &str,
        device: Option<&str>,
        source: usize,
    ) -> Outcome {
        let counters = self.log_in_counters(address, device, source);
        let left = self.count_log_in(&counters)?;
        let owner = self.owners().get(&address.key()).copied();
        let is_right =
            |member: &usize| self.members[*member].password.as_deref().is_some_and(|right| right == typed);
        let Some(member) = owner.filter(is_right) else {
            if let (Some(owner), 0) = (owner, left) {
                self.members[owner].audit.push("log-in-locked");
            }
            return Err(Refusal { symbol: "CREDENTIALS_NOT_VALID", attempts_left: Some(left) });
        };
        self.counters.remove(&counters.row);
        self.take_back(&counters.day);
        self.take_back(&counters.source);
        self.require_not_frozen(member)?;
        Ok(self.logged_in(member, BY_PASSWORD, address))
    }

    /// A token of a device counts only with the address that it was issued for.
    fn log_in_counters(&self, address: &Address, device: Option<&str>, source: usize) -> LogInCounters {
        let key = address.key();
        let is_known = |text: &&str| self.devices.get(*text).is_some_and(|address| address.key() == key);
        let part = device.filter(is_known).unwrap_or("identifier");
        LogInCounters {
            row: format!("log-in#{key}#row#{part}"),
            day: format!("log-in#{key}#day#{part}"),
            source: format!("log-in-source#{source}"),
        }
    }

    /// Counts a failed login on all counters or, if one has no attempt left, on none. Returns what is left of the row.
    fn count_log_in(&mut self, LogInCounters { row, day, source }: &LogInCounters) -> Result<u32, Refusal> {
        let limits = [
            (row, PASSWORD_FAILURES),
            (day, LOG_IN_FAILURES_PER_DAY),
            (source, SOURCE_LOG_IN_FAILURES_PER_HOUR),
        ];
        for (name, limit) in limits {
            let running = self.counters.get(name).filter(|counter| counter.until > self.now);
            require(running.is_none_or(|counter| counter.count < limit), "TOO_MANY_ATTEMPTS")?;
        }
        self.count(day, LOG_IN_FAILURES_PER_DAY, DAY, Window::FromFirst)?;
        self.count(source, SOURCE_LOG_IN_FAILURES_PER_HOUR, HOUR, Window::FromFirst)?;
        self.count(row, PASSWORD_FAILURES, PASSWORD_LOCK_SECONDS, Window::FromLast)
    }

    fn log_in_by_code(&mut self, address: &Address, typed: &str, text: &str) -> Outcome {
        let token = self.token(text, &[Purpose::LogIn, Purpose::Register]);
        let token = token.filter(|token| token.address.key() == address.key());
        let purpose = token.ok_or(refusal("{VERIFICATION}_NOT_VALID"))?.purpose;
        let verified = self.verify_sent(address, purpose, None, Some(text.to_owned()), typed)?;
        let member = match &verified.basis {
            Some(basis) => {
                let is_own = self.members[basis.member].owns(address) && self.holds(basis, address);
                Some(if is_own { basis.member } else { return Err(wrong_code(0)) })
            }
            None => self.owners().get(&address.key()).copied(),
        };
        let Some(member) = member else {
            self.consume(&verified.key);
            let (address, valid_until) = (address.clone(), self.now + GRANT_SECONDS);
            self.issued = Some(Issued::Registration(Registration { address, valid_until, created: None }));
            return refuse("MEMBER_NOT_FOUND");
        };
        self.require_not_frozen(member)?;
        self.require_mature(member, address)?;
        self.consume(&verified.key);
        Ok(self.logged_in(member, if address.is_phone() { BY_SMS } else { BY_MAIL }, address))
    }

    /// The time of the login is learned from the response.
    fn logged_in(&mut self, member: usize, amr: Methods, address: &Address) -> Success {
        self.members[member].audit.push("logged-in");
        self.issued = Some(Issued::Device(address.clone()));
        let version = self.members[member].version;
        let claims = Claims { member, version, auth_time: 0, amr, is_recent: true };
        success(Some(claims), Vec::new(), Fields { member: Some(member), ..Fields::default() })
    }

    fn create_by_grant(
        &mut self,
        text: &str,
        id: Option<usize>,
        password: Option<&str>,
        log_in: bool,
    ) -> Outcome {
        let not_valid = refusal("{VERIFICATION}_NOT_VALID");
        require(is_grant(text), not_valid.symbol)?;
        let grant = self.registrations.get(text).filter(|grant| grant.valid_until > self.now);
        let Registration { address, created, .. } = grant.cloned().ok_or(not_valid)?;
        if let Some(member) = created {
            let is_same_id = id.is_none() || id == self.chosen_id(member);
            let is_unchanged = self.is_as_created(member) && self.members[member].owns(&address);
            require(is_same_id && is_unchanged, not_valid.symbol)?;
            let knows_password =
                password.is_some_and(|typed| self.members[member].password.as_deref() == Some(typed));
            let amr = proven_by_code(&address, knows_password);
            return Ok(self.created(member, false, log_in.then_some(amr)));
        }
        let amr = log_in.then_some(proven_by_code(&address, password.is_some()));
        let outcome = self.create(&address, id, password, "member-created", amr);
        if let Ok(Success { fields: Fields { member, created: Some(true), .. }, .. }) = &outcome
            && let Some(grant) = self.registrations.get_mut(text)
        {
            grant.created = *member;
        }
        outcome
    }

    fn create_as_vouched(
        &mut self,
        address: &Address,
        id: Option<usize>,
        password: Option<&str>,
        log_in: bool,
    ) -> Outcome {
        let amr = log_in.then_some(if password.is_some() { BY_PASSWORD } else { NO_METHOD });
        self.create(address, id, password, "member-vouched-for", amr)
    }

    /// Creates a member with one contact, or finds the one whom an equal call created.
    fn create(
        &mut self,
        address: &Address,
        id: Option<usize>,
        password: Option<&str>,
        action: &'static str,
        amr: Option<Methods>,
    ) -> Outcome {
        let mut new =
            Member { created: Some(Created { id, at: 0 }), audit: vec![action], ..Member::default() };
        new.password = password.map(str::to_owned);
        new.bind(address.clone());
        if let Some(password) = password {
            require_acceptable_to(&new, password)?;
        }
        let number = self.members.len();
        let with_id = id.and_then(|_| (0..number).find(|member| self.chosen_id(*member) == id));
        if let Some(member) = with_id {
            let stored = &self.members[member];
            let keys: Vec<_> = stored.contacts().map(Address::key).collect();
            let is_equal = keys == [address.key()] && stored.password.as_deref() == password;
            require(is_equal && self.is_as_created(member), "MEMBER_EXISTS")?;
            return Ok(self.created(member, false, amr));
        }
        self.require_free(number, address)?;
        self.members.push(new);
        Ok(self.created(number, true, amr))
    }

    fn chosen_id(&self, member: usize) -> Option<usize> {
        self.members[member].created.as_ref().and_then(|created| created.id)
    }

    /// Whether nothing ended the sessions of a member since the creation.
    fn is_as_created(&self, member: usize) -> bool {
        let Member { created, version, .. } = &self.members[member];
        created.as_ref().is_some_and(|created| created.at == *version)
    }

    /// The session is that of the creation.
    fn created(&self, member: usize, created: bool, amr: Option<Methods>) -> Success {
        let Member { version, created: creation, .. } = &self.members[member];
        let auth_time = creation.as_ref().map_or(0, |creation| creation.at);
        let claims = amr.map(|amr| Claims { member, version: *version, auth_time, amr, is_recent: true });
        let fields = Fields { member: Some(member), created: Some(created), ..Fields::default() };
        success(claims, Vec::new(), fields)
    }

    fn check_pay_password(
        &mut self,
        member: usize,
        pin: &str,
        order: usize,
        code: Option<&(String, String)>,
    ) -> Outcome {
        self.require_not_frozen(member)?;
        require(self.members[member].pay_password.is_some(), "PAY_PASSWORD_NOT_SET")?;
        let code = match code {
            Some((typed, text)) => Some(self.verify_second_element(member, typed, text)?),
            None => None,
        };
        self.verify_pay_password(member, pin).map_err(|refused| match refused.symbol {
            "{OLD_PASSWORD}_NOT_VALID" => Refusal { symbol: "{PAY_PASSWORD}_NOT_VALID", ..refused },
            _ => refused,
        })?;
        let elements = if code.is_some() { PAY_PASSWORD_AND_SMS } else { PAY_PASSWORD };
        if let Some(key) = code {
            self.consume(&key);
        }
        self.members[member].audit.push("pay-password-checked");
        let (valid_until, stored_until) = (self.now + RECEIPT_SECONDS, self.now + DAY);
        let receipt = Receipt { member, order, elements, valid_until, is_spent: false, stored_until };
        self.issued = Some(Issued::Receipt(receipt));
        let has_cooling_until = self.members[member].cooling_until > self.now;
        let fields = Fields { elements: Some(elements), has_cooling_until, ..Fields::default() };
        Ok(success(None, Vec::new(), fields))
    }

    /// Verifies a code to log in that was sent to the member's own phone.
    fn verify_second_element(
        &mut self,
        member: usize,
        typed: &str,
        text: &str,
    ) -> Result<super::CodeKey, Refusal> {
        let phone = self.members[member].phone.clone().ok_or(refusal("{VERIFICATION}_NOT_VALID"))?;
        let flow = self.flow(Some(text), Purpose::LogIn, &phone)?;
        self.require_mature(member, &phone)?;
        let verified = self.verify(&phone, Purpose::LogIn, Some(member), flow, typed)?;
        self.require_basis(&verified, &phone)?;
        Ok(verified.key)
    }

    fn spend_receipt(&mut self, text: &str, order: usize) -> Outcome {
        let now = self.now;
        let receipt = self.receipts.get_mut(text).filter(|receipt| receipt.stored_until > now);
        let receipt = receipt.filter(|receipt| receipt.order == order);
        let receipt = receipt.filter(|receipt| receipt.is_spent || receipt.valid_until > now);
        let receipt = receipt.ok_or(refusal("RECEIPT_NOT_VALID"))?;
        let first = !receipt.is_spent;
        receipt.is_spent = true;
        let (member, elements) = (Some(receipt.member), Some(receipt.elements));
        Ok(success(None, Vec::new(), Fields { member, elements, first: Some(first), ..Fields::default() }))
    }
}

/// Returns the methods of a session for a member whose contact a code proved.
fn proven_by_code(address: &Address, knows_password: bool) -> Methods {
    match (address.is_phone(), knows_password) {
        (true, false) => BY_SMS,
        (true, true) => BY_SMS_AND_PASSWORD,
        (false, false) => BY_MAIL,
        (false, true) => BY_MAIL_AND_PASSWORD,
    }
}
