// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The BGP speaker of this server, driven through its own command-line tool: FRR by `vtysh`,
//! GoBGP by `gobgp`. What it has is read back from it, never assumed.

use std::{path::PathBuf, time::Duration};

use serde_json::Value;

use super::{
    command::{self, Error},
    decision::Present,
    prefix::Prefix,
};

/// Which speaker, and how to reach it.
#[derive(Debug, Clone)]
pub enum Speaker {
    /// FRR's bgpd through vtysh: `network` statements.
    Frr {
        /// The program.
        vtysh: PathBuf,
        /// Folder of the daemons' sockets, if not the usual one.
        socket: Option<PathBuf>,
        /// The AS of `router bgp`.
        asn: u32,
        /// The VRF of `router bgp`, if not the default one.
        vrf: Option<String>,
    },
    /// GoBGP through its command: paths of the global table.
    GoBgp {
        /// The program.
        gobgp: PathBuf,
        /// Host of its API.
        host: String,
        /// Port of its API.
        port: u16,
    },
    /// Nobody: commands are made and shown, and taken as done.
    Dry {
        /// Whose commands are shown.
        of: Box<Speaker>,
        /// What would be announced.
        announced: Vec<Prefix>,
    },
}

impl Speaker {
    /// Whether the speaker announces `prefix` on its own.
    ///
    /// # Errors
    ///
    /// If it does not answer, or not what is expected.
    pub fn has(&self, prefix: Prefix, limit: Duration) -> Result<bool, Error> {
        let argv = match self {
            Self::Dry { announced, .. } => return Ok(announced.contains(&prefix)),
            _ => self.question(prefix),
        };
        let said = command::run(&argv, limit)?;
        let refused = |said: String| Error::Refused { command: command::shown(&argv), said };
        let answer: Value = serde_json::from_str(&said)
            .map_err(|error| refused(format!("no JSON ({error}): {}", said.trim())))?;
        self.own_path(prefix, &answer).map_err(refused)
    }

    /// Announces or withdraws `prefix`; gives the command.
    ///
    /// # Errors
    ///
    /// If the speaker refuses or does not answer.
    pub fn set(&mut self, prefix: Prefix, on: bool, limit: Duration) -> Result<String, Error> {
        if let Self::Dry { of, announced } = self {
            let argv = of.order(prefix, on);
            announced.retain(|one| *one != prefix);
            if on {
                announced.push(prefix);
            }
            return Ok(command::shown(&argv));
        }
        let argv = self.order(prefix, on);
        let said = command::run(&argv, limit)?;
        let command = command::shown(&argv);
        // vtysh ends well after some complaints; all of them begin like this.
        if said.lines().any(|line| line.starts_with('%')) {
            return Err(Error::Refused { command, said: said.trim().to_owned() });
        }
        Ok(command)
    }

    /// The command that asks what is there.
    fn question(&self, prefix: Prefix) -> Vec<String> {
        match self {
            Self::Frr { vrf, .. } => {
                let vrf = vrf.as_ref().map(|vrf| format!(" vrf {vrf}")).unwrap_or_default();
                let family = family(prefix);
                self.vtysh(&[format!("show bgp{vrf} {family} unicast {prefix} json")])
            }
            Self::GoBgp { .. } => self.gobgp(&["-a", family(prefix), &prefix.to_string(), "-j"]),
            Self::Dry { of, .. } => of.question(prefix),
        }
    }

    /// The command that changes it.
    fn order(&self, prefix: Prefix, on: bool) -> Vec<String> {
        match self {
            Self::Frr { asn, vrf, .. } => {
                let vrf = vrf.as_ref().map(|vrf| format!(" vrf {vrf}")).unwrap_or_default();
                self.vtysh(&[
                    "configure terminal".to_owned(),
                    format!("router bgp {asn}{vrf}"),
                    format!("address-family {} unicast", family(prefix)),
                    format!("{}network {prefix}", if on { "" } else { "no " }),
                ])
            }
            // Without an origin it is "incomplete", which keeps a path out of a multipath group.
            Self::GoBgp { .. } if on => {
                let prefix_text = prefix.to_string();
                self.gobgp(&["add", "-a", family(prefix), &prefix_text, "origin", "igp"])
            }
            Self::GoBgp { .. } => self.gobgp(&["del", "-a", family(prefix), &prefix.to_string()]),
            Self::Dry { of, .. } => of.order(prefix, on),
        }
    }

    fn vtysh(&self, commands: &[String]) -> Vec<String> {
        let Self::Frr { vtysh, socket, .. } = self else { return Vec::new() };
        let mut argv = vec![vtysh.to_string_lossy().into_owned()];
        if let Some(socket) = socket {
            argv.extend(["--vty_socket".to_owned(), socket.to_string_lossy().into_owned()]);
        }
        for command in commands {
            argv.extend(["-c".to_owned(), command.clone()]);
        }
        argv
    }

    fn gobgp(&self, words: &[&str]) -> Vec<String> {
        let Self::GoBgp { gobgp, host, port } = self else { return Vec::new() };
        let mut argv = vec![gobgp.to_string_lossy().into_owned()];
        argv.extend(["-u".to_owned(), host.clone(), "-p".to_owned(), port.to_string()]);
        argv.extend(["global", "rib"].iter().chain(words).map(|word| (*word).to_owned()));
        argv
    }

    /// Whether an answer holds a path of the speaker's own that is in use.
    fn own_path(&self, prefix: Prefix, answer: &Value) -> Result<bool, String> {
        match self {
            Self::Frr { .. } => {
                let paths = answer["paths"].as_array().map(Vec::as_slice).unwrap_or_default();
                let is = |path: &Value, key: &str| path[key].as_bool() == Some(true);
                let mut own = paths.iter().filter(|path| is(path, "local") && !is(path, "removed"));
                match own.next() {
                    None => Ok(false),
                    Some(path) if is(path, "valid") => Ok(true),
                    Some(_) => Err(format!(
                        "FRR has the network statement for {prefix} but does not use it: put the \
                         address on an interface, or set `no bgp network import-check`"
                    )),
                }
            }
            // Only a path of its own has no next hop yet.
            Self::GoBgp { .. } => Ok(answer[prefix.to_string()].as_array().is_some_and(|paths| {
                paths.iter().any(|path| {
                    path["attrs"].as_array().is_some_and(|attrs| {
                        attrs
                            .iter()
                            .any(|attr| matches!(attr["nexthop"].as_str(), Some("0.0.0.0" | "::")))
                    })
                })
            })),
            Self::Dry { of, .. } => of.own_path(prefix, answer),
        }
    }
}

fn family(prefix: Prefix) -> &'static str {
    if prefix.is_ipv6() { "ipv6" } else { "ipv4" }
}

/// Several answers as one.
pub fn summary(has: &[Option<bool>]) -> Present {
    if has.is_empty() || has.contains(&None) {
        Present::Unknown
    } else if has.iter().all(|has| *has == Some(true)) {
        Present::All
    } else if has.contains(&Some(true)) {
        Present::Part
    } else {
        Present::None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn frr() -> Speaker {
        Speaker::Frr {
            vtysh: "vtysh".into(),
            socket: Some("/run/frr/s1".into()),
            asn: 65101,
            vrf: None,
        }
    }

    fn gobgp() -> Speaker {
        Speaker::GoBgp { gobgp: "gobgp".into(), host: "127.0.0.1".into(), port: 50051 }
    }

    fn v4() -> Prefix {
        "192.0.2.1/32".parse().unwrap()
    }

    #[test]
    fn commands_are_what_an_operator_would_type() {
        let v6: Prefix = "2001:db8:ffff::1/128".parse().unwrap();
        let vrf = Speaker::Frr {
            vtysh: "/usr/bin/vtysh".into(),
            socket: None,
            asn: 65101,
            vrf: Some("telemetry".to_owned()),
        };
        assert_eq!(
            command::shown(&frr().order(v4(), false)),
            "vtysh --vty_socket /run/frr/s1 -c 'configure terminal' -c 'router bgp 65101' \
             -c 'address-family ipv4 unicast' -c 'no network 192.0.2.1/32'"
        );
        assert_eq!(
            command::shown(&vrf.question(v6)),
            "/usr/bin/vtysh -c 'show bgp vrf telemetry ipv6 unicast 2001:db8:ffff::1/128 json'"
        );
        assert_eq!(
            command::shown(&gobgp().order(v6, true)),
            "gobgp -u 127.0.0.1 -p 50051 global rib add -a ipv6 2001:db8:ffff::1/128 origin igp"
        );
        assert_eq!(
            command::shown(&gobgp().order(v4(), false)),
            "gobgp -u 127.0.0.1 -p 50051 global rib del -a ipv4 192.0.2.1/32"
        );
    }

    #[test]
    fn frr_counts_only_its_own_valid_path() {
        let own = |path: Value| frr().own_path(v4(), &json!({ "paths": [path] }));
        assert_eq!(frr().own_path(v4(), &json!({})), Ok(false));
        assert_eq!(own(json!({ "local": true, "valid": true })), Ok(true));
        assert_eq!(own(json!({ "valid": true })), Ok(false));
        // For a moment after `no network`.
        assert_eq!(own(json!({ "local": true, "valid": false, "removed": true })), Ok(false));
        let unused = own(json!({ "local": true, "valid": false })).unwrap_err();
        assert!(unused.contains("import-check"), "{unused}");
    }

    #[test]
    fn gobgp_counts_only_its_own_path() {
        let of = |hop: &str| {
            let attrs = json!([{ "type": 1, "value": 0 }, { "type": 3, "nexthop": hop }]);
            gobgp().own_path(v4(), &json!({ "192.0.2.1/32": [{ "attrs": attrs }] }))
        };
        assert_eq!(gobgp().own_path(v4(), &json!({})), Ok(false));
        assert_eq!(of("0.0.0.0"), Ok(true));
        assert_eq!(of("10.9.1.1"), Ok(false));
    }

    #[test]
    fn a_dry_speaker_remembers_what_it_was_told() {
        let mut dry = Speaker::Dry { of: Box::new(gobgp()), announced: Vec::new() };
        let limit = Duration::ZERO;
        assert!(dry.set(v4(), true, limit).unwrap().contains("rib add"));
        assert!(dry.has(v4(), limit).unwrap());
        assert!(dry.set(v4(), false, limit).unwrap().contains("rib del"));
        assert!(!dry.has(v4(), limit).unwrap());
    }

    #[test]
    fn answers_are_summed_up() {
        let (yes, no) = (Some(true), Some(false));
        assert_eq!(summary(&[yes, yes]), Present::All);
        assert_eq!(summary(&[yes, no]), Present::Part);
        assert_eq!(summary(&[no, no]), Present::None);
        assert_eq!(summary(&[yes, None]), Present::Unknown);
    }
}
