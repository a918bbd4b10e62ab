// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Tables as files have them.

use super::*;
use crate::schema;

fn record(table: &Table, text: &str) -> Record {
    match table.clone().line(text, &Assume::default()) {
        Ok(Line::Record(record)) => record,
        Ok(_) => panic!("no record: {text}"),
        Err(reason) => panic!("{reason}: {text}"),
    }
}

fn header(text: &str) -> Table {
    Table::from_header(text).unwrap().unwrap().1
}

const LINE: &str = "10.0.0.1,100,200,192.0.2.7,2001:db8::1,6,5,2811,1,2,10.0.1.1,8,999,3,5/2";

#[test]
fn the_schema_both_ways() {
    let read = record(&header(&COLUMNS.join(",")), LINE);
    let mut out = Vec::new();
    schema::write_record(&mut out, &read).unwrap();
    assert_eq!(String::from_utf8(out).unwrap().trim_end(), LINE);
    let mut out = Vec::new();
    schema::write_header(&mut out).unwrap();
    assert_eq!(String::from_utf8(out).unwrap().trim_end(), COLUMNS.join(","));
}

#[test]
fn columns_in_any_order_and_some_left_out() {
    let names = "octets,dst_port,src_port,proto,dst,src,last_ns,first_ns,exporter,extra";
    let read = record(&header(names), "7,2,1,6,192.0.2.2,::ffff:192.0.2.1,20,10,10.0.0.1,x");
    assert_eq!((read.octets, read.first, read.last), (7, 10, 20));
    assert_eq!(read.key.src.to_string(), "192.0.2.1", "mapped addresses are IPv4");
    assert_eq!((read.sampling, read.next_hop, read.out_if), (None, None, 0));
    assert!(matches!(Table::from_header("first_ns,last_ns,src"), Err("exporter")));
    assert!(Table::from_header("a,b,c").unwrap().is_none());
}

#[test]
fn bad_fields_are_named() {
    let table = header(&COLUMNS.join(","));
    let broken = |at: usize, with: &str| {
        let mut fields: Vec<&str> = LINE.split(',').collect();
        fields[at] = with;
        match table.clone().line(&fields.join(","), &Assume::default()) {
            Err(reason) => reason,
            Ok(_) => panic!("column {at} was read"),
        }
    };
    assert_eq!(broken(1, "x"), "bad first_ns");
    assert_eq!(broken(3, "192.0.2"), "bad src");
    assert_eq!(broken(6, "65536"), "bad src_port");
    assert_eq!(broken(8, "4294967296"), "bad in_if");
    assert_eq!(broken(12, "-1"), "bad octets");
    assert_eq!(broken(14, "1/2"), "bad sampling");
    let few = table.clone().line("1,2", &Assume::default());
    assert!(matches!(few, Err(reason) if reason.contains("few")));
}

/// A line each of what nfdump 1.6 and 1.7 write, and its summary.
#[test]
fn nfdump_old_and_new() {
    let old = header(
        "ts,te,td,sa,da,sp,dp,pr,flg,fwd,stos,ipkt,ibyt,opkt,obyt,in,out,sas,das,smk,dmk,dtos,dir,nh,\
         nhb,svln,dvln,ismc,odmc,idmc,osmc,mpls1,cl,sl,al,ra,eng,exid,tr",
    );
    let line = "2011-05-01 00:00:01,2011-05-01 00:00:02,1.500,192.0.2.7,198.51.100.1,50000,2811,TCP,\
                .AP...,0,0,10,15000,0,0,3,4,0,0,24,24,0,0,0.0.0.0,10.0.1.1,0,0,0,0,0,0,0-0-0,0.0,0.0,\
                0.0,10.0.0.1,0/0,1,2011-05-01 00:00:03.000";
    let read = record(&old, line);
    assert_eq!(read.last - read.first, 1_500_000_000, "the duration has the milliseconds");
    assert_eq!((read.octets, read.packets, read.in_if, read.out_if), (15000, 10, 3, 4));
    assert_eq!(read.exporter.to_string(), "10.0.0.1");
    assert_eq!(read.next_hop.unwrap().to_string(), "10.0.1.1");
    assert_eq!(read.sampling, None, "not told");
    assert!(matches!(old.clone().line("Summary", &Assume::default()), Ok(Line::Skip)));

    let new = header(
        "firstSeen,duration,proto,srcAddr,srcPort,dstAddr,dstPort,packets,bytes,bps,bpp,flows",
    );
    let line = "2011-05-01 00:00:01.250,2.000,ICMP,192.0.2.7,0,198.51.100.1,8.0,1,84,336,84,1";
    let read = record(&new, line);
    assert_eq!((read.key.proto, read.key.dst_port, read.octets), (1, 0, 84));
    assert_eq!(read.exporter.to_string(), "0.0.0.0");
}

/// nfdump 1.7: `-o csv` with durations by the clock, `-o csv-fast` with times in milliseconds, and
/// `-o csv:…` with names of its own.
#[test]
fn nfdump_of_three_kinds() {
    let line = header(
        "firstSeen,duration,proto,srcAddr,srcPort,dstAddr,dstPort,packets,bytes,bps,bpp,flows",
    );
    let line = record(
        &line,
        "2011-05-01 00:00:01.250,00:01:02.500,TCP,192.0.2.7,5,198.51.100.1,2811,3,999,4,5,1",
    );
    assert_eq!(line.last - line.first, 62_500_000_000);
    let fast = header(
        "cnt,af,firstSeen,lastSeen,proto,srcAddr,srcPort,dstAddr,dstPort,srcAS,dstAS,input,output,\
         flags,srcTos,packets,bytes",
    );
    let fast = record(
        &fast,
        "1,2,1304208001250,1304208063750,6,192.0.2.7,5,198.51.100.1,2811,0,0,1,2,...AP...,8,3,999",
    );
    let own = header(
        "firstSeen,lastSeen,proto,srcAddr,srcPort,dstAddr,dstPort,inPackets,inBytes,input,output,\
         srcTos,bgpNextIP,routerIP",
    );
    let own = record(
        &own,
        "1304208001.250,1304208063.750,TCP,192.0.2.7,5,198.51.100.1,2811,3,999,1,2,8,10.0.1.1,10.0.0.1",
    );
    let all = |record: &Record| (record.first, record.last, record.key, record.octets);
    assert_eq!(all(&line), all(&fast));
    assert_eq!(all(&line), all(&own));
    assert_eq!((fast.in_if, fast.out_if, fast.tos, fast.packets), (1, 2, 8, 3));
    assert_eq!((own.in_if, own.out_if, own.tos, own.packets), (1, 2, 8, 3));
    assert_eq!(own.exporter.to_string(), "10.0.0.1");
    assert_eq!(own.next_hop.unwrap().to_string(), "10.0.1.1");
}

#[test]
fn what_is_not_told_is_assumed() {
    let exporter: IpAddr = "10.0.0.9".parse().unwrap();
    let assume = Assume {
        exporter: Some(exporter),
        sampling_of: [(exporter, Sampling::one_in(100).unwrap())].into(),
        sampling: Sampling::one_in(7),
    };
    let table = header(&COLUMNS.join(","));
    let n = |line: &str| match table.clone().line(line, &assume) {
        Ok(Line::Record(record)) => record.sampling.unwrap().ratio().0,
        _ => panic!("{line}"),
    };
    assert_eq!(n(",1,2,192.0.2.7,192.0.2.8,6,5,2811,1,2,,8,999,3,"), 100);
    assert_eq!(n(",1,2,192.0.2.7,192.0.2.8,6,5,2811,1,2,,8,999,3,12"), 12);
    assert_eq!(n("10.0.0.1,1,2,192.0.2.7,192.0.2.8,6,5,2811,1,2,,8,999,3,0"), 7);
    assert_eq!(n("::ffff:10.0.0.9,1,2,192.0.2.7,192.0.2.8,6,5,2811,1,2,,8,999,3,"), 100);
}

/// Routers in IPv6 clothes are the same routers.
#[test]
fn routers_have_one_name() {
    let line = LINE.replace("10.0.0.1,100", "::ffff:10.0.0.1,100");
    let line = line.replace(",10.0.1.1,", ",::ffff:10.0.1.1,");
    assert_eq!(
        record(&header(&COLUMNS.join(",")), &line),
        record(&header(&COLUMNS.join(",")), LINE)
    );
    let nfdump = header("ts,te,sa,da,pr,ibyt,ra,nhb");
    let line = "2011-05-01 00:00:01,2011-05-01 00:00:02,192.0.2.7,192.0.2.8,TCP,1,";
    let read = record(&nfdump, &format!("{line}::ffff:10.0.0.1,::ffff:10.0.1.1"));
    assert_eq!(read, record(&nfdump, &format!("{line}10.0.0.1,10.0.1.1")));
    assert_eq!(read.exporter.to_string(), "10.0.0.1");
}

const NFDUMP_SHORT: &str = "ts,te,td,sa,da,sp,dp,pr,stos,ipkt,ibyt,in,out,nhb";

/// A number that does not fit is no number, and not another one. What is left out is 0.
#[test]
fn nothing_is_made_to_fit() {
    let table = header(NFDUMP_SHORT);
    let line = "2011-05-01 00:00:01,2011-05-01 00:00:02,1.5,192.0.2.7,192.0.2.8,5,2811,TCP,8,3,999,1,2,\
                10.0.1.1";
    let with = |at: usize, with: &str| {
        let mut fields: Vec<&str> = line.split(',').collect();
        fields[at] = with;
        table.clone().line(&fields.join(","), &Assume::default())
    };
    for (at, what, reason) in [
        (2, "9223372036", "bad duration"),
        (5, "65536", "bad src_port"),
        (6, "-1", "bad dst_port"),
        (6, "8.0", "bad dst_port"),
        (8, "256", "bad tos"),
        (9, "x", "bad packets"),
        (11, "4294967296", "bad in_if"),
        (12, "1.5", "bad out_if"),
        (13, "router", "bad bgp_next_hop"),
    ] {
        assert!(matches!(with(at, what), Err(is) if is == reason), "{at} {what}");
        if at > 2 {
            assert!(matches!(with(at, ""), Ok(Line::Record(_))), "{at}");
        }
    }
    let icmp = line.replace("TCP", "ICMP6").replace(",2811,", ",128.0,");
    assert_eq!(record(&table, &icmp).key.dst_port, 0);
}

/// Files one behind the other: whatever their columns, each is read by its own header.
#[test]
fn another_header_is_a_header() {
    let mut table = header(&COLUMNS.join(","));
    let assume = Assume::default();
    let mut read = |text: &str| match table.line(text, &assume) {
        Ok(Line::Record(record)) => Ok(Some(record)),
        Ok(Line::Skip) => Ok(None),
        Err(reason) => Err(reason),
    };
    let first = read(LINE).unwrap().unwrap();
    // The same with src and dst, and first and last, at each other's places.
    let other = "exporter,last_ns,first_ns,dst,src,proto,src_port,dst_port,in_if,out_if,bgp_next_hop,\
                 tos,octets,packets,sampling";
    assert_eq!(read(other).unwrap_err(), "another header");
    let line = "10.0.0.1,200,100,2001:db8::1,192.0.2.7,6,5,2811,1,2,10.0.1.1,8,999,3,5/2";
    assert_eq!(read(line).unwrap().unwrap(), first);
    // One that nobody can read by, then nfdump's with its summary, then the first again.
    assert_eq!(read("exporter,first_ns,src").unwrap_err(), "another header, without last_ns");
    assert!(read(LINE).unwrap_err().starts_with("below a header"));
    assert_eq!(read("ts,te,sa,da,pr,ibyt").unwrap_err(), "another header");
    let nfdump = "2011-05-01 00:00:01,2011-05-01 00:00:02,192.0.2.7,192.0.2.8,TCP,1";
    assert!(read(nfdump).unwrap().is_some());
    assert_eq!(read("Summary").unwrap(), None);
    assert_eq!(read("flows,bytes,packets,avg_bps,avg_pps,avg_bpp").unwrap(), None);
    assert_eq!(read("1,2,3,4,5,6").unwrap(), None);
    assert_eq!(read(&COLUMNS.join(",")).unwrap_err(), "another header");
    assert_eq!(read(LINE).unwrap().unwrap(), first);
}
