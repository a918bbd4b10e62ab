// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Packets out of a capture file's octets, by pcap-parser.

use std::io::Read;

use pcap_parser::traits::{PcapNGPacketBlock, PcapReaderIterator};
use pcap_parser::{Block, PcapBlockOwned, PcapError, create_reader};

use super::begin::Begin;

/// Octets of the buffer a block has to fit in.
const BLOCK_LEN_MAX: usize = 4 << 20;
/// Interfaces of one pcapng section.
const INTERFACES_MAX: usize = 4096;
const NANOSECONDS: u64 = 1_000_000_000;

/// Why a file is not, or no longer, a capture.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// No known magic number.
    #[error("neither pcap nor pcapng")]
    NotACapture,
    /// A block that does not make sense; what came before was read.
    #[error("a malformed block after {packets} packets")]
    Malformed {
        /// Packets read before.
        packets: u64,
    },
    /// The file ends inside a block; what came before was read.
    #[error("the file ends inside a block after {packets} packets")]
    Truncated {
        /// Packets read before.
        packets: u64,
    },
}

/// One captured frame.
#[derive(Clone, Copy, Debug)]
pub struct Packet<'a> {
    /// Nanoseconds since 1970.
    pub time_ns: u64,
    /// LINKTYPE number of its interface.
    pub link: i32,
    /// Octets on the wire.
    pub wire_len: u32,
    /// Octets that were captured.
    pub data: &'a [u8],
}

#[derive(Clone, Copy)]
struct Interface {
    link: i32,
    per_second: u64,
    offset_s: i64,
}

/// Reads packet after packet.
pub struct Reader<'f> {
    inner: Box<dyn PcapReaderIterator + Send + 'f>,
    interfaces: Vec<Interface>,
    data: Vec<u8>,
    packets: u64,
}

impl<'f> Reader<'f> {
    /// A reader of a whole file.
    ///
    /// # Errors
    ///
    /// When the file starts like neither format.
    pub fn new(file: &'f [u8]) -> Result<Self, Error> {
        Self::of(file)
    }

    /// A reader of what somebody reads a file with: no more of it is held than one block needs.
    ///
    /// # Errors
    ///
    /// When the file starts like neither format.
    pub fn of(file: impl Read + Send + 'f) -> Result<Self, Error> {
        let inner =
            create_reader(BLOCK_LEN_MAX, Begin::new(file)).map_err(|_| Error::NotACapture)?;
        Ok(Self { inner, interfaces: Vec::new(), data: Vec::new(), packets: 0 })
    }

    /// The next packet, `None` at the end.
    ///
    /// # Errors
    ///
    /// Where the file stops making sense; there is nothing to read after that.
    pub fn next_packet(&mut self) -> Result<Option<Packet<'_>>, Error> {
        let mut ended = false;
        let found = loop {
            match self.inner.next() {
                Ok((consumed, block)) => {
                    ended = false;
                    let found = take(block, &mut self.interfaces, &mut self.data);
                    self.inner.consume(consumed);
                    if let Some(found) = found {
                        break found;
                    }
                }
                Err(PcapError::Eof) => return Ok(None),
                Err(PcapError::Incomplete(_)) if !ended => {
                    let held = self.inner.data().len();
                    if self.inner.refill().is_err() {
                        return Err(Error::Malformed { packets: self.packets });
                    }
                    // A pipe gives what there is, which may be less than a block.
                    ended = self.inner.data().len() == held;
                }
                Err(PcapError::Incomplete(_) | PcapError::UnexpectedEof) => {
                    return Err(Error::Truncated { packets: self.packets });
                }
                Err(_) => return Err(Error::Malformed { packets: self.packets }),
            }
        };
        self.packets += 1;
        let (time_ns, link, wire_len) = found;
        Ok(Some(Packet { time_ns, link, wire_len, data: &self.data }))
    }
}

/// Takes a block in; a packet's octets go to `data`, its time, link type and length are returned.
fn take(
    block: PcapBlockOwned<'_>,
    interfaces: &mut Vec<Interface>,
    data: &mut Vec<u8>,
) -> Option<(u64, i32, u32)> {
    let mut keep = |bytes: &[u8]| {
        data.clear();
        data.extend_from_slice(bytes);
    };
    match block {
        PcapBlockOwned::LegacyHeader(header) => {
            let per_second = if header.is_nanosecond_precision() { NANOSECONDS } else { 1_000_000 };
            // The upper bits of the field tell about frame check sequences.
            let link = header.network.0 & 0xffff;
            *interfaces = vec![Interface { link, per_second, offset_s: 0 }];
            None
        }
        PcapBlockOwned::Legacy(packet) => {
            let interface = interfaces.first()?;
            keep(packet.data);
            let fraction = u64::from(packet.ts_usec) * (NANOSECONDS / interface.per_second);
            let time = u64::from(packet.ts_sec) * NANOSECONDS + fraction;
            Some((time, interface.link, packet.origlen))
        }
        PcapBlockOwned::NG(Block::SectionHeader(_)) => {
            interfaces.clear();
            None
        }
        PcapBlockOwned::NG(Block::InterfaceDescription(described)) => {
            if interfaces.len() < INTERFACES_MAX {
                interfaces.push(Interface {
                    link: described.linktype.0,
                    per_second: described.ts_resolution().unwrap_or(1_000_000).max(1),
                    offset_s: described.ts_offset(),
                });
            }
            None
        }
        PcapBlockOwned::NG(Block::EnhancedPacket(packet)) => {
            let interface = interfaces.get(usize::try_from(packet.if_id).ok()?)?;
            keep(packet.packet_data());
            let ticks = u64::from(packet.ts_high) << 32 | u64::from(packet.ts_low);
            let time =
                u128::from(ticks) * u128::from(NANOSECONDS) / u128::from(interface.per_second);
            let time = u64::try_from(time).unwrap_or(u64::MAX);
            let offset = interface.offset_s.saturating_mul(NANOSECONDS as i64);
            Some((time.saturating_add_signed(offset), interface.link, packet.origlen))
        }
        PcapBlockOwned::NG(Block::SimplePacket(packet)) => {
            let interface = interfaces.first()?;
            keep(packet.packet_data());
            Some((0, interface.link, packet.origlen))
        }
        PcapBlockOwned::NG(_) => None,
    }
}
