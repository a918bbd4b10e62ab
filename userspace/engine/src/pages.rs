// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What need not be read, by the largest value in it: pages by `octets`, whole columns by their being 0.

use arrow_array::cast::AsArray;
use arrow_array::types::UInt64Type;
use parquet::arrow::arrow_reader::statistics::StatisticsConverter;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, RowSelection, RowSelector};
use parquet::errors::Result;

/// The rows of a row group that are in pages with at least `floor` octets in some row; `None` if
/// there are none. Without statistics all rows are taken.
pub(crate) fn selection(
    meta: &ArrowReaderMetadata,
    group: usize,
    floor: u64,
) -> Result<Option<RowSelection>> {
    let about = meta.metadata();
    let rows = about.row_group(group).num_rows().max(0) as usize;
    let all = || RowSelection::from(vec![RowSelector::select(rows)]);
    if floor == 0 {
        return Ok(Some(all()));
    }
    let octets = StatisticsConverter::try_new("octets", meta.schema(), meta.parquet_schema())?;
    let max = octets.row_group_maxes([about.row_group(group)])?;
    if max.as_primitive::<UInt64Type>().iter().flatten().any(|max| max < floor) {
        return Ok(None);
    }
    let (Some(columns), Some(offsets)) = (about.column_index(), about.offset_index()) else {
        return Ok(Some(all()));
    };
    let maxes = octets.data_page_maxes(columns, offsets, [&group])?;
    let counts = octets.data_page_row_counts(offsets, about.row_groups(), [&group])?;
    let Some(counts) = counts else { return Ok(Some(all())) };
    let mut selectors = Vec::with_capacity(counts.len());
    for (max, count) in maxes.as_primitive::<UInt64Type>().iter().zip(counts.iter()) {
        // A page without statistics may have anything.
        let count = count.unwrap_or(0) as usize;
        selectors.push(match max {
            Some(max) if max < floor => RowSelector::skip(count),
            _ => RowSelector::select(count),
        });
    }
    let selection = RowSelection::from(selectors);
    Ok(selection.selects_any().then_some(selection))
}

/// Whether a column of a row group has nothing but zeros, by its statistics.
pub(crate) fn is_zero(meta: &ArrowReaderMetadata, group: usize, name: &str) -> bool {
    let largest = || -> Result<bool> {
        let column = StatisticsConverter::try_new(name, meta.schema(), meta.parquet_schema())?;
        let max = column.row_group_maxes([meta.metadata().row_group(group)])?;
        Ok(max.as_primitive::<UInt64Type>().iter().next().flatten() == Some(0))
    };
    largest().unwrap_or(false)
}
