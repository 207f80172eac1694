//! The table itself: created where there is none (local host, tests); deployments create it from the template.

use std::time::Duration;

use aws_sdk_dynamodb::{
    error::{DisplayErrorContext, SdkError},
    operation::create_table::CreateTableError,
    types::{AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType},
};

use super::{Deadline, Store, StoreError, attribute, read::retry};

/// How long a new table may take.
const CREATION: Duration = Duration::from_mins(1);

impl Store {
    /// Creates the table unless it is there. True when it was created.
    pub async fn ensure_table(&self) -> Result<bool, StoreError> {
        let deadline = Deadline::after(CREATION);
        let described = self.client.describe_table().table_name(&*self.table).send().await;
        match described {
            Ok(_) => return Ok(false),
            Err(SdkError::ServiceError(e)) if e.err().is_resource_not_found_exception() => {}
            Err(e) => return Err(StoreError::Unavailable(DisplayErrorContext(&e).to_string())),
        }
        let mut request = self.client.create_table().table_name(&*self.table).billing_mode(BillingMode::PayPerRequest);
        for (name, kind) in [(attribute::PARTITION, KeyType::Hash), (attribute::SORT, KeyType::Range)] {
            let invalid = |e: aws_sdk_dynamodb::error::BuildError| StoreError::Refused(e.to_string());
            let element = KeySchemaElement::builder().attribute_name(name).key_type(kind).build().map_err(invalid)?;
            let definition = AttributeDefinition::builder().attribute_name(name);
            let definition = definition.attribute_type(ScalarAttributeType::S).build().map_err(invalid)?;
            request = request.key_schema(element).attribute_definitions(definition);
        }
        match request.send().await {
            Ok(_) => {}
            Err(SdkError::ServiceError(e)) if matches!(e.err(), CreateTableError::ResourceInUseException(_)) => {}
            Err(e) => return Err(StoreError::Refused(DisplayErrorContext(&e).to_string())),
        }
        self.await_table(deadline).await?;
        Ok(true)
    }

    /// Waits until the table answers.
    async fn await_table(&self, deadline: Deadline) -> Result<(), StoreError> {
        let describe = || self.client.describe_table().table_name(&*self.table).send();
        loop {
            let answer = retry(describe, deadline).await?;
            let status = answer.table.and_then(|t| t.table_status);
            if status.is_none_or(|s| s == aws_sdk_dynamodb::types::TableStatus::Active) {
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
