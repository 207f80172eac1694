//! The table itself. The local host and the tests make it; a deployment has its own from the template.

use std::time::Duration;

use aws_sdk_dynamodb::{
    error::{BuildError, ProvideErrorMetadata, SdkError},
    operation::create_table::CreateTableError,
    types::{
        AttributeDefinition, BillingMode, CreateGlobalSecondaryIndexAction, GlobalSecondaryIndex,
        GlobalSecondaryIndexUpdate, IndexStatus, KeySchemaElement, KeyType, Projection, ProjectionType,
        ScalarAttributeType, StreamSpecification, StreamViewType, TableDescription, TableStatus,
        TimeToLiveSpecification,
    },
};

use super::{Deadline, Store, StoreError, attribute, due, error::told};

/// How long a new table, or a new index, may take.
const CREATION: Duration = Duration::from_mins(1);

const PRIMARY: [&str; 2] = [attribute::PARTITION, attribute::SORT];
const DUE: [&str; 2] = [attribute::DUE_QUEUE, attribute::DUE_TIME];

impl Store {
    /// Creates the table unless it is there; gives one of an earlier version the index and the stream that it lacks.
    /// True when it was created.
    pub async fn ensure_table(&self) -> Result<bool, StoreError> {
        let deadline = Deadline::after(CREATION);
        let described = self.client.describe_table().table_name(&*self.table).send().await;
        match described {
            Ok(answer) => {
                self.complete(answer.table.unwrap_or_else(|| TableDescription::builder().build()), deadline).await?;
                return Ok(false);
            }
            Err(SdkError::ServiceError(e)) if e.err().is_resource_not_found_exception() => {}
            Err(e) => return Err(StoreError::Unavailable(told(&e))),
        }
        let index = GlobalSecondaryIndex::builder().index_name(due::INDEX).set_key_schema(Some(schema(DUE)?));
        let request = self.client.create_table().table_name(&*self.table).billing_mode(BillingMode::PayPerRequest);
        let request = request
            .set_key_schema(Some(schema(PRIMARY)?))
            .set_attribute_definitions(Some(definitions(&[PRIMARY, DUE])?))
            .global_secondary_indexes(index.projection(keys_only()).build().map_err(invalid)?)
            .stream_specification(stream()?);
        match request.send().await {
            Ok(_) => {}
            Err(SdkError::ServiceError(e)) if matches!(e.err(), CreateTableError::ResourceInUseException(_)) => {}
            Err(e) => return Err(StoreError::Refused(told(&e))),
        }
        self.await_table(deadline).await?;
        self.let_items_expire(deadline).await?;
        Ok(true)
    }

    /// Adds what a table of an earlier version lacks.
    async fn complete(&self, table: TableDescription, deadline: Deadline) -> Result<(), StoreError> {
        let is_due = |index: &&_| {
            aws_sdk_dynamodb::types::GlobalSecondaryIndexDescription::index_name(index) == Some(due::INDEX)
        };
        if table.global_secondary_indexes().iter().find(is_due).is_none() {
            let index = CreateGlobalSecondaryIndexAction::builder().index_name(due::INDEX);
            let index = index.set_key_schema(Some(schema(DUE)?)).projection(keys_only());
            let update = GlobalSecondaryIndexUpdate::builder().create(index.build().map_err(invalid)?).build();
            let request = self.client.update_table().table_name(&*self.table);
            let request = request.set_attribute_definitions(Some(definitions(&[PRIMARY, DUE])?));
            request.global_secondary_index_updates(update).send().await.map_err(refused)?;
            self.await_table(deadline).await?;
        }
        if table.stream_specification().is_none_or(|stream| !stream.stream_enabled()) {
            let request = self.client.update_table().table_name(&*self.table).stream_specification(stream()?);
            request.send().await.map_err(refused)?;
            self.await_table(deadline).await?;
            self.let_items_expire(deadline).await?;
        }
        Ok(())
    }

    async fn let_items_expire(&self, deadline: Deadline) -> Result<(), StoreError> {
        let expiry = TimeToLiveSpecification::builder().attribute_name(attribute::EXPIRES).enabled(true);
        let request = self.client.update_time_to_live().table_name(&*self.table);
        let request = request.time_to_live_specification(expiry.build().map_err(invalid)?);
        self.retry(|| request.clone().send(), deadline).await.map(drop)
    }

    /// Waits until the table and its index answer.
    async fn await_table(&self, deadline: Deadline) -> Result<(), StoreError> {
        let describe = || self.client.describe_table().table_name(&*self.table).send();
        loop {
            let table = self.retry(describe, deadline).await?.table;
            let ready = table.as_ref().is_none_or(|table| {
                let indexes = table.global_secondary_indexes();
                table.table_status().is_none_or(|status| *status == TableStatus::Active)
                    && indexes.iter().all(|i| i.index_status().is_none_or(|status| *status == IndexStatus::Active))
            });
            if ready {
                return Ok(());
            }
            let pause = Duration::from_millis(200);
            if deadline.is_before(pause) {
                return Err(StoreError::Unavailable("the table is still being created".into()));
            }
            tokio::time::sleep(pause).await;
        }
    }
}

fn schema([hash, range]: [&str; 2]) -> Result<Vec<KeySchemaElement>, StoreError> {
    let element = |name: &str, kind| KeySchemaElement::builder().attribute_name(name).key_type(kind).build();
    Ok(vec![element(hash, KeyType::Hash).map_err(invalid)?, element(range, KeyType::Range).map_err(invalid)?])
}

fn definitions(keys: &[[&str; 2]]) -> Result<Vec<AttributeDefinition>, StoreError> {
    let text = |name: &&str| {
        let definition = AttributeDefinition::builder().attribute_name(*name);
        definition.attribute_type(ScalarAttributeType::S).build().map_err(invalid)
    };
    keys.as_flattened().iter().map(text).collect()
}

fn keys_only() -> Projection {
    Projection::builder().projection_type(ProjectionType::KeysOnly).build()
}

fn stream() -> Result<StreamSpecification, StoreError> {
    let stream = StreamSpecification::builder().stream_enabled(true).stream_view_type(StreamViewType::NewAndOldImages);
    stream.build().map_err(invalid)
}

#[expect(clippy::needless_pass_by_value, reason = "what map_err calls")]
fn invalid(error: BuildError) -> StoreError {
    StoreError::Refused(error.to_string())
}

#[expect(clippy::needless_pass_by_value, reason = "what map_err calls")]
fn refused<E: ProvideErrorMetadata + std::error::Error + 'static>(error: SdkError<E>) -> StoreError {
    StoreError::Refused(told(&error))
}
