// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Everything that can be set on a collector, with its default. The fields here, the keys of the
//! TOML file and the flags of `telesteer collect` have the same names; a flag wins over the file.

mod limits;

use std::{
    fs,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::{Path, PathBuf},
    str::FromStr,
};

use serde::{Deserialize, Serialize};
use telesteer_sys::reuseport::{KEY_PAYLOAD, KEY_SADDR, KEY_SPORT};

pub use limits::Limits;

/// Settings of one collector.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Settings {
    /// Stable number of this collector among its siblings; its member id in the kernel.
    pub instance: u64,
    /// Share of the exporters relative to the siblings; 0 takes nothing new.
    pub weight: u32,
    /// Addresses to listen on, each with every port below.
    pub listen: Vec<IpAddr>,
    /// TCP port for BMP; 0 is off.
    pub bmp_port: u16,
    /// UDP port for IPFIX; 0 is off. Takes NetFlow v9 too.
    pub ipfix_port: u16,
    /// UDP port for NetFlow v9; 0 is off. Takes IPFIX too.
    pub netflow_port: u16,
    /// UDP port for UDP-notif; 0 is off.
    pub notif_port: u16,
    /// How exporters are spread over the collectors.
    pub steering: Steering,
    /// Name of the kernel policy.
    pub policy: String,
    /// What names an exporter for the policy: `saddr`, and also `sport` and `payload`.
    pub policy_key: PolicyKey,
    /// Seed of the policy's hash, 32 hex digits. Equal on all collectors and hosts of one service.
    pub policy_seed: Seed,
    /// Milliseconds of silence after which an exporter may move at any time; 0 is the policy's own.
    /// Policy `stable` knows it.
    pub policy_idle: u32,
    /// Milliseconds that an exporter stays at most where it no longer belongs, after a collector has
    /// joined; 0 is the policy's own, 1 is at once. Policy `stable` knows it.
    pub policy_deadline: u32,
    /// Thousandths of its share of the load by which a collector may exceed it and still get silent
    /// exporters; 0 is no bound. Policy `stable` knows it.
    pub policy_bound: u32,
    /// Folder on a BPF file system where the collectors share the maps of a BPF program.
    pub bpf_pin: Option<PathBuf>,
    /// N of `bpf-modulo`: the number of collectors. For `bpf-rendezvous`: more than any instance number.
    pub bpf_size: u32,
    /// Whether siblings inherit the sessions of a collector that ends.
    pub takeover: Takeover,
    /// Owners of a session that may die in a row without reading on before the kernel ends it; 0 is
    /// the kernel's default, 255 is never.
    pub takeover_budget: u8,
    /// Folder for the output files.
    pub out: PathBuf,
    /// Folder for check-points, the same for all collectors of a host. Default: `state` in `out`.
    pub state: Option<PathBuf>,
    /// Add the received bytes as hex to BMP lines.
    pub raw: bool,
    /// Write one line per datagram to the journal.
    pub journal: bool,
    /// Folder, or URL of a bucket, for flow records as Parquet; none are written by default.
    pub parquet: Option<String>,
    /// Where to serve `/metrics` and `/status`; nowhere by default.
    pub metrics: Option<SocketAddr>,
    /// Receive buffer of each socket, bytes.
    pub rcvbuf: u32,
    /// Bounds of everything that could grow.
    pub limits: Limits,
}

/// How exporters are spread over the collectors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Steering {
    /// The kernel policy if the kernel has it, else none.
    Auto,
    /// The kernel's own hash over both addresses and ports.
    None,
    /// The kernel policy; an error if the kernel lacks it.
    Policy,
    /// A BPF program: source address modulo N, refused where nobody holds the slot.
    BpfModulo,
    /// A BPF program: the collectors draw for the source address, by weight, and nobody is refused.
    BpfRendezvous,
}

/// Whether siblings inherit the sessions of a collector that ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Takeover {
    /// If the kernel can do it.
    Auto,
    /// Never.
    Off,
}

/// The parts of a flow that name its exporter, as `saddr,sport,payload`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct PolicyKey(u32);

impl PolicyKey {
    const NAMES: [(&'static str, u32); 3] =
        [("saddr", KEY_SADDR), ("sport", KEY_SPORT), ("payload", KEY_PAYLOAD)];

    /// The bits for the kernel.
    pub fn bits(self) -> u32 {
        self.0
    }
}

impl FromStr for PolicyKey {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut bits = 0;
        for part in text.split(',').map(str::trim) {
            match Self::NAMES.iter().find(|(name, _)| *name == part) {
                Some((_, bit)) => bits |= bit,
                None => return Err(format!("{part:?} is none of saddr, sport, payload")),
            }
        }
        if bits & KEY_SADDR == 0 {
            Err("saddr must be part of the key".into())
        } else {
            Ok(Self(bits))
        }
    }
}

impl TryFrom<String> for PolicyKey {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<PolicyKey> for String {
    fn from(key: PolicyKey) -> Self {
        let parts: Vec<&str> = PolicyKey::NAMES
            .into_iter()
            .filter_map(|(name, bit)| (key.0 & bit != 0).then_some(name))
            .collect();
        parts.join(",")
    }
}

/// 128 bits, written as 32 hex digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct Seed(pub [u8; 16]);

impl FromStr for Seed {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.len() != 32 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(format!("{text:?} is not 32 hex digits"));
        }
        u128::from_str_radix(text, 16).map(|n| Self(n.to_be_bytes())).map_err(|e| e.to_string())
    }
}

impl TryFrom<String> for Seed {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Seed> for String {
    fn from(seed: Seed) -> Self {
        format!("{:032x}", u128::from_be_bytes(seed.0))
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            instance: 1,
            weight: 1,
            listen: vec![Ipv6Addr::UNSPECIFIED.into(), Ipv4Addr::UNSPECIFIED.into()],
            bmp_port: 1790,
            ipfix_port: 4739,
            netflow_port: 2055,
            notif_port: 10003,
            steering: Steering::Auto,
            policy: "source".into(),
            policy_key: PolicyKey(KEY_SADDR),
            policy_seed: Seed([0; 16]),
            policy_idle: 0,
            policy_deadline: 0,
            policy_bound: 0,
            bpf_pin: None,
            bpf_size: 1,
            takeover: Takeover::Auto,
            takeover_budget: 0,
            out: ".".into(),
            state: None,
            raw: false,
            journal: false,
            parquet: None,
            metrics: None,
            rcvbuf: 8 << 20,
            limits: Limits::default(),
        }
    }
}

/// Settings that cannot be used, each with where it was said.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be read.
    #[error("{path}: {error}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        error: std::io::Error,
    },
    /// The file is not what it should be; line, column and key are in the text.
    #[error("{path}: {error}")]
    Parse {
        /// The file.
        path: PathBuf,
        /// What the parser says.
        error: Box<toml::de::Error>,
    },
    /// Values that do not go together.
    #[error("{key}: {reason}")]
    Value {
        /// The key.
        key: &'static str,
        /// What is wrong with its value.
        reason: String,
    },
}

impl Settings {
    /// Reads a TOML file; keys it does not name keep their defaults.
    ///
    /// # Errors
    ///
    /// With file, line, column and key.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let text = fs::read_to_string(path)
            .map_err(|error| Error::Read { path: path.to_owned(), error })?;
        toml::from_str(&text)
            .map_err(|error| Error::Parse { path: path.to_owned(), error: Box::new(error) })
    }

    /// Refuses values that cannot work, before anything is opened.
    ///
    /// # Errors
    ///
    /// The first key that is wrong, and why.
    pub fn check(&self) -> Result<(), Error> {
        let wrong = |key, reason: String| Err(Error::Value { key, reason });
        if self.listen.is_empty() {
            return wrong("listen", "needs at least one address".into());
        }
        let udp = [
            ("ipfix-port", self.ipfix_port),
            ("netflow-port", self.netflow_port),
            ("notif-port", self.notif_port),
        ];
        for (at, (key, port)) in udp.iter().enumerate() {
            if *port != 0
                && let Some((other, _)) = udp.iter().skip(at + 1).find(|(_, p)| p == port)
            {
                return wrong(key, format!("UDP port {port} is also {other}"));
            }
        }
        if self.bmp_port == 0 && udp.iter().all(|(_, port)| *port == 0) {
            return wrong("bmp-port", "all ports are 0, nothing would be collected".into());
        }
        if self.policy.is_empty() || self.policy.len() > 15 {
            return wrong("policy", format!("{:?} must have 1 to 15 bytes", self.policy));
        }
        let program = match self.steering {
            Steering::BpfModulo => Some("bpf-modulo"),
            Steering::BpfRendezvous => Some("bpf-rendezvous"),
            _ => None,
        };
        if let Some(name) = program {
            if self.bpf_pin.is_none() {
                return wrong("bpf-pin", format!("{name} needs a folder on a BPF file system"));
            }
            if !(1..=256).contains(&self.bpf_size) {
                return wrong("bpf-size", format!("{} is not within 1 to 256", self.bpf_size));
            }
        }
        if self.limits.bmp_message < 4096 {
            return wrong("limits.bmp-message", "must be at least 4096".into());
        }
        if self.limits.output_queue < 1 << 20 {
            return wrong("limits.output-queue", "must be at least 1048576".into());
        }
        let drain_ms = self.limits.drain.saturating_mul(1000);
        if self.limits.drain_hold > 0 && self.limits.drain_hold >= drain_ms {
            return wrong("limits.drain-hold", format!("must be below drain, {drain_ms} ms"));
        }
        if self.parquet.as_ref().is_some_and(String::is_empty) {
            return wrong("parquet", "is no folder and no URL".into());
        }
        let limits = &self.limits;
        for (key, value, least) in [
            ("limits.parquet-rows", limits.parquet_rows, 1),
            ("limits.parquet-held", limits.parquet_held, 4096),
            ("limits.parquet-partitions", limits.parquet_partitions, 1),
        ] {
            if value < least {
                return wrong(key, format!("must be at least {least}"));
            }
        }
        Ok(())
    }

    /// The folder of the check-points.
    pub fn state_dir(&self) -> PathBuf {
        self.state.clone().unwrap_or_else(|| self.out.join("state"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn example_file_states_the_defaults() {
        let example = include_str!("../../telesteer.toml.example");
        // Commented keys are the defaults: with the marks removed the file must still parse, and
        // give what an empty file gives.
        let uncommented: String = example
            .lines()
            .map(|line| line.strip_prefix("#: ").unwrap_or(line))
            .filter(|line| !line.ends_with("= unset"))
            .flat_map(|line| [line, "\n"])
            .collect();
        let said: Settings = toml::from_str(&uncommented).unwrap();
        assert_eq!(said, Settings::default());
        assert_eq!(toml::from_str::<Settings>(example).unwrap(), Settings::default());
        // Every key is there.
        let keys: toml::Table = toml::Table::try_from(Settings::default()).unwrap();
        for key in
            keys.keys().chain(["bpf-pin", "state", "parquet", "metrics"].map(str::to_owned).iter())
        {
            assert!(
                example.contains(&format!("\n#: {key} = ")) || key == "limits",
                "{key} is not in the example"
            );
        }
        for key in toml::Table::try_from(Limits::default()).unwrap().keys() {
            assert!(example.contains(&format!("\n#: {key} = ")), "{key} is not in the example");
        }
    }

    #[test]
    fn unknown_keys_are_refused() {
        let error = toml::from_str::<Settings>("instance = 1\ninstnce = 2\n").unwrap_err();
        let text = error.to_string();
        assert!(text.contains("line 2") && text.contains("instnce"), "{text}");
    }

    #[test]
    fn clashing_ports_are_named() {
        let settings = Settings { netflow_port: 4739, ..Settings::default() };
        let text = settings.check().unwrap_err().to_string();
        assert_eq!(text, "ipfix-port: UDP port 4739 is also netflow-port");
        assert!(Settings::default().check().is_ok());
    }

    #[test]
    fn a_hold_that_takes_the_whole_drain_is_refused() {
        let held = |drain_hold| {
            let limits = Limits { drain_hold, ..Limits::default() };
            Settings { limits, ..Settings::default() }.check()
        };
        assert!(held(19_999).is_ok());
        let text = held(20_000).unwrap_err().to_string();
        assert_eq!(text, "limits.drain-hold: must be below drain, 20000 ms");
    }

    #[test]
    fn keys_and_seeds_survive_their_text() {
        let key: PolicyKey = "saddr, payload".parse().unwrap();
        assert_eq!(key.bits(), 5);
        assert_eq!(String::from(key), "saddr,payload");
        assert!("sport".parse::<PolicyKey>().is_err());
        let seed: Seed = "000102030405060708090a0b0c0d0e0f".parse().unwrap();
        assert_eq!(seed.0[15], 15);
        assert!("+00102030405060708090a0b0c0d0e0f".parse::<Seed>().is_err());
    }
}
