// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The engine for data that outgrew a machine: the same passes as SQL, run by DataFusion in this
//! process or by a Ballista cluster whose executors see the files under the same paths.
//!
//! The text is plain SQL with built-in functions only, so that a cluster needs nothing of ours.

mod answer;
mod text;

use std::path::Path;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use ballista::prelude::SessionContextExt;
use datafusion::datasource::file_format::parquet::ParquetFormat;
use datafusion::datasource::listing::{
    ListingOptions, ListingTable, ListingTableConfig, ListingTableUrl,
};
use datafusion::error::DataFusionError;
use datafusion::execution::SessionStateBuilder;
use datafusion::execution::memory_pool::FairSpillPool;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::prelude::{SessionConfig, SessionContext};
use futures::StreamExt;
use telesteer_fam::{Reading, Record};
use url::Url;

use crate::pick::Pick;
use crate::rows::Rows;
use crate::totals::Days;
use crate::{Error, Run};

/// Name of the table of all rows.
const TABLE: &str = "records";
/// Rows of a batch.
const BATCH: usize = 8192;
/// Most tasks that a cluster is given of the files at a time, unless more threads are asked for: enough
/// for its processors to come out even, few enough to hand out.
const TASKS_MAX: usize = 64;

/// Where queries run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// In this process.
    Here {
        /// Octets that operators may hold before they spill to disk; `None` is no bound.
        memory: Option<usize>,
    },
    /// On a cluster: `ballista://HOST:PORT` of its scheduler.
    Cluster(String),
}

/// A connection to where queries run.
pub struct Engine {
    runtime: tokio::runtime::Runtime,
    place: Place,
}

impl Engine {
    /// Makes one; a cluster is connected to by the first query.
    pub fn new(place: Place, threads: usize) -> Result<Self, Error> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(threads.max(1))
            // Plans are deep, and planning recurses.
            .thread_stack_size(8 << 20)
            .enable_all()
            .build();
        let runtime =
            runtime.map_err(|error| Error::Query(format!("starting threads: {error}")))?;
        Ok(Self { runtime, place })
    }

    /// What the records of each day came to.
    pub fn totals(&self, run: &Run<'_>, reading: &Reading) -> Result<Days, Error> {
        let question = text::Totals::new(run, reading);
        let mut groups = answer::Groups::new(&question, run.assumed, reading);
        self.query(run, &question.sql(), |batch| groups.add(batch))?;
        groups.finish()
    }

    /// Shows rows that may matter to `observe`.
    pub fn rows(
        &self,
        run: &Run<'_>,
        pick: &Pick,
        mut observe: impl FnMut(&Record),
    ) -> Result<(), Error> {
        let highest = run.files.iter().map(|file| file.highest).max().unwrap_or(0);
        let columns = run.fields.columns(run.assumed).join(", ");
        let question = format!("SELECT {columns} FROM {TABLE}{}", text::condition(pick, highest));
        self.query(run, &question, |batch| {
            let rows = Rows::of(batch, run.fields)?;
            for row in 0..batch.num_rows() {
                let record = rows.record(row, run.assumed)?;
                if pick.between(&record) {
                    observe(&record);
                }
            }
            Ok(())
        })
    }

    fn query(
        &self,
        run: &Run<'_>,
        question: &str,
        mut each: impl FnMut(&RecordBatch) -> Result<(), String>,
    ) -> Result<(), Error> {
        if run.files.is_empty() {
            return Ok(());
        }
        let failed = |error: DataFusionError| match &self.place {
            Place::Here { .. } => Error::Query(format!("DataFusion: {error}")),
            Place::Cluster(url) => Error::Query(format!("{url}: {error}")),
        };
        self.runtime.block_on(async {
            let context = self.context(run).await.map_err(failed)?;
            let answer = context.sql(question).await.map_err(failed)?;
            let mut answer = answer.execute_stream().await.map_err(failed)?;
            while let Some(batch) = answer.next().await {
                let batch = batch.map_err(failed)?;
                each(&batch).map_err(Error::Query)?;
                (run.tick)(batch.num_rows() as u64).map_err(Error::Stopped)?;
            }
            Ok(())
        })
    }

    /// A session that knows the files as a table.
    async fn context(&self, run: &Run<'_>) -> Result<SessionContext, DataFusionError> {
        let context = match &self.place {
            Place::Here { memory } => {
                let mut runtime = RuntimeEnvBuilder::new();
                if let Some(memory) = memory {
                    runtime = runtime.with_memory_pool(Arc::new(FairSpillPool::new(*memory)));
                }
                let config = configured(SessionConfig::new(), run.threads);
                SessionContext::new_with_config_rt(config, runtime.build_arc()?)
            }
            Place::Cluster(url) => {
                use ballista::prelude::SessionConfigExt;
                let tasks = run.files.len().min(TASKS_MAX).max(run.threads);
                let config = configured(SessionConfig::new_with_ballista(), tasks);
                let state = SessionStateBuilder::new().with_default_features().with_config(config);
                SessionContext::remote_with_state(url, state.build()).await?
            }
        };
        let mut urls = Vec::with_capacity(run.files.len());
        for file in run.files {
            urls.push(ListingTableUrl::try_new(location(&file.path)?, None)?);
        }
        // The format has options of its own, which are not the session's by themselves.
        let parquet = context.state().default_table_options().parquet;
        let format = ParquetFormat::default().with_options(parquet);
        let options = ListingOptions::new(Arc::new(format)).with_file_extension("");
        let Some(file) = run.files.first() else { return Ok(context) };
        let footer = file.footer().map_err(|reason| {
            DataFusionError::Execution(format!("{}: {reason}", file.path.display()))
        })?;
        let schema = match &self.place {
            Place::Here { .. } => Arc::clone(footer.schema()),
            Place::Cluster(_) => copied(footer.schema()),
        };
        let config = ListingTableConfig::new_with_multi_paths(urls)
            .with_listing_options(options)
            .with_schema(schema);
        context.register_table(TABLE, Arc::new(ListingTable::try_new(config)?))?;
        Ok(context)
    }
}

/// A file as a URL: as a path its name would be taken for a pattern if it has brackets or stars.
fn location(path: &Path) -> Result<Url, DataFusionError> {
    let path = std::path::absolute(path)?;
    Url::from_file_path(&path).map_err(|()| {
        DataFusionError::Configuration(format!("{}: no file URL can name it", path.display()))
    })
}

/// The schema with text instead of views of it: a view sent to another machine takes the whole page
/// along.
fn copied(schema: &Schema) -> SchemaRef {
    let copy = |field: &Arc<Field>| match field.data_type() {
        DataType::Utf8View => Arc::new(field.as_ref().clone().with_data_type(DataType::Utf8)),
        _ => Arc::clone(field),
    };
    Arc::new(Schema::new(schema.fields().iter().map(copy).collect::<Vec<_>>()))
}

/// Filters are evaluated while pages are decoded, and pages that cannot match are not read.
fn configured(config: SessionConfig, threads: usize) -> SessionConfig {
    let mut config = config.with_target_partitions(threads.max(1)).with_batch_size(BATCH);
    let parquet = &mut config.options_mut().execution.parquet;
    parquet.pushdown_filters = true;
    parquet.reorder_filters = true;
    parquet.enable_page_index = true;
    config
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
