// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The OSCARS client against a mock of its controllers.

use crate::oscars_mock::{Mock, TOKEN};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};
use telesteer_circuit::book::{Book, Manner};
use telesteer_circuit::circuits::{Circuits, Held, Id, Notice, Seen};
use telesteer_circuit::clock::now;
use telesteer_circuit::driver::Driver;
use telesteer_circuit::error::Why;
use telesteer_circuit::life::State;
use telesteer_circuit::oscars::client::{Oscars, Port, Settings};
use telesteer_circuit::request::{Best, Excess, Name, Pair, Rate, Request};
use telesteer_circuit::time::{At, Span};

fn settings(mock: &Mock) -> Settings {
    let port = |n: u16| Port {
        device: format!("r{n}-cr6"),
        port: format!("r{n}-cr6:1/1/c9/1"),
        vlan: 100 + n,
        tagged: true,
    };
    Settings {
        url: mock.url.clone(),
        authorization: Some(TOKEN.into()),
        ports: (0..4).map(|n| (format!("r{n}"), port(n))).collect::<BTreeMap<_, _>>(),
        projects: Vec::new(),
        shortest_ms: 960_000,
        mtu: 9000,
        wait_ms: 1000,
        poll_ms: 0,
    }
}

fn oscars(mock: &Mock) -> Oscars {
    Oscars::new(settings(mock), Arc::default())
}

fn request(rate: Rate, until: Option<At>) -> Request {
    let at = now();
    let name = Name::of(&Pair::new("r0", "r1"), at).unwrap();
    Request {
        name,
        rate,
        span: Span { from: at, until },
        best: Best::Hops,
        off_ip_path: false,
        both: true,
    }
}

const RATE: Rate = Rate::Specified { mbps: 600, excess: Excess::Drop };

#[tokio::test]
async fn a_whole_life() {
    let (mock, at) = (Mock::start(), now());
    let oscars = oscars(&mock);
    let asked = request(RATE, Some(at.plus(3_600_000)));
    let Held { id, .. } = oscars.reserve(&asked).await.unwrap();
    let there = mock.circuits()[&id.0].clone();
    assert_eq!(
        there["qos"],
        json!({"mode": "GUARANTEED", "excessAction": "DROP", "bandwidth": 600})
    );
    assert_eq!(there["meta"]["description"], format!("{} drop", asked.name));
    assert_eq!(there["schedule"]["ending"].as_f64(), Some(at.plus(3_600_000).0 as f64 / 1000.0));
    assert_eq!(
        there["endpoints"],
        json!([{"device": "r0-cr6", "port": "r0-cr6:1/1/c9/1", "vlan": 100, "tagged": true},
               {"device": "r1-cr6", "port": "r1-cr6:1/1/c9/1", "vlan": 101, "tagged": true}])
    );
    assert_eq!(
        (&there["bundles"][0]["a"], &there["bundles"][0]["z"]),
        (&json!("r0-cr6"), &json!("r1-cr6"))
    );
    oscars.commit(&id).await.unwrap();
    oscars.provision(&id).await.unwrap();
    assert_eq!(oscars.notices().await.unwrap(), []);
    let deployed = json!({"phase": "RESERVED", "state": "ACTIVE", "deploymentState": "DEPLOYED"});
    mock.set(&id.0, deployed.clone());
    assert_eq!(oscars.notices().await.unwrap(), [(id.clone(), Notice::Active)]);
    assert_eq!(oscars.notices().await.unwrap(), []);
    let all = oscars.list().await.unwrap();
    assert_eq!(
        (all[0].seen, all[0].rate, all[0].name.as_ref()),
        (Seen::Up, RATE, Some(&asked.name))
    );
    let until = at.plus(7_200_000);
    oscars.extend(&id, Some(until)).await.unwrap();
    assert_eq!(oscars.list().await.unwrap()[0].until, Some(until));
    mock.set(
        &id.0,
        json!({"phase": "RESERVED", "state": "WAITING", "deploymentState": "BEING_REDEPLOYED"}),
    );
    assert_eq!(oscars.notices().await.unwrap(), [(id.clone(), Notice::Inactive)]);
    oscars.terminate(&id).await.unwrap();
    oscars.terminate(&id).await.unwrap();
    assert!(
        matches!(&oscars.notices().await.unwrap()[..], [(gone, Notice::Ended(_))] if *gone == id)
    );
    assert_eq!(mock.circuits().len(), 0);
}

#[tokio::test]
async fn unlimited_has_no_end_and_no_promise() {
    let mock = Mock::start();
    let oscars = oscars(&mock);
    let asked = request(Rate::Unlimited, None);
    let Held { id, .. } = oscars.reserve(&asked).await.unwrap();
    let there = mock.circuits()[&id.0].clone();
    assert_eq!(
        there["qos"],
        json!({"mode": "BEST_EFFORT", "excessAction": "BEST_EFFORT", "bandwidth": 0})
    );
    let all = oscars.list().await.unwrap();
    assert_eq!((all[0].rate, all[0].until), (Rate::Unlimited, None));
    assert!(!mock.log().iter().any(|line| line.contains("availability")));
}

#[tokio::test]
async fn paths_of_another_release() {
    let mock = Mock::start();
    mock.other_release();
    let oscars = oscars(&mock);
    let Held { id, .. } = oscars.reserve(&request(RATE, None)).await.unwrap();
    let until = now().plus(7_200_000);
    oscars.extend(&id, Some(until)).await.unwrap();
    assert_eq!(oscars.list().await.unwrap()[0].until, Some(until));
    oscars.terminate(&id).await.unwrap();
    oscars.terminate(&id).await.unwrap();
    assert_eq!(mock.circuits().len(), 0);
}

/// It answers as it does for a circuit it does not have.
#[tokio::test]
async fn a_server_in_trouble_still_has_its_circuits() {
    let mock = Mock::start();
    let oscars = oscars(&mock);
    let Held { id, .. } = oscars.reserve(&request(RATE, None)).await.unwrap();
    mock.trouble(true);
    assert!(matches!(oscars.terminate(&id).await.unwrap_err().why, Why::Refused(_)));
    mock.trouble(false);
    oscars.terminate(&id).await.unwrap();
    assert_eq!(mock.circuits().len(), 0);
    mock.trouble(true);
    oscars.terminate(&id).await.unwrap();
}

#[tokio::test]
async fn a_server_that_wants_a_project() {
    let mock = Mock::start();
    mock.want_project();
    let asked = request(RATE, None);
    let error = oscars(&mock).reserve(&asked).await.unwrap_err();
    assert!(error.to_string().contains("No project IDs provided"), "{error}");
    let settings = Settings { projects: vec!["p-1".into()], ..settings(&mock) };
    let oscars = Oscars::new(settings, Arc::default());
    let Held { id, .. } = oscars.reserve(&asked).await.unwrap();
    assert_eq!(mock.circuits()[&id.0]["meta"]["projectIds"], json!(["p-1"]));
}

#[tokio::test]
async fn leases_shorter_than_the_server_takes() {
    let mock = Mock::start();
    let oscars = oscars(&mock);
    let mut asked = request(RATE, Some(now().plus(600_000)));
    // It has waited for a server that was not there.
    asked.span.from = At(asked.span.from.0 - 600_000);
    let Held { id, .. } = oscars.reserve(&asked).await.unwrap();
    mock.set(&id.0, json!({"phase": "RESERVED", "state": "ACTIVE", "deploymentState": "DEPLOYED"}));
    oscars.extend(&id, Some(now().plus(600_000))).await.unwrap();
    assert!(oscars.list().await.unwrap()[0].until > Some(now().plus(900_000)));
}

#[tokio::test]
async fn over_booking_and_other_refusals() {
    let mock = Mock::start();
    let oscars = oscars(&mock);
    oscars.reserve(&request(RATE, None)).await.unwrap();
    tokio::time::sleep(Duration::from_millis(2)).await;
    let error = oscars.reserve(&request(RATE, None)).await.unwrap_err();
    assert_eq!(error.why, Why::Refused("600 Mb/s asked for, 400 free".into()));
    assert_eq!(mock.circuits().len(), 1);
    let none = oscars.commit(&Id("ZZZZ".into())).await.unwrap_err();
    assert!(
        none.to_string().ends_with("GET /api/l2vpn/get ZZZZ: refused: there is none"),
        "{none}"
    );
    let mut strange = settings(&mock);
    strange.authorization = None;
    let error = Oscars::new(strange, Arc::default())
        .reserve(&request(Rate::Unlimited, None))
        .await
        .unwrap_err();
    assert!(error.to_string().contains("HTTP 401 Unauthorized"), "{error}");
}

#[tokio::test]
async fn an_answer_is_lost() {
    let mock = Mock::start();
    let oscars = oscars(&mock);
    mock.mute(true);
    let asked = request(RATE, None);
    assert!(oscars.reserve(&asked).await.unwrap_err().in_doubt());
    mock.mute(false);
    let Held { id, .. } = oscars.reserve(&asked).await.unwrap();
    assert_eq!(mock.circuits().keys().collect::<Vec<_>>(), [&id.0], "made once");
}

#[tokio::test]
async fn lists_have_pages() {
    let mock = Mock::start();
    for n in 0..250 {
        mock.plant(&format!("X{n:03}"), "Point to point");
    }
    for n in 0..250 {
        let name = format!("Y{n:03}");
        mock.plant(&name, "Point to point");
        mock.set(&name, json!({"phase": "ARCHIVED", "state": "FINISHED"}));
    }
    assert_eq!(oscars(&mock).list().await.unwrap().len(), 250);
    assert_eq!(mock.log().len(), 3, "no page of what was given back");
}

#[tokio::test]
async fn a_driver_finds_its_own_and_gives_back_the_rest() {
    let mock = Mock::start();
    mock.plant("XXXX", "LHC primary");
    for round in 0..2 {
        let circuits: Arc<dyn Circuits> = Arc::new(oscars(&mock));
        let mut driver = Driver::new(Book::new(Manner::default()), circuits, 200);
        let wanted =
            BTreeSet::from([Pair::new("r0", "r1"), Pair::new(format!("r{}", 2 + round), "r1")]);
        driver.book.offline(&wanted).unwrap();
        let end = Instant::now() + Duration::from_secs(30);
        loop {
            driver.turn().await;
            driver.rest(10).await;
            for (name, one) in mock.circuits() {
                if one["status"]["state"] == "WAITING" {
                    mock.set(&name, json!({"phase": "RESERVED", "state": "ACTIVE", "deploymentState": "DEPLOYED"}));
                }
            }
            let up = driver
                .book
                .entries()
                .values()
                .filter(|entry| entry.life.state() == State::Up)
                .count();
            if up == 2 && driver.book.entries().len() == 2 && mock.circuits().len() == 3 {
                break;
            }
            assert!(Instant::now() < end, "{:?}", driver.said());
        }
        assert_eq!(driver.foreign(), [Id("XXXX".into())]);
    }
}
