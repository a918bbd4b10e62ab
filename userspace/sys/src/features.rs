// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What the running kernel can do, found by harmless reads on a fresh socket.

use std::io;

use socket2::{Domain, Socket, Type};

use crate::{reuseport, takeover};

/// Which halves of the series the running kernel has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Features {
    /// `TCP_TAKEOVER`.
    pub takeover: bool,
    /// `SO_REUSEPORT_POLICY`.
    pub policy: bool,
    /// `SO_REUSEPORT_MEMBER`.
    pub member: bool,
}

impl Features {
    /// The options that are missing, for a message; empty if none is.
    pub fn missing(&self) -> Vec<&'static str> {
        [
            (self.policy, "SO_REUSEPORT_POLICY"),
            (self.member, "SO_REUSEPORT_MEMBER"),
            (self.takeover, "TCP_TAKEOVER"),
        ]
        .into_iter()
        .filter_map(|(has, name)| (!has).then_some(name))
        .collect()
    }
}

/// Asks the kernel. Only "no such option" counts as missing: any other answer knows the option.
///
/// # Errors
///
/// If no TCP socket can be made.
pub fn probe() -> io::Result<Features> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)
        .or_else(|_| Socket::new(Domain::IPV6, Type::STREAM, None))?;
    Ok(Features {
        takeover: !takeover::get(&socket).is_err_and(|e| e.is_missing()),
        policy: !reuseport::policy(&socket).is_err_and(|e| e.is_missing()),
        member: !reuseport::member(&socket).is_err_and(|e| e.is_missing()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probe_agrees_with_the_calls() {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        let features = probe().unwrap();
        assert_eq!(features.takeover, takeover::set(&socket, takeover::EXIT).is_ok());
        if !features.takeover {
            let error = takeover::info(&socket).unwrap_err();
            assert!(error.is_missing());
            assert_eq!(error.to_string(), "this kernel has no TCP_TAKEOVER_INFO");
            assert!(features.missing().contains(&"TCP_TAKEOVER"));
        }
        if !features.policy {
            let request = reuseport::request("source", reuseport::KEY_SADDR, [7; 16]).unwrap();
            let error = reuseport::set_policy(&socket, &request).unwrap_err();
            assert_eq!(error.to_string(), "this kernel has no SO_REUSEPORT_POLICY");
        }
    }

    /// The broken twin: an option every kernel has is not reported as missing.
    #[test]
    fn known_option_is_not_missing() {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        assert!(crate::ident::socket_cookie(&socket).is_ok());
    }

    #[test]
    fn long_policy_name_is_refused_with_its_name() {
        let error = reuseport::request("sixteen-bytes-xx", 1, [0; 16]).unwrap_err();
        assert!(error.to_string().contains("sixteen-bytes-xx"), "{error}");
        assert!(reuseport::request("fifteen-bytes-x", 1, [0; 16]).is_ok());
    }
}
