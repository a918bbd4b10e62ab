// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A program that is killed at any point of a circuit's life, and started again: the new one finds
//! what there is, and leaks nothing.

use crate::nsi::settings;
use crate::nsi_mock::{Fault, Mock};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};
use telesteer_circuit::book::{Book, Manner};
use telesteer_circuit::circuits::Circuits;
use telesteer_circuit::driver::Driver;
use telesteer_circuit::life::State;
use telesteer_circuit::nsi::client::Nsi;
use telesteer_circuit::request::{Name, Pair};

fn pairs(count: usize) -> BTreeSet<Pair> {
    (0..count).map(|n| Pair::new(format!("r{n}"), "r4")).collect()
}

async fn driver(mock: &Mock) -> Driver {
    let nsi: Arc<dyn Circuits> =
        Arc::new(Nsi::start(settings(mock), Arc::default()).await.unwrap());
    let manner = Manner { retry_ms: 50, withdraw_ms: 50, ..Manner::default() };
    Driver::new(Book::new(manner), nsi, 300)
}

/// Drives until `done`, and checks on the way that no state is skipped.
async fn drive(driver: &mut Driver, mut done: impl FnMut(&Driver) -> bool) {
    let end = Instant::now() + Duration::from_secs(60);
    let mut at: BTreeMap<Name, State> = BTreeMap::new();
    while !done(driver) {
        assert!(Instant::now() < end, "{:?}\n{:?}", driver.said(), driver.book.entries());
        for (name, step) in driver.turn().await {
            assert!(step.from.next().contains(&step.to), "{name}: {step:?}");
            if let Some(before) = at.insert(name, step.to) {
                assert_eq!(before, step.from);
            }
        }
        driver.rest(20).await;
    }
}

fn up(driver: &Driver) -> usize {
    driver.book.entries().values().filter(|entry| entry.life.state() == State::Up).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_after_any_request() {
    // Two circuits: a list and three requests each. Killed after each of the first eight.
    for requests in 0..8 {
        let mock = Mock::start();
        mock.hang_after(Some(requests));
        let mut first = driver(&mock).await;
        first.book.offline(&pairs(2)).unwrap();
        let end = Instant::now() + Duration::from_secs(20);
        while mock.log().len() <= requests && Instant::now() < end {
            first.turn().await;
            first.rest(5).await;
        }
        drop(first);
        mock.hang_after(None);

        let mut second = driver(&mock).await;
        // Of the two one is wanted still, and another one now.
        let wanted: BTreeSet<Pair> = pairs(3).into_iter().skip(1).collect();
        second.book.offline(&wanted).unwrap();
        let both = |driver: &Driver| {
            up(driver) == 2
                && driver
                    .book
                    .entries()
                    .values()
                    .all(|entry| wanted.contains(&entry.request.name.pair()))
                && driver.book.entries().len() == 2
                && mock.connections(false).len() == 2
        };
        drive(&mut second, both).await;
        let there: BTreeSet<Pair> = mock
            .connections(false)
            .values()
            .map(|one| Name::parse(&one.description).unwrap().pair())
            .collect();
        assert_eq!(there, wanted, "killed after {requests} requests");
        assert!(mock.connections(false).values().all(|one| one.active));
        assert_eq!(mock.complaints(), [] as [String; 0]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn foreign_circuits_are_left() {
    let mock = Mock::start();
    mock.plant("conn-of-others", "somebody's");
    let mut driver = driver(&mock).await;
    driver.book.offline(&pairs(1)).unwrap();
    drive(&mut driver, |driver| up(driver) == 1).await;
    assert_eq!(driver.foreign().len(), 1);
    driver.book.offline(&BTreeSet::new()).unwrap();
    drive(&mut driver, |driver| driver.book.entries().is_empty()).await;
    let left: Vec<String> = mock.connections(false).into_keys().collect();
    assert_eq!(left, ["conn-of-others"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn faults_are_got_over() {
    let mock = Mock::start();
    mock.spoil("reserve", &[Fault::Fail, Fault::LoseBoth]);
    mock.spoil("reserveCommit", &[Fault::Error]);
    mock.spoil("provision", &[Fault::LoseActive]);
    mock.spoil("terminate", &[Fault::Error, Fault::AtOnce]);
    let mut driver = driver(&mock).await;
    driver.book.offline(&pairs(2)).unwrap();
    drive(&mut driver, |driver| up(driver) == 2 && mock.connections(false).len() == 2).await;
    // The provider ends one: another is asked for, and the ended one is given back.
    let ended = mock.connections(false).into_keys().next().unwrap();
    let told = mock.clone();
    tokio::task::spawn_blocking(move || told.event(&ended, "forcedEnd")).await.unwrap();
    let again = |driver: &Driver| {
        let there = mock.connections(false);
        up(driver) == 2 && there.len() == 2 && there.values().all(|one| one.lifecycle == "Created")
    };
    drive(&mut driver, again).await;
    assert_eq!(mock.complaints(), [] as [String; 0]);
}
