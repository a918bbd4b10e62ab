// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Flow records as Parquet files: which columns there are and how they are laid out.
//!
//! Whoever writes such files (the collector, the workload generator, tests) does it with this crate,
//! so that whoever reads them (`hntes`) can rely on it. `docs/parquet.md` explains it to everybody else.
//!
//! - [`row`]: a record as it is stored. [`halves`]: addresses as numbers.
//! - [`mod@schema`]: names and types. [`columns`]: rows on their way into columns.
//! - [`layout`]: encodings, sizes, and who made a file. [`writer`]: all of it as a file.

pub mod columns;
pub mod halves;
pub mod layout;
pub mod row;
pub mod schema;
pub mod writer;

pub use columns::Columns;
pub use row::Row;
pub use schema::{COLUMNS, schema};
pub use writer::Writer;
