//! Registration: a new member, whose phone and email address are proven before the member exists.

use crate::{
    clock::Timestamp,
    contact::{Destination, Email, Phone},
    domain::{
        audit::Use,
        member::{Member, MemberId},
        password::PasswordHash,
        session::{self, Claims},
    },
    language::Language,
    random::{self, RandomError},
};

/// A grant to register that is valid. It authorizes nothing until a registration consumes it.
#[derive(Debug)]
pub struct ValidRegistrationGrant {
    /// The phone or email address that a code proved.
    pub(crate) destination: Destination,
    pub(crate) hash: String,
}

/// A grant to register that created a member. It remains until it expires, so that a repeated call finds the member.
#[derive(Debug)]
pub(crate) struct ConsumedRegistrationGrant {
    /// The phone or email address that a code proved.
    pub(crate) destination: Destination,
    /// The member that was created with it.
    pub(crate) member: MemberId,
}

/// The stored state of a grant to register.
#[derive(Debug)]
pub(crate) enum RegistrationGrant {
    /// No registration has consumed it.
    Valid(ValidRegistrationGrant),
    /// A registration consumed it.
    Consumed(ConsumedRegistrationGrant),
}

/// A phone, an email address, or both, for which the calling service vouches.
#[derive(Debug)]
pub enum VouchedContacts {
    /// A phone.
    Phone(Phone),
    /// An email address.
    Email(Email),
    /// Both.
    Both(Phone, Email),
}

/// The contacts of a new member with their proof. Nothing else makes a [`Registration`].
#[derive(Debug)]
pub enum ProvenContacts {
    /// A code that was sent to the phone or email address was exchanged for a grant.
    ByGrant(ValidRegistrationGrant),
    /// The calling service vouches for them.
    ByCaller(VouchedContacts),
}

impl ProvenContacts {
    /// Returns the phone and the email address.
    #[must_use]
    pub fn destinations(&self) -> Vec<Destination> {
        match self {
            Self::ByGrant(grant) => vec![grant.destination.clone()],
            Self::ByCaller(VouchedContacts::Phone(phone)) => vec![Destination::Phone(phone.clone())],
            Self::ByCaller(VouchedContacts::Email(email)) => vec![Destination::Email(email.clone())],
            Self::ByCaller(VouchedContacts::Both(phone, email)) => {
                vec![Destination::Phone(phone.clone()), Destination::Email(email.clone())]
            }
        }
    }

    /// Returns the phone or the email address to which a code proved that the member holds it.
    pub(crate) fn proven_by_code(&self) -> Option<&Destination> {
        match self {
            Self::ByGrant(grant) => Some(&grant.destination),
            Self::ByCaller(_) => None,
        }
    }
}

/// A member to be created, with the proof of the contacts.
#[derive(Debug)]
pub struct Registration {
    pub(crate) member: Member,
    pub(crate) contacts: ProvenContacts,
}

impl Registration {
    /// Returns the registration of a member with this id, or a random one.
    ///
    /// The contacts are mature: there is no earlier contact and no password that they could take over.
    ///
    /// # Errors
    /// [`RandomError`] if the random source fails.
    pub fn new(
        id: Option<MemberId>,
        contacts: ProvenContacts,
        password: Option<PasswordHash>,
        language: Option<Language>,
    ) -> Result<Self, RandomError> {
        let now = Timestamp::now();
        let (mut phone, mut email) = (None, None);
        for destination in contacts.destinations() {
            match destination {
                Destination::Phone(new) => phone = Some(new),
                Destination::Email(new) => email = Some(new),
            }
        }
        let member = Member {
            id: id.map_or_else(|| random::uuid().map(MemberId), Ok)?,
            // The second of the creation, so that no session that was issued to this id before is valid.
            credential_version: now.0,
            revision: 1,
            phone,
            email,
            password,
            pay_password: None,
            phone_immature_since: None,
            email_immature_since: None,
            phone_bound_at: None,
            email_bound_at: None,
            frozen: None,
            cooling_since: None,
            changed_at: Vec::new(),
            language,
            created_at: now,
        };
        Ok(Self { member, contacts })
    }

    /// Returns the event of the audit trail.
    pub(crate) fn event(&self) -> Use {
        match self.contacts {
            ProvenContacts::ByGrant(_) => Use::MemberCreated,
            ProvenContacts::ByCaller(_) => Use::MemberVouchedFor,
        }
    }

    /// Returns whether a stored member has the contacts of this registration, and the credentials that it was created
    /// with.
    pub(crate) fn created(&self, member: &Member) -> bool {
        member.destinations() == self.contacts.destinations() && is_as_created(member)
    }
}

impl ConsumedRegistrationGrant {
    /// Returns whether a stored member is the one that the grant created, and still has the contact and the credentials
    /// of that time. Authority ends with its cause: a grant that was used does not survive a changed password, revoked
    /// sessions, or another phone.
    pub(crate) fn created(&self, member: &Member) -> bool {
        member.id == self.member && member.owns(&self.destination) && is_as_created(member)
    }
}

/// Whether nothing has ended the sessions of a member since a [`Registration`] created it.
fn is_as_created(member: &Member) -> bool {
    member.credential_version == member.created_at.0
}

/// Returns the claims of the session that a registration issues, to its repetitions as well. The login is that of the
/// creation, so that a repetition neither makes an old login recent nor outlives what ended the first session.
///
/// `amr` has `sms` or `mail` if a code proved the contact; a contact that the service vouches for proves nothing about
/// the person. It has `pwd` if the member typed the password (`knows_password`): someone who just chose a password knows
/// it as well as someone who logs in with it, and no earlier owner of the account can be harmed. A password that came
/// as a hash was typed elsewhere at an unknown time.
pub(crate) fn session(member: &Member, proven_by_code: Option<&Destination>, knows_password: bool) -> Claims {
    let method = proven_by_code.map(|destination| match destination {
        Destination::Phone(_) => "sms",
        Destination::Email(_) => "mail",
    });
    let methods = method.into_iter().chain(knows_password.then_some(session::PASSWORD));
    Claims {
        member: member.id,
        credential_version: member.credential_version,
        auth_time: member.created_at,
        amr: methods.map(str::to_owned).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn phone() -> Destination {
        Destination::of_parts("86", "13627140483")
    }

    fn email() -> Email {
        "Li@example.com".parse().unwrap()
    }

    fn by_grant() -> ProvenContacts {
        ProvenContacts::ByGrant(ValidRegistrationGrant { destination: phone(), hash: String::new() })
    }

    fn by_caller() -> ProvenContacts {
        let Destination::Phone(phone) = phone() else { unreachable!() };
        ProvenContacts::ByCaller(VouchedContacts::Both(phone, email()))
    }

    #[test]
    fn new_member_has_the_proven_contacts() {
        let registration = Registration::new(None, by_grant(), None, Some(Language::English)).unwrap();
        let member = &registration.member;
        assert_eq!(member.destinations(), [phone()]);
        assert_eq!((member.revision, member.credential_version), (1, member.created_at.0));
        assert_eq!((member.language, registration.event()), (Some(Language::English), Use::MemberCreated));

        let id = MemberId(uuid::uuid!("6f1a6e4c-5a0e-4a7a-9a39-1d3a5f0f6c11"));
        let registration = Registration::new(Some(id), by_caller(), None, None).unwrap();
        assert_eq!(registration.member.destinations(), [phone(), Destination::Email(email())]);
        assert_eq!((registration.member.id, registration.event()), (id, Use::MemberVouchedFor));
    }

    #[test]
    fn changed_member_is_not_the_created_one() {
        let registration = Registration::new(None, by_grant(), None, None).unwrap();
        let created = registration.member.clone();
        let grant = ConsumedRegistrationGrant { destination: phone(), member: created.id };
        assert!(registration.created(&created) && grant.created(&created));
        let revoked = Member { credential_version: created.credential_version + 1, ..created.clone() };
        let moved = Member { phone: None, email: Some(email()), ..created.clone() };
        for changed in [&revoked, &moved] {
            assert!(!registration.created(changed) && !grant.created(changed), "{changed:?}");
        }
        let other = Member { id: MemberId(uuid::Uuid::nil()), ..created };
        assert!(!grant.created(&other));
    }

    #[test]
    fn amr_names_what_was_proven() {
        let member = Registration::new(None, by_caller(), None, None).unwrap().member;
        let mail = Destination::Email(email());
        for (proven, knows_password, expected) in [
            (Some(&phone()), false, &["sms"][..]),
            (Some(&phone()), true, &["sms", "pwd"]),
            (Some(&mail), false, &["mail"]),
            (None, true, &["pwd"]),
            (None, false, &[]),
        ] {
            let claims = session(&member, proven, knows_password);
            assert_eq!(claims.amr, expected);
            assert_eq!((claims.member, claims.auth_time), (member.id, member.created_at));
        }
    }
}
