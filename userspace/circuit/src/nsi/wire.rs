// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What the protocols of NSI have in common.

use crate::error::Why;
use crate::nsi::message::{Header, Reserve};
use crate::nsi::reply::Body;
use crate::nsi::soap::Soap;

/// What is asked of a provider.
pub(crate) enum Ask<'a> {
    /// A new reservation or a changed one.
    Reserve(&'a Reserve<'a>),
    /// Something of a connection.
    Of(&'a str),
    /// What there is: of one connection, or of all.
    Query(Option<&'a str>),
}

/// What came of sending it.
pub(crate) enum Sent {
    /// This was said at once.
    Said(Body),
    /// It was not taken.
    Not(Why),
    /// Nobody knows: an answer may come all the same.
    Unsure(Why),
}

/// The provider's end.
#[derive(Debug)]
pub(crate) enum Wire {
    /// SOAP 1.1, `http://`.
    Soap(Soap),
    /// gRPC without TLS, `grpc://`.
    #[cfg(feature = "grpc")]
    Grpc(crate::nsi::grpc::Grpc),
}

impl Wire {
    /// Sends a request and says what is said at once.
    pub(crate) async fn send(
        &self,
        name: &str,
        header: &Header<'_>,
        ask: &Ask<'_>,
        wait_ms: u64,
    ) -> Sent {
        match self {
            Self::Soap(soap) => soap.send(name, header, ask, wait_ms).await,
            #[cfg(feature = "grpc")]
            Self::Grpc(grpc) => grpc.send(name, header, ask, wait_ms).await,
        }
    }
}
