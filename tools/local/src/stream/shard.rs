//! The stored records of the table's stream.

use dynoxide::{
    Database,
    actions::{
        describe_stream::{DescribeStreamRequest, StreamDescription},
        get_records::{GetRecordsRequest, GetRecordsResponse},
        get_shard_iterator::GetShardIteratorRequest,
        list_streams::ListStreamsRequest,
    },
    errors::DynoxideError,
};

use super::Error;

/// The sequence number of a record, or `None` before the first one. All have the same width, so their order as text
/// is that of the stream.
pub(super) type SequenceNumber = Option<String>;

/// The only shard of the table's stream.
#[derive(Clone)]
pub(super) struct Shard {
    database: Database,
    stream_arn: String,
    id: String,
}

impl Shard {
    pub(super) fn open(database: &Database, table: &str) -> Result<Self, Error> {
        let request =
            ListStreamsRequest { table_name: Some(table.to_owned()), ..ListStreamsRequest::default() };
        let stream = database.list_streams(request)?.streams.into_iter().next().ok_or(Error::Missing)?;
        let shard = describe(database, &stream.stream_arn)?.shards.into_iter().next();
        let id = shard.ok_or(Error::Missing)?.shard_id;
        Ok(Self { database: database.clone(), stream_arn: stream.stream_arn, id })
    }

    /// Returns the sequence number of the last record.
    pub(super) fn last_sequence_number(&self) -> Result<SequenceNumber, DynoxideError> {
        let shards = describe(&self.database, &self.stream_arn)?.shards;
        Ok(shards.into_iter().find_map(|shard| shard.sequence_number_range.ending_sequence_number))
    }

    pub(super) fn iterator_at_end(&self) -> Result<String, Error> {
        let request = GetShardIteratorRequest {
            stream_arn: self.stream_arn.clone(),
            shard_id: self.id.clone(),
            shard_iterator_type: "LATEST".to_owned(),
            sequence_number: None,
        };
        self.database.get_shard_iterator(request)?.shard_iterator.ok_or(Error::Missing)
    }

    pub(super) fn read(&self, iterator: String) -> Result<GetRecordsResponse, DynoxideError> {
        self.database.get_records(GetRecordsRequest { shard_iterator: iterator, limit: None })
    }
}

fn describe(database: &Database, stream_arn: &str) -> Result<StreamDescription, DynoxideError> {
    let request =
        DescribeStreamRequest { stream_arn: stream_arn.to_owned(), ..DescribeStreamRequest::default() };
    Ok(database.describe_stream(request)?.stream_description)
}
