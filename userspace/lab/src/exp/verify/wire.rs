// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Open vSwitch in the place of the ingress router: what comes from site 1 goes through its bridge, to the
//! core router of the IP-routed path or, with a label, to that of the science path.

use crate::devices::ovs::{LABEL, PORTS, Switch};
use crate::error::{Result, odd};
use crate::net::Net;
use crate::router::{Router, SCIENCE, SCIENCE_MARK, path};
use crate::space::Space;
use std::path::Path;
use telesteer_redirect::{Settings, Target};

/// Names of the bridge's neighbours' links.
pub(super) const PLAIN: &str = "plain-far";
pub(super) const SCIENCE_LINK: &str = "lsp-far";
/// Networks of the other site.
const SITE2: &str = "10.2.0.0/16";
/// Labels that a kernel may be told to know.
const LABELS: &str = "1048575";

/// The bridge in a namespace of its own; dropping it takes it away.
#[derive(Debug)]
pub(super) struct Bridge {
    // Before the namespace it runs in.
    switch: Switch,
    /// Where it runs.
    pub(super) space: Space,
    /// The next hop on the science path.
    mac: [u8; 6],
}

impl Bridge {
    /// Puts it between site 1 and the core.
    ///
    /// # Errors
    ///
    /// If Open vSwitch does not come up, or a link cannot be made.
    pub(super) fn build(net: &Net, dir: &Path) -> Result<Self> {
        let space = Space::new("switch")?;
        // Nothing is sent but what the experiment sends.
        space.sysctl("net/ipv6/conf/default/disable_ipv6", "1")?;
        let switch = Switch::start(&space, dir)?;
        for (port, neighbour) in PORTS.iter().zip([&net.site1, &net.p1, &net.p2]) {
            space.ip(&format!("link set {port}-far netns {}\n", neighbour.name))?;
            neighbour.ip(&format!("link set {port}-far up\n"))?;
        }
        net.p1.ip(&format!("addr add 10.9.21.2/24 dev {PLAIN}\n"))?;
        let near = address(&net.p1, PLAIN)?;
        // Nobody in between answers for the router, and checksums must be made before the bridge.
        net.site1.run(&["ethtool", "-K", "in-far", "tx", "off"])?;
        net.site1.ip(&format!(
            "addr add 10.9.21.1/24 dev in-far\n\
             neigh replace 10.9.21.2 lladdr {near} dev in-far nud permanent\n\
             route replace {SITE2} via 10.9.21.2 dev in-far\n"
        ))?;
        net.p2.sysctl("net/mpls/platform_labels", LABELS)?;
        net.p2.sysctl(&format!("net/mpls/conf/{SCIENCE_LINK}/input"), "1")?;
        let label = LABEL.to_string();
        let last = ["via", "inet", "10.9.5.2", "dev", "to-pe2"];
        net.p2.run(&[&["ip", "-f", "mpls", "route", "replace", &label][..], &last].concat())?;
        switch.forward(&space)?;
        let next = address(&net.p2, SCIENCE_LINK)?;
        let mac = mac(&next).ok_or_else(|| odd(SCIENCE_LINK, next))?;
        Ok(Self { switch, space, mac })
    }

    /// Its flows as a router, with the science path up.
    ///
    /// # Errors
    ///
    /// If it does not answer.
    pub(super) fn router(&self) -> Result<Router<'_>> {
        let name = path(SCIENCE)?;
        let open = || self.switch.open(&name, Some(self.mac));
        let mut router = Router::open(&self.space, Settings::default(), open)?;
        // The bridge has no tables; its path is a port and a label.
        let target = Target { mark: SCIENCE_MARK, table: SCIENCE_MARK };
        let up = router.controller.path_up(name.clone(), target);
        up.map_err(|error| odd("the science path", error))?;
        Ok(router)
    }
}

/// The address of a link, as the kernel writes it.
fn address(space: &Space, link: &str) -> Result<String> {
    let text = space.run(&["cat", &format!("/sys/class/net/{link}/address")])?;
    Ok(text.trim().to_owned())
}

fn mac(text: &str) -> Option<[u8; 6]> {
    let octets: Option<Vec<u8>> =
        text.split(':').map(|octet| u8::from_str_radix(octet, 16).ok()).collect();
    octets?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_of_a_link() {
        assert_eq!(mac("02:00:00:0a:ff:01"), Some([2, 0, 0, 10, 255, 1]));
        assert_eq!((mac("02:00"), mac("")), (None, None));
    }
}
