// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The contract against the patched headers, through bindgen.
//!
//! `TELESTEER_KHEADERS` names the result of `make headers_install` on the patched tree (the folder
//! that holds `linux/`); without it the comparison has nothing to compare with and says so.
//! `TELESTEER_BINDGEN` names the bindgen command if it is not `bindgen`.

use std::{collections::HashMap, env, fs, mem::offset_of, process::Command};

use telesteer_uapi::{diag as d, reuseport as r, takeover as t};

/// What bindgen knows of the headers: constants by name, sizes by struct, offsets by `struct::field`.
#[derive(Default)]
struct Headers {
    constants: HashMap<String, u64>,
    sizes: HashMap<String, usize>,
    offsets: HashMap<String, usize>,
}

/// Reads bindgen's output, layout assertions included.
fn parse(bindings: &str) -> Headers {
    let joined = bindings.replace('\n', " ");
    let mut found = Headers::default();
    for statement in joined.split(';') {
        let words: Vec<&str> = statement.split_whitespace().collect();
        if let Some(at) = words.iter().position(|w| *w == "const")
            && let (Some(name), Some(value)) = (words.get(at + 1), words.last())
            && let Ok(value) = value.parse()
        {
            found.constants.insert(name.trim_end_matches(':').to_owned(), value);
        }
    }
    // ["Size of x"][::std::mem::size_of::<x>() - 48usize];  ["Offset of field: x::y"][… - 8usize];
    for piece in joined.split("[\"").skip(1) {
        let Some((title, rest)) = piece.split_once("\"]") else { continue };
        let number = rest.split("usize]").next().and_then(|s| s.rsplit('-').next());
        let Some(Ok(number)) = number.map(|n| n.trim().parse::<usize>()) else { continue };
        if let Some(name) = title.strip_prefix("Size of ") {
            found.sizes.insert(name.to_owned(), number);
        } else if let Some(field) = title.strip_prefix("Offset of field: ") {
            found.offsets.insert(field.to_owned(), number);
        }
    }
    found
}

/// Every difference between the contract and `headers`, one sentence each.
fn differences(headers: &Headers) -> Vec<String> {
    let mut wrong = Vec::new();
    let constants: [(&str, u64); 15] = [
        ("TCP_TAKEOVER", t::TCP_TAKEOVER as u64),
        ("TCP_TAKEOVER_INFO", t::TCP_TAKEOVER_INFO as u64),
        ("TCP_TAKEOVER_EXIT", t::EXIT.into()),
        ("TCP_TAKEOVER_CLOSE", t::CLOSE.into()),
        ("TCP_TAKEOVER_BUDGET_SHIFT", t::BUDGET_SHIFT.into()),
        ("TCP_TAKEOVER_BUDGET_MASK", t::BUDGET_MASK.into()),
        ("TCP_TAKEOVER_BUDGET_NONE", t::BUDGET_NONE.into()),
        ("SO_REUSEPORT_POLICY", r::SO_REUSEPORT_POLICY as u64),
        ("SO_REUSEPORT_MEMBER", r::SO_REUSEPORT_MEMBER as u64),
        ("REUSEPORT_POLICY_NAME_MAX", r::POLICY_NAME_MAX as u64),
        ("REUSEPORT_POLICY_SEED_LEN", r::POLICY_SEED_LEN as u64),
        ("REUSEPORT_KEY_SADDR", r::KEY_SADDR.into()),
        ("REUSEPORT_KEY_SPORT", r::KEY_SPORT.into()),
        ("REUSEPORT_KEY_PAYLOAD", r::KEY_PAYLOAD.into()),
        ("REUSEPORT_MEMBER_DRAIN", r::MEMBER_DRAIN.into()),
    ];
    let attributes: [(&str, u16); 8] = [
        ("INET_DIAG_REUSEPORT", d::INET_DIAG_REUSEPORT),
        ("inet_diag_reuseport_INET_DIAG_REUSEPORT_GROUP", d::GROUP),
        ("inet_diag_reuseport_INET_DIAG_REUSEPORT_MEMBERS", d::MEMBERS),
        ("inet_diag_reuseport_INET_DIAG_REUSEPORT_POLICY", d::POLICY),
        ("inet_diag_reuseport_INET_DIAG_REUSEPORT_ID", d::ID),
        ("inet_diag_reuseport_INET_DIAG_REUSEPORT_WEIGHT", d::WEIGHT),
        ("inet_diag_reuseport_INET_DIAG_REUSEPORT_FLAGS", d::FLAGS),
        ("inet_diag_reuseport_INET_DIAG_REUSEPORT_SELECTIONS", d::SELECTIONS),
    ];
    let attributes = attributes.map(|(name, ours)| (name, u64::from(ours)));
    for (name, ours) in constants.into_iter().chain(attributes) {
        match headers.constants.get(name) {
            Some(&theirs) if theirs == ours => {}
            theirs => wrong.push(format!("{name}: contract {ours}, headers {theirs:?}")),
        }
    }
    let sizes = [
        ("tcp_takeover_info", size_of::<t::TcpTakeoverInfo>()),
        ("reuseport_policy_req", size_of::<r::ReuseportPolicyReq>()),
        ("reuseport_member", size_of::<r::ReuseportMember>()),
        ("reuseport_member_stats", size_of::<r::ReuseportMemberStats>()),
    ];
    for (name, ours) in sizes {
        match headers.sizes.get(name) {
            Some(&theirs) if theirs == ours => {}
            theirs => wrong.push(format!("size of {name}: contract {ours}, headers {theirs:?}")),
        }
    }
    let offsets = [
        ("tcp_takeover_info::tti_count", offset_of!(t::TcpTakeoverInfo, count)),
        ("tcp_takeover_info::tti_reason", offset_of!(t::TcpTakeoverInfo, reason)),
        ("tcp_takeover_info::tti_bytes_consumed", offset_of!(t::TcpTakeoverInfo, bytes_consumed)),
        ("tcp_takeover_info::tti_bytes_queued", offset_of!(t::TcpTakeoverInfo, bytes_queued)),
        ("tcp_takeover_info::tti_bytes_written", offset_of!(t::TcpTakeoverInfo, bytes_written)),
        ("tcp_takeover_info::tti_bytes_unacked", offset_of!(t::TcpTakeoverInfo, bytes_unacked)),
        ("tcp_takeover_info::tti_no_progress", offset_of!(t::TcpTakeoverInfo, no_progress)),
        ("tcp_takeover_info::tti_budget", offset_of!(t::TcpTakeoverInfo, budget)),
        ("reuseport_policy_req::name", offset_of!(r::ReuseportPolicyReq, name)),
        ("reuseport_policy_req::key", offset_of!(r::ReuseportPolicyReq, key)),
        ("reuseport_policy_req::flags", offset_of!(r::ReuseportPolicyReq, flags)),
        ("reuseport_policy_req::seed", offset_of!(r::ReuseportPolicyReq, seed)),
        ("reuseport_policy_req::idle_ms", offset_of!(r::ReuseportPolicyReq, idle_ms)),
        ("reuseport_policy_req::deadline_ms", offset_of!(r::ReuseportPolicyReq, deadline_ms)),
        ("reuseport_policy_req::bound", offset_of!(r::ReuseportPolicyReq, bound)),
        ("reuseport_member::id", offset_of!(r::ReuseportMember, id)),
        ("reuseport_member::weight", offset_of!(r::ReuseportMember, weight)),
        ("reuseport_member::flags", offset_of!(r::ReuseportMember, flags)),
        ("reuseport_member_stats::member", offset_of!(r::ReuseportMemberStats, member)),
        ("reuseport_member_stats::selections", offset_of!(r::ReuseportMemberStats, selections)),
    ];
    for (name, ours) in offsets {
        match headers.offsets.get(name) {
            Some(&theirs) if theirs == ours => {}
            theirs => wrong.push(format!("offset of {name}: contract {ours}, headers {theirs:?}")),
        }
    }
    wrong
}

#[test]
fn contract_equals_patched_headers() {
    let Some(include) = env::var_os("TELESTEER_KHEADERS") else {
        eprintln!("skipped: TELESTEER_KHEADERS is not set, no patched headers to compare with");
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let wrapper = dir.path().join("wrapper.h");
    fs::write(
        &wrapper,
        "#include <linux/types.h>\n#include <asm/socket.h>\n#include <linux/tcp.h>\n\
         #include <linux/reuseport.h>\n#include <linux/inet_diag.h>\n",
    )
    .unwrap();
    let bindgen = env::var_os("TELESTEER_BINDGEN").unwrap_or_else(|| "bindgen".into());
    let output = Command::new(&bindgen)
        .arg(&wrapper)
        .args(["--no-doc-comments", "--", "-isystem"])
        .arg(&include)
        .output()
        .unwrap_or_else(|error| panic!("{bindgen:?} does not start: {error}"));
    assert!(output.status.success(), "bindgen: {}", String::from_utf8_lossy(&output.stderr));
    let wrong = differences(&parse(&String::from_utf8(output.stdout).unwrap()));
    assert!(wrong.is_empty(), "contract and headers differ:\n{}", wrong.join("\n"));
}

/// The broken twin: one wrong number, one wrong size and one wrong offset are all found, and a
/// missing name too.
#[test]
fn differences_are_found() {
    let mut headers = parse(
        "pub const TCP_TAKEOVER: u32 = 46;\n pub const TCP_TAKEOVER_INFO: u32 = 48;\n\
         [\"Size of tcp_takeover_info\"][::std::mem::size_of::<tcp_takeover_info>() - 56usize];\n\
         [\"Offset of field: reuseport_member::weight\"][\n ::std::mem::offset_of!(reuseport_member, weight) - 12usize];",
    );
    let wrong = differences(&headers);
    for sentence in [
        "TCP_TAKEOVER: contract 47, headers Some(46)",
        "TCP_TAKEOVER_EXIT: contract 1, headers None",
        "size of tcp_takeover_info: contract 48, headers Some(56)",
        "offset of reuseport_member::weight: contract 8, headers Some(12)",
    ] {
        assert!(wrong.iter().any(|w| w == sentence), "missing {sentence:?} in {wrong:#?}");
    }
    assert!(!wrong.iter().any(|w| w.starts_with("TCP_TAKEOVER_INFO")), "{wrong:#?}");
    headers.constants.insert("TCP_TAKEOVER".into(), 47);
    assert_eq!(differences(&headers).len(), wrong.len() - 1);
}
