//! Parallel scans of the whole table.

use futures_util::{
    Stream, StreamExt, TryStreamExt,
    stream::{self, BoxStream},
};
use shared::{
    member::Member,
    store::{ItemKey, Page, SEGMENTS},
};

use crate::{error::Error, table::MemberTable};

/// Streams every member, in no particular order.
pub fn members(table: &MemberTable) -> impl Stream<Item = Result<Member, Error>> + '_ {
    items(|segment, from| table.store.scan_members(segment, from))
}

/// Streams the items on the pages of all segments, in no particular order.
pub fn items<'a, T, P>(
    page: impl Fn(i32, Option<ItemKey>) -> P + Clone + Send + 'a,
) -> impl Stream<Item = Result<T, Error>> + 'a
where
    T: Send + 'a,
    P: Future<Output = Result<Page<T>, shared::Error>> + Send + 'a,
{
    stream::select_all((0..SEGMENTS).map(|segment| segment_items(page.clone(), segment)))
}

fn segment_items<'a, T, P>(
    page: impl Fn(i32, Option<ItemKey>) -> P + Send + 'a,
    segment: i32,
) -> BoxStream<'a, Result<T, Error>>
where
    T: Send + 'a,
    P: Future<Output = Result<Page<T>, shared::Error>> + Send + 'a,
{
    let pages = stream::try_unfold(Some(None), move |from: Option<Option<ItemKey>>| {
        let page = from.map(|from| page(segment, from));
        async move {
            let Some(page) = page else { return Ok(None) };
            let Page { items, next } = page.await?;
            Ok::<_, Error>(Some((items, next.map(Some))))
        }
    });
    pages.map_ok(|items| stream::iter(items.into_iter().map(Ok))).try_flatten().boxed()
}
