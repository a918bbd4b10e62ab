// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Queues of rate-specified circuits: HTB, classes chosen by the label, by `tc` in a batch.

use crate::local::item::{ALL, Item, OTHERS};
use crate::local::kernel::{Failed, failed};
use serde_json::Value;
use std::collections::BTreeMap;
use std::process::{Output, Stdio};
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;
use tokio::time::timeout;

/// Major number of our discipline, by which it is known.
const MAJOR: &str = "7e57:";
/// Bound of one `tc`.
const WAIT: Duration = Duration::from_secs(10);
/// Disciplines that stand where nobody has set one.
const DEFAULTS: [&str; 7] = ["noqueue", "pfifo_fast", "pfifo", "fq_codel", "fq", "mq", "cake"];

async fn tc(arguments: &[&str], input: Option<&str>) -> Result<Output, Failed> {
    let what = || format!("tc {}", arguments.join(" "));
    let mut command = Command::new("tc");
    command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    command.stdin(if input.is_some() { Stdio::piped() } else { Stdio::null() });
    let run = async {
        let mut child = command.spawn()?;
        if let (Some(mut pipe), Some(text)) = (child.stdin.take(), input) {
            pipe.write_all(text.as_bytes()).await?;
        }
        child.wait_with_output().await
    };
    match timeout(WAIT, run).await {
        Ok(Ok(output)) => Ok(output),
        Ok(Err(error)) => Err(failed(what(), error)),
        Err(_) => Err(failed(what(), "not done in 10 s")),
    }
}

async fn batch(text: &str) -> Result<(), Failed> {
    let output = tc(&["-batch", "-"], Some(text)).await?;
    if output.status.success() {
        return Ok(());
    }
    Err(failed(
        format!("tc batch `{}`", text.trim()),
        String::from_utf8_lossy(&output.stderr).trim(),
    ))
}

async fn show(arguments: &[&str]) -> Result<String, Failed> {
    let output = tc(arguments, None).await?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(failed(
        format!("tc {}", arguments.join(" ")),
        String::from_utf8_lossy(&output.stderr).trim(),
    ))
}

async fn json(arguments: &[&str]) -> Result<Vec<Value>, Failed> {
    let text = show(arguments).await?;
    if text.trim().is_empty() {
        return Ok(Vec::new());
    }
    serde_json::from_str(&text)
        .map_err(|error| failed(format!("tc {}", arguments.join(" ")), error))
}

/// Whether the discipline of an interface is ours (`Some(true)`), somebody's (`Some(false)`), or
/// nobody's.
async fn root(interface: &str) -> Result<Option<bool>, Failed> {
    let disciplines = json(&["-j", "qdisc", "show", "dev", interface]).await?;
    let root = disciplines.iter().find(|one| one["root"] == true);
    Ok(root.and_then(|one| {
        let kind = one["kind"].as_str().unwrap_or_default();
        if kind == "htb" && one["handle"] == MAJOR {
            return Some(true);
        }
        // One that the kernel chose has no number.
        let chosen = one["handle"] == "0:" && DEFAULTS.contains(&kind);
        (!chosen).then_some(false)
    }))
}

/// Makes a class and its filter, and the discipline if there is none.
pub async fn add(item: &Item) -> Result<(), Failed> {
    let Item::Class { interface, label, minor, mbps, ceil, prio, link } = item else {
        return Err(failed(format!("{item:?}"), "no class"));
    };
    let mut text = String::new();
    match root(interface).await? {
        Some(true) => {}
        Some(false) => {
            return Err(failed(
                format!("{item:?}"),
                "the interface has a discipline that is not ours",
            ));
        }
        None => {
            text.push_str(&format!(
                "qdisc replace dev {interface} root handle {MAJOR} htb default ffff\n"
            ));
        }
    }
    // What others get for sure: enough to keep routing alive. They may have all that is free.
    let others = (link / 100).max(1);
    let class = |parent: &str, minor: u16, mbps: u64, ceil: u64, prio: u8| {
        format!(
            "class replace dev {interface} parent {parent} classid {MAJOR}{minor:x} htb \
             rate {mbps}mbit ceil {ceil}mbit prio {prio} quantum 15000\n"
        )
    };
    let inside = format!("{MAJOR}{ALL:x}");
    text.push_str(&class(MAJOR, ALL, *link, *link, 0));
    text.push_str(&class(&inside, OTHERS, others, *link, 4));
    text.push_str(&class(&inside, *minor, *mbps, *ceil, *prio));
    if !filters(interface).await?.contains_key(minor) {
        let value = label << 12;
        text.push_str(&format!(
            "filter add dev {interface} parent {MAJOR} protocol mpls_uc prio {minor} u32 \
             match u32 {value:#010x} 0xfffff000 at 0 flowid {MAJOR}{minor:x}\n"
        ));
    }
    batch(&text).await
}

/// Takes a class and its filter away, and the discipline with the last one.
pub async fn remove(item: &Item) -> Result<(), Failed> {
    let Item::Class { interface, minor, .. } = item else {
        return Err(failed(format!("{item:?}"), "no class"));
    };
    // The interface may be gone, and all with it.
    if !std::path::Path::new("/sys/class/net").join(interface).exists() {
        return Ok(());
    }
    if root(interface).await? != Some(true) {
        return Ok(());
    }
    let mut text = String::new();
    if filters(interface).await?.contains_key(minor) {
        text.push_str(&format!(
            "filter del dev {interface} parent {MAJOR} protocol mpls_uc prio {minor}\n"
        ));
    }
    let classes = classes(&show(&["class", "show", "dev", interface]).await?);
    if classes.contains_key(minor) {
        text.push_str(&format!("class del dev {interface} classid {MAJOR}{minor:x}\n"));
    }
    if classes.keys().all(|one| one == minor || [ALL, OTHERS].contains(one)) {
        text = format!("qdisc del dev {interface} root handle {MAJOR}\n");
    }
    if text.is_empty() { Ok(()) } else { batch(&text).await }
}

/// Our classes of an interface that have their filter.
pub async fn read(interface: &str) -> Result<Vec<Item>, Failed> {
    if root(interface).await? != Some(true) {
        return Ok(Vec::new());
    }
    let classes = classes(&show(&["class", "show", "dev", interface]).await?);
    let filters = filters(interface).await?;
    let link = classes.get(&ALL).map_or(0, |class| class.mbps);
    let item = |(minor, class): (&u16, &Class)| {
        let label = *filters.get(minor)?;
        let (interface, minor) = (interface.to_owned(), *minor);
        let Class { mbps, ceil, prio } = *class;
        Some(Item::Class { interface, label, minor, mbps, ceil, prio, link })
    };
    Ok(classes.iter().filter_map(item).collect())
}

/// Labels by preference, of filters that lead to the class of that number.
async fn filters(interface: &str) -> Result<BTreeMap<u16, u32>, Failed> {
    if root(interface).await? != Some(true) {
        return Ok(BTreeMap::new());
    }
    let all = json(&["-j", "filter", "show", "dev", interface, "parent", MAJOR]).await?;
    Ok(all.iter().filter_map(filter).collect())
}

fn filter(one: &Value) -> Option<(u16, u32)> {
    let minor = u16::try_from(one["pref"].as_u64()?).ok()?;
    let options = &one["options"];
    let rule = &options["match"];
    let number = |text: &Value| u32::from_str_radix(text.as_str()?, 16).ok();
    let whole = number(&rule["mask"])? == 0xffff_f000 && rule["off"] == 0;
    let there = options["flowid"].as_str()? == format!("{MAJOR}{minor:x}");
    (one["protocol"] == "mpls_uc" && whole && there)
        .then_some((minor, number(&rule["value"])? >> 12))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Class {
    mbps: u64,
    ceil: u64,
    prio: u8,
}

/// Classes of our discipline by minor number; `tc` gives no JSON for them.
fn classes(text: &str) -> BTreeMap<u16, Class> {
    let class = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let after = |key: &str| {
            words.iter().position(|word| *word == key).and_then(|at| words.get(at + 1)).copied()
        };
        let minor = u16::from_str_radix(after("htb")?.strip_prefix(MAJOR)?, 16).ok()?;
        let prio = after("prio").and_then(|prio| prio.parse().ok()).unwrap_or(0);
        Some((minor, Class { mbps: mbps(after("rate")?)?, ceil: mbps(after("ceil")?)?, prio }))
    };
    text.lines().filter_map(class).collect()
}

/// `20Mbit` as 20.
fn mbps(text: &str) -> Option<u64> {
    let at = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(at);
    let number: u64 = number.parse().ok()?;
    match unit.to_ascii_lowercase().as_str() {
        "bit" => Some(number / 1_000_000),
        "kbit" => Some(number / 1000),
        "mbit" => Some(number),
        "gbit" => number.checked_mul(1000),
        "tbit" => number.checked_mul(1_000_000),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_as_tc_prints_them() {
        let text = "class htb 7e57:ffff parent 7e57:1 prio 4 rate 10Mbit ceil 1Gbit burst 1600b cburst 1375b \n\
                    class htb 7e57:10 parent 7e57:1 leaf 8001: prio 7 rate 12500Kbit ceil 100Mbit burst 1600b\n\
                    class htb 7e57:1 root rate 1Gbit ceil 1Gbit burst 1375b cburst 1375b \n\
                    class htb 1:5 root rate 1Gbit ceil 1Gbit\nclass fq_codel :1 parent none\n";
        let found = classes(text);
        assert_eq!(found.keys().copied().collect::<Vec<_>>(), [1, 0x10, 0xffff]);
        assert_eq!(found[&0x10], Class { mbps: 12, ceil: 100, prio: 7 });
        assert_eq!(found[&1], Class { mbps: 1000, ceil: 1000, prio: 0 });
    }

    #[test]
    fn filters_as_tc_prints_them() {
        let text = r#"[{"protocol":"mpls_uc","pref":16,"kind":"u32","chain":0},
            {"protocol":"mpls_uc","pref":16,"kind":"u32","chain":0,"options":{"fh":"800:","ht_divisor":1}},
            {"protocol":"mpls_uc","pref":16,"kind":"u32","chain":0,"options":{"fh":"800::800","order":2048,
             "key_ht":"800","bkt":"0","flowid":"7e57:10","not_in_hw":true,
             "match":{"value":"64000000","mask":"fffff000","offmask":"","off":0}}},
            {"protocol":"ip","pref":17,"kind":"u32","options":{"flowid":"7e57:11",
             "match":{"value":"64000000","mask":"fffff000","offmask":"","off":0}}}]"#;
        let all: Vec<Value> = serde_json::from_str(text).unwrap();
        assert_eq!(all.iter().filter_map(filter).collect::<Vec<_>>(), [(16, 0x64000)]);
    }
}
