// SPDX-License-Identifier: Apache-2.0 OR MIT
//! GoBGP as speaker of FlowSpec routes, and our receiver as the router that follows them.

use crate::error::{Result, odd};
use crate::process::{Process, until, write};
use crate::space::Space;
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;
use telesteer_fam::time::SECOND;
use telesteer_redirect::bgp::Neighbour;
use telesteer_redirect::flowspec::receiver::{Meet, Receiver, Settings, Way};
use telesteer_redirect::flowspec::{COMMUNITY, FlowSpec, Redirect, RouteTarget, Site};
use telesteer_redirect::nft::Nft;
use telesteer_redirect::{Device, DeviceError, PathName, Target};

/// Patience for a daemon to begin on an emulated machine.
const PATIENCE: Duration = Duration::from_secs(120);
const API: &str = "127.0.0.1:50051";
const SPEAKER: ([u8; 4], u16) = ([127, 0, 0, 1], 1790);
const ASN: u16 = 64_512;
/// What the path's VRF imports.
const TARGET: RouteTarget = RouteTarget::As2 { asn: ASN, number: 101 };
/// Routes that the receiver takes.
const LIMIT: usize = 1 << 16;

const CONF: &str = r#"
[global.config]
  as = 64512
  router-id = "192.0.2.1"
  port = 1790
  local-address-list = ["127.0.0.1"]
[[neighbors]]
  [neighbors.config]
    neighbor-address = "127.0.0.1"
    peer-as = 64512
  [neighbors.transport.config]
    passive-mode = true
  [[neighbors.afi-safis]]
    [neighbors.afi-safis.config]
      afi-safi-name = "ipv4-flowspec"
"#;

/// Speaker and receiver; dropping them ends both.
#[derive(Debug)]
pub(crate) struct Session {
    stop: Arc<AtomicBool>,
    receiver: Option<JoinHandle<()>>,
    _speaker: Process,
}

impl Session {
    /// Starts both in a namespace; packets of the path `name` are marked so.
    ///
    /// # Errors
    ///
    /// If the speaker does not come up, or there is no `nft`.
    pub(crate) fn start(
        space: &Space,
        dir: &Path,
        name: &PathName,
        target: Target,
    ) -> Result<Self> {
        let conf = dir.join("gobgpd.toml");
        write(&conf, CONF)?;
        let conf = conf.to_string_lossy();
        let argv = ["gobgpd", "-f", &conf, "-l", "error", "--api-hosts", API];
        let mut speaker = Process::start("gobgpd", Some(&space.name), dir, &argv)?;
        until("gobgpd", PATIENCE, || {
            speaker.must_run()?;
            Ok(space.run(&["gobgp", "global"]).is_ok())
        })?;
        let asn = u32::from(ASN);
        let id = Ipv4Addr::new(192, 0, 2, 2);
        let settings = Settings {
            neighbour: Neighbour { local_as: asn, id, peer_as: asn, hold: 90 },
            meet: Meet::Connect(SocketAddr::from(SPEAKER)),
            ways: vec![Way { path: name.clone(), redirect: Redirect::Target(TARGET), target }],
            limit: LIMIT,
            check: SECOND,
            grace: 600 * SECOND,
        };
        let nft = space.within(|| Nft::open("receiver"))??;
        let mut receiver =
            Receiver::new(settings, nft).map_err(|error| odd("the receiver", error))?;
        let stop = Arc::new(AtomicBool::new(false));
        let (told, inside) = (Arc::clone(&stop), space.name.clone());
        let thread = thread::spawn(move || {
            // Its own namespace, for `nft` that it starts.
            let ran = Space::enter_named(&inside).and_then(|()| {
                let mut say = |text: &str| eprintln!("telesteer-lab: receiver: {text}");
                receiver.run(&told, &mut say).map_err(|error| odd("the receiver", error))
            });
            if let Err(error) = ran {
                eprintln!("telesteer-lab: {error}");
            }
        });
        Ok(Self { stop, receiver: Some(thread), _speaker: speaker })
    }

    /// The speaker's routes as a device, which reads the router that follows them.
    ///
    /// # Errors
    ///
    /// If the speaker does not answer.
    pub(crate) fn open(
        &self,
        name: &PathName,
    ) -> std::result::Result<Box<dyn Device + Send>, DeviceError> {
        let site = Site {
            gobgp: vec!["gobgp".to_owned()],
            targets: BTreeMap::from([(name.clone(), TARGET)]),
            community: COMMUNITY,
        };
        let router = Box::new(Nft::open("router")?);
        Ok(Box::new(FlowSpec::open("flowspec", site, router, LIMIT)?))
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        if let Some(receiver) = self.receiver.take() {
            // What it said it has said.
            let _ = receiver.join();
        }
    }
}
