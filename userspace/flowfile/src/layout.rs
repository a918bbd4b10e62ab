// SPDX-License-Identifier: Apache-2.0 OR MIT
//! How columns lie in a file. What each choice is worth: `cargo xtask bench fam`.

use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::properties::WriterProperties;

/// What `created_by` begins with in files of this layout, whose values were checked by their writer.
pub const WRITER: &str = "telesteer ";
/// Rows turned into columns at a time.
pub const BATCH: usize = 4096;
/// Rows of a row group: what a reader holds at a time.
pub const GROUP: usize = 512 << 10;
/// Rows of a page: what a reader decodes for the sake of one row.
pub const PAGE: usize = 4096;
/// Octets of a dictionary: whoever reads one row reads all of it.
pub const DICTIONARY: usize = 64 << 10;
/// Columns of numbers that hardly come again: a dictionary would hold each once, and be read whole. Their
/// differences are packed to the bit, of which zstd takes off 1.6 % of a file, and a fifth of the time of
/// a pass over addresses to put it on again: they are stored as they are.
pub const NUMBERS: [&str; 6] = ["first_ns", "last_ns", "octets", "packets", "src_lo", "dst_lo"];
/// Columns of numbers of which a dictionary holds all, or is given up for differences.
pub const NETWORKS: [&str; 2] = ["src_hi", "dst_hi"];

/// The layout.
pub fn properties() -> WriterProperties {
    let mut properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_max_row_group_row_count(Some(GROUP))
        .set_data_page_row_count_limit(PAGE)
        .set_dictionary_page_size_limit(DICTIONARY)
        .set_created_by(concat!("telesteer ", env!("CARGO_PKG_VERSION")).to_owned());
    for name in NUMBERS {
        properties = properties.set_column_dictionary_enabled(name.into(), false);
        properties = properties.set_column_compression(name.into(), Compression::UNCOMPRESSED);
    }
    for name in NUMBERS.into_iter().chain(NETWORKS) {
        properties = properties.set_column_encoding(name.into(), Encoding::DELTA_BINARY_PACKED);
    }
    properties.build()
}
