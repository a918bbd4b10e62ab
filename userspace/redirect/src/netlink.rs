// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A netlink socket: requests go out together, answers come in.

use crate::error::{DeviceError, Kind};
use netlink_packet_core::{
    NetlinkDeserializable, NetlinkMessage, NetlinkSerializable, NlasIterator,
};
use netlink_sys::{Socket, SocketAddr};
use std::fmt;

/// The kernel never sends a longer datagram.
const DATAGRAM: usize = 64 << 10;
/// A netlink header, which begins the answer to a request.
const HEADER: usize = 16;
/// `NLMSGERR_ATTR_MSG`.
const SAID: u16 = 1;

/// The socket; it belongs to the network namespace of the thread that opened it.
pub(crate) struct Channel {
    device: String,
    socket: Socket,
    sequence: u32,
}

impl fmt::Debug for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Channel").field("device", &self.device).finish_non_exhaustive()
    }
}

impl Channel {
    /// Opens one of a protocol; `what` names it in errors.
    pub(crate) fn open(device: &str, protocol: isize, what: &str) -> Result<Self, DeviceError> {
        let failed = |error| DeviceError::new(device, what, Kind::Unreachable, error);
        let mut socket = Socket::new(protocol).map_err(failed)?;
        socket.bind_auto().map_err(failed)?;
        socket.connect(&SocketAddr::new(0, 0)).map_err(failed)?;
        // Older kernels lack them: errors are numbers there.
        let _ = socket.set_cap_ack(true);
        let _ = socket.set_ext_ack(true);
        Ok(Self { device: device.to_owned(), socket, sequence: 0 })
    }

    pub(crate) fn error(&self, command: &str, kind: Kind, said: impl fmt::Display) -> DeviceError {
        DeviceError::new(&self.device, command, kind, said)
    }

    /// Sends all in one datagram and gives the sequence number of the first.
    pub(crate) fn send<T: NetlinkSerializable>(
        &mut self,
        command: &str,
        messages: impl Iterator<Item = NetlinkMessage<T>>,
    ) -> Result<u32, DeviceError> {
        let first = self.sequence.wrapping_add(1);
        let mut bytes = Vec::new();
        for mut message in messages {
            self.sequence = self.sequence.wrapping_add(1);
            message.header.sequence_number = self.sequence;
            message.finalize();
            let at = bytes.len();
            // Messages begin at multiples of four.
            bytes.resize(at + message.buffer_len().next_multiple_of(4), 0);
            message.serialize(&mut bytes[at..]);
        }
        let sent = self.socket.send(&bytes, 0);
        let sent = sent.map_err(|error| self.error(command, Kind::Unreachable, error))?;
        if sent != bytes.len() {
            return Err(self.error(command, Kind::Unreachable, "a part was sent"));
        }
        Ok(first)
    }

    /// Waits for a datagram.
    pub(crate) fn receive<T: NetlinkDeserializable>(
        &self,
        command: &str,
    ) -> Result<Vec<NetlinkMessage<T>>, DeviceError> {
        let mut buffer = Vec::with_capacity(DATAGRAM);
        self.socket
            .recv(&mut buffer, 0)
            .map_err(|error| self.error(command, Kind::Unreachable, error))?;
        let mut rest = buffer.as_slice();
        let mut messages = Vec::new();
        while rest.len() >= HEADER {
            let message = NetlinkMessage::<T>::deserialize(rest)
                .map_err(|error| self.error(command, Kind::Garbled, error))?;
            let length = usize::try_from(message.header.length).unwrap_or(usize::MAX);
            if length < HEADER {
                return Err(self.error(command, Kind::Garbled, "a message without a length"));
            }
            messages.push(message);
            rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        }
        Ok(messages)
    }
}

/// What the kernel says besides a number.
pub(crate) fn words(answer: &[u8]) -> Option<String> {
    let attributes = NlasIterator::new(answer.get(HEADER..)?);
    let attribute = attributes.take(8).flatten().find(|one| one.kind() == SAID)?;
    let text = attribute.value().split(|byte| *byte == 0).next()?;
    Some(String::from_utf8_lossy(text).into_owned())
}
