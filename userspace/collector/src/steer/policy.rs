// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Steering by the kernel's own policies.

use std::{
    io,
    net::{Ipv4Addr, Ipv6Addr},
    os::fd::BorrowedFd,
};

use telesteer_sys::{
    Error,
    listen::Unbound,
    reuseport::{self, MEMBER_DRAIN, ReuseportMember, ReuseportPolicyReq},
};

use crate::settings::Settings;

/// A policy and this collector's place in it.
#[derive(Debug)]
pub struct Policy {
    request: ReuseportPolicyReq,
    member: Option<ReuseportMember>,
    name: String,
}

impl Policy {
    /// From the settings; without the member option every socket has weight 1 and its cookie as id.
    ///
    /// # Errors
    ///
    /// If the policy's name is too long.
    pub fn new(settings: &Settings, members: bool) -> anyhow::Result<Self> {
        let key = settings.policy_key;
        let request = reuseport::request(&settings.policy, key.bits(), settings.policy_seed.0)?;
        Ok(Self {
            request: ReuseportPolicyReq {
                idle_ms: settings.policy_idle,
                deadline_ms: settings.policy_deadline,
                bound: settings.policy_bound,
                ..request
            },
            member: members.then_some(ReuseportMember {
                id: settings.instance,
                weight: settings.weight,
                flags: 0,
            }),
            name: format!("policy:{}({})", settings.policy, String::from(key)),
        })
    }

    /// Whether the kernel has it, or a module of it; asked of a socket that is given up again.
    ///
    /// # Errors
    ///
    /// If no socket can be made, or the kernel refuses for another reason.
    pub fn is_known(&self) -> anyhow::Result<bool> {
        let (v4, v6) = (Ipv4Addr::UNSPECIFIED, Ipv6Addr::UNSPECIFIED);
        let socket = Unbound::udp((v4, 0).into()).or_else(|_| Unbound::udp((v6, 0).into()))?;
        match reuseport::set_policy(&socket, &self.request) {
            Ok(()) => Ok(true),
            Err(Error::Refused(_, error)) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Whether the kernel knows this collector's sockets by id.
    pub fn has_member(&self) -> bool {
        self.member.is_some()
    }

    /// For people.
    pub fn describe(&self) -> String {
        self.name.clone()
    }

    /// Gives a socket the policy and its final weight before it joins a group.
    ///
    /// # Errors
    ///
    /// If the kernel refuses either.
    pub fn join(&self, socket: &Unbound) -> anyhow::Result<()> {
        reuseport::set_policy(socket, &self.request)?;
        if let Some(member) = &self.member {
            reuseport::set_member(socket, member)?;
        }
        Ok(())
    }

    /// Marks a socket as draining. Returns after the grace period: nothing new can be on its way.
    ///
    /// # Errors
    ///
    /// If the kernel refuses.
    pub fn drain(&self, socket: BorrowedFd<'_>) -> anyhow::Result<()> {
        if let Some(member) = &self.member {
            reuseport::set_member(socket, &ReuseportMember { flags: MEMBER_DRAIN, ..*member })?;
        }
        Ok(())
    }
}
