//! What each call requires and does.

use super::{
    Address, Fields, Member, Purpose, Reference, Refusal, Sent, Success, digits, email, is_grant,
    password_counter, pay_password_counters, phone, refusal, refuse, require, require_strong,
};
use crate::walk::{
    call::{Call, Claims, Request},
    rules::COOLING_OFF_SECONDS,
};

type Outcome = Result<Success, Refusal>;

fn success(status: u16, session: Option<Claims>, messages: Vec<Sent>) -> Success {
    Success { status, session, messages, fields: Fields::default() }
}

impl Reference {
    pub(super) fn call(&mut self, request: &Request) -> Outcome {
        let sent = self.session_if_sent(request)?;
        let session = sent.ok_or(refusal("INVALID_TOKEN"));
        let verification = request.verification().map(str::to_owned);
        match &request.call {
            Call::SendChangeMessage => self.send_change_message(session?),
            Call::ChangeByMessage { phone_info, code, new, old } => {
                self.change_by_message(session?, phone_info, code, new, old.as_deref())
            }
            Call::ChangePassword { old, new } => self.change_password(session?, old, new),
            Call::SendCode { phone, purpose } => self.send_code(sent, phone, *purpose),
            Call::BindPhone { phone: typed, code, verification, password } => {
                let (claims, address) = (session?, phone(typed)?);
                digits(code, &address)?;
                self.require_changeable(claims.member)?;
                let flow = self.flow(verification.as_deref(), Purpose::BindPhone, &address)?;
                let proven = self.prove(claims, &address, password.as_deref())?;
                let member = Some(claims.member);
                let verified = self.verify(&address, Purpose::BindPhone, member, flow, code)?;
                Ok(success(201, sent, self.bind(&verified, address, proven)?))
            }
            Call::SetPayPassword { new, password } => {
                self.set_pay_password(session?, new, password.as_deref())
            }
            Call::ResetPayPassword { phone: typed, code, verification: parameter, new } => {
                let (claims, address) = (session?, phone(typed)?);
                self.require_resettable(claims, &address, new.as_deref())?;
                let messages = match code {
                    Some(code) => {
                        digits(code, &address)?;
                        let flow = self.flow(parameter.as_deref(), Purpose::ResetPay, &address)?;
                        self.reset_by_code(claims, &address, flow, code, new.as_deref())?
                    }
                    None => self.reset_by_grant(claims, &address, verification, new.as_deref())?,
                };
                Ok(success(201, sent, messages))
            }
            Call::UpdatePayPassword { old, new } => self.update_pay_password(session?, old, new),
            Call::VerifyRecoveryCode { code, .. } => {
                let text = verification.ok_or(refusal("{VERIFICATION}_REQUIRED"))?;
                self.exchange(&text, &[Purpose::Recover, Purpose::ResetPay], code)?;
                Ok(success(201, sent, Vec::new()))
            }
            Call::RecoverPassword { to: (kind, typed), new, .. } => {
                self.recover_password(kind, typed, verification, new)
            }
            Call::SendMail { email: typed, password } => {
                let address = email(typed)?;
                let messages = match sent {
                    None => self.send(address, Purpose::RecoverByMail, None, true)?,
                    Some(claims) => {
                        let proven = self.prove(claims, &address, password.as_deref())?;
                        self.send(address, Purpose::BindMail, Some(claims.member), proven)?
                    }
                };
                Ok(success(200, sent, messages))
            }
            // The page changes nothing, and its response has no session.
            Call::OpenMail { .. } => Ok(success(200, None, Vec::new())),
            Call::VerifyMail { verification, code } => self.verify_mail(sent, verification, code),
            Call::ReportChange { verification } => Ok(success(200, None, self.report_change(verification)?)),
            _ => self.service_call(request),
        }
    }

    fn send_change_message(&mut self, claims: Claims) -> Outcome {
        let own = self.members[claims.member].phone.clone().ok_or(refusal("{PHONE}_REQUIRED"))?;
        self.require_mature(claims.member, &own)?;
        let messages = self.send(own, Purpose::Change, Some(claims.member), true)?;
        Ok(success(200, Some(claims), messages))
    }

    fn change_by_message(
        &mut self,
        claims: Claims,
        phone_info: &str,
        code: &str,
        new: &str,
        old: Option<&str>,
    ) -> Outcome {
        let token = self.token(phone_info, &[Purpose::Change]).ok_or(refusal("{PHONE_INFO}_NOT_VALID"))?;
        self.require_acceptable(new, claims.member)?;
        self.require_changeable(claims.member)?;
        require(self.members[claims.member].owns(&token.address), "USER_PHONE_NOT_MATCH")?;
        self.require_mature(claims.member, &token.address)?;
        digits(code, &token.address)?;
        if let Some(old) = old {
            self.confirm_password(claims, old)?;
        }
        let verified = self.verify(&token.address, Purpose::Change, Some(claims.member), None, code)?;
        self.require_basis(&verified, &token.address)?;
        let messages = self.put_new_password(claims.member, "password-changed-by-message", new)?;
        self.consume(&verified.key);
        Ok(success(200, Some(self.renewed(claims)), messages))
    }

    fn change_password(&mut self, claims: Claims, old: &str, new: &str) -> Outcome {
        self.require_changeable(claims.member)?;
        self.require_acceptable(new, claims.member)?;
        require(old != new, "{NEW_PASSWORD}_NOT_VALID")?;
        self.verify_password(claims, old)?;
        let messages = self.put_new_password(claims.member, "password-changed", new)?;
        self.counters.remove(&password_counter(claims));
        Ok(success(201, Some(self.renewed(claims)), messages))
    }

    fn send_code(&mut self, sent: Option<Claims>, typed: &str, purpose: Option<&str>) -> Outcome {
        let address = phone(typed)?;
        let is_own = sent.is_some_and(|claims| self.members[claims.member].owns(&address));
        let purpose = match (purpose, sent) {
            (Some("recover"), _) | (None, None) => Purpose::Recover,
            (Some(_), None) => return refuse("INVALID_TOKEN"),
            (Some("pay"), Some(_)) if !is_own => return refuse("USER_PHONE_NOT_MATCH"),
            (Some("pay"), Some(_)) => Purpose::ResetPay,
            (None, Some(_)) if is_own => Purpose::ResetPay,
            (_, Some(_)) => Purpose::BindPhone,
        };
        let member = sent.map(|claims| claims.member).filter(|_| purpose != Purpose::Recover);
        if let (Some(member), Purpose::ResetPay) = (member, purpose) {
            self.require_reset_allowed(member, &address)?;
        }
        let messages = self.send(address, purpose, member, true)?;
        Ok(success(200, sent, messages))
    }

    fn set_pay_password(&mut self, claims: Claims, new: &str, password: Option<&str>) -> Outcome {
        self.require_changeable(claims.member)?;
        self.require_acceptable_pin(new, claims.member)?;
        require(self.members[claims.member].pay_password.is_none(), "PAY_PASSWORD_ALREADY_SET")?;
        let has_password = self.members[claims.member].password.is_some();
        let cools_off = !self.is_proven(claims, password)? && has_password;
        let until = self.now + COOLING_OFF_SECONDS;
        let messages = self.change(claims.member, "pay-password-set", |member| {
            member.pay_password = Some(new.to_owned());
            if cools_off {
                member.cooling_until = until;
            }
        });
        Ok(success(201, Some(claims), messages))
    }

    fn require_resettable(
        &self,
        claims: Claims,
        address: &Address,
        new: Option<&str>,
    ) -> Result<(), Refusal> {
        self.require_changeable(claims.member)?;
        if let Some(new) = new {
            self.require_acceptable_pin(new, claims.member)?;
        }
        require(self.members[claims.member].owns(address), "USER_PHONE_NOT_MATCH")?;
        self.require_reset_allowed(claims.member, address)
    }

    /// Requires that no cooling-off period runs, and that the phone is mature.
    fn require_reset_allowed(&self, member: usize, address: &Address) -> Result<(), Refusal> {
        require(self.members[member].cooling_until <= self.now, "COOLING_OFF")?;
        self.require_mature(member, address)
    }

    fn reset_by_code(
        &mut self,
        claims: Claims,
        address: &Address,
        flow: Option<String>,
        code: &str,
        new: Option<&str>,
    ) -> Result<Vec<Sent>, Refusal> {
        let verified = self.verify(address, Purpose::ResetPay, Some(claims.member), flow, code)?;
        self.require_basis(&verified, address)?;
        let messages = self.reset_pay_password(claims.member, new)?;
        self.consume(&verified.key);
        Ok(messages)
    }

    fn reset_by_grant(
        &mut self,
        claims: Claims,
        address: &Address,
        verification: Option<String>,
        new: Option<&str>,
    ) -> Result<Vec<Sent>, Refusal> {
        let text = verification.filter(|text| is_grant(text)).ok_or(refusal("{MESSAGE}_REQUIRED"))?;
        let grant = self.grant(&text, Purpose::ResetPay, address)?;
        let is_own = grant.basis.member == claims.member && self.holds(&grant.basis, address);
        require(is_own, "{VERIFICATION}_NOT_VALID")?;
        let messages = self.reset_pay_password(claims.member, new)?;
        self.grants.remove(&text);
        Ok(messages)
    }

    fn reset_pay_password(&mut self, member: usize, new: Option<&str>) -> Result<Vec<Sent>, Refusal> {
        let is_same = new.is_some() && new == self.members[member].pay_password.as_deref();
        require(!is_same, "{PAY_PASSWORD}_NOT_VALID")?;
        let write = |member: &mut Member| member.pay_password = new.map(str::to_owned);
        let messages = self.change(member, "pay-password-reset", write);
        for counter in pay_password_counters(member) {
            self.counters.remove(&counter);
        }
        Ok(messages)
    }

    fn update_pay_password(&mut self, claims: Claims, old: &str, new: &str) -> Outcome {
        self.require_changeable(claims.member)?;
        self.require_acceptable_pin(new, claims.member)?;
        require(old != new, "{PAY_PASSWORD}_NOT_VALID")?;
        self.verify_pay_password(claims.member, old)?;
        let write = |member: &mut Member| member.pay_password = Some(new.to_owned());
        let messages = self.change(claims.member, "pay-password-changed", write);
        Ok(success(201, Some(claims), messages))
    }

    fn recover_password(
        &mut self,
        kind: &str,
        typed: &str,
        verification: Option<String>,
        new: &str,
    ) -> Outcome {
        let (address, purpose) = if kind == "phone" {
            (phone(typed)?, Purpose::Recover)
        } else {
            (email(typed)?, Purpose::RecoverByMail)
        };
        let text = verification.ok_or(refusal("{VERIFICATION}_REQUIRED"))?;
        require(is_grant(&text), "{VERIFICATION}_NOT_VALID")?;
        // Before the grant is used, because that counts an attempt.
        require_strong(new)?;
        let grant = self.grant(&text, purpose, &address)?;
        let member = grant.basis.member;
        require(self.members[member].owns(&address), "{VERIFICATION}_NOT_VALID")?;
        self.require_acceptable(new, member)?;
        require(self.holds(&grant.basis, &address), "{VERIFICATION}_NOT_VALID")?;
        self.require_unlike_current(member, new)?;
        let lifts_freeze = self.members[member].frozen_through == Some(address.key());
        if !lifts_freeze {
            self.require_not_frozen(member)?;
        }
        let messages = self.put_new_password(member, "password-recovered", new)?;
        self.members[member].frozen_through = None;
        self.members[member].cooling_until = self.now + COOLING_OFF_SECONDS;
        self.grants.remove(&text);
        Ok(success(201, None, messages))
    }

    /// Reports a change by the link in its notice.
    fn report_change(&mut self, text: &str) -> Result<Vec<Sent>, Refusal> {
        let now = self.now;
        let report = self.reports.get(text).filter(|report| report.valid_until > now).cloned();
        let report = report.ok_or(refusal("{VERIFICATION}_NOT_VALID"))?;
        let member = &self.members[report.member];
        let is_entitled = member.owns(&report.through) || member.can_restore(&report.through, now);
        require(is_entitled, "{VERIFICATION}_NOT_VALID")?;
        let replaced = report.replaced.filter(|replaced| replaced.key() != report.through.key());
        let contacts = [Some(report.through.clone()), replaced].into_iter().flatten();
        let restored: Vec<_> = contacts
            .filter(|contact| member.can_restore(contact, now))
            .filter(|contact| self.require_free(report.member, contact).is_ok())
            .collect();
        let messages = self.change(report.member, "change-reported", |member| {
            member.version += 1;
            member.frozen_through = Some(report.through.key());
            for contact in restored {
                member.immature_until.remove(&contact.key());
                member.bound_at.remove(&contact.key());
                member.bind(contact);
            }
        });
        self.reports.remove(text);
        Ok(messages)
    }

    fn verify_mail(&mut self, sent: Option<Claims>, verification: &str, code: &str) -> Outcome {
        let purposes = [Purpose::BindMail, Purpose::RecoverByMail];
        let token = self.token(verification, &purposes).ok_or(refusal("{VERIFICATION}_NOT_VALID"))?;
        if token.purpose == Purpose::RecoverByMail {
            self.exchange(verification, &purposes, code)?;
            return Ok(success(200, sent, Vec::new()));
        }
        let flow = Some(verification.to_owned());
        let verified = self.verify(&token.address, token.purpose, None, flow, code)?;
        let proven = verified.basis.proven;
        Ok(success(200, sent, self.bind(&verified, token.address, proven)?))
    }
}
