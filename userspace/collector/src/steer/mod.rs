// SPDX-License-Identifier: Apache-2.0 OR MIT
//! How a collector's sockets take their place among those of its siblings.

pub mod bpf;
pub mod policy;

use std::{
    net::SocketAddr,
    os::fd::{BorrowedFd, OwnedFd},
};

use anyhow::bail;
use telesteer_sys::{features::Features, listen::Unbound, takeover};

use crate::settings::{Settings, Steering, Takeover};

/// Transport of a socket; each has a group of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// A TCP listener.
    Tcp,
    /// A UDP socket.
    Udp,
}

/// The steering in force.
#[derive(Debug)]
pub enum Steer {
    /// The kernel's own hash.
    None,
    /// A kernel policy.
    Policy(policy::Policy),
    /// A BPF program.
    Bpf(bpf::Program),
}

/// Steering and takeover as decided at the start.
#[derive(Debug)]
pub struct Plan {
    /// The steering in force.
    pub steer: Steer,
    /// The budget bits for `TCP_TAKEOVER` if sessions are left to siblings.
    pub takeover: Option<u32>,
    /// One line about what the kernel lacks of what was asked, if anything.
    pub lacks: Option<String>,
}

impl Plan {
    /// Decides from the settings and from what the kernel can do.
    ///
    /// # Errors
    ///
    /// If the settings insist on something the kernel lacks.
    pub fn make(settings: &Settings, features: Features) -> anyhow::Result<Self> {
        Self::decide(settings, features, policy::Policy::is_known)
    }

    /// `is_known` asks the kernel for a policy, which may load its module.
    fn decide(
        settings: &Settings,
        features: Features,
        is_known: impl Fn(&policy::Policy) -> anyhow::Result<bool>,
    ) -> anyhow::Result<Self> {
        let mut lacks = Vec::new();
        let steer = match settings.steering {
            Steering::None => Steer::None,
            Steering::Policy if !features.policy => {
                bail!("steering policy: this kernel has no SO_REUSEPORT_POLICY")
            }
            Steering::Auto if !features.policy => {
                let option = "SO_REUSEPORT_POLICY (exporters are spread by the plain hash)";
                lacks.push(option.to_owned());
                Steer::None
            }
            Steering::Auto | Steering::Policy => {
                let policy = policy::Policy::new(settings, features.member)?;
                if settings.steering == Steering::Policy || is_known(&policy)? {
                    Steer::Policy(policy)
                } else {
                    let name = &settings.policy;
                    lacks.push(format!(
                        "the policy {name} (exporters are spread by the plain hash)"
                    ));
                    Steer::None
                }
            }
            Steering::BpfModulo | Steering::BpfRendezvous => {
                Steer::Bpf(bpf::Program::new(settings)?)
            }
        };
        let takeover = (settings.takeover == Takeover::Auto && features.takeover)
            .then(|| takeover::budget(settings.takeover_budget));
        if settings.takeover == Takeover::Auto && !features.takeover {
            lacks.push("TCP_TAKEOVER (sessions end with this process)".to_owned());
        }
        let lacks =
            (!lacks.is_empty()).then(|| format!("this kernel lacks {}", lacks.join(" and ")));
        Ok(Self { steer, takeover, lacks })
    }

    /// For people: what is in force.
    pub fn describe(&self) -> String {
        let steer = match &self.steer {
            Steer::None => "none".to_owned(),
            Steer::Policy(policy) => policy.describe(),
            Steer::Bpf(program) => program.describe(),
        };
        format!("steering={steer} takeover={}", if self.takeover.is_some() { "on" } else { "off" })
    }

    /// Sets what must be set before `bind`.
    ///
    /// # Errors
    ///
    /// If the kernel refuses an option.
    pub fn before_bind(&self, socket: &Unbound, transport: Transport) -> anyhow::Result<()> {
        if let Steer::Policy(policy) = &self.steer {
            policy.join(socket)?;
        }
        if let Some(budget) = self.takeover
            && transport == Transport::Tcp
        {
            takeover::set(socket, takeover::EXIT | takeover::CLOSE | budget)?;
        }
        Ok(())
    }

    /// Sets what needs a bound or listening socket.
    ///
    /// # Errors
    ///
    /// If the program cannot be loaded or the socket does not enter its slot.
    pub fn after_bind(
        &self,
        socket: &OwnedFd,
        transport: Transport,
        addr: SocketAddr,
    ) -> anyhow::Result<()> {
        match &self.steer {
            Steer::Bpf(program) => program.enter(socket, transport, addr),
            Steer::None | Steer::Policy(_) => Ok(()),
        }
    }

    /// Whether [`Plan::drain`] does anything.
    pub fn can_drain(&self) -> bool {
        matches!(&self.steer, Steer::Policy(policy) if policy.has_member())
    }

    /// Takes a socket out of the selection for good. May block for a grace period.
    ///
    /// # Errors
    ///
    /// If the kernel refuses.
    pub fn drain(&self, socket: BorrowedFd<'_>) -> anyhow::Result<()> {
        match &self.steer {
            Steer::Policy(policy) => policy.drain(socket),
            Steer::Bpf(program) => program.drain(socket),
            Steer::None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stock_kernel_gets_one_sentence_and_no_steering() {
        let plan = Plan::make(&Settings::default(), Features::default()).unwrap();
        assert_eq!(plan.describe(), "steering=none takeover=off");
        assert_eq!(
            plan.lacks.unwrap(),
            "this kernel lacks SO_REUSEPORT_POLICY (exporters are spread by the plain hash) and \
             TCP_TAKEOVER (sessions end with this process)"
        );
    }

    #[test]
    fn what_is_not_asked_for_is_not_missed() {
        let settings =
            Settings { steering: Steering::None, takeover: Takeover::Off, ..Settings::default() };
        assert_eq!(Plan::make(&settings, Features::default()).unwrap().lacks, None);
    }

    #[test]
    fn insisting_on_a_policy_is_an_error_without_one() {
        let settings = Settings { steering: Steering::Policy, ..Settings::default() };
        let error = Plan::make(&settings, Features::default()).unwrap_err().to_string();
        assert!(error.contains("SO_REUSEPORT_POLICY"), "{error}");
    }

    #[test]
    fn a_full_kernel_gives_policy_and_takeover() {
        let features = Features { takeover: true, policy: true, member: true };
        let plan = Plan::decide(&Settings::default(), features, |_| Ok(true)).unwrap();
        assert_eq!(plan.describe(), "steering=policy:source(saddr) takeover=on");
        assert_eq!(plan.lacks, None);
    }

    #[test]
    fn a_policy_whose_module_is_missing_gives_the_hash_unless_it_is_insisted_on() {
        let features = Features { takeover: true, policy: true, member: true };
        let settings = Settings { policy: "stable".to_owned(), ..Settings::default() };
        let plan = Plan::decide(&settings, features, |_| Ok(false)).unwrap();
        assert_eq!(plan.describe(), "steering=none takeover=on");
        assert_eq!(
            plan.lacks.unwrap(),
            "this kernel lacks the policy stable (exporters are spread by the plain hash)"
        );
        let settings = Settings { steering: Steering::Policy, ..settings };
        let plan = Plan::decide(&settings, features, |_| Ok(false)).unwrap();
        assert_eq!(plan.describe(), "steering=policy:stable(saddr) takeover=on");
    }
}
