//! Turns what a client asks for into a call with concrete values.

#![expect(clippy::indexing_slicing, reason = "steps name the clients and values of the walk by their index")]

use super::{
    call::{Call, CreationProof, Named, Payer},
    reference::{Address, Member, Purpose},
    step::{Ask, From, Guess, To, Typed},
    world::{Client, EMAILS, Known, PASSWORDS, PHONES, PINS, Run, SentCode},
};

const WRONG_PASSWORD: &str = "not-the-password";
const WRONG_PIN: &str = "864209";
const NO_CODE: &str = "000000";

impl Run<'_> {
    /// Returns the call, or `None` if there is nothing to continue or to send. `session` is the text of the session that
    /// the client sends.
    pub(super) fn resolve(
        &self,
        client: usize,
        session: Option<&str>,
        ask: Ask,
        has_cookie: bool,
    ) -> Option<Call> {
        let guess = |guess: Option<Guess>| guess.map(|guess| self.password(client, guess));
        // A client that has no `verification` has nothing to send.
        let optional = |from: Option<From>| match from {
            Some(from) => self.verification(client, from).map(Some),
            None => Some(None),
        };
        Some(match ask {
            Ask::Continue { typed, to_grant, password, new } => {
                self.continuation(client, typed, to_grant, guess(password), new, has_cookie)?
            }
            Ask::SendChangeMessage => Call::SendChangeMessage,
            Ask::ChangeByMessage { typed, old, new, of } => {
                let known = &self.clients[of].known;
                let known = known.iter().rfind(|known| known.purpose == Purpose::Change).or(known.last())?;
                let (code, new) = (self.code_of(typed, &known.text), PASSWORDS[new].to_owned());
                Call::ChangeByMessage { phone_info: known.text.clone(), code, new, old: guess(old) }
            }
            Ask::ChangePassword { old, new } => {
                Call::ChangePassword { old: self.password(client, old), new: PASSWORDS[new].to_owned() }
            }
            Ask::SendCode { to, purpose } => Call::SendCode { phone: self.phone(client, to), purpose },
            Ask::BindPhone { to, typed, from, password } => Call::BindPhone {
                code: self.code_to(typed, &self.phone(client, to), Purpose::BindPhone),
                phone: self.phone(client, to),
                verification: optional(from)?,
                password: guess(password),
            },
            Ask::SetPayPassword { new, password } => {
                Call::SetPayPassword { new: PINS[new].to_owned(), password: guess(password) }
            }
            Ask::ResetPayPassword { to, typed, from, new } => Call::ResetPayPassword {
                code: typed.map(|typed| self.code_to(typed, &self.phone(client, to), Purpose::ResetPay)),
                phone: self.phone(client, to),
                verification: optional(from)?,
                new: new.map(|new| PINS[new].to_owned()),
            },
            Ask::UpdatePayPassword { old, new } => {
                Call::UpdatePayPassword { old: self.pin(client, old), new: PINS[new].to_owned() }
            }
            Ask::VerifyRecoveryCode { typed, from } => {
                let text = optional(from)?;
                let code = self.code_of(typed, text.as_deref().unwrap_or_default());
                Call::VerifyRecoveryCode { code, verification: text }
            }
            Ask::RecoverPassword { by_mail, to, from, new } => Call::RecoverPassword {
                to: if by_mail {
                    ("email", self.email(client, to))
                } else {
                    ("phone", self.phone(client, to))
                },
                verification: optional(from)?,
                new: PASSWORDS[new].to_owned(),
            },
            Ask::SendMail { to, password } => {
                Call::SendMail { email: self.email(client, to), password: guess(password) }
            }
            Ask::OpenMail { typed, from } => {
                let verification = self.verification(client, from)?;
                Call::OpenMail { code: self.code_of(typed, &verification), verification }
            }
            Ask::VerifyMail { typed, from } => {
                let verification = self.verification(client, from)?;
                Call::VerifyMail { code: self.code_of(typed, &verification), verification }
            }
            Ask::ReportChange { back } => {
                Call::ReportChange { verification: self.links.iter().rev().nth(back)?.clone() }
            }
            ask => self.resolve_service(client, session, ask)?,
        })
    }

    /// Returns the call of another service.
    fn resolve_service(&self, client: usize, session: Option<&str>, ask: Ask) -> Option<Call> {
        Some(match ask {
            Ask::LogIn { by_mail, to, is_named, password, with_device } => {
                let (name, value) = self.named(client, by_mail, to);
                let name = if is_named { name } else { "identifier" };
                Call::LogInByPassword {
                    password: self.password_of(&value, password),
                    device: self.clients[client].devices.last().filter(|_| with_device).cloned(),
                    to: (name, value),
                }
            }
            Ask::SendLogInCode { by_mail, to, registers } => Call::SendLogInCode {
                purpose: if registers { "register" } else { "login" },
                to: self.named(client, by_mail, to),
            },
            Ask::LogInByCode { by_mail, to, typed, from } => {
                let verification = self.verification(client, from)?;
                let code = self.code_of(typed, &verification);
                Call::LogInByCode { to: self.named(client, by_mail, to), code, verification }
            }
            Ask::CreateMember { from, by_mail, to, id, password, log_in } => {
                let proof = match from {
                    Some(from) => CreationProof::Grant(self.grant_to_register(client, from)?),
                    None => CreationProof::Vouched(self.named(client, by_mail, to)),
                };
                let password = password.map(|number| PASSWORDS[number].to_owned());
                Call::CreateMember { proof, id, password, log_in }
            }
            Ask::CheckPayPassword { by_session, member, pin, order, typed } => {
                self.check(client, session.filter(|_| by_session), member, pin, order, typed)?
            }
            Ask::SpendReceipt { back, order } => {
                let (receipt, own) = self.receipts.iter().rev().nth(back)?;
                Call::SpendReceipt { receipt: receipt.clone(), order: order.unwrap_or(*own) }
            }
            _ => return None,
        })
    }

    /// Returns the check of a pay password for the member of the session, or, without one, of a member whom the service
    /// names.
    fn check(
        &self,
        client: usize,
        session: Option<&str>,
        member: usize,
        pin: Guess,
        order: usize,
        typed: Option<Typed>,
    ) -> Option<Call> {
        let number = session.and(self.clients[client].session.as_ref()).map(|own| own.claims.member);
        let right = self.reference.members[number.unwrap_or(member)].pay_password.clone();
        let pin = right.filter(|_| matches!(pin, Guess::Right)).unwrap_or_else(|| WRONG_PIN.to_owned());
        let code = match typed {
            Some(typed) => {
                let known = self.clients[client].known.iter().rev();
                let sent = known.clone().find(|known| known.purpose == Purpose::LogIn);
                let verification = sent.or(known.clone().next())?.text.clone();
                Some((self.code_of(typed, &verification), verification))
            }
            None => None,
        };
        let payer = session.map_or(Payer::Member(member), |session| Payer::Session(Some(session.to_owned())));
        Some(Call::CheckPayPassword { payer, pin, order, code })
    }

    fn named(&self, client: usize, by_mail: bool, to: To) -> Named {
        if by_mail { ("email", self.email(client, to)) } else { ("phone", self.phone(client, to)) }
    }

    /// Returns what a client types as the password of a phone or an email address.
    fn password_of(&self, typed: &str, guess: Guess) -> String {
        let address = match typed.strip_prefix("+86") {
            _ if typed.contains('@') => Address(typed.to_owned()),
            national => Address(format!("+86{}", national.unwrap_or(typed))),
        };
        let owner = self.reference.owners().get(&address.key()).copied();
        let right = owner.and_then(|owner| self.reference.members[owner].password.clone());
        right.filter(|_| matches!(guess, Guess::Right)).unwrap_or_else(|| WRONG_PASSWORD.to_owned())
    }

    /// Returns the last grant to register, or else the last text with any authority.
    fn grant_to_register(&self, client: usize, from: From) -> Option<String> {
        let of = if let From::Other(other) = from { other } else { client };
        let known = self.clients[of].known.iter();
        let grant = known.rev().find(|known| known.is_grant && known.purpose == Purpose::Register);
        grant.map(|grant| grant.text.clone()).or_else(|| self.verification(client, from))
    }

    /// Returns the natural next call after the last response with a token or grant.
    fn continuation(
        &self,
        client: usize,
        typed: Typed,
        to_grant: bool,
        password: Option<String>,
        new: usize,
        has_cookie: bool,
    ) -> Option<Call> {
        let Known { text, purpose, to, is_grant } = self.clients[client].known.last()?;
        let (to, code, new_password) = (to.0.clone(), self.code_of(typed, text), PASSWORDS[new].to_owned());
        let verification = Some(text.clone()).filter(|_| !has_cookie);
        Some(match (purpose, is_grant) {
            (Purpose::Change, _) => {
                Call::ChangeByMessage { phone_info: text.clone(), code, new: new_password, old: password }
            }
            (Purpose::BindPhone, _) => {
                Call::BindPhone { phone: to, code, verification: verification.filter(|_| to_grant), password }
            }
            (Purpose::ResetPay, false) if to_grant => Call::VerifyRecoveryCode { code, verification },
            (Purpose::ResetPay, is_grant) => Call::ResetPayPassword {
                phone: to,
                code: Some(code).filter(|_| !is_grant),
                verification: verification.filter(|_| *is_grant),
                new: Some(PINS[new].to_owned()).filter(|_| to_grant || password.is_some()),
            },
            (Purpose::Recover, false) => Call::VerifyRecoveryCode { code, verification },
            (Purpose::Recover, true) => {
                Call::RecoverPassword { to: ("phone", to), verification, new: new_password }
            }
            (Purpose::BindMail | Purpose::RecoverByMail, false) => {
                Call::VerifyMail { verification: text.clone(), code }
            }
            (Purpose::BindMail | Purpose::RecoverByMail, true) => {
                Call::RecoverPassword { to: ("email", to), verification, new: new_password }
            }
            (Purpose::LogIn | Purpose::Register, false) => Call::LogInByCode {
                to: (if to.contains('@') { "email" } else { "phone" }, to),
                code,
                verification: text.clone(),
            },
            (Purpose::LogIn | Purpose::Register, true) => Call::CreateMember {
                proof: CreationProof::Grant(text.clone()),
                id: None,
                password: Some(new_password).filter(|_| to_grant),
                log_in: true,
            },
        })
    }

    fn member(&self, client: usize) -> Option<&Member> {
        self.clients[client].session.as_ref().map(|session| &self.reference.members[session.claims.member])
    }

    /// Returns the last phone or email address that the client requested a code for.
    fn asked(&self, client: usize, is_phone: bool) -> Option<String> {
        let Client { known, .. } = &self.clients[client];
        known.iter().rfind(|known| known.to.is_phone() == is_phone).map(|known| known.to.0.clone())
    }

    fn phone(&self, client: usize, to: To) -> String {
        let own = || Some(self.member(client)?.phone.as_ref()?.0.clone());
        let named = match to {
            To::Asked => self.asked(client, true).or_else(own),
            To::Own => own(),
            To::Number(number, other) => {
                Some(format!("{}{}", if other { "+86" } else { "" }, PHONES[number]))
            }
            To::Malformed => Some("123".to_owned()),
        };
        named.unwrap_or_else(|| PHONES[client % PHONES.len()].to_owned())
    }

    fn email(&self, client: usize, to: To) -> String {
        let own = || Some(self.member(client)?.email.as_ref()?.0.clone());
        let named = match to {
            To::Asked => self.asked(client, false).or_else(own),
            To::Own => own(),
            To::Number(number, other) => Some(EMAILS[number][usize::from(other)].to_owned()),
            To::Malformed => Some("li at example.com".to_owned()),
        };
        named.unwrap_or_else(|| EMAILS[client % EMAILS.len()][0].to_owned())
    }

    fn password(&self, client: usize, guess: Guess) -> String {
        let right = self.member(client).and_then(|member| member.password.clone());
        right.filter(|_| matches!(guess, Guess::Right)).unwrap_or_else(|| WRONG_PASSWORD.to_owned())
    }

    fn pin(&self, client: usize, guess: Guess) -> String {
        let right = self.member(client).and_then(|member| member.pay_password.clone());
        right.filter(|_| matches!(guess, Guess::Right)).unwrap_or_else(|| WRONG_PIN.to_owned())
    }

    fn verification(&self, client: usize, from: From) -> Option<String> {
        let (of, back) = match from {
            From::Last => (client, 0),
            From::Earlier => (client, 1),
            From::Other(other) => (other, 0),
        };
        let known = self.clients[of].known.iter().rev().filter(|known| known.purpose != Purpose::Change);
        known.map(|known| known.text.clone()).nth(back)
    }

    /// Returns what is typed as the code of this token.
    fn code_of(&self, typed: Typed, token: &str) -> String {
        self.code(typed, |sent| sent.token == token)
    }

    /// Returns what is typed as the code to this phone.
    fn code_to(&self, typed: Typed, to: &str, purpose: Purpose) -> String {
        self.code(typed, |sent| sent.purpose == purpose && sent.to.0.ends_with(to))
    }

    /// Returns what is typed as a code, where the right one is the newest that matches.
    fn code(&self, typed: Typed, matches: impl Fn(&SentCode) -> bool) -> String {
        let mut matching =
            self.sent.iter().rev().filter(|sent| matches(sent)).map(|sent| sent.digits.clone());
        let code = match typed {
            Typed::Right => matching.next(),
            Typed::Spaced => matching.next().map(|digits| format!("{} {}", &digits[..3], &digits[3..])),
            Typed::Earlier => matching.nth(1),
            Typed::Foreign => self.sent.last().map(|sent| sent.digits.clone()),
            Typed::Wrong => matching.next().map(|mut digits| {
                let other = if digits.pop() == Some('7') { '3' } else { '7' };
                digits.push(other);
                digits
            }),
        };
        code.unwrap_or_else(|| NO_CODE.to_owned())
    }
}
