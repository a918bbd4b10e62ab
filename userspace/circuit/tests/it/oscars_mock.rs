// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The REST controllers of an OSCARS server, as far as circuits need them, with the field names of
//! its classes. A field it does not know is an error there, so it is one here.

use crate::plain::{Asked, serve};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

#[derive(Default)]
struct State {
    circuits: BTreeMap<String, Value>,
    free: i64,
    log: Vec<String>,
    /// `new` is done, but not answered.
    mute: bool,
    /// It has the paths of another release.
    other: bool,
    /// It makes no circuit without a project.
    project: bool,
    /// Whatever is asked of one circuit fails.
    trouble: bool,
}

/// The server.
#[derive(Clone)]
pub(crate) struct Mock {
    pub(crate) url: String,
    state: Arc<Mutex<State>>,
}

pub(crate) const TOKEN: &str = "Bearer sesame";

/// Names of the fields of an object, in order of the alphabet.
fn fields(value: &Value) -> Vec<&str> {
    let mut names: Vec<&str> =
        value.as_object().map_or(Vec::new(), |map| map.keys().map(String::as_str).collect());
    names.sort_unstable();
    names
}

impl Mock {
    pub(crate) fn start() -> Self {
        let state = Arc::new(Mutex::new(State { free: 1000, ..State::default() }));
        let mut mock = Self { url: String::new(), state };
        let desk = mock.clone();
        let here = serve("application/json", move |asked| desk.answer(&asked));
        mock.url = format!("http://{here}");
        mock
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    pub(crate) fn log(&self) -> Vec<String> {
        self.lock().log.clone()
    }

    pub(crate) fn circuits(&self) -> BTreeMap<String, Value> {
        let mut circuits = self.lock().circuits.clone();
        circuits.retain(|_, one| one["status"]["phase"] != "ARCHIVED");
        circuits
    }

    pub(crate) fn mute(&self, mute: bool) {
        self.lock().mute = mute;
    }

    pub(crate) fn want_project(&self) {
        self.lock().project = true;
    }

    pub(crate) fn trouble(&self, trouble: bool) {
        self.lock().trouble = trouble;
    }

    pub(crate) fn other_release(&self) {
        self.lock().other = true;
    }

    /// Has a circuit deployed, or whatever else.
    pub(crate) fn set(&self, name: &str, status: Value) {
        self.lock().circuits.get_mut(name).unwrap()["status"] = status;
    }

    pub(crate) fn plant(&self, name: &str, description: &str) {
        let one = json!({
            "name": name, "meta": {"description": description, "username": "joe", "trackingId": null, "orchId": null},
            "schedule": {"beginning": 1_753_209_304.0, "ending": 2_068_569_237.0},
            "status": {"phase": "RESERVED", "state": "ACTIVE", "deploymentState": "DEPLOYED", "deploymentIntent": "SHOULD_BE_DEPLOYED"},
            "qos": {"mode": "GUARANTEED", "excessAction": "SCAVENGER", "bandwidth": 5},
            "tech": {"mode": "AUTOMATIC", "flavor": "VPLS", "mtu": 9000, "macsec": false}, "bundles": [], "endpoints": []
        });
        self.lock().circuits.insert(name.to_owned(), one);
    }

    fn answer(&self, asked: &Asked) -> Option<(u16, String)> {
        let mut state = self.lock();
        state.log.push(format!("{} {}", asked.method, asked.path));
        let ok = |value: &Value| Some((200, value.to_string()));
        let not =
            |status, why: &str| Some((status, json!({"status": status, "error": why}).to_string()));
        if asked.path.starts_with("/protected/")
            && asked.headers.get("authorization").map(String::as_str) != Some(TOKEN)
        {
            return not(401, "Unauthorized");
        }
        let body: Value = serde_json::from_str(&asked.body).unwrap_or(Value::Null);
        let (mut method, mut path) = (asked.method.as_str(), asked.path.clone());
        if state.other {
            match (method, path.as_str()) {
                (_, path) if path.starts_with("/protected/l2vpn/") => return not(405, "method"),
                (_, "/api/l2vpn/new" | "/api/l2vpn/replace") => {
                    path = path.replace("/api/", "/protected/");
                }
                ("POST", "/protected/conn/release") => {
                    path = format!("/protected/l2vpn/release/{}", asked.body);
                    method = "DELETE";
                }
                _ => {}
            }
        }
        let last = path.rsplit('/').next().unwrap_or_default().to_owned();
        match (method, path.as_str()) {
            ("GET" | "DELETE", _) if state.trouble => not(500, "Internal Server Error"),
            ("GET", path) if path.starts_with("/api/l2vpn/get/") => match state.circuits.get(&last)
            {
                Some(one) => ok(one),
                None => not(500, "NoSuchElementException"),
            },
            ("POST", "/api/l2vpn/availability") => {
                ok(&json!({"available": state.free, "baseline": 1000}))
            }
            ("POST", "/api/l2vpn/list") => {
                let (page, size) =
                    (body["page"].as_u64().unwrap(), body["sizePerPage"].as_u64().unwrap());
                let (page, size) = (usize::try_from(page).unwrap(), usize::try_from(size).unwrap());
                let phase = body["phase"].as_str().filter(|phase| *phase != "ANY");
                let all = state.circuits.values();
                let all =
                    all.filter(|one| phase.is_none_or(|phase| one["status"]["phase"] == phase));
                let part: Vec<&Value> = all.skip((page - 1) * size).take(size).collect();
                ok(&json!({"page": page, "sizePerPage": size, "totalSize": 0, "l2vpns": part}))
            }
            ("POST", "/protected/l2vpn/new") => {
                if let Some(why) = complaint(&body).or_else(|| span_complaint(&body, true)) {
                    return not(400, &why);
                }
                let projects = body["meta"]["projectIds"].as_array();
                if state.project && projects.is_none_or(Vec::is_empty) {
                    return not(400, "No project IDs provided");
                }
                let name = body["name"].as_str().unwrap().to_owned();
                if state.circuits.contains_key(&name) {
                    return not(500, "duplicate");
                }
                let mut one = body;
                one["status"] = json!({"phase": "RESERVED", "state": "WAITING", "deploymentState": "UNDEPLOYED", "deploymentIntent": "SHOULD_BE_DEPLOYED"});
                one["meta"]["username"] = json!("tester");
                let mbps = one["qos"]["bandwidth"].as_i64().unwrap();
                state.free -= mbps;
                state.circuits.insert(name, one.clone());
                if state.mute { None } else { ok(&one) }
            }
            ("PUT", "/protected/l2vpn/replace") => {
                let name = body["name"].as_str().unwrap_or_default().to_owned();
                let Some(there) = state.circuits.get_mut(&name) else { return not(500, "none") };
                for part in ["qos", "tech", "bundles", "endpoints"] {
                    if there[part] != body[part] {
                        return not(400, part);
                    }
                }
                if let Some(why) = span_complaint(&body, false) {
                    return not(400, &why);
                }
                there["schedule"] = body["schedule"].clone();
                ok(there)
            }
            ("DELETE", path) if path.starts_with("/protected/l2vpn/release/") => {
                match state.circuits.get_mut(&last) {
                    Some(one) if one["status"]["phase"] != "ARCHIVED" => {
                        one["status"] = json!({"phase": "ARCHIVED", "state": "FINISHED", "deploymentState": "UNDEPLOYED"});
                        ok(one)
                    }
                    _ => not(500, "none"),
                }
            }
            _ => not(404, "no such path"),
        }
    }
}

/// What is wrong with when it is to be; a begun one may have begun long ago.
fn span_complaint(body: &Value, new: bool) -> Option<String> {
    let said = |what: &str| body["schedule"][what].as_f64().unwrap_or_default();
    let now = telesteer_circuit::clock::now().0 as f64 / 1000.0;
    let (beginning, ending) = (said("beginning"), said("ending"));
    if new && beginning < now - 300.0 {
        return Some("begin time is more than 5 minutes in the past".to_owned());
    }
    if ending >= f64::from(i32::MAX) {
        return Some("more seconds than it counts".to_owned());
    }
    let short = ending < beginning.max(now + 30.0) + 900.0;
    short.then(|| "duration is too short (less than 15 min)".to_owned())
}

/// What is wrong with a new circuit.
fn complaint(body: &Value) -> Option<String> {
    let expect = |value: &Value, names: &[&str]| {
        let there = fields(value);
        (there != names).then(|| format!("{there:?} are not {names:?}"))
    };
    let name = body["name"].as_str().unwrap_or_default();
    let letters = name.chars().all(|c| "234679CDFGHJKMNPRTWXYZ".contains(c));
    if name.len() != 4 || !letters || name.starts_with(|c: char| c.is_ascii_digit()) {
        return Some(format!("name {name}"));
    }
    expect(body, &["bundles", "endpoints", "meta", "name", "qos", "schedule", "tech"])
        .or_else(|| expect(&body["schedule"], &["beginning", "ending"]))
        .or_else(|| expect(&body["qos"], &["bandwidth", "excessAction", "mode"]))
        .or_else(|| expect(&body["tech"], &["flavor", "macsec", "mode", "mtu"]))
        .or_else(|| {
            let with_project = fields(&body["meta"]) == ["description", "projectIds", "username"];
            (!with_project).then(|| expect(&body["meta"], &["description", "username"]))?
        })
        .or_else(|| {
            // A port is called so that its name says the device.
            let end = &body["endpoints"][0];
            let of = format!("{}:", end["device"].as_str().unwrap_or_default());
            let port = end["port"].as_str().unwrap_or_default();
            (!port.starts_with(&of)).then(|| format!("{port} not in topology"))
        })
        .or_else(|| expect(&body["endpoints"][0], &["device", "port", "tagged", "vlan"]))
        .or_else(|| {
            expect(&body["bundles"][0], &["a", "constraints", "lsps", "name", "protection", "z"])
        })
        .or_else(|| expect(&body["bundles"][0]["constraints"], &["exclude", "include"]))
        .or_else(|| {
            // Without one there is no path between the two.
            let primary = |one: &Value| one["role"] == "PRIMARY" && one["path"].is_array();
            let lsps = body["bundles"][0]["lsps"].as_array();
            (!lsps.is_some_and(|lsps| lsps.iter().any(primary))).then(|| "lsps".to_owned())
        })
}
