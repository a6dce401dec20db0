//! Parallel scans of the whole table.

use aws_sdk_dynamodb::types::AttributeValue;
use futures_util::{
    Stream, StreamExt, TryStreamExt,
    stream::{self, BoxStream},
};
use shared::store::Item;

use crate::{attribute::text, error::Error, table::MemberTable};

/// The number of segments that are scanned concurrently.
pub const SEGMENTS: i32 = 8;

/// A filter expression of DynamoDB, with its values by name.
#[derive(Clone, Debug)]
pub struct Filter {
    /// The expression.
    pub expression: &'static str,
    /// The values.
    pub values: Vec<(&'static str, AttributeValue)>,
}

impl Filter {
    /// Returns the filter that selects every member.
    pub fn members() -> Self {
        Self {
            expression: "sk = :member AND begins_with(pk, :prefix)",
            values: vec![(":member", text("member")), (":prefix", text("member#"))],
        }
    }
}

/// A page of a segment.
pub struct ScanPage {
    /// The items that match the filter.
    pub items: Vec<Item>,
    /// The key after which the next page begins. `None` on the last page.
    pub next: Option<Item>,
}

/// Reads the page of a segment that begins after the key `from`.
pub async fn page(
    table: &MemberTable,
    filter: &Filter,
    segment: i32,
    from: Option<Item>,
) -> Result<ScanPage, Error> {
    let scan = table
        .client
        .scan()
        .table_name(&table.name)
        .segment(segment)
        .total_segments(SEGMENTS)
        .filter_expression(filter.expression)
        .set_exclusive_start_key(from);
    let values = filter.values.iter().cloned();
    let scan = values.fold(scan, |scan, (name, value)| scan.expression_attribute_values(name, value));
    let response = scan.send().await.map_err(Error::from_call("DynamoDB"))?;
    Ok(ScanPage { items: response.items.unwrap_or_default(), next: response.last_evaluated_key })
}

/// Streams every item that matches the filter, in no particular order.
pub fn items<'a>(table: &'a MemberTable, filter: &'a Filter) -> impl Stream<Item = Result<Item, Error>> + 'a {
    stream::select_all((0..SEGMENTS).map(|segment| segment_items(table, filter, segment)))
}

fn segment_items<'a>(
    table: &'a MemberTable,
    filter: &'a Filter,
    segment: i32,
) -> BoxStream<'a, Result<Item, Error>> {
    let pages = stream::try_unfold(Some(None), move |from: Option<Option<Item>>| async move {
        let Some(from) = from else { return Ok(None) };
        let page = page(table, filter, segment, from).await?;
        Ok::<_, Error>(Some((page.items, page.next.map(Some))))
    });
    pages.map_ok(|items| stream::iter(items.into_iter().map(Ok))).try_flatten().boxed()
}
