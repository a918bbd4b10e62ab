// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A netlink socket: requests go out together, answers come in.

use crate::error::{DeviceError, Kind};
use netlink_packet_core::{
    ErrorMessage, NLM_F_ACK_TLVS, NetlinkDeserializable, NetlinkMessage, NetlinkSerializable,
    NlasIterator,
};
use netlink_sys::{Socket, SocketAddr};
use rustix::io::Errno;
use rustix::net::sockopt;
use std::fmt;
use std::io;

/// A netlink header, which begins every message and the answer to a request.
pub(crate) const HEADER: usize = 16;
/// The kernel never sends a longer datagram.
const DATAGRAM: usize = 64 << 10;
/// Bytes sent at once at most: the kernel copies them into one piece of its memory.
const MAX_SENT: usize = 32 << 20;
/// Bytes of answers that are kept at most.
const MAX_ANSWERS: usize = 256 << 20;
/// What the kernel wants to be free in a send buffer besides the message.
const SPARE: usize = 64;
/// `NLMSGERR_ATTR_MSG` and `NLMSGERR_ATTR_OFFS`.
const SAID: u16 = 1;
const OFFSET: u16 = 2;

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

/// What came without waiting.
pub(crate) struct Answers<T> {
    pub(crate) messages: Vec<NetlinkMessage<T>>,
    /// The receive buffer was too small for some.
    pub(crate) lost: bool,
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
        self.send_bytes(command, &bytes)?;
        Ok(first)
    }

    fn send_bytes(&self, command: &str, bytes: &[u8]) -> Result<(), DeviceError> {
        if bytes.len() > MAX_SENT {
            let said = format!("{} bytes at once, at most {MAX_SENT}", bytes.len());
            return Err(self.error(command, Kind::Unsupported, said));
        }
        let wanted = bytes.len() + SPARE;
        if sockopt::socket_send_buffer_size(&self.socket).is_ok_and(|size| size < wanted)
            && sockopt::set_socket_send_buffer_size_force(&self.socket, wanted).is_err()
        {
            // Without rights over the whole machine, up to net.core.wmem_max.
            let _ = sockopt::set_socket_send_buffer_size(&self.socket, wanted);
        }
        let sent = self.socket.send(bytes, 0).map_err(|error| {
            // Less at once may do.
            let long = is(&error, Errno::MSGSIZE);
            let kind = if long { Kind::Unsupported } else { Kind::Unreachable };
            self.error(command, kind, error)
        })?;
        if sent != bytes.len() {
            return Err(self.error(command, Kind::Unreachable, "a part was sent"));
        }
        Ok(())
    }

    /// Waits for a datagram.
    pub(crate) fn receive<T: NetlinkDeserializable>(
        &self,
        command: &str,
    ) -> Result<Vec<NetlinkMessage<T>>, DeviceError> {
        let datagram = self.datagram();
        let datagram = datagram.map_err(|error| self.error(command, Kind::Unreachable, error))?;
        self.messages(command, &datagram)
    }

    /// Takes what is there, where the kernel answers before a send returns. From then on nothing waits.
    pub(crate) fn drain<T: NetlinkDeserializable>(
        &self,
        command: &str,
    ) -> Result<Answers<T>, DeviceError> {
        let failed = |error: io::Error| self.error(command, Kind::Unreachable, error);
        self.socket.set_non_blocking(true).map_err(failed)?;
        let mut answers = Answers { messages: Vec::new(), lost: false };
        let mut size = 0;
        loop {
            match self.datagram() {
                Ok(datagram) => {
                    size += datagram.len().max(HEADER);
                    if size > MAX_ANSWERS {
                        let said = format!("more than {MAX_ANSWERS} bytes of answers");
                        return Err(self.error(command, Kind::Garbled, said));
                    }
                    answers.messages.extend(self.messages(command, &datagram)?);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(answers),
                // Said once; what did fit comes after it.
                Err(error) if is(&error, Errno::NOBUFS) && !answers.lost => answers.lost = true,
                Err(error) => return Err(failed(error)),
            }
        }
    }

    fn datagram(&self) -> io::Result<Vec<u8>> {
        let mut buffer = Vec::with_capacity(DATAGRAM);
        self.socket.recv(&mut buffer, 0)?;
        Ok(buffer)
    }

    fn messages<T: NetlinkDeserializable>(
        &self,
        command: &str,
        datagram: &[u8],
    ) -> Result<Vec<NetlinkMessage<T>>, DeviceError> {
        let mut rest = datagram;
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

fn is(error: &io::Error, errno: Errno) -> bool {
    error.raw_os_error() == Some(errno.raw_os_error())
}

/// A request the kernel said no to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) errno: i32,
    /// The number in words, and what the kernel says besides.
    pub(crate) said: String,
    /// Where in the request it found what it does not like.
    pub(crate) offset: Option<usize>,
}

/// What an answer with these flags says; none if it is an acknowledgement.
pub(crate) fn refusal(flags: u16, answer: &ErrorMessage) -> Option<Refusal> {
    answer.code?;
    let mut refusal = Refusal {
        errno: answer.raw_code().saturating_abs(),
        said: answer.to_io().to_string(),
        offset: None,
    };
    let told = if flags & NLM_F_ACK_TLVS != 0 { answer.header.get(HEADER..) } else { None };
    for attribute in NlasIterator::new(told.unwrap_or_default()).take(8).flatten() {
        match attribute.kind() {
            SAID => {
                let text = attribute.value().split(|byte| *byte == 0).next().unwrap_or_default();
                refusal.said = format!("{}: {}", refusal.said, String::from_utf8_lossy(text));
            }
            OFFSET => {
                let offset = attribute.value().try_into().ok().map(u32::from_ne_bytes);
                refusal.offset = offset.and_then(|offset| usize::try_from(offset).ok());
            }
            _ => {}
        }
    }
    Some(refusal)
}

#[cfg(test)]
mod tests {
    use super::*;
    use netlink_packet_core::{
        Emitable, ErrorBuffer, NLM_F_REQUEST, NetlinkHeader, NetlinkPayload, Parseable,
    };
    use netlink_packet_route::RouteNetlinkMessage;
    use netlink_packet_route::link::LinkMessage;

    fn answer(code: i32, rest: &[u8]) -> ErrorMessage {
        let mut bytes = code.to_ne_bytes().to_vec();
        bytes.extend([0; HEADER]);
        bytes.extend(rest);
        ErrorMessage::parse(&ErrorBuffer::new_checked(&bytes).unwrap()).unwrap()
    }

    #[test]
    fn a_refusal_has_number_words_and_place() {
        // "nope" as NLMSGERR_ATTR_MSG, 56 as NLMSGERR_ATTR_OFFS, something unknown.
        let mut rest = vec![9, 0, 1, 0, b'n', b'o', b'p', b'e', 0, 0, 0, 0];
        rest.extend([8, 0, 2, 0, 56, 0, 0, 0, 8, 0, 9, 0, 1, 1, 1, 1]);
        let whole = answer(-17, &rest);
        assert_eq!(whole.buffer_len(), 4 + HEADER + rest.len());
        let refused = refusal(NLM_F_ACK_TLVS, &whole).unwrap();
        assert_eq!((refused.errno, refused.offset), (17, Some(56)));
        assert_eq!(refused.said, "File exists (os error 17): nope");
        // The same bytes without the flag are a part of the request.
        let plain = refusal(0, &whole).unwrap();
        assert_eq!((plain.said.as_str(), plain.offset), ("File exists (os error 17)", None));
        assert_eq!(refusal(NLM_F_ACK_TLVS, &answer(0, &rest)), None);
        // Torn attributes say nothing.
        let torn = refusal(NLM_F_ACK_TLVS, &answer(-2, &[200, 0, 2, 0])).unwrap();
        assert_eq!((torn.errno, torn.offset), (2, None));
    }

    #[test]
    fn what_is_sent_at_once_has_a_bound() {
        let Ok(channel) = Channel::open("d", netlink_sys::protocols::NETLINK_ROUTE, "socket")
        else {
            eprintln!("skipped: no netlink socket");
            return;
        };
        let error = channel.send_bytes("c", &vec![0; MAX_SENT + 1]).unwrap_err();
        assert_eq!(error.kind, Kind::Unsupported);
        assert!(error.said.contains("at most"), "{error}");
    }

    #[test]
    fn answers_that_get_lost_are_missed() {
        let Ok(mut channel) = Channel::open("d", netlink_sys::protocols::NETLINK_ROUTE, "socket")
        else {
            eprintln!("skipped: no netlink socket");
            return;
        };
        sockopt::set_socket_recv_buffer_size(&channel.socket, 1).unwrap();
        // Each asks for a link that is not there.
        let request = || {
            let mut link = LinkMessage::default();
            link.header.index = u32::MAX / 2;
            let mut header = NetlinkHeader::default();
            header.flags = NLM_F_REQUEST;
            let inner = RouteNetlinkMessage::GetLink(link);
            NetlinkMessage::new(header, NetlinkPayload::InnerMessage(inner))
        };
        channel.send("c", (0..500).map(|_| request())).unwrap();
        let answers: Answers<RouteNetlinkMessage> = channel.drain("c").unwrap();
        assert!(answers.lost && answers.messages.len() < 500, "{}", answers.messages.len());
        // What comes after it is complete again.
        let sequence = channel.send("c", std::iter::once(request())).unwrap();
        let answers: Answers<RouteNetlinkMessage> = channel.drain("c").unwrap();
        assert!(!answers.lost);
        let [one] = answers.messages.as_slice() else { panic!("{}", answers.messages.len()) };
        assert_eq!(one.header.sequence_number, sequence);
        let NetlinkPayload::Error(error) = &one.payload else { panic!("{one:?}") };
        assert_eq!(refusal(one.header.flags, error).unwrap().errno, Errno::NODEV.raw_os_error());
    }
}
