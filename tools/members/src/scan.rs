//! The whole table, page by page, in several segments at once.

use aws_sdk_dynamodb::types::AttributeValue;
use futures_util::{
    Stream, StreamExt, TryStreamExt,
    stream::{self, BoxStream},
};
use shared::store::Item;

use crate::{
    error::Error,
    table::{Table, text},
};

/// Segments that are read at once.
pub const SEGMENTS: i32 = 8;

/// Which items are wanted: DynamoDB's filter expression, and its values by name.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// The expression.
    pub filter: &'static str,
    /// The values.
    pub values: Vec<(&'static str, AttributeValue)>,
}

impl Wanted {
    /// Every member.
    pub fn members() -> Self {
        Self {
            filter: "sk = :member AND begins_with(pk, :prefix)",
            values: vec![(":member", text("member")), (":prefix", text("member#"))],
        }
    }
}

/// A page of a segment, and the key that the next one begins after.
pub struct Page {
    /// What is wanted of it.
    pub items: Vec<Item>,
    /// None, if it is the last.
    pub next: Option<Item>,
}

/// Reads a page of a segment that begins after `from`.
pub async fn page(table: &Table, wanted: &Wanted, segment: i32, from: Option<Item>) -> Result<Page, Error> {
    let scan = table
        .client
        .scan()
        .table_name(&table.name)
        .segment(segment)
        .total_segments(SEGMENTS)
        .filter_expression(wanted.filter)
        .set_exclusive_start_key(from);
    let values = wanted.values.iter().cloned();
    let scan = values.fold(scan, |scan, (name, value)| scan.expression_attribute_values(name, value));
    let answer = scan.send().await.map_err(Error::of_call("DynamoDB"))?;
    Ok(Page { items: answer.items.unwrap_or_default(), next: answer.last_evaluated_key })
}

/// Every item that is wanted, in no order.
pub fn items<'a>(table: &'a Table, wanted: &'a Wanted) -> impl Stream<Item = Result<Item, Error>> + 'a {
    stream::select_all((0..SEGMENTS).map(|segment| of_segment(table, wanted, segment)))
}

fn of_segment<'a>(table: &'a Table, wanted: &'a Wanted, segment: i32) -> BoxStream<'a, Result<Item, Error>> {
    let pages = stream::try_unfold(Some(None), move |from: Option<Option<Item>>| async move {
        let Some(from) = from else { return Ok(None) };
        let page = page(table, wanted, segment, from).await?;
        Ok::<_, Error>(Some((page.items, page.next.map(Some))))
    });
    pages.map_ok(|items| stream::iter(items.into_iter().map(Ok))).try_flatten().boxed()
}
