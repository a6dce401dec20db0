//! Registration: creating a member, once however often the call is repeated.

use crate::{
    app::App,
    clock::Timestamp,
    contact::Destination,
    domain::{
        counter::Counter,
        grant::Grant,
        member::{Member, MemberId},
        password::{self, ImportHashError, Memory, PasswordHash},
        registration::{
            self, ConsumedRegistrationGrant, ProvenContacts, Registration, RegistrationGrant, VouchedContacts,
        },
        session,
    },
    error::{Error, Field},
    flow::verification::parse_email,
    http::{
        registration::{ContactProof, GivenHash, GivenPassword, NewMember},
        reply::Reply,
        request::Request,
        service::ServiceApi,
    },
    metrics,
};
use serde::Serialize;

/// The success of a registration.
#[derive(Serialize)]
struct Registered {
    member: MemberId,
    /// Whether this call created the member, and not an earlier one.
    created: bool,
    #[serde(flatten)]
    login: Option<Login>,
}

/// What the success has beside the session.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Login {
    auth_time: Timestamp,
    amr: Vec<String>,
}

impl App {
    /// Creates a member, or returns that an equal call created the member before.
    ///
    /// # Errors
    /// - [`Error::NotValid`] if the phone, the email address, the grant or the password is not valid. The grant is not
    ///   consumed.
    /// - [`Error::EventNotValid`] if the hash is not of a known form.
    /// - [`Error::MemberExists`] if another member has the id, [`Error::PhoneInUse`] or [`Error::EmailInUse`] if another
    ///   member has the contact.
    /// - [`Error::TooManyAttempts`] if a repetition had too many wrong passwords.
    /// - [`Error::Busy`], [`Error::Internal`].
    pub async fn create_member(
        &self,
        new: &NewMember,
        request: &Request,
    ) -> Result<Reply<ServiceApi>, Error> {
        let contacts = match &new.proof {
            ContactProof::Verification(grant) => {
                let not_valid = Error::NotValid(Field::Verification);
                let Some(grant) = Grant::parse(grant.expose()) else { return Err(not_valid) };
                match self.store.registration_grant(grant.hash()).await?.ok_or(not_valid)? {
                    RegistrationGrant::Valid(grant) => ProvenContacts::ByGrant(grant),
                    RegistrationGrant::Consumed(grant) => return self.repeated_by_grant(new, &grant).await,
                }
            }
            ContactProof::Phone(phone) => {
                ProvenContacts::ByCaller(VouchedContacts::Phone(self.parse_phone(phone)?))
            }
            ContactProof::Email(email) => {
                ProvenContacts::ByCaller(VouchedContacts::Email(parse_email(email)?))
            }
            ContactProof::Both { phone, email } => {
                let both = VouchedContacts::Both(self.parse_phone(phone)?, parse_email(email)?);
                ProvenContacts::ByCaller(both)
            }
        };
        let password = self.first_password(&new.password, &contacts.destinations())?;
        let registration = Registration::new(new.member, contacts, password, request.requested_language)?;
        let is_typed = matches!(new.password, GivenPassword::Typed(_));
        let reply = |created| {
            let proven = registration.contacts.proven_by_code();
            self.registered(new, &registration.member, proven, is_typed, created)
        };
        // A repetition under the same idempotency key creates nothing either.
        let repeated = reply(false)?;
        let sealed = self.seal(request, &repeated)?;
        match self.store.register(&registration, &request.origin, sealed.as_ref()).await {
            Ok(()) => reply(true),
            Err(error) if error.is_server_error() => Err(error),
            // An equal call may have been first.
            Err(refusal) => self.repeated(new, &registration).await?.ok_or(refusal),
        }
    }

    /// Returns the reply to a repetition of the call that created the member, if there is one: with the same grant, or
    /// with the same id and values.
    ///
    /// # Errors
    /// [`Error::MemberExists`] if the member with this id has other values.
    async fn repeated(
        &self,
        new: &NewMember,
        registration: &Registration,
    ) -> Result<Option<Reply<ServiceApi>>, Error> {
        if let ProvenContacts::ByGrant(grant) = &registration.contacts
            && let Some(RegistrationGrant::Consumed(grant)) =
                self.store.registration_grant(grant.hash.clone()).await?
        {
            return self.repeated_by_grant(new, &grant).await.map(Some);
        }
        let Some(id) = new.member else { return Ok(None) };
        let Some(member) = self.store.member(id).await? else { return Ok(None) };
        if !registration.created(&member) || !self.has_password(&member, &new.password).await? {
            return Err(Error::MemberExists);
        }
        let is_typed = matches!(new.password, GivenPassword::Typed(_));
        let proven = registration.contacts.proven_by_code();
        self.registered(new, &member, proven, is_typed, false).map(Some)
    }

    /// Returns the reply to a call with a grant that created a member before. The values of that first call hold.
    ///
    /// # Errors
    /// [`Error::NotValid`] if the call is for another id, or the member changed since.
    async fn repeated_by_grant(
        &self,
        new: &NewMember,
        grant: &ConsumedRegistrationGrant,
    ) -> Result<Reply<ServiceApi>, Error> {
        let not_valid = || Error::NotValid(Field::Verification);
        // Otherwise the service would take the id that it chose for that of the member.
        if new.member.is_some_and(|id| id != grant.member) {
            return Err(not_valid());
        }
        let member = self.store.member(grant.member).await?;
        let member = member.filter(|member| grant.created(member)).ok_or_else(not_valid)?;
        let is_typed = new.log_in && matches!(new.password, GivenPassword::Typed(_));
        let knows_password = is_typed && self.has_password(&member, &new.password).await?;
        self.registered(new, &member, Some(&grant.destination), knows_password, false)
    }

    /// Returns the reply, with a session if the call requested one.
    fn registered(
        &self,
        new: &NewMember,
        member: &Member,
        proven_by_code: Option<&Destination>,
        knows_password: bool,
        created: bool,
    ) -> Result<Reply<ServiceApi>, Error> {
        let claims = registration::session(member, proven_by_code, knows_password);
        let login = new.log_in.then(|| Login { auth_time: claims.auth_time, amr: claims.amr.clone() });
        let reply = Reply::service(&Registered { member: member.id, created, login })?;
        if !new.log_in {
            return Ok(reply);
        }
        let lifetime = session::lifetime(&self.settings, claims.auth_time);
        Ok(reply.with_lifetime(lifetime).with_session(self.issue_session(claims)?))
    }

    /// Accepts and hashes the password of a new member.
    fn first_password(
        &self,
        given: &GivenPassword,
        contacts: &[Destination],
    ) -> Result<Option<PasswordHash>, Error> {
        match given {
            GivenPassword::None => Ok(None),
            GivenPassword::Typed(typed) => {
                let password = self.accept_password(typed.expose(), contacts)?;
                self.hash(&password).map(Some)
            }
            GivenPassword::Hash(hash) => {
                let (text, format) = (hash.text.expose(), hash.format()?);
                let adopted = self.passwords.adopt(&self.keys, text, format, &mut Memory::default());
                adopted.map(Some).map_err(hash_error)
            }
        }
    }

    /// Whether a stored member has the given password, the given hash, or none as given. The attempt is counted before
    /// the comparison, and given back if they are equal, so that any number of repetitions can be right at once.
    async fn has_password(&self, member: &Member, given: &GivenPassword) -> Result<bool, Error> {
        let (Some(stored), GivenPassword::Typed(_) | GivenPassword::Hash(_)) = (&member.password, given)
        else {
            return Ok(member.password.is_none() && matches!(given, GivenPassword::None));
        };
        let attempts = Counter::of_registrations(member.id);
        let left = self.store.count(&attempts).await?;
        let is_same = match given {
            GivenPassword::None => false,
            GivenPassword::Typed(typed) => password::verify(&self.keys, typed.expose(), stored)?,
            GivenPassword::Hash(hash) => self.is_hash(stored, hash)?,
        };
        if is_same {
            self.store.take_back(&attempts).await?;
        } else {
            metrics::wrong_attempt(left);
        }
        Ok(is_same)
    }

    /// Whether a stored hash was made from the given one.
    fn is_hash(&self, stored: &PasswordHash, given: &GivenHash) -> Result<bool, Error> {
        let (text, format) = (given.text.expose(), given.format()?);
        stored.is_adopted_from(&self.keys, text, format, &mut Memory::default()).map_err(hash_error)
    }
}

/// Returns the refusal of a hash. Its text contains no value.
fn hash_error(error: ImportHashError) -> Error {
    match error {
        ImportHashError::Failed(error) => error,
        error => Error::EventNotValid(format!("field `passwordHash` is not valid: {error}")),
    }
}
