//! The steps of a walk. A step names everything by its role, such as "the last code", so that it has a meaning after any
//! other steps, and a failing walk shrinks by leaving steps out.

use proptest::{collection::vec, option::weighted, prelude::*, sample::select};

/// How many members a walk has.
pub(super) const MEMBERS: usize = 2;

/// How many clients a walk has: each member on a device with a recent login and on one with an old login, and two
/// strangers.
pub(super) const CLIENTS: usize = 2 * MEMBERS + 2;

/// What a member has at the start.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is one independent credential")]
pub(super) struct Start {
    pub(super) phone: bool,
    pub(super) email: bool,
    pub(super) password: bool,
    pub(super) pay_password: bool,
}

/// A walk.
#[derive(Clone, Debug)]
pub struct Walk {
    pub(super) start: Vec<Start>,
    pub(super) steps: Vec<Step>,
}

#[derive(Clone, Debug)]
pub(super) enum Step {
    /// A client makes a request.
    Request { client: usize, session: Held, cookie: bool, key: Option<u8>, source: usize, ask: Ask },
    /// A client sends its last request again, once or often enough to lock itself out.
    Repeat { client: usize, times: usize },
    /// A client logs in.
    LogIn { client: usize },
    /// Minutes pass.
    Wait { minutes: u64 },
    /// The operator runs a command for a member.
    Operate { member: usize, command: Command },
}

/// The session that a client sends.
#[derive(Clone, Copy, Debug)]
pub(super) enum Held {
    Newest,
    Previous,
    No,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Command {
    Revoke,
    Unlock,
    SetPassword(usize),
    SetPhone(usize),
    SetEmail(usize),
    Unfreeze,
}

/// A phone number or an email address.
#[derive(Clone, Copy, Debug)]
pub(super) enum To {
    /// The one that the client requested its last code for.
    Asked,
    /// The member's own.
    Own,
    /// One of those in the walk, in one of its spellings.
    Number(usize, bool),
    /// Neither a phone number nor an email address.
    Malformed,
}

/// The code that a client types.
#[derive(Clone, Copy, Debug)]
pub(super) enum Typed {
    Right,
    Wrong,
    /// The right one with a space in it.
    Spaced,
    /// The right one before the last.
    Earlier,
    /// The last code that was sent for anything.
    Foreign,
}

/// The password that a client types as the current one.
#[derive(Clone, Copy, Debug)]
pub(super) enum Guess {
    Right,
    Wrong,
}

/// The `verification` that a client sends.
#[derive(Clone, Copy, Debug)]
pub(super) enum From {
    Last,
    Earlier,
    /// The last one of another client.
    Other(usize),
}

/// What a client requests. Passwords and PINs are numbers in the lists of the walk.
#[derive(Clone, Copy, Debug)]
pub(super) enum Ask {
    /// The natural continuation of the client's last request for a code: the change, or the grant before it.
    Continue {
        typed: Typed,
        to_grant: bool,
        password: Option<Guess>,
        new: usize,
    },
    SendChangeMessage,
    ChangeByMessage {
        typed: Typed,
        old: Option<Guess>,
        new: usize,
        of: usize,
    },
    ChangePassword {
        old: Guess,
        new: usize,
    },
    SendCode {
        to: To,
        purpose: Option<&'static str>,
    },
    BindPhone {
        to: To,
        typed: Typed,
        from: Option<From>,
        password: Option<Guess>,
    },
    SetPayPassword {
        new: usize,
        password: Option<Guess>,
    },
    ResetPayPassword {
        to: To,
        typed: Option<Typed>,
        from: Option<From>,
        new: Option<usize>,
    },
    UpdatePayPassword {
        old: Guess,
        new: usize,
    },
    VerifyRecoveryCode {
        typed: Typed,
        from: Option<From>,
    },
    RecoverPassword {
        by_mail: bool,
        to: To,
        from: Option<From>,
        new: usize,
    },
    SendMail {
        to: To,
        password: Option<Guess>,
    },
    OpenMail {
        typed: Typed,
        from: From,
    },
    VerifyMail {
        typed: Typed,
        from: From,
    },
    /// Reports a change by a link, counted from the last one that was sent.
    ReportChange {
        back: usize,
    },
    LogIn {
        by_mail: bool,
        to: To,
        is_named: bool,
        password: Guess,
        with_device: bool,
    },
    SendLogInCode {
        by_mail: bool,
        to: To,
        registers: bool,
    },
    LogInByCode {
        by_mail: bool,
        to: To,
        typed: Typed,
        from: From,
    },
    /// Creates a member with a grant, or, without one, for a service that vouches.
    CreateMember {
        from: Option<From>,
        by_mail: bool,
        to: To,
        id: Option<usize>,
        password: Option<usize>,
        log_in: bool,
    },
    CheckPayPassword {
        by_session: bool,
        member: usize,
        pin: Guess,
        order: usize,
        typed: Option<Typed>,
    },
    /// Spends a receipt, counted from the last one that was issued.
    SpendReceipt {
        back: usize,
        order: Option<usize>,
    },
}

/// How many ids a service chooses for new members.
pub(super) const CHOSEN_IDS: usize = 2;

/// How many orders are confirmed.
pub(super) const ORDERS: usize = 4;

/// How many addresses the end users of services have.
pub(super) const SOURCES: usize = 2;

/// How many phones and email addresses a walk has.
pub(super) const CONTACTS: usize = 4;

fn guess() -> impl Strategy<Value = Guess> + Clone {
    prop_oneof![3 => Just(Guess::Right), 1 => Just(Guess::Wrong)]
}

fn typed() -> impl Strategy<Value = Typed> + Clone {
    prop_oneof![
        16 => Just(Typed::Right),
        5 => Just(Typed::Wrong),
        1 => Just(Typed::Spaced),
        1 => Just(Typed::Earlier),
        1 => Just(Typed::Foreign),
    ]
}

fn to() -> impl Strategy<Value = To> + Clone {
    prop_oneof![
        8 => Just(To::Asked),
        5 => Just(To::Own),
        8 => (0..CONTACTS, any::<bool>()).prop_map(|(number, other)| To::Number(number, other)),
        1 => Just(To::Malformed),
    ]
}

fn from() -> impl Strategy<Value = From> + Clone {
    prop_oneof![6 => Just(From::Last), 1 => Just(From::Earlier), 1 => (0..CLIENTS).prop_map(From::Other)]
}

/// The index of a new password or PIN. The last two of each list are not acceptable.
fn new() -> impl Strategy<Value = usize> + Clone {
    prop_oneof![8 => 0..4_usize, 1 => 4..6_usize]
}

fn purpose() -> impl Strategy<Value = Option<&'static str>> + Clone {
    prop_oneof![4 => Just(None), 1 => select(vec![Some("bind"), Some("pay"), Some("recover")])]
}

/// Returns what a client does without a session.
fn ask_as_stranger() -> impl Strategy<Value = Ask> {
    prop_oneof![
        16 => (typed(), any::<bool>(), new())
            .prop_map(|(typed, to_grant, new)| Ask::Continue { typed, to_grant, password: None, new }),
        5 => (to(), purpose()).prop_map(|(to, purpose)| Ask::SendCode { to, purpose }),
        5 => to().prop_map(|to| Ask::SendMail { to, password: None }),
        2 => (typed(), weighted(0.9, from()))
            .prop_map(|(typed, from)| Ask::VerifyRecoveryCode { typed, from }),
        2 => (any::<bool>(), to(), weighted(0.9, from()), new())
            .prop_map(|(by_mail, to, from, new)| Ask::RecoverPassword { by_mail, to, from, new }),
        1 => (typed(), from()).prop_map(|(typed, from)| Ask::OpenMail { typed, from }),
        2 => (typed(), from()).prop_map(|(typed, from)| Ask::VerifyMail { typed, from }),
        2 => prop_oneof![3 => Just(0), 1 => 0..3_usize].prop_map(|back| Ask::ReportChange { back }),
    ]
}

/// Returns what a service requests for the person at a client.
fn ask_of_service() -> impl Strategy<Value = Ask> {
    let log_in = (any::<bool>(), to(), any::<bool>(), guess(), any::<bool>());
    let create =
        (weighted(0.5, from()), any::<bool>(), to(), weighted(0.4, 0..CHOSEN_IDS), weighted(0.6, new()));
    let check = (any::<bool>(), 0..MEMBERS, guess(), 0..ORDERS, weighted(0.25, typed()));
    prop_oneof![
        6 => (typed(), any::<bool>(), new())
            .prop_map(|(typed, to_grant, new)| Ask::Continue { typed, to_grant, password: None, new }),
        5 => log_in.prop_map(|(by_mail, to, is_named, password, with_device)| Ask::LogIn {
            by_mail, to, is_named, password, with_device,
        }),
        5 => (any::<bool>(), to(), any::<bool>())
            .prop_map(|(by_mail, to, registers)| Ask::SendLogInCode { by_mail, to, registers }),
        1 => (any::<bool>(), to(), typed(), from())
            .prop_map(|(by_mail, to, typed, from)| Ask::LogInByCode { by_mail, to, typed, from }),
        4 => (create, any::<bool>()).prop_map(|((from, by_mail, to, id, password), log_in)| Ask::CreateMember {
            from, by_mail, to, id, password, log_in,
        }),
        6 => check.prop_map(|(by_session, member, pin, order, typed)| Ask::CheckPayPassword {
            by_session, member, pin, order, typed,
        }),
        8 => (prop_oneof![3 => Just(0), 1 => 0..3_usize], weighted(0.2, 0..ORDERS))
            .prop_map(|(back, order)| Ask::SpendReceipt { back, order }),
    ]
}

/// Returns what a client does with a session.
fn ask_as_member() -> impl Strategy<Value = Ask> {
    prop_oneof![
        8 => (typed(), any::<bool>(), weighted(0.4, guess()), new())
            .prop_map(|(typed, to_grant, password, new)| Ask::Continue { typed, to_grant, password, new }),
        3 => Just(Ask::SendChangeMessage),
        1 => (typed(), weighted(0.3, guess()), new(), 0..CLIENTS)
            .prop_map(|(typed, old, new, of)| Ask::ChangeByMessage { typed, old, new, of }),
        2 => (guess(), new()).prop_map(|(old, new)| Ask::ChangePassword { old, new }),
        5 => (to(), purpose()).prop_map(|(to, purpose)| Ask::SendCode { to, purpose }),
        1 => (to(), typed(), weighted(0.3, from()), weighted(0.4, guess()))
            .prop_map(|(to, typed, from, password)| Ask::BindPhone { to, typed, from, password }),
        2 => (new(), weighted(0.3, guess())).prop_map(|(new, password)| Ask::SetPayPassword { new, password }),
        1 => (to(), weighted(0.7, typed()), weighted(0.4, from()), weighted(0.6, new()))
            .prop_map(|(to, typed, from, new)| Ask::ResetPayPassword { to, typed, from, new }),
        2 => (guess(), new()).prop_map(|(old, new)| Ask::UpdatePayPassword { old, new }),
        3 => (to(), weighted(0.4, guess())).prop_map(|(to, password)| Ask::SendMail { to, password }),
        2 => ask_as_stranger(),
    ]
}

fn command() -> impl Strategy<Value = Command> {
    prop_oneof![
        5 => Just(Command::Revoke),
        2 => Just(Command::Unlock),
        1 => (0..4_usize).prop_map(Command::SetPassword),
        1 => (0..CONTACTS).prop_map(Command::SetPhone),
        1 => (0..CONTACTS).prop_map(Command::SetEmail),
        2 => Just(Command::Unfreeze),
    ]
}

/// Returns a client of a member. Few clients make most of the requests, so that what they begin is continued.
fn member_client() -> impl Strategy<Value = usize> + Clone {
    prop_oneof![2 => Just(0), 1 => Just(MEMBERS), 3 => 0..2 * MEMBERS]
}

/// Returns any client, and mostly a few ones.
fn any_client() -> impl Strategy<Value = usize> + Clone {
    prop_oneof![1 => Just(0), 2 => Just(2 * MEMBERS), 2 => 0..CLIENTS]
}

fn request(
    client: impl Strategy<Value = usize>,
    ask: impl Strategy<Value = Ask>,
) -> impl Strategy<Value = Step> {
    let held = prop_oneof![24 => Just(Held::Newest), 1 => Just(Held::Previous), 1 => Just(Held::No)];
    (client, held, any::<bool>(), weighted(0.15, 0..2_u8), 0..SOURCES, ask).prop_map(
        |(client, session, cookie, key, source, ask)| Step::Request {
            client,
            session,
            cookie,
            key,
            source,
            ask,
        },
    )
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        40 => request(member_client(), ask_as_member()),
        16 => request(2 * MEMBERS..CLIENTS, ask_as_stranger()),
        20 => request(any_client(), ask_of_service()),
        5 => (0..CLIENTS, prop_oneof![2 => Just(1_usize), 1 => Just(4)])
            .prop_map(|(client, times)| Step::Repeat { client, times }),
        3 => member_client().prop_map(|client| Step::LogIn { client }),
        // Every limit is a multiple of a minute, and a walk takes less than one, so time never decides by a second.
        12 => prop_oneof![
            12 => Just(2_u64),
            2 => select(vec![1_u64, 5, 10, 15]),
            2 => select(vec![60_u64, 180, 24 * 60]),
        ].prop_map(|minutes| Step::Wait { minutes }),
        4 => (0..MEMBERS, command()).prop_map(|(member, command)| Step::Operate { member, command }),
    ]
}

fn start() -> impl Strategy<Value = Start> {
    let has = || proptest::bool::weighted(0.75);
    (has(), has(), has(), has()).prop_map(|(phone, email, password, pay_password)| Start {
        phone,
        email,
        password,
        pay_password,
    })
}

/// Returns walks of at most `length` steps. A failing walk shrinks by its steps only.
pub(super) fn walks(length: usize) -> impl Strategy<Value = Walk> {
    let steps = vec(step().no_shrink(), 1..=length);
    (vec(start(), MEMBERS).no_shrink(), steps).prop_map(|(start, steps)| Walk { start, steps })
}
