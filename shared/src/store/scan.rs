//! Scans of the whole table, in segments that can be read concurrently.

use super::{
    Item, ItemKey, Store,
    audit::{self, TrailEntry},
    closing::{self, Tombstone},
    member::{self, OwnerItem},
    read, store_error, text,
};
use crate::{
    clock::Timestamp,
    contact::Destination,
    domain::member::{Member, MemberId},
    error::Error,
};
use aws_sdk_dynamodb::types::AttributeValue;
use serde::Deserialize;

/// The number of segments, which are numbered from 0. A [`Page::next`] is valid only for this number.
pub const SEGMENTS: i32 = 8;

/// A page of a segment.
#[derive(Debug)]
pub struct Page<T> {
    /// The items, in no particular order.
    pub items: Vec<T>,
    /// The key after which the next page begins. `None` on the last page.
    pub next: Option<ItemKey>,
}

/// An item that contains a phone or an email address.
#[derive(Debug)]
pub enum ContactItem {
    /// A member.
    Member(Box<Member>),
    /// The owner of a phone or an email address.
    Owner(StoredOwner),
}

/// The owner of a phone or an email address, under the key that is stored. An earlier version or another program can
/// have written another key than the canonical one.
#[derive(Clone, Debug)]
pub struct StoredOwner {
    /// The phone or the email address in the spelling of the key.
    pub destination: Destination,
    /// The member who owns it.
    pub member: MemberId,
    pub(super) key: ItemKey,
}

impl ContactItem {
    fn read(item: Item) -> Result<Self, Error> {
        let key: ItemKey = read(item.clone())?;
        if key.sk == member::SORT_KEY {
            return Ok(Self::Member(Box::new(read(item)?)));
        }
        let destination = Destination::try_from(key.pk.clone()).map_err(Error::internal)?;
        Ok(Self::Owner(StoredOwner { destination, member: read::<OwnerItem>(item)?.member, key }))
    }
}

/// A filter expression with its values by name.
struct Filter {
    expression: &'static str,
    values: Vec<(&'static str, AttributeValue)>,
}

impl Filter {
    fn members() -> Self {
        let values = vec![(":member", text(member::SORT_KEY)), (":prefix", text(member::PREFIX))];
        Self { expression: "sk = :member AND begins_with(pk, :prefix)", values }
    }

    fn tombstones() -> Self {
        let values = vec![(":member", text(closing::SORT_KEY)), (":prefix", text(closing::PREFIX))];
        Self { expression: "sk = :member AND begins_with(pk, :prefix)", values }
    }

    fn contacts() -> Self {
        let mut values = Self::members().values;
        values.push((":owner", text(member::OWNER_SORT_KEY)));
        Self { expression: "sk = :owner OR (sk = :member AND begins_with(pk, :prefix))", values }
    }

    /// The sort key of an audit record begins with its time in milliseconds.
    fn audit(from: Timestamp, until: Timestamp) -> Self {
        let millis = |at: Timestamp| text(format!("{:013}", u128::from(at.0) * 1_000));
        let values = vec![
            (":prefix", text(audit::PREFIX)),
            (":from", millis(from)),
            // BETWEEN is inclusive, but the sort key of a record at that time is longer and sorts after this value.
            (":until", millis(until)),
        ];
        Self { expression: "begins_with(pk, :prefix) AND sk BETWEEN :from AND :until", values }
    }
}

#[derive(Deserialize)]
struct IdItem {
    id: MemberId,
}

impl Store {
    /// Reads the members on the page of a segment that begins after `from`.
    ///
    /// # Errors
    /// [`Error::Busy`], [`Error::Internal`].
    pub async fn scan_members(&self, segment: i32, from: Option<ItemKey>) -> Result<Page<Member>, Error> {
        self.scan(Filter::members(), segment, from, read).await
    }

    /// Reads the ids of the members on the page of a segment that begins after `from`.
    ///
    /// # Errors
    /// [`Error::Busy`], [`Error::Internal`].
    pub async fn scan_member_ids(
        &self,
        segment: i32,
        from: Option<ItemKey>,
    ) -> Result<Page<MemberId>, Error> {
        self.scan(Filter::members(), segment, from, |item| Ok(read::<IdItem>(item)?.id)).await
    }

    /// Reads the tombstones on the page of a segment that begins after `from`.
    ///
    /// # Errors
    /// [`Error::Busy`], [`Error::Internal`].
    pub async fn scan_tombstones(
        &self,
        segment: i32,
        from: Option<ItemKey>,
    ) -> Result<Page<Tombstone>, Error> {
        self.scan(Filter::tombstones(), segment, from, read).await
    }

    /// Reads the members, and the owners of phones and email addresses, on the page of a segment that begins after
    /// `from`.
    ///
    /// # Errors
    /// [`Error::Busy`], [`Error::Internal`].
    pub async fn scan_contacts(
        &self,
        segment: i32,
        from: Option<ItemKey>,
    ) -> Result<Page<ContactItem>, Error> {
        self.scan(Filter::contacts(), segment, from, ContactItem::read).await
    }

    /// Reads the audit records of a time range on the page of a segment that begins after `from`. The range does not
    /// include its end.
    ///
    /// # Errors
    /// [`Error::Busy`], [`Error::Internal`].
    pub async fn scan_audit_trails(
        &self,
        range: std::ops::Range<Timestamp>,
        segment: i32,
        from: Option<ItemKey>,
    ) -> Result<Page<TrailEntry>, Error> {
        self.scan(Filter::audit(range.start, range.end), segment, from, TrailEntry::read).await
    }

    async fn scan<T>(
        &self,
        filter: Filter,
        segment: i32,
        from: Option<ItemKey>,
        read_item: impl Fn(Item) -> Result<T, Error>,
    ) -> Result<Page<T>, Error> {
        let scan = self
            .client
            .scan()
            .table_name(&self.table)
            .segment(segment)
            .total_segments(SEGMENTS)
            .filter_expression(filter.expression)
            .set_exclusive_start_key(from.map(ItemKey::into_item));
        let values = filter.values.into_iter();
        let scan = values.fold(scan, |scan, (name, value)| scan.expression_attribute_values(name, value));
        let output = scan.send().await.map_err(|error| store_error(&error))?;
        let items = output.items.unwrap_or_default().into_iter().map(read_item).collect::<Result<_, _>>()?;
        Ok(Page { items, next: output.last_evaluated_key.map(read).transpose()? })
    }
}
