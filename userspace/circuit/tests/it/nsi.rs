// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The NSI client against a provider that does not always behave.

use crate::nsi_mock::{Fault, Mock, PROVIDER, REQUESTER};
use crate::plain::ask;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use telesteer_circuit::circuits::{Circuits, Held, Id, Notice, Seen};
use telesteer_circuit::clock::now;
use telesteer_circuit::counters::Counters;
use telesteer_circuit::error::{Error, Why};
use telesteer_circuit::nsi::client::{Nsi, Settings};
use telesteer_circuit::request::{Best, Excess, Name, Pair, Rate, Request};
use telesteer_circuit::time::{At, Span};

pub(crate) fn settings(mock: &Mock) -> Settings {
    Settings {
        provider_url: mock.url.clone(),
        provider_nsa: PROVIDER.into(),
        requester_nsa: REQUESTER.into(),
        listen: "127.0.0.1:0".parse().unwrap(),
        reply_to: None,
        service_type: "http://services.ogf.org/nsi/2013/12/descriptions/EVTS.A-GOLE".into(),
        symmetric: None,
        stp: (0..5)
            .map(|n| (format!("r{n}"), format!("urn:ogf:network:example.net:2026:r{n}?vlan=10{n}")))
            .collect(),
        ack_ms: 2_000,
        answer_ms: 400,
    }
}

async fn both() -> (Mock, Nsi, Arc<Counters>) {
    let mock = Mock::start();
    let counters = Arc::new(Counters::default());
    let nsi = Nsi::start(settings(&mock), counters.clone()).await.unwrap();
    (mock, nsi, counters)
}

fn request(n: usize) -> Request {
    let at = now();
    Request {
        name: Name::of(&Pair::new(format!("r{n}"), "r4"), at).unwrap(),
        rate: Rate::Specified { mbps: 100, excess: Excess::Drop },
        span: Span { from: at, until: Some(at.plus(3_600_000)) },
        best: Best::Hops,
        off_ip_path: false,
        both: true,
    }
}

async fn notice(nsi: &Nsi) -> (Id, Notice) {
    for _ in 0..500 {
        if let Some(first) = nsi.notices().await.unwrap().into_iter().next() {
            return first;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("no notice");
}

async fn provisioned(nsi: &Nsi) -> Id {
    let Held { id, .. } = nsi.reserve(&request(0)).await.unwrap();
    nsi.commit(&id).await.unwrap();
    nsi.provision(&id).await.unwrap();
    assert_eq!(notice(nsi).await, (id.clone(), Notice::Active));
    id
}

fn refused(error: &Error) -> String {
    match &error.why {
        Why::Refused(said) => said.clone(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_whole_life() {
    let (mock, nsi, counters) = both().await;
    let asked = request(1);
    let Held { id, .. } = nsi.reserve(&asked).await.unwrap();
    let there = mock.connections(true)[&id.0].clone();
    assert_eq!(there.description, format!("{} drop", asked.name));
    assert_eq!((there.capacity.as_str(), there.reservation), ("100", "ReserveHeld"));
    assert_eq!(there.source, "urn:ogf:network:example.net:2026:r1?vlan=101");
    assert!(there.global.starts_with("urn:uuid:") && there.dest.ends_with("r4?vlan=104"));
    nsi.commit(&id).await.unwrap();
    nsi.provision(&id).await.unwrap();
    assert_eq!(notice(&nsi).await, (id.clone(), Notice::Active));
    let all = nsi.list().await.unwrap();
    assert_eq!((all.len(), &all[0].id, all[0].seen, all[0].rate), (1, &id, Seen::Up, asked.rate));
    assert_eq!((&all[0].name, all[0].until), (&Some(asked.name.clone()), asked.span.until));
    nsi.release(&id).await.unwrap();
    assert_eq!(notice(&nsi).await, (id.clone(), Notice::Inactive));
    nsi.terminate(&id).await.unwrap();
    assert_eq!(nsi.list().await.unwrap(), []);
    let log = mock.log();
    assert_eq!(
        log,
        [
            "reserve",
            "reserveCommit",
            "provision",
            "querySummarySync",
            "release",
            "terminate",
            "querySummarySync"
        ]
    );
    assert_eq!(mock.complaints(), [] as [String; 0]);
    assert_eq!(counters.unmatched_replies.load(Relaxed), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_late_early_twice_and_lost() {
    let (mock, nsi, counters) = both().await;
    let names = ["reserve", "reserveCommit", "provision", "release", "terminate"];
    let faults =
        [Fault::Delay(100), Fault::AnswerFirst, Fault::Twice, Fault::LoseAnswer, Fault::LoseBoth];
    for fault in faults {
        names.iter().for_each(|name| mock.spoil(name, &[fault]));
        let Held { id, .. } = nsi.reserve(&request(2)).await.unwrap();
        nsi.commit(&id).await.unwrap();
        nsi.provision(&id).await.unwrap();
        nsi.release(&id).await.unwrap();
        nsi.terminate(&id).await.unwrap();
        assert_eq!(mock.connections(false).len(), 0, "{fault:?}");
    }
    assert_eq!(mock.complaints(), [] as [String; 0]);
    assert_eq!(counters.recovered.load(Relaxed), 10, "five answers lost twice");
    // The second answers of the third round come on their own time.
    for _ in 0..500 {
        if counters.unmatched_replies.load(Relaxed) >= 5 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{:?}", counters.read());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refusals_say_who_and_why() {
    let (mock, nsi, counters) = both().await;
    mock.spoil("reserve", &[Fault::Fail, Fault::Error, Fault::AtOnce]);
    let error = nsi.reserve(&request(0)).await.unwrap_err();
    assert!(error.to_string().starts_with(&mock.url), "{error}");
    assert_eq!(refused(&error), format!("{PROVIDER}: 00705 CAPACITY_UNAVAILABLE"));
    assert_eq!(
        refused(&nsi.reserve(&request(0)).await.unwrap_err()),
        format!("{PROVIDER}: 00500 INTERNAL_ERROR")
    );
    let at_once = refused(&nsi.reserve(&request(0)).await.unwrap_err());
    assert_eq!(at_once, format!("not so; {PROVIDER}: 00101 PAYLOAD_ERROR"));
    assert_eq!(refused(&nsi.reserve(&request(9)).await.unwrap_err()), "stp: none for `r9`");
    // What failed there is still there, and is ours to give back.
    let all = nsi.list().await.unwrap();
    assert_eq!(all[0].seen, Seen::Failed);
    for remote in &all {
        nsi.terminate(&remote.id).await.unwrap();
    }
    assert_eq!(mock.connections(false).len(), 0);
    // A second time is no error.
    nsi.terminate(&all[0].id).await.unwrap();
    nsi.terminate(&Id("conn-99".into())).await.unwrap();
    mock.spoil("reserveCommit", &[Fault::Fail]);
    let Held { id, .. } = nsi.reserve(&request(0)).await.unwrap();
    assert_eq!(
        refused(&nsi.commit(&id).await.unwrap_err()),
        format!("{PROVIDER}: 00705 CAPACITY_UNAVAILABLE")
    );
    nsi.commit(&id).await.unwrap();
    nsi.commit(&id).await.unwrap();
    assert_eq!(counters.refused.load(Relaxed), 5);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hold_runs_out() {
    let (mock, nsi, _) = both().await;
    mock.hold(50);
    let Held { id, .. } = nsi.reserve(&request(0)).await.unwrap();
    assert_eq!(notice(&nsi).await, (id.clone(), Notice::HoldExpired));
    assert_eq!(
        refused(&nsi.commit(&id).await.unwrap_err()),
        format!("{PROVIDER}: 00201 INVALID_TRANSITION")
    );
    assert_eq!(nsi.list().await.unwrap()[0].seen, Seen::Failed);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_provider_ends_it_or_says_it_is_broken() {
    let (mock, nsi, _) = both().await;
    let id = provisioned(&nsi).await;
    mock.event(&id.0, "dataplaneError");
    let broken = Notice::Error(format!("dataplaneError: {PROVIDER}: 00800 cut"));
    assert_eq!(notice(&nsi).await, (id.clone(), broken));
    mock.event(&id.0, "forcedEnd");
    let ended = Notice::Ended(format!("forcedEnd: {PROVIDER}: 00800 cut"));
    assert_eq!(notice(&nsi).await, (id.clone(), ended));
    assert_eq!(nsi.list().await.unwrap()[0].seen, Seen::Failed);
    nsi.terminate(&id).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn notifications_out_of_order_and_repeated() {
    let (mock, nsi, counters) = both().await;
    let id = provisioned(&nsi).await;
    mock.data_plane(&id.0, false, Some(12));
    mock.data_plane(&id.0, false, Some(12));
    mock.data_plane(&id.0, true, Some(11));
    assert_eq!(nsi.notices().await.unwrap(), [(id.clone(), Notice::Inactive)]);
    assert_eq!(counters.repeated_notifications.load(Relaxed), 2);
    mock.spoil("provision", &[Fault::ActiveFirst]);
    let Held { id, .. } = nsi.reserve(&request(1)).await.unwrap();
    nsi.commit(&id).await.unwrap();
    nsi.provision(&id).await.unwrap();
    assert_eq!(nsi.notices().await.unwrap(), [(id, Notice::Active)], "it came before the answer");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_end_is_moved() {
    let (mock, nsi, _) = both().await;
    let id = provisioned(&nsi).await;
    let until = At(now().0 / 1000 * 1000).plus(7_200_000);
    nsi.extend(&id, Some(until)).await.unwrap();
    let there = mock.connections(true)[&id.0].clone();
    assert_eq!((there.version, there.end.clone()), (2, Some(until.to_string())));
    // Refused: the change is aborted, so that the next one can be asked for.
    mock.spoil("reserve", &[Fault::Fail]);
    assert!(
        refused(&nsi.extend(&id, Some(until.plus(1000))).await.unwrap_err()).contains("CAPACITY")
    );
    assert!(mock.log().contains(&"reserveAbort".to_owned()));
    // Its answer is lost, or it is not committed: the same, for it is held there.
    for (name, fault) in [("reserve", Fault::LoseAnswer), ("reserveCommit", Fault::Error)] {
        mock.spoil(name, &[fault]);
        assert!(nsi.extend(&id, Some(until.plus(1000))).await.is_err());
        nsi.extend(&id, Some(until.plus(1500))).await.unwrap();
    }
    mock.spoil("reserveCommit", &[Fault::LoseAnswer]);
    nsi.extend(&id, Some(until.plus(2000))).await.unwrap();
    assert_eq!(nsi.list().await.unwrap()[0].until, Some(until.plus(2000)));
    assert_eq!(nsi.list().await.unwrap()[0].seen, Seen::Up);
    assert_eq!(mock.complaints(), [] as [String; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_endpoint_takes_no_nonsense() {
    let (mock, nsi, counters) = both().await;
    let url = nsi.reply_to().to_owned();
    let envelope = |body: &str| {
        format!(
            "<e:Envelope xmlns:e='http://schemas.xmlsoap.org/soap/envelope/' xmlns:c='http://schemas.ogf.org/nsi/2013/12/connection/types'><e:Body>{body}</e:Body></e:Envelope>"
        )
    };
    let bodies = [
        "".to_owned(),
        "no XML".to_owned(),
        "<a/>".to_owned(),
        format!("<!DOCTYPE a [<!ENTITY b 'c'>]>{}", envelope("<c:error/>")),
        envelope("<c:acknowledgment/>"),
        envelope("<c:reserveConfirmed/>"),
        envelope("<reserveConfirmed><connectionId>1</connectionId></reserveConfirmed>"),
        envelope(
            "<c:errorEvent><connectionId>1</connectionId><notificationId>1</notificationId><event>party</event></c:errorEvent>",
        ),
        "<a>".repeat(100_000),
        "x".repeat(5 << 20),
    ];
    let count = bodies.len() as u64;
    tokio::task::spawn_blocking(move || {
        assert_eq!(ask("GET", &url, "", "").unwrap().0, 400);
        for body in bodies {
            // What is too long may be cut off before it is read.
            let answer = ask("POST", &url, "", &body);
            assert!(answer.is_none_or(|(status, _)| status >= 400));
        }
    })
    .await
    .unwrap();
    assert_eq!(counters.bad_messages.load(Relaxed), count + 1);
    // And goes on.
    let id = provisioned(&nsi).await;
    nsi.terminate(&id).await.unwrap();
    assert_eq!(mock.complaints(), [] as [String; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_there_or_nobody_we_know() {
    let mock = Mock::start();
    let mut nowhere = settings(&mock);
    nowhere.provider_url = "http://127.0.0.1:1/x".into();
    let nsi = Nsi::start(nowhere, Arc::default()).await.unwrap();
    let error = nsi.reserve(&request(0)).await.unwrap_err();
    assert!(matches!(error.why, Why::Unreachable(_)) && error.in_doubt(), "{error}");
    let mut odd = settings(&mock);
    odd.provider_url = "https://127.0.0.1:1/x".into();
    let nsi = Nsi::start(odd, Arc::default()).await.unwrap();
    let error = nsi.list().await.unwrap_err();
    assert!(error.to_string().contains("only http is spoken"), "{error}");
    let page = crate::plain::serve("text/html", |_| Some((404, "<html>no</html>".into())));
    let mut web = settings(&mock);
    web.provider_url = format!("http://{page}/");
    let nsi = Nsi::start(web, Arc::default()).await.unwrap();
    let error = nsi.reserve(&request(0)).await.unwrap_err();
    assert_eq!(refused(&error), "HTTP 404 Not Found");
}

#[test]
fn settings_are_read_from_toml() {
    #[derive(serde::Deserialize)]
    struct File {
        nsi: Settings,
    }
    let text = "[nsi]\nprovider-url = 'http://p:9080/NSI/services/CS2'\nprovider-nsa = 'urn:p'\nrequester-nsa = 'urn:r'\n\
                listen = '127.0.0.1:0'\n[nsi.stp]\n'10.0.0.1' = 'urn:ogf:network:a:b?vlan=1'\n";
    let File { nsi } = toml::from_str(text).unwrap();
    assert_eq!((nsi.ack_ms, nsi.answer_ms), (10_000, 40_000));
    assert_eq!(nsi.stp, BTreeMap::from([("10.0.0.1".into(), "urn:ogf:network:a:b?vlan=1".into())]));
    assert!(toml::from_str::<File>(&text.replace("listen", "lisen")).is_err());
}
