// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Flows in four dimensions: size, rate, duration, burstiness.

use super::{Cell, Table};
use telesteer_fam::dimension::{DIMENSIONS, Heavy, Shape, cell_name, dimensions};
use telesteer_fam::sample::Sample;
use telesteer_fam::series::Days;

/// Names and titles of the tables of some flows.
struct Names {
    cells: (&'static str, &'static str),
    limits: (&'static str, &'static str),
    ranks: (&'static str, &'static str),
}

const ALPHA: Names = Names {
    cells: (
        "dimensions",
        "alpha raw flows in the 16 cells of size, rate, duration, burstiness; empty ones left out",
    ),
    limits: ("dimension_limits", "above which a flow is heavy: bytes, bit/s, ns, thousandths"),
    ranks: ("dimension_ranks", "rank correlations of the dimensions"),
};

const ALL: Names = Names {
    cells: ("dimensions_all", "flows sampled, alpha or not, in the same cells"),
    limits: ("dimension_limits_all", "above which one of them is heavy"),
    ranks: ("dimension_ranks_all", "rank correlations of their dimensions"),
};

/// The four dimensions of the alpha raw flows.
pub fn alpha(days: &Days, heavy: &Heavy) -> [Table; 3] {
    let flows = days.values().flat_map(|day| &day.flows);
    let shapes: Vec<Shape> = flows.filter_map(|flow| Shape::of_reports(&flow.reports)).collect();
    tables(&shapes, heavy, &ALPHA)
}

/// Those of all flows that were sampled, and what the sample is.
pub fn all(sample: &Sample, heavy: &Heavy) -> [Table; 4] {
    let columns = ["flows", "records", "records_left_out", "part_of_flows_percent"];
    let title = "flows whose dimensions are looked at; see --flow-reports";
    let mut about = Table::new("dimension_sample", title, &columns);
    about.push([
        sample.shapes.len().into(),
        sample.records.into(),
        sample.left_out.into(),
        Cell::real(Some(sample.part * 100.0), 2),
    ]);
    let [cells, limits, ranks] = tables(&sample.shapes, heavy, &ALL);
    [about, cells, limits, ranks]
}

fn tables(shapes: &[Shape], heavy: &Heavy, names: &Names) -> [Table; 3] {
    let found = dimensions(shapes, heavy.limits(shapes));
    let table = |name: (&'static str, &'static str), columns: &[&'static str]| {
        Table::new(name.0, name.1, columns)
    };
    let mut cells = table(names.cells, &["cell", "flows", "bytes"]);
    for (index, cell) in found.cells.iter().enumerate().filter(|(_, cell)| cell.flows > 0) {
        cells.push([cell_name(index).into(), cell.flows.into(), cell.bytes.into()]);
    }
    let mut limits = table(names.limits, &["dimension", "limit"]);
    for (name, limit) in DIMENSIONS.iter().zip(found.limits.0) {
        limits.push([(*name).into(), Cell::real(limit.is_finite().then_some(limit), 0)]);
    }
    let mut ranks = table(names.ranks, &["one", "other", "rank_correlation"]);
    for (a, b, rank) in found.correlations {
        ranks.push([DIMENSIONS[a].into(), DIMENSIONS[b].into(), Cell::real(rank, 3)]);
    }
    [cells, limits, ranks]
}
