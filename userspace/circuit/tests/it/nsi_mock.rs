// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A provider of the NSI Connection Service: answers later, at the requester's endpoint, and as badly
//! as it is told to.

use crate::nsi_text::{BASE, Connection, between, check, exception, message};
pub(crate) use crate::nsi_text::{PROVIDER, REQUESTER};
use crate::plain::{Asked, ask, serve};
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::{sleep, spawn};
use std::time::{Duration, Instant};

/// What goes wrong with one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It is done, but its answer never comes.
    LoseAnswer,
    /// It is done, but neither acknowledgement nor answer comes.
    LoseBoth,
    /// Its answer comes that many milliseconds later than usual.
    Delay(u64),
    /// Its answer comes before its acknowledgement.
    AnswerFirst,
    /// Its answer comes twice.
    Twice,
    /// It fails: `…Failed`.
    Fail,
    /// It is refused later: `error`.
    Error,
    /// It is refused at once: a SOAP fault.
    AtOnce,
    /// For provision: traffic passes before the answer.
    ActiveFirst,
    /// For provision: nobody is told that traffic passes.
    LoseActive,
}

#[derive(Default)]
struct State {
    connections: BTreeMap<String, Connection>,
    faults: BTreeMap<String, VecDeque<Fault>>,
    log: Vec<String>,
    complaints: Vec<String>,
    hold_ms: u64,
    hang_after: Option<usize>,
}

/// The provider.
#[derive(Clone)]
pub(crate) struct Mock {
    pub(crate) url: String,
    state: Arc<Mutex<State>>,
}

impl Mock {
    /// Starts it.
    pub(crate) fn start() -> Self {
        let state = Arc::new(Mutex::new(State { hold_ms: 60_000, ..State::default() }));
        let mut mock = Self { url: String::new(), state };
        let desk = mock.clone();
        let here = serve("text/xml", move |asked| desk.answer(asked));
        mock.url = format!("http://{here}/nsi/provider");
        mock
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// The next requests of that name go wrong so, one after another.
    pub(crate) fn spoil(&self, name: &str, faults: &[Fault]) {
        self.lock().faults.entry(name.to_owned()).or_default().extend(faults);
    }

    /// How long a hold lasts.
    pub(crate) fn hold(&self, ms: u64) {
        self.lock().hold_ms = ms;
    }

    /// After so many requests from now on nothing is answered; `None`: everything.
    pub(crate) fn hang_after(&self, requests: Option<usize>) {
        let mut state = self.lock();
        state.hang_after = requests.map(|requests| state.log.len() + requests);
    }

    /// Requests so far.
    pub(crate) fn log(&self) -> Vec<String> {
        self.lock().log.clone()
    }

    /// What was wrong with requests and with acknowledgements of answers.
    pub(crate) fn complaints(&self) -> Vec<String> {
        self.lock().complaints.clone()
    }

    /// All reservations, or those not terminated.
    pub(crate) fn connections(&self, all: bool) -> BTreeMap<String, Connection> {
        let mut connections = self.lock().connections.clone();
        connections.retain(|_, one| all || one.lifecycle != "Terminated");
        connections
    }

    /// A reservation of somebody who uses the same NSA.
    pub(crate) fn plant(&self, id: &str, description: &str) {
        let one = Connection {
            description: description.to_owned(),
            capacity: "5".into(),
            source: "urn:a".into(),
            dest: "urn:b".into(),
            version: 1,
            ..Connection::new("ReserveStart")
        };
        self.lock().connections.insert(id.to_owned(), one);
    }

    /// Sends a notification: of the data plane or another, with its number or the next one.
    pub(crate) fn notify(&self, id: &str, number: Option<i64>, name: &str, more: &str) {
        let (reply_to, number) = {
            let mut state = self.lock();
            let one = state.connections.get_mut(id).unwrap();
            one.notifications += 1;
            (one.reply_to.clone(), number.unwrap_or(one.notifications))
        };
        let body = format!(
            "<c:{name}><connectionId>{id}</connectionId><notificationId>{number}</notificationId>\
             <timeStamp>2026-01-01T00:00:00.5+00:00</timeStamp>{more}</c:{name}>"
        );
        self.tell(&reply_to, name, "urn:uuid:00000000-0000-4000-8000-000000000000", &body);
    }

    /// `dataPlaneStateChange`.
    pub(crate) fn data_plane(&self, id: &str, active: bool, number: Option<i64>) {
        self.lock().connections.get_mut(id).unwrap().active = active;
        let status = format!(
            "<dataPlaneStatus><active>{active}</active><version>1</version><versionConsistent>true</versionConsistent></dataPlaneStatus>"
        );
        self.notify(id, number, "dataPlaneStateChange", &status);
    }

    /// `errorEvent`.
    pub(crate) fn event(&self, id: &str, event: &str) {
        if event == "forcedEnd" {
            let mut state = self.lock();
            let one = state.connections.get_mut(id).unwrap();
            (one.lifecycle, one.active) = ("Failed", false);
        }
        let more = format!(
            "<event>{event}</event><originatingConnectionId>{id}</originatingConnectionId><originatingNSA>{PROVIDER}</originatingNSA>\
             <additionalInfo><attribute type='why'><value>maintenance</value></attribute></additionalInfo>{}",
            exception("00800", "cut")
        );
        self.notify(id, None, "errorEvent", &more);
    }

    fn tell(&self, reply_to: &str, name: &str, correlation: &str, body: &str) {
        let headers = format!(
            "Content-Type: text/xml; charset=utf-8\r\nSOAPAction: \"{BASE}/connection/service/{name}\"\r\n"
        );
        let text = message(correlation, "requester", body);
        // The requester may be gone.
        let Some((status, answer)) = ask("POST", reply_to, &headers, &text) else { return };
        if status != 200 || !answer.contains("acknowledgment") || !answer.contains(correlation) {
            self.lock().complaints.push(format!("{name}: acknowledged with {status} {answer}"));
        }
    }

    fn answer(&self, asked: Asked) -> Option<(u16, String)> {
        let action = asked.headers.get("soapaction").cloned().unwrap_or_default();
        let name = action.trim_matches('"').rsplit('/').next().unwrap_or_default().to_owned();
        let fault = {
            let mut state = self.lock();
            state.log.push(name.clone());
            if state.hang_after.is_some_and(|most| state.log.len() > most) {
                return None;
            }
            check(&mut state.complaints, &asked, &action, &name);
            state.faults.get_mut(&name).and_then(VecDeque::pop_front)
        };
        let correlation = between(&asked.body, "correlationId").unwrap_or_default().to_owned();
        if fault == Some(Fault::AtOnce) {
            let detail = exception("00101", "PAYLOAD_ERROR");
            let body = format!(
                "<S:Fault><faultcode>S:Server</faultcode><faultstring>not so</faultstring><detail><c:serviceException>{}</c:serviceException></detail></S:Fault>",
                detail.replace("<serviceException>", "").replace("</serviceException>", "")
            );
            return Some((500, message(&correlation, "provider", &body)));
        }
        if name == "querySummarySync" {
            return Some((200, message(&correlation, "provider", &self.query(&asked.body))));
        }
        let reply_to = between(&asked.body, "replyTo").unwrap_or_default().to_owned();
        let (id, ack) = match name.as_str() {
            "reserve" => self.begin(&asked.body, &reply_to),
            _ => {
                let id = between(&asked.body, "connectionId").unwrap_or_default().to_owned();
                (id, "<c:acknowledgment/>".to_owned())
            }
        };
        let mock = self.clone();
        let later = move || mock.later(&name, &id, &reply_to, &correlation, fault);
        let acknowledged =
            Some((200, message(between(&asked.body, "correlationId")?, "provider", &ack)));
        match fault {
            Some(Fault::AnswerFirst) => later(),
            Some(Fault::LoseBoth) => {
                later();
                return None;
            }
            _ => drop(spawn(later)),
        }
        acknowledged
    }

    /// A new reservation, or a change of one.
    fn begin(&self, body: &str, reply_to: &str) -> (String, String) {
        let mut state = self.lock();
        let text = |name: &str| between(body, name).unwrap_or_default().replace("&gt;", ">");
        let version: i64 = body
            .split_once("<criteria version=\"")
            .unwrap()
            .1
            .split('"')
            .next()
            .unwrap()
            .parse()
            .unwrap();
        let end = between(body, "endTime").map(str::to_owned);
        let id = match between(body, "connectionId") {
            Some(id) => {
                state.connections.get_mut(id).unwrap().change = Some((version, end));
                id.to_owned()
            }
            None => {
                let id = format!("conn-{}", state.connections.len() + 1);
                let one = Connection {
                    description: text("description"),
                    global: text("globalReservationId"),
                    capacity: text("capacity"),
                    source: text("sourceSTP"),
                    dest: text("destSTP"),
                    end,
                    version,
                    reply_to: reply_to.to_owned(),
                    ..Connection::new("ReserveChecking")
                };
                state.connections.insert(id.clone(), one);
                id
            }
        };
        let ack =
            format!("<c:reserveResponse><connectionId>{id}</connectionId></c:reserveResponse>");
        (id, ack)
    }

    fn later(&self, name: &str, id: &str, reply_to: &str, correlation: &str, fault: Option<Fault>) {
        let pause = if let Some(Fault::Delay(ms)) = fault { 5 + ms } else { 5 };
        sleep(Duration::from_millis(pause));
        let (answer, body) = self.carry_out(name, id, fault);
        let lost = matches!(fault, Some(Fault::LoseAnswer | Fault::LoseBoth));
        let comes_up = answer == "provisionConfirmed";
        if comes_up && fault == Some(Fault::ActiveFirst) {
            self.data_plane(id, true, None);
        }
        if !lost {
            self.tell(reply_to, &answer, correlation, &body);
        }
        if fault == Some(Fault::Twice) {
            self.tell(reply_to, &answer, correlation, &body);
        }
        if comes_up && fault == Some(Fault::LoseActive) {
            self.lock().connections.get_mut(id).unwrap().active = true;
        } else if comes_up && fault != Some(Fault::ActiveFirst) {
            self.data_plane(id, true, None);
        }
        if answer == "releaseConfirmed" {
            self.data_plane(id, false, None);
        }
        if answer == "reserveConfirmed" {
            self.expire_later(id);
        }
    }

    /// Gives a hold up when its time is over.
    fn expire_later(&self, id: &str) {
        let (mock, id) = (self.clone(), id.to_owned());
        let until = Instant::now() + Duration::from_millis(self.lock().hold_ms);
        spawn(move || {
            sleep(until.saturating_duration_since(Instant::now()));
            {
                let mut state = mock.lock();
                let one = state.connections.get_mut(&id).unwrap();
                if one.reservation != "ReserveHeld" || one.change.is_some() {
                    return;
                }
                one.reservation = "ReserveTimeout";
            }
            let more = format!(
                "<timeoutValue>1</timeoutValue><originatingConnectionId>{id}</originatingConnectionId><originatingNSA>{PROVIDER}</originatingNSA>"
            );
            mock.notify(&id, None, "reserveTimeout", &more);
        });
    }

    fn carry_out(&self, name: &str, id: &str, fault: Option<Fault>) -> (String, String) {
        let mut state = self.lock();
        let error = |id: &str, text: &str| {
            ("error".to_owned(), format!("<c:error>{}</c:error>", exception(id, text)))
        };
        let Some(one) = state.connections.get_mut(id) else {
            return error("00203", "RESERVATION_NONEXISTENT");
        };
        if fault == Some(Fault::Error) {
            return error("00500", "INTERNAL_ERROR");
        }
        let fits = match name {
            "reserve" => {
                one.change.is_none()
                    || (one.reservation == "ReserveStart" && one.lifecycle == "Created")
            }
            "reserveCommit" => one.reservation == "ReserveHeld",
            "reserveAbort" => {
                matches!(one.reservation, "ReserveFailed" | "ReserveHeld" | "ReserveTimeout")
            }
            "provision" => {
                one.reservation == "ReserveStart"
                    && one.provision == "Released"
                    && one.lifecycle == "Created"
            }
            "release" => one.provision == "Provisioned",
            "terminate" => one.lifecycle != "Terminated",
            _ => false,
        };
        if !fits {
            return error("00201", "INVALID_TRANSITION");
        }
        let failed = fault == Some(Fault::Fail);
        let confirmed = |more: &str| {
            let name = format!("{name}Confirmed");
            let body = format!("<c:{name}><connectionId>{id}</connectionId>{more}</c:{name}>");
            (name, body)
        };
        match name {
            "reserve" if !failed => {
                one.reservation = "ReserveHeld";
                let more = format!(
                    "<description>{}</description>{}",
                    one.description.replace('>', "&gt;"),
                    one.criteria()
                );
                return confirmed(&more);
            }
            "reserve" => one.reservation = "ReserveFailed",
            "reserveCommit" if failed => {}
            "reserveCommit" => {
                one.reservation = "ReserveStart";
                if let Some((version, end)) = one.change.take() {
                    (one.version, one.end) = (version, end);
                }
            }
            "reserveAbort" => (one.reservation, one.change) = ("ReserveStart", None),
            "provision" => one.provision = "Provisioned",
            "release" => (one.provision, one.active) = ("Released", false),
            _ => (one.lifecycle, one.provision, one.active) = ("Terminated", "Released", false),
        }
        if failed {
            let name = format!("{name}Failed");
            let (states, why) = (one.states(), exception("00705", "CAPACITY_UNAVAILABLE"));
            let body =
                format!("<c:{name}><connectionId>{id}</connectionId>{states}{why}</c:{name}>");
            return (name, body);
        }
        confirmed("")
    }

    fn query(&self, body: &str) -> String {
        let state = self.lock();
        let asked = between(body, "connectionId");
        let chosen = state
            .connections
            .iter()
            .filter(|(id, _)| asked.is_none_or(|asked| asked == id.as_str()));
        let reservations: String = chosen
            .map(|(id, one)| {
                format!(
                    "<reservation><connectionId>{id}</connectionId><globalReservationId>{}</globalReservationId>\
                     <description>{}</description>{}<requesterNSA>{REQUESTER}</requesterNSA>{}</reservation>",
                    one.global,
                    one.description.replace('>', "&gt;"),
                    one.criteria(),
                    one.states()
                )
            })
            .collect();
        format!(
            "<c:querySummarySyncConfirmed>{reservations}<lastModified>2026-01-01T00:00:00Z</lastModified></c:querySummarySyncConfirmed>"
        )
    }
}
