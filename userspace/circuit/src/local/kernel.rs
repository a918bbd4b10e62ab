// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Routes of the namespace this runs in, by netlink.

use crate::local::item::Item;
use crate::local::shape;
use futures_util::TryStreamExt;
use rtnetlink::packet_route::link::LinkAttribute;
use rtnetlink::packet_route::route::{
    MplsLabel, RouteAddress, RouteAttribute, RouteLwTunnelEncap, RouteMessage, RouteMplsIpTunnel,
    RouteProtocol, RouteVia,
};
use rtnetlink::{Error, Handle, RouteMessageBuilder};
use std::collections::BTreeMap;
use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use tokio::task::JoinHandle;

/// Routes with this protocol number are ours.
pub const PROTOCOL: u8 = 0x7e;
/// ENOENT, ESRCH and ENODEV: no such label, route or interface.
const ABSENT: [i32; 3] = [2, 3, 19];
/// Labels the kernel must have room for, at least.
const LABELS: &str = "/proc/sys/net/mpls/platform_labels";

/// What went wrong on a node.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}: {said}")]
pub struct Failed {
    /// With what.
    pub what: String,
    /// What the kernel or `tc` said.
    pub said: String,
}

pub(crate) fn failed(what: impl ToString, said: impl ToString) -> Failed {
    Failed { what: what.to_string(), said: said.to_string() }
}

/// Whether this kernel has MPLS; what it lacks if not.
pub fn lacks() -> Option<&'static str> {
    (!std::path::Path::new(LABELS).exists()).then_some("CONFIG_MPLS_ROUTING")
}

/// The namespace's routes.
#[derive(Debug)]
pub struct Kernel {
    handle: Handle,
    task: JoinHandle<()>,
}

impl Drop for Kernel {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Kernel {
    /// Opens netlink.
    pub fn open() -> Result<Self, Failed> {
        let (connection, handle, _) =
            rtnetlink::new_connection().map_err(|error| failed("netlink", error))?;
        Ok(Self { handle, task: tokio::spawn(connection) })
    }

    /// Puts an item there; one of ours in its place goes, anybody else's stays and is an error.
    pub async fn add(&self, item: &Item) -> Result<(), Failed> {
        match item {
            Item::Input { interface } => return input(interface),
            Item::Class { .. } => return shape::add(item).await,
            Item::Pop { label } | Item::Swap { label, .. } => room(*label)?,
            Item::Ingress { .. } => {}
        }
        let route = self.route(item).await?;
        let ours = self.ours(item).await?;
        if ours == Some(false) {
            return Err(failed(format!("{item:?}"), "there is one that is not ours"));
        }
        let request = self.handle.route().add(route);
        let request = if ours == Some(true) { request.replace() } else { request };
        request.execute().await.map_err(|error| failed(format!("{item:?}"), error))
    }

    /// Whether the route in the place of an item is ours; `None`: there is none.
    async fn ours(&self, item: &Item) -> Result<Option<bool>, Failed> {
        let found = match item {
            Item::Ingress { table: wanted, .. } => {
                let all = self.dump(RouteMessageBuilder::<Ipv4Addr>::new().build()).await?;
                all.into_iter().find(|route| {
                    route.header.destination_prefix_length == 0 && table(route) == *wanted
                })
            }
            Item::Swap { label, .. } | Item::Pop { label } => {
                let all = self.dump(RouteMessageBuilder::<MplsLabel>::new().build()).await?;
                all.into_iter().find(|route| label_in(route) == Some(*label))
            }
            Item::Input { .. } | Item::Class { .. } => None,
        };
        Ok(found.map(|route| route.header.protocol == RouteProtocol::Other(PROTOCOL)))
    }

    /// Takes an item away; that it is not there is no error.
    pub async fn remove(&self, item: &Item) -> Result<(), Failed> {
        match item {
            Item::Input { .. } => return Ok(()),
            Item::Class { .. } => return shape::remove(item).await,
            Item::Pop { .. } | Item::Swap { .. } | Item::Ingress { .. } => {}
        }
        if lacks().is_some() && !matches!(item, Item::Ingress { .. })
            || self.ours(item).await? != Some(true)
        {
            return Ok(());
        }
        // By what names it, for its interface may be gone already.
        let route = match item {
            Item::Ingress { table, .. } => RouteMessageBuilder::<Ipv4Addr>::new()
                .table_id(*table)
                .protocol(RouteProtocol::Other(PROTOCOL))
                .build(),
            Item::Swap { label, .. } | Item::Pop { label } => {
                RouteMessageBuilder::<MplsLabel>::new()
                    .protocol(RouteProtocol::Other(PROTOCOL))
                    .label(mpls(*label))
                    .build()
            }
            Item::Input { .. } | Item::Class { .. } => return Ok(()),
        };
        match self.handle.route().del(route).execute().await {
            Err(error) if !absent(&error) => Err(failed(format!("{item:?}"), error)),
            _ => Ok(()),
        }
    }

    /// Our items, and in words what is in `labels` or `tables` and not ours.
    pub async fn read(
        &self,
        labels: impl Fn(u32) -> bool,
        tables: impl Fn(u32) -> bool,
    ) -> Result<(Vec<Item>, Vec<String>), Failed> {
        let names = self.names().await?;
        let (mut items, mut foreign) = (Vec::new(), Vec::new());
        for name in names.values() {
            let path = conf(name);
            if fs::read_to_string(&path).is_ok_and(|text| text.trim() == "1") {
                items.push(Item::Input { interface: name.clone() });
            }
            items.extend(shape::read(name).await?);
        }
        let v4 = RouteMessageBuilder::<Ipv4Addr>::new().build();
        for route in self.dump(v4).await? {
            let ours = route.header.protocol == RouteProtocol::Other(PROTOCOL);
            match ingress(&route, &names) {
                Some(item) if ours => items.push(item),
                _ if ours || tables(table(&route)) => {
                    foreign.push(format!("table {}: a route that is not ours", table(&route)));
                }
                _ => {}
            }
        }
        if lacks().is_some() {
            return Ok((items, foreign));
        }
        let mpls = RouteMessageBuilder::<MplsLabel>::new().build();
        for route in self.dump(mpls).await? {
            let ours = route.header.protocol == RouteProtocol::Other(PROTOCOL);
            let label = label_in(&route).unwrap_or(0);
            match transit(&route, &names) {
                Some(item) if ours => items.push(item),
                _ if ours || labels(label) => {
                    foreign.push(format!("label {label}: a route that is not ours"))
                }
                _ => {}
            }
        }
        Ok((items, foreign))
    }

    async fn dump(&self, like: RouteMessage) -> Result<Vec<RouteMessage>, Failed> {
        let dumped = self.handle.route().get(like).execute().try_collect::<Vec<_>>().await;
        dumped.map_err(|error| failed("reading routes", error))
    }

    async fn names(&self) -> Result<BTreeMap<u32, String>, Failed> {
        let links: Vec<_> = self
            .handle
            .link()
            .get()
            .execute()
            .try_collect()
            .await
            .map_err(|error| failed("reading interfaces", error))?;
        let name = |attributes: &[LinkAttribute]| {
            attributes.iter().find_map(|attribute| match attribute {
                LinkAttribute::IfName(name) => Some(name.clone()),
                _ => None,
            })
        };
        Ok(links
            .iter()
            .filter_map(|link| Some((link.header.index, name(&link.attributes)?)))
            .collect())
    }

    async fn index(&self, name: &str) -> Result<Option<u32>, Failed> {
        let names = self.names().await?;
        Ok(names.iter().find(|(_, known)| known.as_str() == name).map(|(index, _)| *index))
    }

    async fn route(&self, item: &Item) -> Result<RouteMessage, Failed> {
        let name = interface(item);
        let index = self
            .index(name)
            .await?
            .ok_or_else(|| failed(format!("{item:?}"), "no such interface"))?;
        let protocol = RouteProtocol::Other(PROTOCOL);
        Ok(match item {
            Item::Ingress { table, label, via, .. } => RouteMessageBuilder::<Ipv4Addr>::new()
                .table_id(*table)
                .protocol(protocol)
                .gateway(*via)
                .output_interface(index)
                .output_mpls(vec![mpls(*label)])
                .build(),
            Item::Swap { label, out, via, .. } => RouteMessageBuilder::<MplsLabel>::new()
                .protocol(protocol)
                .label(mpls(*label))
                .via(IpAddr::V4(*via))
                .output_interface(index)
                .output_mpls(vec![mpls(*out)])
                .build(),
            Item::Pop { label } => RouteMessageBuilder::<MplsLabel>::new()
                .protocol(protocol)
                .label(mpls(*label))
                .output_interface(index)
                .build(),
            Item::Input { .. } | Item::Class { .. } => {
                return Err(failed(format!("{item:?}"), "no route"));
            }
        })
    }
}

/// A packet without its label comes in again from `lo`, and is routed.
const OUT_OF_MPLS: &str = "lo";

fn interface(item: &Item) -> &str {
    match item {
        Item::Pop { .. } => OUT_OF_MPLS,
        Item::Input { interface }
        | Item::Swap { interface, .. }
        | Item::Class { interface, .. }
        | Item::Ingress { interface, .. } => interface,
    }
}

fn mpls(label: u32) -> MplsLabel {
    MplsLabel { label, traffic_class: 0, bottom_of_stack: true, ttl: 0 }
}

fn absent(error: &Error) -> bool {
    matches!(error, Error::NetlinkError(said) if ABSENT.contains(&said.raw_code().abs()))
}

fn conf(interface: &str) -> PathBuf {
    PathBuf::from("/proc/sys/net/mpls/conf").join(interface).join("input")
}

fn input(interface: &str) -> Result<(), Failed> {
    let path = conf(interface);
    fs::write(&path, "1").map_err(|error| failed(path.display(), error))
}

/// Makes room for labels up to this one.
fn room(label: u32) -> Result<(), Failed> {
    let there = fs::read_to_string(LABELS).map_err(|error| failed(LABELS, error))?;
    let there: u32 = there.trim().parse().map_err(|error| failed(LABELS, error))?;
    if there > label {
        return Ok(());
    }
    let wanted = label.saturating_add(1).next_power_of_two().min(1 << 20);
    fs::write(LABELS, wanted.to_string()).map_err(|error| failed(LABELS, error))
}

fn table(route: &RouteMessage) -> u32 {
    let attribute = route.attributes.iter().find_map(|attribute| match attribute {
        RouteAttribute::Table(table) => Some(*table),
        _ => None,
    });
    attribute.unwrap_or_else(|| route.header.table.into())
}

fn out_of<'a>(route: &RouteMessage, names: &'a BTreeMap<u32, String>) -> Option<&'a String> {
    let index = route.attributes.iter().find_map(|attribute| match attribute {
        RouteAttribute::Oif(index) => Some(*index),
        _ => None,
    });
    names.get(&index?)
}

fn only(labels: &[MplsLabel]) -> Option<u32> {
    match labels {
        [one] => Some(one.label),
        _ => None,
    }
}

fn label_in(route: &RouteMessage) -> Option<u32> {
    route.attributes.iter().find_map(|attribute| match attribute {
        RouteAttribute::Destination(RouteAddress::Mpls(label)) => Some(label.label),
        _ => None,
    })
}

/// An IPv4 route as the beginning of a path, if it is one.
fn ingress(route: &RouteMessage, names: &BTreeMap<u32, String>) -> Option<Item> {
    let via = route.attributes.iter().find_map(|attribute| match attribute {
        RouteAttribute::Gateway(RouteAddress::Inet(via)) => Some(*via),
        _ => None,
    })?;
    let label = route.attributes.iter().find_map(|attribute| match attribute {
        RouteAttribute::Encap(encap) => encap.iter().find_map(|encap| match encap {
            RouteLwTunnelEncap::Mpls(RouteMplsIpTunnel::Destination(labels)) => only(labels),
            _ => None,
        }),
        _ => None,
    })?;
    if route.header.destination_prefix_length != 0 {
        return None;
    }
    Some(Item::Ingress {
        table: table(route),
        label,
        via,
        interface: out_of(route, names)?.clone(),
    })
}

/// A label route as a hop or the end of a path, if it is one.
fn transit(route: &RouteMessage, names: &BTreeMap<u32, String>) -> Option<Item> {
    let label = label_in(route)?;
    let interface = out_of(route, names)?.clone();
    let out = route.attributes.iter().find_map(|attribute| match attribute {
        RouteAttribute::NewDestination(labels) => Some(only(labels)),
        _ => None,
    });
    let via = route.attributes.iter().find_map(|attribute| match attribute {
        RouteAttribute::Via(RouteVia::Inet(via)) => Some(*via),
        _ => None,
    });
    match (out, via) {
        (None, None) if interface == OUT_OF_MPLS => Some(Item::Pop { label }),
        (Some(Some(out)), Some(via)) => Some(Item::Swap { label, out, via, interface }),
        _ => None,
    }
}
