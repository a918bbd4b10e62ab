// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The engine without an engine: Arrow's Parquet reader, columns one after the other, rows that a
//! pick leaves out never made.

use std::collections::{BTreeMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use arrow_array::builder::BooleanBufferBuilder;
use arrow_array::types::{UInt32Type, UInt64Type};
use arrow_array::{BooleanArray, PrimitiveArray, RecordBatch};
use arrow_buffer::BooleanBuffer;
use arrow_schema::ArrowError;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowPredicate, ArrowPredicateFn, ArrowReaderMetadata, ParquetRecordBatchReaderBuilder,
    RowFilter,
};
use telesteer_fam::{Reading, Record};

use crate::networks::Networks;
use crate::notes::Notes;
use crate::pages;
use crate::pick::Pick;
use crate::rows::{ENDS, Ends, Rows, number, value};
use crate::source::Source;
use crate::stored::Stored;
use crate::tally::Tally;
use crate::totals::{Days, rate};
use crate::{Error, Run};

/// Rows of a batch: a batch of one column fits into a core's cache.
const BATCH: usize = 8192;
/// Most workers.
const THREADS_MAX: usize = 64;

/// Networks of sources and of destinations.
type Sides = (Networks, Networks);

/// A row group of a file.
#[derive(Clone, Copy, Debug)]
struct Piece<'f> {
    stored: &'f Stored,
    /// Number of the file.
    file: usize,
    group: usize,
    /// Number of its first row in the file, from 1.
    first_row: u64,
    rows: u64,
}

/// What the records of each day came to, and what is odd in each file, by its number.
pub fn totals(run: &Run<'_>, reading: &Reading) -> Result<(Days, BTreeMap<usize, Notes>), Error> {
    let columns = Tally::columns(reading, run.assumed);
    pieces(
        run,
        || Tally::new(reading, run.assumed),
        |tally, piece, meta| {
            let builder = open(&piece, meta).map_err(|reason| piece.error(reason))?;
            let mask = mask(&builder, columns);
            let build = || builder.with_projection(mask).with_batch_size(BATCH).build();
            let reader = guarded(build).map_err(|reason| piece.error(reason))?;
            let mut from = piece.first_row;
            piece.batches(reader, run, |batch| {
                tally.add(batch, piece.file, &piece.stored.path, from)?;
                from += batch.num_rows() as u64;
                Ok(())
            })
        },
        |ours, theirs| ours.merge(theirs),
    )
    .map(Tally::finish)
}

/// Hands rows that may matter to states, one a worker, merged in the end.
pub fn rows<P: Send>(
    run: &Run<'_>,
    pick: &Pick,
    new: impl Fn() -> P + Sync,
    observe: impl Fn(&mut P, &Record) + Sync,
    merge: impl Fn(&mut P, P),
) -> Result<P, Error> {
    let networks = match pick {
        Pick::Between(between) => Some((Networks::src(between), Networks::dst(between))),
        Pick::All | Pick::Above { .. } => None,
    };
    let work = |state: &mut P, piece: Piece<'_>, meta: &ArrowReaderMetadata| {
        let floor = pick.floor(piece.stored.highest);
        let selection = pages::selection(meta, piece.group, floor);
        let Some(selection) = selection.map_err(|error| piece.error(error.to_string()))? else {
            return (run.tick)(piece.rows).map_err(Error::Stopped);
        };
        let builder = open(&piece, meta).map_err(|reason| piece.error(reason))?;
        let known = networks.as_ref().map(|_| Arc::new(Mutex::new(Known::default())));
        let mut columns = run.fields.columns(run.assumed);
        columns.retain(|name| known.is_none() || !ENDS.contains(name));
        let projection = mask(&builder, &columns);
        let networks = networks.as_ref().zip(known.as_ref());
        // IPv4 alone has upper halves of 0, which are not read then.
        let v4 = [ENDS[0], ENDS[2]].map(|name| pages::is_zero(meta, piece.group, name));
        let filters = filters(&builder, pick, floor, networks, v4);
        let builder = builder.with_projection(projection).with_batch_size(BATCH);
        let builder = builder.with_row_selection(selection).with_row_filter(filters);
        let reader = guarded(|| builder.build()).map_err(|reason| piece.error(reason))?;
        let mut known = known.map(|known| std::mem::take(&mut lock(&known).ends).into_iter());
        let quiet = Run { tick: &|_| Ok(()), ..*run };
        piece.batches(reader, &quiet, |batch| {
            let Some(known) = &mut known else {
                let rows = Rows::of(batch, run.fields)?;
                for row in 0..batch.num_rows() {
                    observe(state, &rows.record(row, run.assumed)?);
                }
                return Ok(());
            };
            let rows = Rows::without_ends(batch, run.fields)?;
            for (row, ends) in (0..batch.num_rows()).zip(known) {
                observe(state, &rows.record_between(ends, row, run.assumed)?);
            }
            Ok(())
        })?;
        (run.tick)(piece.rows).map_err(Error::Stopped)
    };
    pieces(run, new, work, merge)
}

/// Goes over all row groups with several workers.
fn pieces<P: Send>(
    run: &Run<'_>,
    new: impl Fn() -> P + Sync,
    work: impl Fn(&mut P, Piece<'_>, &ArrowReaderMetadata) -> Result<(), Error> + Sync,
    merge: impl Fn(&mut P, P),
) -> Result<P, Error> {
    let of_file = |(file, stored): (usize, &'_ Stored)| {
        let rows = stored.groups.iter().scan(1, |next: &mut u64, rows| {
            let first_row = *next;
            *next += rows;
            Some((first_row, *rows))
        });
        let rows: Vec<(u64, u64)> = rows.collect();
        rows.into_iter().enumerate().map(move |(group, rows)| (file, group, rows))
    };
    let all = run.files.iter().enumerate().flat_map(of_file);
    let all: Vec<Piece<'_>> = all
        .map(|(file, group, (first_row, rows))| Piece {
            stored: &run.files[file],
            file,
            group,
            first_row,
            rows,
        })
        .collect();
    let next = AtomicUsize::new(0);
    let failed: Mutex<Option<Error>> = Mutex::new(None);
    let worker = || {
        let mut state = new();
        // Pieces of a file come one after the other.
        let mut footer: Option<(usize, ArrowReaderMetadata)> = None;
        while let Some(piece) = all.get(next.fetch_add(1, Ordering::Relaxed)) {
            let known = footer.take().filter(|(file, _)| *file == piece.file);
            let meta = match known {
                Some((_, meta)) => Ok(meta),
                None => piece.stored.footer().map_err(|reason| piece.error(reason)),
            };
            let outcome = meta.and_then(|meta| {
                let outcome = work(&mut state, *piece, &meta);
                footer = Some((piece.file, meta));
                outcome
            });
            if let Err(error) = outcome {
                next.store(all.len(), Ordering::Relaxed);
                let mut failed = failed.lock().unwrap_or_else(PoisonError::into_inner);
                failed.get_or_insert(error);
            }
        }
        state
    };
    let state = thread::scope(|scope| {
        let others = run.threads.clamp(1, THREADS_MAX) - 1;
        let others: Vec<_> = (0..others).map(|_| scope.spawn(worker)).collect();
        let mut state = worker();
        for other in others {
            match other.join() {
                Ok(theirs) => merge(&mut state, theirs),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        state
    });
    match failed.into_inner().unwrap_or_else(PoisonError::into_inner) {
        Some(error) => Err(error),
        None => Ok(state),
    }
}

impl Piece<'_> {
    fn error(&self, reason: String) -> Error {
        Error::File { path: self.stored.path.clone(), reason }
    }

    /// Every batch of a reader.
    fn batches(
        &self,
        mut reader: impl Iterator<Item = Result<RecordBatch, ArrowError>>,
        run: &Run<'_>,
        mut each: impl FnMut(&RecordBatch) -> Result<(), String>,
    ) -> Result<(), Error> {
        while let Some(batch) =
            guarded(|| reader.next().transpose()).map_err(|reason| self.error(reason))?
        {
            each(&batch).map_err(|reason| self.error(reason))?;
            (run.tick)(batch.num_rows() as u64).map_err(Error::Stopped)?;
        }
        Ok(())
    }
}

fn open(
    piece: &Piece<'_>,
    meta: &ArrowReaderMetadata,
) -> Result<ParquetRecordBatchReaderBuilder<Source>, String> {
    let file = Source::open(&piece.stored.path)?;
    let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(file, meta.clone());
    Ok(builder.with_row_groups(vec![piece.group]))
}

fn mask(builder: &ParquetRecordBatchReaderBuilder<Source>, names: &[&str]) -> ProjectionMask {
    let schema = builder.schema();
    let roots = names.iter().filter_map(|name| Some(schema.column_with_name(name)?.0));
    ProjectionMask::roots(builder.parquet_schema(), roots)
}

/// The pick as filters, the cheapest and sharpest first: each reads its columns of those rows only
/// that the ones before it left.
fn filters(
    builder: &ParquetRecordBatchReaderBuilder<Source>,
    pick: &Pick,
    floor: u64,
    networks: Option<(&Sides, &Arc<Mutex<Known>>)>,
    [src_v4, dst_v4]: [bool; 2],
) -> RowFilter {
    let mut filters: Vec<Box<dyn ArrowPredicate>> = Vec::new();
    if floor > 0 {
        let on = mask(builder, &["octets"]);
        filters.push(Box::new(ArrowPredicateFn::new(on, move |batch| {
            let octets = column::<UInt64Type>(&batch, "octets")?;
            Ok(BooleanArray::from_unary(&octets, |octets| octets >= floor))
        })));
    }
    // The floor is all there is to it where no row stands for more than itself.
    if let Pick::Above { bytes, assumed } = *pick
        && floor < bytes
    {
        let on = mask(builder, &["octets", "sampling", "sampling_taken"]);
        filters.push(Box::new(ArrowPredicateFn::new(on, move |batch| {
            let octets = column::<UInt64Type>(&batch, "octets")?;
            let observed = column::<UInt32Type>(&batch, "sampling")?;
            let taken = column::<UInt32Type>(&batch, "sampling_taken")?;
            Ok(bits((0..batch.num_rows()).map(|row| {
                let octets = octets.value(row);
                match rate(value(&observed, row), value(&taken, row)) {
                    Ok(Some(sampling)) => sampling.scale(octets) >= bytes,
                    Ok(None) => assumed > 0 && octets.saturating_mul(assumed) >= bytes,
                    // Not a rate: whoever gets the row says so.
                    Err(()) => true,
                }
            })))
        })));
    }
    if let Some(((src, dst), known)) = networks {
        let (networks, keep) = (src.clone(), Arc::clone(known));
        let on = mask(builder, &ENDS[usize::from(src_v4)..2]);
        filters.push(Box::new(ArrowPredicateFn::new(on, move |batch| {
            let halves = Halves::of(&batch, 0, src_v4)?;
            Ok(lock(&keep).src(&networks, &halves))
        })));
        let (networks, keep) = (dst.clone(), Arc::clone(known));
        let on = mask(builder, &ENDS[2 + usize::from(dst_v4)..]);
        filters.push(Box::new(ArrowPredicateFn::new(on, move |batch| {
            let halves = Halves::of(&batch, 2, dst_v4)?;
            lock(&keep).dst(&networks, &halves).map_err(ArrowError::ParseError)
        })));
    }
    RowFilter::new(filters)
}

/// Addresses of a row group that the filters have seen already, so that they are read once.
#[derive(Debug, Default)]
struct Known {
    /// Sources of the rows that the first filter left, those first that the second has not seen.
    src: VecDeque<(u64, u64)>,
    /// Both ends of the rows that both left, in order.
    ends: Vec<Ends>,
}

/// One end of the rows of a batch.
#[derive(Debug)]
struct Halves {
    /// `None` if all are 0.
    hi: Option<PrimitiveArray<UInt64Type>>,
    lo: PrimitiveArray<UInt64Type>,
}

impl Halves {
    /// The columns of [`ENDS`] from this one on.
    fn of(batch: &RecordBatch, from: usize, v4: bool) -> Result<Self, ArrowError> {
        let column = |which: usize| column::<UInt64Type>(batch, ENDS[which]);
        Ok(Self { hi: if v4 { None } else { Some(column(from)?) }, lo: column(from + 1)? })
    }

    fn within(&self, networks: &Networks) -> BooleanArray {
        match &self.hi {
            Some(hi) => BooleanArray::from_binary(hi, &self.lo, |hi, lo| networks.have(hi, lo)),
            None => {
                let (words, rows) = (networks.within(self.lo.values()), self.lo.len());
                BooleanBuffer::new(words.into(), 0, rows).into()
            }
        }
    }

    fn row(&self, row: usize) -> (u64, u64) {
        (self.hi.as_ref().map_or(0, |hi| hi.value(row)), self.lo.value(row))
    }
}

impl Known {
    /// Which rows have a source in the networks.
    fn src(&mut self, networks: &Networks, halves: &Halves) -> BooleanArray {
        let rows = halves.within(networks);
        self.src.extend(rows.values().set_indices().map(|row| halves.row(row)));
        rows
    }

    /// Which of those that are left have a destination there.
    fn dst(&mut self, networks: &Networks, halves: &Halves) -> Result<BooleanArray, String> {
        let rows = halves.within(networks);
        for (row, kept) in rows.values().iter().enumerate() {
            let (src_hi, src_lo) = self.src.pop_front().ok_or("more destinations than sources")?;
            if kept {
                let (dst_hi, dst_lo) = halves.row(row);
                self.ends.push([src_hi, src_lo, dst_hi, dst_lo]);
            }
        }
        Ok(rows)
    }
}

fn lock(known: &Mutex<Known>) -> MutexGuard<'_, Known> {
    known.lock().unwrap_or_else(PoisonError::into_inner)
}

fn column<T: arrow_array::ArrowPrimitiveType>(
    batch: &RecordBatch,
    name: &str,
) -> Result<PrimitiveArray<T>, ArrowError> {
    number(batch, name).map_err(ArrowError::SchemaError)
}

fn bits(rows: impl ExactSizeIterator<Item = bool>) -> BooleanArray {
    let mut bits = BooleanBufferBuilder::new(rows.len());
    rows.for_each(|row| bits.append(row));
    BooleanArray::new(bits.finish(), None)
}

/// A step of the decoder, which panics at some kinds of damage where it should say an error. What
/// it leaves behind is not used any more.
pub(crate) fn guarded<T, E: std::fmt::Display>(
    step: impl FnOnce() -> Result<T, E>,
) -> Result<T, String> {
    match catch_unwind(AssertUnwindSafe(step)) {
        Ok(outcome) => outcome.map_err(|error| error.to_string()),
        Err(_) => Err("it is damaged, the decoder gave up".to_owned()),
    }
}

#[cfg(test)]
#[path = "bare_tests.rs"]
mod tests;
