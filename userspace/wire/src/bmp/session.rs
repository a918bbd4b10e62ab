// SPDX-License-Identifier: Apache-2.0 OR MIT
//! One BMP session: message after message through netgauze, errors kept instead of fatal.

use netgauze_bgp_pkt::wire::deserializer::BgpParsingContext;
use netgauze_bmp_pkt::BmpMessage;
use netgauze_bmp_pkt::wire::deserializer::BmpParsingContext;
use netgauze_iana::address_family::AddressType;
use netgauze_parse_utils::reader::SliceReader;
use netgauze_parse_utils::traits::ParseFromWithOneInput;
use serde::{Deserialize, Serialize};

use super::context::{Context, Kept};
use super::peer::Peer;
use super::{Kind, Limits};

/// Contexts netgauze may hold beyond those of known peers before they are dropped: it makes one
/// for every peer header it sees.
const STRAY_PEERS_MAX: usize = 1024;

/// The families tried when routes of an unknown peer only make sense with path ids.
const GUESSED_FAMILIES: [AddressType; 6] = [
    AddressType::Ipv4Unicast,
    AddressType::Ipv6Unicast,
    AddressType::Ipv4NlriMplsLabels,
    AddressType::Ipv6NlriMplsLabels,
    AddressType::Ipv4MplsLabeledVpn,
    AddressType::Ipv6MplsLabeledVpn,
];

/// What a session has seen. All counts only grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    /// Messages fed.
    pub messages: u64,
    /// Messages decoded whole.
    pub decoded: u64,
    /// Messages decoded but for attributes or prefixes that were left out.
    pub partial: u64,
    /// Messages that could not be decoded.
    pub undecoded: u64,
    /// Messages decoded by assuming path ids although no Peer Up was seen.
    pub assumed: u64,
    /// Peer Ups that could not be kept because the context is full.
    pub context_full: u64,
    /// Times the contexts of peers without a Peer Up were dropped.
    pub stray_peers_dropped: u64,
}

/// A message and what became of it.
#[derive(Clone, Debug)]
pub struct Decoded {
    /// What the message is about; [`Kind::Raw`] when it could not be decoded.
    pub kind: Kind,
    /// The type octet, also of an undecodable message.
    pub message_type: u8,
    /// 3 or 4.
    pub version: u8,
    /// The per-peer header, if the type has one and it is there.
    pub peer: Option<Peer>,
    /// The decoded message.
    pub message: Option<Box<BmpMessage>>,
    /// Why it was not decoded, or not wholly. With an error the raw octets are to be kept.
    pub error: Option<String>,
    /// The session's context differs from before: time for a checkpoint.
    pub context_changed: bool,
}

impl Decoded {
    /// Appends the decoded message as JSON, `null` if there is none.
    pub fn write_message_json(&self, out: &mut Vec<u8>) {
        let start = out.len();
        if serde_json::to_writer(&mut *out, &self.message).is_err() {
            out.truncate(start);
            out.extend_from_slice(b"null");
        }
    }
}

/// The decoder of one BMP session.
pub struct Session {
    limits: Limits,
    parsing: BmpParsingContext,
    kept: Kept,
    counters: Counters,
}

impl Session {
    /// A session at its start.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            parsing: BmpParsingContext::default(),
            kept: Kept::default(),
            counters: Counters::default(),
        }
    }

    /// A session that goes on where another process stored `context`.
    pub fn restore(limits: Limits, context: &Context) -> Self {
        let mut session = Self::new(limits);
        for message in context.initiation.iter().chain(&context.peer_ups) {
            session.feed(message);
        }
        session.counters = Counters::default();
        session
    }

    /// What the messages to come depend on.
    pub fn context(&self) -> Context {
        self.kept.context()
    }

    /// What it has seen.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Peers that are up.
    pub fn peers(&self) -> usize {
        self.kept.peers()
    }

    /// Decodes one whole message, as cut by [`super::next_len`].
    pub fn feed(&mut self, message: &[u8]) -> Decoded {
        self.counters.messages += 1;
        let version = message.first().copied().unwrap_or_default();
        let message_type = message.get(5).copied().unwrap_or(u8::MAX);
        let peer = Peer::of(message);
        let key = peer.and_then(|_| Peer::key(message));
        self.bound_strays();
        let (parsed, error) = self.read(message);
        match (&parsed, &error) {
            (Some(_), None) => self.counters.decoded += 1,
            (Some(_), Some(_)) => self.counters.partial += 1,
            (None, _) => self.counters.undecoded += 1,
        }
        if let Some(parsed) = &parsed {
            self.parsing.update(parsed);
        }
        let context_changed = match Kind::of(message_type) {
            Kind::Initiation => {
                let changed = self.kept.initiation.as_deref() != Some(message);
                let fits = message.len() <= self.limits.context_bytes;
                self.kept.initiation = fits.then(|| message.to_vec());
                changed
            }
            Kind::PeerUp => key.is_some_and(|key| {
                self.kept.peer_up(key, message, &self.limits).unwrap_or_else(|| {
                    self.counters.context_full += 1;
                    false
                })
            }),
            Kind::PeerDown => key.is_some_and(|key| self.kept.peer_down(&key)),
            Kind::Termination => self.kept.clear_peers(),
            _ => false,
        };
        Decoded {
            kind: if parsed.is_some() { Kind::of(message_type) } else { Kind::Raw },
            message_type,
            version,
            peer,
            message: parsed.map(Box::new),
            error,
            context_changed,
        }
    }

    fn read(&mut self, message: &[u8]) -> (Option<BmpMessage>, Option<String>) {
        match parse(message, &mut self.parsing) {
            Ok(parsed) => (Some(parsed), None),
            Err(strict) => self.second_try(message, &strict),
        }
    }

    /// A message the strict reading refused: once more assuming path ids if its peer is unknown,
    /// then once more leaving out what is malformed (RFC 7606's spirit), then raw. A Peer Up whose
    /// OPENs have no BGP id (FRR's for its Loc-RIB) is read with that of its per-peer header.
    fn second_try(&mut self, message: &[u8], strict: &str) -> (Option<BmpMessage>, Option<String>) {
        let known = Peer::key(message).is_some_and(|key| self.kept.knows(&key));
        let guess = message.get(5) == Some(&0) && !known;
        if guess {
            let with_paths = GUESSED_FAMILIES.iter().map(|family| (*family, true)).collect();
            let mut context = self.variant(message, |peer| {
                *peer.add_path_mut() = with_paths;
            });
            if let Ok(parsed) = parse(message, &mut context) {
                self.counters.assumed += 1;
                return (Some(parsed), None);
            }
        }
        let mut context = self.variant(message, |peer| {
            *peer = BgpParsingContext::new(
                peer.asn4(),
                peer.multiple_labels().clone(),
                peer.add_path().clone(),
                false,
                false,
                false,
                false,
            );
        });
        let lenient = parse(message, &mut context).or_else(|refused| {
            let named = with_bgp_ids(message).ok_or(refused)?;
            parse(&named, &mut context)
        });
        match lenient {
            Ok(parsed) => (Some(parsed), Some(format!("partly decoded: {strict}"))),
            Err(_) => (None, Some(strict.to_owned())),
        }
    }

    /// A copy of the contexts a message can touch, changed for a second try.
    fn variant(
        &self,
        message: &[u8],
        change: impl FnOnce(&mut BgpParsingContext),
    ) -> BmpParsingContext {
        let mut context = BmpParsingContext::default();
        let peer = message.get(6..).and_then(|bytes| {
            use netgauze_parse_utils::traits::ParseFrom;
            netgauze_bmp_pkt::PeerHeader::parse(&mut SliceReader::new(bytes)).ok()
        });
        if let Some(peer) = peer {
            let key = netgauze_bmp_pkt::PeerKey::from_peer_header(&peer);
            let mut bgp = self.parsing.get(&key).cloned().unwrap_or_default();
            change(&mut bgp);
            context.add_peer(key, bgp);
        }
        context
    }

    /// Drops netgauze's contexts when peers without a Peer Up have filled them.
    fn bound_strays(&mut self) {
        // Each known peer may have two: its own and that under the OPEN's BGP id.
        if self.parsing.peer_count() <= 2 * self.kept.peers() + STRAY_PEERS_MAX {
            return;
        }
        self.counters.stray_peers_dropped += 1;
        self.parsing = BmpParsingContext::default();
        let kept: Vec<Vec<u8>> = self.kept.peer_ups().cloned().collect();
        for message in &kept {
            if let (Some(parsed), _) = self.read(message) {
                self.parsing.update(&parsed);
            }
        }
    }
}

/// A copy of a Peer Up with the per-peer header's BGP id in those OPENs that have none; `None` if
/// there is nothing to fill in.
fn with_bgp_ids(message: &[u8]) -> Option<Vec<u8>> {
    /// Octets before the OPENs, of a BGP header, and before the BGP id of an OPEN.
    const OPENS: usize = 68;
    const HEADER: usize = 19;
    const BGP_ID: usize = 24;
    if message.get(5) != Some(&3) {
        return None;
    }
    let id: [u8; 4] = message.get(36..40)?.try_into().ok()?;
    let id = if id == [0; 4] { [0, 0, 0, 1] } else { id };
    let mut copy = message.to_vec();
    let (mut at, mut filled) = (OPENS, false);
    for _ in 0..2 {
        let len = u16::from_be_bytes(copy.get(at + 16..at + 18)?.try_into().ok()?);
        let open = copy.get_mut(at..at + usize::from(len))?;
        let told = open.get_mut(BGP_ID..BGP_ID + 4)?;
        if told == [0; 4] {
            told.copy_from_slice(&id);
            filled = true;
        }
        at += usize::from(len).max(HEADER);
    }
    filled.then_some(copy)
}

/// One strict pass of netgauze's decoder.
fn parse(message: &[u8], context: &mut BmpParsingContext) -> Result<BmpMessage, String> {
    BmpMessage::parse(&mut SliceReader::new(message), context).map_err(|error| error.to_string())
}
